"""Uploads as rows: written down before their bytes move, made the record's content afterwards, or given up.

Each of the three is one transaction, whichever way the bytes travel.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
import uuid_utils.compat
from msgspec import Raw, Struct

from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import PidTaken, RecordGone, RecordInvalid
from mediastore.catalog.pids import check_pid
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.schemas import Checksum, Media
from mediastore.catalog.service import Catalog, broken_rule, gone
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.errors import MediastoreError
from mediastore.events.schemas import Change
from mediastore.placement import objects
from mediastore.placement import queries as placement
from mediastore.placement.queries import StoreRow
from mediastore.placement.quotas import reserve, reserve_share
from mediastore.transfers import part_queries, queries
from mediastore.transfers.declared import About, Declared, Precondition
from mediastore.transfers.errors import DigestMismatch, SizeMismatch, UploadCut, UploadInterrupted
from mediastore.transfers.schemas import Method
from stores.errors import StoreError

TRIES = 32
"""How often an upload to a new PID is written down while others make that record and withdraw it again."""


class Plan(Struct, frozen=True, kw_only=True):
    """How the bytes of a direct upload will travel."""

    store: int
    """The store that it was made for."""
    method: Method
    part_size: int | None
    landing: bool
    """Whether the bytes come to a key of their own first, because the store would let them be overwritten."""
    expires_at: datetime
    key: str | None = None
    """A store key that the caller made up, in place of a new one. `ConstraintViolated` is raised where it was ever used."""
    allowance: int | None = None
    """Bytes that the owner may have in this store in records of the same access, public or not."""


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
    """What has to be known of the bytes: what the store asks for, and what was claimed."""
    created: bool
    """Whether it made its record."""
    claims: Mapping[str, str] | None = None
    """The digests with which the bytes were compared, where more can be claimed while they are."""


class Stored(Struct, frozen=True, kw_only=True):
    """Bytes that are in the store and were found to be what was announced."""

    object: int
    size: int
    checksums: Mapping[str, Checksum]


class Ledger:
    def __init__(
        self, database: Database, *, catalog: Catalog, drafts: Drafts, on_doomed: Callable[[], None], clock: Clock
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._drafts = drafts
        self._on_doomed = on_doomed
        self._clock = clock
        self._log = structlog.get_logger("mediastore.transfers")

    async def destination(self, pid: str, *, about: About, caller: Caller) -> StoreRow:
        """The store to which the next content of this record would go. Raises as `announce` does; writes nothing."""
        now = self._clock()
        await self._drafts.refresh_rules()
        async with self._database.connection() as connection:
            row = await catalog_queries.media_by_pid(connection, check_pid(pid))
            if row is None:
                store_id = (await self._drafts.new(pid, about.fields, owner=caller.identity.name, now=now)).store
            else:
                row = self.writable(row, caller=caller, now=now)
                store_id = (await self.changed(row, about, caller=caller, now=now))[0].store
            store = await placement.store_by_id(connection, store_id)
        assert store is not None  # noqa: S101 - a store with records is never deleted
        return store

    async def announce(
        self,
        pid: str,
        *,
        declared: Declared,
        about: About,
        precondition: Precondition,
        caller: Caller,
        plan: Plan | None = None,
    ) -> Intent:
        """Write down an upload, and its record where there is none; without a plan it goes through this server."""
        check_pid(pid)
        given = {"declared": declared, "about": about, "precondition": precondition, "caller": caller, "plan": plan}
        try:
            for _ in range(TRIES - 1):
                # Whoever made the record between our look and our insert, it is there to be found, unless it was withdrawn.
                with suppress(PidTaken):
                    return await self._write_down(pid, **given)  # type: ignore[arg-type]  # the same arguments, again
            return await self._write_down(pid, **given)  # type: ignore[arg-type]  # the same arguments, again
        except ConstraintViolated as error:
            raise broken_rule(error, pid) from error

    async def publish(
        self, intent: Intent, stored: Stored, *, declared: Declared, about: About, precondition: Precondition, caller: Caller
    ) -> Media:
        """Make the object the record's content. Everything is asked again: much can happen while bytes move.

        Raises `UploadInterrupted` when the upload has ended in the meantime, whichever way.
        """
        now = self._clock()
        await self._drafts.refresh_rules()
        try:
            async with self._database.transaction() as connection:
                row = await catalog_queries.media_by_pid(connection, intent.pid, lock=True)
                if row is None or row.id != intent.media:
                    raise UploadInterrupted("the record went away while its bytes were sent", pid=intent.pid)
                self.writable(row, caller=caller, now=now)
                precondition(row)
                if not await queries.complete_upload(connection, intent.upload, claims=intent.claims):
                    raise UploadInterrupted("the upload ended, or was completed with other checksums, meanwhile", pid=intent.pid)
                if declared.size is None:  # nothing could be reserved for it
                    store = await placement.store_by_id(connection, intent.store)
                    assert store is not None  # noqa: S101 - a store with records is never deleted
                    await reserve(connection, store, owner=row.owner, size=stored.size, objects=0)
                version = await objects.reserved_version(connection, intent.object)
                if stored.object != intent.object and not await part_queries.adopt(
                    connection, intent.upload, object=stored.object
                ):
                    raise UploadInterrupted("the bytes were sent again at the same moment; complete again", pid=intent.pid)
                await part_queries.doom_parts(connection, intent.upload, reason="put together")
                version = version or await catalog_queries.next_version(connection, row.id)
                # What was completed later lies above, though it was verified sooner.
                newest = version > row.version
                changed = newest and not intent.created
                changes = await self.apply(connection, row, about, caller=caller, now=now) if changed else {}
                if not await objects.set_stored(
                    connection, stored.object, version=version, size=stored.size, checksums=stored.checksums, at=now
                ):
                    raise UploadInterrupted("the bytes were given up in the meantime; send them again", pid=intent.pid)
                if newest:
                    revision = await catalog_queries.set_content(connection, row.id, object=stored.object, version=version)
                else:
                    revision = await catalog_queries.touch(connection, row.id)
                await objects.supersede(connection, row.id, current=stored.object if newest else row.object)
                content = {
                    "size": stored.size,
                    "media_type": declared.media_type,
                    "filename": declared.filename,
                    "checksums": {name: checksum.value for name, checksum in stored.checksums.items()},
                    "store": intent.store_name,
                }
                changes |= {"version": Change(before=row.version, after=version), "content": Change(after=content)}
                if newest and row.status != "ready":
                    changes["status"] = Change(before=row.status, after="ready")
                action = "content" if newest else "older_content"
                await self._catalog.note(connection, row, action, changes, revision=revision, caller=caller)
                fresh = await catalog_queries.media_by_id(connection, row.id)
        except ConstraintViolated as error:
            raise broken_rule(error, intent.pid) from error
        assert fresh is not None  # noqa: S101 - we held its lock
        return fresh.shown(now)

    async def verifying(
        self, upload: UUID, media: int, *, then: Callable[[Connection], Awaitable[None]], precondition: Precondition
    ) -> None:
        """Say that the bytes of an open upload are all there, and are being verified: no more are taken.

        Its content gets its number now. `then` is awaited in the same transaction. An upload that is not open is left alone.
        """
        async with self._database.transaction() as connection:
            await queries.lock_media(connection, media)
            precondition(await catalog_queries.media_by_id(connection, media))
            if (object := await queries.begin_verifying(connection, upload)) is not None:
                await objects.reserve_version(connection, object)
                await then(connection)

    async def give_up(
        self,
        upload: UUID,
        media: int | None,
        *,
        reason: str,
        withdraw: bool,
        problem: MediastoreError | StoreError | None = None,
        silent_since: datetime | None = None,
    ) -> bool:
        """As `end`, for those who have nobody to tell that it did not work."""
        try:
            return await self.end(upload, media, reason=reason, withdraw=withdraw, problem=problem, silent_since=silent_since)
        except MediastoreError as error:
            # The row stays open: the clean-up finds it when the database is back.
            self._log.warning("upload left for the clean-up", upload=str(upload), reason=error.message)
            return False

    async def end(
        self,
        upload: UUID,
        media: int | None,
        *,
        reason: str,
        withdraw: bool,
        problem: MediastoreError | StoreError | None = None,
        silent_since: datetime | None = None,
    ) -> bool:
        """End an upload that has not ended: its bytes are doomed, and so is a record that uploads made and nobody touched.

        `withdraw` takes such a record back once no other upload is under way to it. `problem`, where given, is kept for whoever
        asks, and says `failed` of a record that has no other content; the bytes are quarantined before they go where they are
        others than declared. `silent_since`, where given, is when it expired: one that was heard of since lives on. Safe to
        repeat. Returns whether the upload was completed before, be it that its answer was lost: then it is left alone.
        """
        shown = None if problem is None else told(problem)
        # Only what is not what was declared is worth a look; the rest has nothing wrong with it.
        quarantine = isinstance(problem, DigestMismatch | SizeMismatch)
        async with self._database.transaction() as connection:
            if media is not None:
                await queries.lock_media(connection, media)
            closed = await queries.fail_upload(
                connection, upload, reason=reason, withdraw=withdraw, problem=shown, silent_since=silent_since
            )
            if closed is None:
                return await queries.is_completed(connection, upload)
            await part_queries.doom_parts(connection, upload, reason=reason, quarantine=quarantine)
            await (objects.quarantine if quarantine else objects.doom)(connection, closed.object, reason=reason)
            if withdraw and closed.created_record and media is not None:
                await catalog_queries.withdraw_pristine(connection, media)
            elif shown is not None and media is not None:
                await self._catalog.note_failed(connection, media, reason=str(shown["detail"]), actor=closed.caller)
        self._on_doomed()
        return False

    async def give_up_part(self, object: int, *, reason: str) -> bool:
        """The bytes of a part go, unless the part was received, be it that the answer was lost. Safe to repeat.

        Returns whether it was received.
        """
        try:
            async with self._database.transaction() as connection:
                dropped = await part_queries.drop_part(connection, object, reason=reason)
        except MediastoreError as error:
            self._log.warning("part left for the clean-up", object=object, reason=error.message)
            return False
        self._on_doomed()
        return not dropped

    async def doom_again(self, *, store: int, key: str, reason: str) -> None:
        """The clean-up may have taken an upload for dead, and purged the key before its bytes came: they go too."""
        try:
            async with self._database.connection() as connection:
                await objects.doom_again(connection, store=store, key=key, reason=reason)
        except MediastoreError as problem:
            self._log.error("bytes may be left at a key", store=store, key=key, reason=problem.message)
        self._on_doomed()

    async def _write_down(
        self, pid: str, *, declared: Declared, about: About, precondition: Precondition, caller: Caller, plan: Plan | None
    ) -> Intent:
        now = self._clock()
        await self._drafts.refresh_rules()
        async with self._database.transaction() as connection:
            row = await catalog_queries.media_by_pid(connection, pid, lock=True)
            precondition(row if row is None else self.writable(row, caller=caller, now=now))
            if row is None:
                new = await self._drafts.new(pid, about.fields, owner=caller.identity.name, now=now)
                media, store_id, access = (await self._catalog.insert(connection, new, caller=caller)).id, new.store, new.access
            else:
                after = (await self.changed(row, about, caller=caller, now=now))[0]
                media, store_id, access = row.id, after.store, after.access
            if plan is not None and plan.store != store_id:
                raise UploadInterrupted("the record was given another store at the same moment; begin again", pid=pid)
            store = await placement.store_by_id(connection, store_id)
            assert store is not None  # noqa: S101 - a store with records is never deleted
            owner = caller.identity.name if row is None else row.owner
            await reserve(connection, store, owner=owner, size=declared.size or 0)
            if plan is not None and plan.allowance is not None:
                public = access == "public"
                joining = media if row is not None and public is not (row.access == "public") else None
                size, most = declared.size or 0, plan.allowance
                await reserve_share(connection, store, owner=owner, public=public, joining=joining, size=size, most=most)
            return await self._intend(
                connection,
                pid,
                media=media,
                store=store,
                created=row is None,
                version=0 if row is None else row.version,
                declared=declared,
                about=about,
                caller=caller,
                plan=plan,
            )

    def writable(self, row: MediaRow, *, caller: Caller, now: datetime) -> MediaRow:
        """The record, if this caller may give it content. Raises as `Catalog.writable`, and `RecordGone` for an expired one."""
        row = self._catalog.writable(row, row.pid, caller=caller, now=now)
        if row.status_at(now) == "expired":
            raise gone(row, "expired")
        return row

    async def changed(self, row: MediaRow, about: About, *, caller: Caller, now: datetime) -> tuple[MediaRow, Any, Any]:
        """As `Drafts.changed`. Raises what is wrong with what the client says of a record that is there."""
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
        store: StoreRow,
        created: bool,
        version: int,
        declared: Declared,
        about: About,
        caller: Caller,
        plan: Plan | None,
    ) -> Intent:
        upload, key = uuid_utils.compat.uuid7(), (plan and plan.key) or objects.new_key()
        object = await objects.insert_object(
            connection, media=media, store=store.id, key=key, media_type=declared.media_type, filename=declared.filename
        )
        landing = None
        if plan is not None and plan.landing:
            landing = await objects.insert_object(
                connection, media=None, store=store.id, key=objects.new_key(), media_type=declared.media_type, filename=None
            )
        await queries.insert_upload(
            connection,
            id=upload,
            object=object,
            method="proxied" if plan is None else plan.method,
            caller=caller.identity.name,
            created_record=created,
            size=declared.size,
            reserved=declared.size or 0,
            part_size=None if plan is None else plan.part_size,
            landing=landing,
            expires_at=None if plan is None else plan.expires_at,
            pid=pid,
            version_before=version,
            claims=dict(declared.digests),
            about=Raw(b"{}") if plan is None else about.given,
        )
        return Intent(
            upload=upload,
            media=media,
            pid=pid,
            object=object,
            key=key,
            store=store.id,
            store_name=store.name,
            algorithms=tuple(sorted({*store.checksums, *declared.digests, *declared.wanted})),
            created=created,
        )

    async def apply(
        self, connection: Connection, row: MediaRow, about: About, *, caller: Caller, now: datetime
    ) -> dict[str, Change]:
        """What the client said of a record that was there before takes effect together with its content."""
        after, identifiers, changes = await self.changed(row, about, caller=caller, now=now)
        if changes:
            await catalog_queries.update_media(connection, after, revisions=0)
        if identifiers is not None:
            await catalog_queries.change_identifiers(connection, row.id, identifiers)
        return dict(changes)


def reason_of(error: BaseException) -> str:
    """Why an upload ended, in one word."""
    return error.code if isinstance(error, MediastoreError | StoreError) else type(error).__name__


def was_answered(error: BaseException) -> bool:
    """Whether the client gets told what was wrong, as against being cut off."""
    return isinstance(error, MediastoreError | StoreError) and not isinstance(error, RecordGone | UploadCut | UploadInterrupted)


def told(problem: MediastoreError | StoreError) -> dict[str, object]:
    """What every reader of the record may know: what a store says can name keys and folders, and is for the log."""
    if isinstance(problem, StoreError):
        return {"code": problem.code, "detail": f"the store could not keep or give the bytes ({problem.code})"}
    return {"code": problem.code, "detail": problem.message, **problem.fields}
