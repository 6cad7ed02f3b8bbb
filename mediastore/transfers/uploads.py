"""Bytes in, through this server: intent, bytes, result.

The intent is a committed row for the upload and one for the store key. Then the bytes go to that key, hashed as they pass. Then
one transaction makes the object the record's content. Whatever stops in between is found by its rows and undone.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
import uuid_utils.compat
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import PidTaken, RecordGone, RecordInvalid
from mediastore.catalog.pids import check_pid
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.schemas import Media, MediaChange, MediaFields
from mediastore.catalog.service import Catalog, broken_rule, gone
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.errors import MediastoreError
from mediastore.events.schemas import Change
from mediastore.placement import objects
from mediastore.placement import queries as placement
from mediastore.placement.registry import Registry
from mediastore.transfers import queries
from mediastore.transfers.errors import (
    DigestMismatch,
    SizeMismatch,
    UploadCut,
    UploadInterrupted,
    UploadTooLarge,
    UploadUnverified,
)
from stores.digests import Digester
from stores.errors import StoreError
from stores.protocol import ObjectInfo, Store

GROUP = 1024 * 1024
"""Bytes that go to the hash threads and the store together."""


class Declared(Struct, frozen=True, kw_only=True):
    """What the client says of the bytes it sends. Compared, never believed."""

    size: int | None
    media_type: str
    filename: str | None
    digests: Mapping[str, str]
    """Lower-case hex by algorithm."""


class About(Struct, frozen=True, kw_only=True):
    """What the client says of the record: all of it when the record is made, what was given when it is there."""

    fields: MediaFields
    change: MediaChange


Precondition = Callable[[MediaRow | None], None]
"""Raises when the record, or its absence, is not what the client made a condition."""


class Intent(Struct, frozen=True, kw_only=True):
    """An upload that is written down."""

    upload: UUID
    media: int
    pid: str
    object: int
    key: str
    store: int
    store_name: str
    algorithms: tuple[str, ...]
    created: bool


class Received(Struct, frozen=True, kw_only=True):
    media: Media
    created: bool
    """Whether the record was made by this upload."""
    etag: str
    """Of the content."""


class Uploads:
    def __init__(
        self,
        database: Database,
        *,
        catalog: Catalog,
        drafts: Drafts,
        registry: Registry,
        on_doomed: Callable[[], None],
        max_bytes: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._drafts = drafts
        self._registry = registry
        self._on_doomed = on_doomed
        self._max_bytes = max_bytes
        self._clock = clock
        self._alive: set[UUID] = set()
        self._log = structlog.get_logger("mediastore.transfers")

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
        intent = await self._announce(pid, declared=declared, about=about, precondition=precondition, caller=caller)
        self._alive.add(intent.upload)
        try:
            store = await self._registry.get(intent.store)
            info, checksums = await self._transfer(store, intent, body, declared=declared)
            media = await self._finish(
                intent, info, checksums, declared=declared, about=about, precondition=precondition, caller=caller
            )
        except BaseException as error:
            await _shielded(self._undo(intent, error))
            raise
        finally:
            self._alive.discard(intent.upload)
        return Received(media=media, created=intent.created, etag=content_etag(media.version, intent.object))

    async def _undo(self, intent: Intent, error: BaseException) -> None:
        # An answered refusal leaves nothing behind; after an interruption the name stays its owner's, for the retry.
        completed = await self.give_up(intent.upload, intent.media, reason=_reason(error), withdraw=_answered(error))
        if completed:
            return
        try:
            # The clean-up may have taken us for dead, and purged the key before our bytes came to it.
            async with self._database.connection() as connection:
                await objects.doom_again(connection, store=intent.store, key=intent.key, reason=_reason(error))
        except MediastoreError as problem:
            self._log.error("bytes may be left at a key", store=intent.store, key=intent.key, reason=problem.message)
        self._on_doomed()

    async def give_up(self, upload: UUID, media: int | None, *, reason: str, withdraw: bool) -> bool:
        """End an open upload: its bytes are doomed, and so is a record that it made and nobody touched. Safe to repeat.

        Returns whether it was completed before, be it that its answer was lost: then it is left alone.
        """
        try:
            async with self._database.transaction() as connection:
                if media is not None:
                    await queries.lock_media(connection, media)
                closed = await queries.fail_upload(connection, upload, reason=reason)
                if closed is None:
                    return await queries.is_completed(connection, upload)
                await objects.doom(connection, closed.object, reason=reason)
                if withdraw and closed.created_record and media is not None:
                    await catalog_queries.withdraw_pristine(connection, media)
        except MediastoreError as error:
            # The row stays open: the clean-up finds it when the database is back.
            self._log.warning("upload left for the clean-up", upload=str(upload), reason=error.message)
            return False
        self._on_doomed()
        return False

    async def show_life(self) -> None:
        """Tell the clean-up, wherever it runs, that the uploads of this process are under way."""
        if self._alive:
            async with self._database.connection() as connection:
                await queries.show_life(connection, self._alive)

    def _check_size(self, size: int | None) -> None:
        if size is not None and size > self._max_bytes:
            raise UploadTooLarge(f"{size} bytes are more than the {self._max_bytes} that one upload may have", size=size)

    async def _announce(
        self, pid: str, *, declared: Declared, about: About, precondition: Precondition, caller: Caller
    ) -> Intent:
        check_pid(pid)
        try:
            return await self._write_down(pid, declared=declared, about=about, precondition=precondition, caller=caller)
        except PidTaken:
            # Somebody made the record between our look and our insert: now it is there to be found.
            return await self._write_down(pid, declared=declared, about=about, precondition=precondition, caller=caller)
        except ConstraintViolated as error:
            raise broken_rule(error, pid) from error

    async def _write_down(
        self, pid: str, *, declared: Declared, about: About, precondition: Precondition, caller: Caller
    ) -> Intent:
        now = self._clock()
        await self._drafts.refresh_rules()
        async with self._database.transaction() as connection:
            row = await catalog_queries.media_by_pid(connection, pid, lock=True)
            precondition(row if row is None else self._writable(row, caller=caller, now=now))
            if row is None:
                new = await self._drafts.new(pid, about.fields, owner=caller.identity.name, now=now)
                media, store_id = (await self._catalog.insert(connection, new, caller=caller)).id, new.store
            else:
                media = row.id
                store_id = (await self._changed(row, about, caller=caller, now=now))[0].store
            return await self._intend(
                connection, pid, media=media, store_id=store_id, created=row is None, declared=declared, caller=caller
            )

    def _writable(self, row: MediaRow, *, caller: Caller, now: datetime) -> MediaRow:
        row = self._catalog.writable(row, row.pid, caller=caller, now=now)
        if row.status_at(now) == "expired":
            raise gone(row, "expired")
        return row

    async def _changed(self, row: MediaRow, about: About, *, caller: Caller, now: datetime) -> tuple[MediaRow, Any, Any]:
        if about.fields.pid_type is not None and about.fields.pid_type != row.pid_type:
            raise RecordInvalid(
                f"{row.pid} has the pid_type {row.pid_type}, not {about.fields.pid_type}; leave it out", pid_type=row.pid_type
            )
        return await self._drafts.changed(row, about.change, identity=caller.identity, now=now)

    async def _intend(
        self,
        connection: Connection,
        pid: str,
        *,
        media: int,
        store_id: int,
        created: bool,
        declared: Declared,
        caller: Caller,
    ) -> Intent:
        store = await placement.store_by_id(connection, store_id)
        assert store is not None  # noqa: S101 - a store with records is never deleted
        upload, key = uuid_utils.compat.uuid7(), objects.new_key()
        object = await objects.insert_object(
            connection, media=media, store=store.id, key=key, media_type=declared.media_type, filename=declared.filename
        )
        await queries.insert_upload(
            connection, id=upload, object=object, caller=caller.identity.name, created_record=created, size=declared.size
        )
        return Intent(
            upload=upload,
            media=media,
            pid=pid,
            object=object,
            key=key,
            store=store.id,
            store_name=store.name,
            algorithms=tuple(sorted({*store.checksums, *declared.digests})),
            created=created,
        )

    async def _transfer(
        self, store: Store, intent: Intent, body: AsyncIterator[bytes], *, declared: Declared
    ) -> tuple[ObjectInfo, dict[str, str]]:
        """Move the bytes; returns what the store says of them and the digests of what passed, hex by algorithm."""
        digester = Digester(intent.algorithms)
        largest = min(self._max_bytes, store.features.max_object_bytes or self._max_bytes)

        async def note_upload_id(upload_id: str) -> None:
            async with self._database.connection() as connection:
                await queries.set_upload_id(connection, intent.upload, upload_id)

        async with store.write(
            intent.key, size=declared.size, media_type=declared.media_type, on_upload_id=note_upload_id
        ) as writer:
            async with aclosing(grouped(body)) as groups:
                async for group in groups:
                    await digester.update(group)
                    if digester.size > largest:
                        raise UploadTooLarge(
                            f"the store {intent.store_name} takes at most {largest} bytes in one object", limit=largest
                        )
                    await writer.append(group)
            digests = await digester.digests()
            _compare(declared, digester.size, digests)
            info = await writer.commit()
        if info.size != digester.size:
            raise UploadUnverified(f"the store holds {info.size} bytes where {digester.size} were sent; try again")
        for algorithm, digest in info.checksums.items():
            if digests.get(algorithm, digest) != digest:
                raise UploadUnverified(f"the store says {algorithm} {digest}, but {digests[algorithm]} was sent; try again")
        return info, digests

    async def _finish(
        self,
        intent: Intent,
        info: ObjectInfo,
        digests: Mapping[str, str],
        *,
        declared: Declared,
        about: About,
        precondition: Precondition,
        caller: Caller,
    ) -> Media:
        """Make the object the record's content. Everything is asked again: much can happen while bytes move."""
        now = self._clock()
        await self._drafts.refresh_rules()
        checksums = {name: {"value": digest, "attested_by": "server", "at": now} for name, digest in digests.items()}
        try:
            async with self._database.transaction() as connection:
                row = await catalog_queries.media_by_pid(connection, intent.pid, lock=True)
                if row is None or row.id != intent.media:
                    raise UploadInterrupted("the record went away while its bytes were sent", pid=intent.pid)
                self._writable(row, caller=caller, now=now)
                precondition(row)
                if not await queries.complete_upload(connection, intent.upload):
                    raise UploadInterrupted("the upload was given up in the meantime; send it again", pid=intent.pid)
                changes = await self._apply(connection, row, about, intent=intent, caller=caller, now=now)
                version = await catalog_queries.next_version(connection, row.id)
                await objects.set_stored(connection, intent.object, version=version, size=info.size, checksums=checksums, at=now)
                revision = await catalog_queries.set_content(connection, row.id, object=intent.object, version=version)
                content = {
                    "size": info.size,
                    "media_type": declared.media_type,
                    "filename": declared.filename,
                    "checksums": dict(digests),
                    "store": intent.store_name,
                }
                changes |= {"version": Change(before=row.version, after=version), "content": Change(after=content)}
                if row.status != "ready":
                    changes["status"] = Change(before=row.status, after="ready")
                await self._catalog.note(connection, row, "content", changes, revision=revision, caller=caller)
                fresh = await catalog_queries.media_by_id(connection, row.id)
        except ConstraintViolated as error:
            raise broken_rule(error, intent.pid) from error
        assert fresh is not None  # noqa: S101 - we held its lock
        return fresh.shown(now)

    async def _apply(
        self, connection: Connection, row: MediaRow, about: About, *, intent: Intent, caller: Caller, now: datetime
    ) -> dict[str, Change]:
        """What the client said of a record that was there before takes effect together with its content."""
        if intent.created:
            return {}
        after, identifiers, changes = await self._changed(row, about, caller=caller, now=now)
        if changes:
            await catalog_queries.update_media(connection, after, revisions=0)
        if identifiers is not None:
            await catalog_queries.change_identifiers(connection, row.id, identifiers)
        return dict(changes)


def content_etag(version: int, object: int) -> str:
    """A strong entity tag: an object never changes."""
    return f'"{version}-{object}"'


async def grouped(body: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
    """The body in groups of about 1 MiB, empty pieces left out."""
    group: list[bytes] = []
    size = 0
    async for piece in body:
        if piece:
            group.append(piece)
            size += len(piece)
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _compare(declared: Declared, size: int, digests: Mapping[str, str]) -> None:
    if declared.size is not None and declared.size != size:
        raise SizeMismatch(f"{declared.size} bytes were declared and {size} came", declared=declared.size, received=size)
    for algorithm, claimed in declared.digests.items():
        if digests[algorithm] != claimed:
            raise DigestMismatch(
                f"the {algorithm} of what came is {digests[algorithm]}, but {claimed} was claimed; nothing was kept",
                algorithm=algorithm,
                claimed=claimed,
                computed=digests[algorithm],
            )


def _reason(error: BaseException) -> str:
    return error.code if isinstance(error, MediastoreError | StoreError) else type(error).__name__


def _answered(error: BaseException) -> bool:
    """Whether the client gets told what was wrong, as against being cut off."""
    return isinstance(error, MediastoreError | StoreError) and not isinstance(error, RecordGone | UploadCut | UploadInterrupted)


async def _shielded(work: Coroutine[Any, Any, None]) -> None:
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
