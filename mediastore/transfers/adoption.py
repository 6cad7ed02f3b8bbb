"""Bytes that lie in a store already become the content of a record, where they lie.

They are somebody else's until the record has them: they are read to their end, and whatever goes wrong leaves them as they are.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.schemas import Checksum
from mediastore.database import Connection
from mediastore.events import queries as events
from mediastore.events.schemas import Change
from mediastore.placement import objects
from mediastore.placement.queries import StoreRow
from mediastore.transfers.errors import BytesChanged, UploadInterrupted
from stores.digests import digest_stream
from stores.errors import ObjectTruncated
from stores.protocol import ObjectInfo, Store


class Found(Struct, frozen=True, kw_only=True):
    """Bytes that were read to their end, and were the same before and after."""

    size: int
    media_type: str | None
    """As the store has it."""
    digests: Mapping[str, str]
    """Lower-case hex by algorithm."""


class Adopted(Struct, frozen=True, kw_only=True):
    """What is written down of the bytes. `object` is a row that is not stored yet, and names their key."""

    object: int
    found: Found
    media_type: str
    filename: str | None


class Deed(Struct, frozen=True, kw_only=True):
    """Who does it, and what the history calls it."""

    action: str
    actor: str
    request_id: str | None = None


async def read_in_place(store: Store, key: str, algorithms: Iterable[str]) -> Found:
    """Read an object to its end. Raises `BytesChanged` unless the store says the same of it before and after."""
    before = await store.head(key)
    try:
        read = await digest_stream(store.read(key), algorithms)
    except ObjectTruncated:
        _compare(key, before, await store.head(key))
        raise
    after = await store.head(key)
    _compare(key, before, after)
    if read.size != after.size:
        raise BytesChanged(f"{read.size} bytes came, and the store says that there are {after.size}", key=key)
    return Found(size=read.size, media_type=after.media_type, digests=read.digests)


async def become_content(
    connection: Connection,
    media: MediaRow,
    store: StoreRow,
    adopted: Adopted,
    deed: Deed,
    *,
    at: datetime,
    changes: Mapping[str, Change] | None = None,
) -> None:
    """Make the bytes a content of the record; `changes` are others of the same revision.

    The caller holds the record's lock and has reserved the size. The content is the newest one, unless its number was reserved
    and the record has a higher one by now.
    """
    found = adopted.found
    version = await objects.reserved_version(connection, adopted.object)
    version = version or await catalog_queries.next_version(connection, media.id)
    newest = version > media.version
    checksums = {name: Checksum(value=digest, attested_by="server", at=at) for name, digest in found.digests.items()}
    if not await objects.set_stored(
        connection, adopted.object, version=version, size=found.size, checksums=checksums, at=at, media_type=adopted.media_type
    ):
        raise UploadInterrupted("the row of the bytes was given up in the meantime", pid=media.pid)
    if newest:
        revision = await catalog_queries.set_content(connection, media.id, object=adopted.object, version=version)
    else:
        revision = await catalog_queries.touch(connection, media.id)
    await objects.supersede(connection, media.id, current=adopted.object if newest else media.object)
    content = {
        "size": found.size,
        "media_type": adopted.media_type,
        "filename": adopted.filename,
        "checksums": dict(found.digests),
        "store": store.name,
    }
    told = {**(changes or {}), "version": Change(before=media.version, after=version), "content": Change(after=content)}
    if newest and media.status != "ready":
        told["status"] = Change(before=media.status, after="ready")
    await events.append(
        connection,
        kind="media",
        subject=media.pid,
        media=media.id,
        revision=revision,
        actor=deed.actor,
        action=deed.action if newest else "older_content",
        changes=told,
        request_id=deed.request_id,
    )


def _compare(key: str, before: ObjectInfo, after: ObjectInfo) -> None:
    if (before.size, before.etag, before.modified_at) != (after.size, after.etag, after.modified_at):
        raise BytesChanged("the bytes changed while they were read", key=key)
