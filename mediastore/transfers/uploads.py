"""Bytes in, through this server: intent, bytes, result.

The intent is a committed row for the upload and one for the store key. Then the bytes go to that key, hashed as they pass. Then
one transaction makes the object the record's content. Whatever stops in between is found by its rows and undone.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog.schemas import Checksum, Media
from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.placement.registry import Registry
from mediastore.transfers import queries
from mediastore.transfers.declared import About, Declared, Precondition
from mediastore.transfers.errors import UploadTooLarge
from mediastore.transfers.ledger import Intent, Ledger, Stored, reason_of, was_answered
from mediastore.transfers.queries import Attempt
from mediastore.transfers.streaming import store_stream
from stores.protocol import Store


class Received(Struct, frozen=True, kw_only=True):
    media: Media
    created: bool
    """Whether the record was made by this upload."""
    etag: str
    """Of the content."""


class Uploads:
    def __init__(self, database: Database, *, ledger: Ledger, registry: Registry, max_bytes: int, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._registry = registry
        self._max_bytes = max_bytes
        self._clock = clock
        self._alive: set[UUID] = set()

    async def receive(
        self,
        pid: str,
        body: AsyncIterator[bytes],
        *,
        declared: Declared,
        about: About,
        precondition: Precondition,
        caller: Caller,
    ) -> Received:
        """Store the body as the record's next content, making the record where there is none.

        The record is as it was, or `pending`, until the bytes are in, durable and checked. Raises `DigestMismatch`,
        `SizeMismatch` and `UploadTooLarge` about the bytes, and whatever the catalog and the store have to say.
        """
        require(caller.identity, "write", to="upload")
        self._check_size(declared.size)
        intent = await self._ledger.announce(pid, declared=declared, about=about, precondition=precondition, caller=caller)
        self._alive.add(intent.upload)
        try:
            stored = await self._transfer(await self._registry.get(intent.store), intent, body, declared=declared)
            media = await self._ledger.publish(
                intent, stored, declared=declared, about=about, precondition=precondition, caller=caller
            )
        except BaseException as error:
            await shielded(self._undo(intent, error))
            raise
        finally:
            self._alive.discard(intent.upload)
        return Received(media=media, created=intent.created, etag=content_etag(media.version, intent.object))

    async def attempts(self, records: Sequence[Media]) -> dict[str, Attempt]:
        """The newest upload to each of these records, by PID: what the status `pending` does not tell. For who may read them."""
        async with self._database.connection() as connection:
            found = await queries.newest_attempts(connection, [record.pid for record in records])
        return {attempt.pid: attempt for attempt in found}

    async def show_life(self) -> None:
        """Tell the clean-up, wherever it runs, that the uploads of this process are under way."""
        if self._alive:
            async with self._database.connection() as connection:
                await queries.show_life(connection, self._alive)

    def _check_size(self, size: int | None) -> None:
        if size is not None and size > self._max_bytes:
            raise UploadTooLarge(f"{size} bytes are more than the {self._max_bytes} that one upload may have", size=size)

    async def _transfer(self, store: Store, intent: Intent, body: AsyncIterator[bytes], *, declared: Declared) -> Stored:
        async def note_upload_id(upload_id: str) -> None:
            async with self._database.connection() as connection:
                await queries.set_upload_id(connection, intent.upload, upload_id)

        written = await store_stream(
            store,
            intent.key,
            body,
            algorithms=intent.algorithms,
            size=declared.size,
            claimed=declared.digests,
            largest=min(self._max_bytes, store.features.max_object_bytes or self._max_bytes),
            media_type=declared.media_type,
            on_upload_id=note_upload_id,
        )
        at = self._clock()
        checksums = {name: Checksum(value=digest, attested_by="server", at=at) for name, digest in written.digests.items()}
        return Stored(object=intent.object, size=written.size, checksums=checksums)

    async def _undo(self, intent: Intent, error: BaseException) -> None:
        # An answered refusal leaves nothing behind; after an interruption the name stays its owner's, for the retry.
        reason = reason_of(error)
        completed = await self._ledger.give_up(intent.upload, intent.media, reason=reason, withdraw=was_answered(error))
        if not completed:
            await self._ledger.doom_again(store=intent.store, key=intent.key, reason=reason)


def content_etag(version: int, object: int) -> str:
    """A strong entity tag: an object never changes."""
    return f'"{version}-{object}"'


async def shielded(work: Coroutine[Any, Any, None]) -> None:
    """Finish the work even when whoever waits for it is cancelled, again and again."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
