"""The rules of records: made, read, changed and deleted, each change with its history in one transaction."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from mediastore.accounts.access import may_read, may_write, owns, require
from mediastore.accounts.errors import NotAllowed
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries, version_queries
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import (
    IdentifierTaken,
    PidTaken,
    RecordGone,
    RecordHeld,
    RecordInvalid,
    RecordNotFound,
    RevisionMismatch,
    StoreUnknown,
)
from mediastore.catalog.pids import check_pid, mint
from mediastore.catalog.queries import ContentRow, Inserted, MediaRow, NewMedia
from mediastore.catalog.schemas import Media, MediaChange, MediaCreate, Version
from mediastore.catalog.version_queries import Receipt
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.errors import MediastoreError
from mediastore.events import queries as events
from mediastore.events.schemas import Change
from mediastore.placement import objects
from mediastore.placement import queries as placement

Row = TypeVar("Row", bound=ContentRow)


class Catalog:
    def __init__(
        self, database: Database, *, drafts: Drafts, pid_prefix: str, on_doomed: Callable[[], None], clock: Clock
    ) -> None:
        self._database = database
        self._drafts = drafts
        self._pid_prefix = pid_prefix
        self._on_doomed = on_doomed
        self._clock = clock

    def mint(self) -> str:
        """A PID that nobody has."""
        return mint(self._pid_prefix)

    async def create(self, request: MediaCreate, *, caller: Caller) -> Media:
        """A new record without bytes. Raises `PidTaken`."""
        require(caller.identity, "write", to="create records")
        now = self._clock()
        await self._drafts.refresh_rules()
        new = await self._drafts.new(request.pid or self.mint(), request, owner=caller.identity.name, now=now)
        try:
            async with self._database.connection() as connection:
                inserted = await self.insert(connection, new, caller=caller)
        except ConstraintViolated as error:
            raise broken_rule(error, new.pid) from error
        return new.shown(inserted.created_at)

    async def insert(self, connection: Connection, new: NewMedia, *, caller: Caller) -> Inserted:
        """Insert one record, with its identifiers and history, in one statement."""
        inserted = await queries.insert_medias(connection, [new], actor=caller.identity.name, request_id=caller.request_id)
        if new.pid not in inserted:
            raise (await self.left_out(connection, [new]))[0]
        return inserted[new.pid]

    async def left_out(self, connection: Connection, news: Sequence[NewMedia]) -> list[MediastoreError]:
        """Why each of these was not inserted: its store has just gone, or its PID is given out.

        The stores are asked, for a store that is gone stays so; who had the PID at that moment can have been withdrawn since.
        """
        live = await placement.live_stores(connection, {new.store for new in news})
        if any(new.store not in live for new in news):
            self._drafts.forget_rules()
        return [
            PidTaken(f"the PID {new.pid} is taken; PIDs are given out once", pid=new.pid)
            if new.store in live
            else StoreUnknown(f"the store {new.store_name!r} was deleted just now", store=new.store_name)
            for new in news
        ]

    async def read(self, pid: str, *, caller: Caller, even_expired: bool = False) -> Media:
        """A record. Raises `RecordNotFound`, the same for what the caller may not read, and `RecordGone`."""
        now = self._clock()
        async with self._database.connection() as connection:
            row = await queries.media_by_pid(connection, pid)
            if row is not None and row.status == "deleted" and may_read(row, caller.identity, now):
                raise gone(row, "deleted", receipts=await version_queries.receipts(connection, row.id))
        return self.readable(row, pid, caller=caller, now=now, even_expired=even_expired).shown(now)

    async def change(self, pid: str, change: MediaChange, *, revisions: list[int] | None, caller: Caller) -> Media:
        """Change a record. `revisions`, where given, are those that it may have. A change of nothing makes no revision."""
        now = self._clock()
        await self._drafts.refresh_rules()
        try:
            async with self._database.transaction() as connection:
                return await self.change_in(connection, pid, change, revisions=revisions, caller=caller, now=now)
        except ConstraintViolated as error:
            raise broken_rule(error, pid) from error

    async def change_in(
        self,
        connection: Connection,
        pid: str,
        change: MediaChange,
        *,
        revisions: list[int] | None,
        caller: Caller,
        now: datetime,
    ) -> Media:
        """Change a record inside the caller's transaction."""
        row = await self.locked(connection, pid, caller=caller, now=now)
        check_revision(row, revisions)
        after, identifiers, changes = await self._drafts.changed(row, change, identity=caller.identity, now=now)
        if not changes:
            return row.shown(now)
        await queries.update_media(connection, after)
        if identifiers is not None:
            await queries.change_identifiers(connection, row.id, identifiers)
        await self.note(connection, after, "changed", changes, revision=row.revision + 1, caller=caller)
        fresh = await queries.media_by_id(connection, row.id)
        assert fresh is not None  # noqa: S101 - we hold its lock
        return fresh.shown(now)

    async def delete(self, pid: str, *, revisions: list[int] | None, caller: Caller) -> None:
        """Decide that a record and all its bytes go. The bytes follow once the decision is committed."""
        async with self._database.transaction() as connection:
            await self.delete_in(connection, pid, revisions=revisions, caller=caller, now=self._clock())
        self._on_doomed()

    async def delete_in(
        self, connection: Connection, pid: str, *, revisions: list[int] | None, caller: Caller, now: datetime
    ) -> None:
        """Delete inside the caller's transaction; afterwards the caller calls `doomed`."""
        row = await self.locked(connection, pid, caller=caller, now=now, to="delete")
        check_revision(row, revisions)
        check_deletable(row, caller)
        await objects.doom_all_of(connection, [row.id], reason="deleted")
        revision = await queries.set_deleted(connection, row.id)
        await self.note(connection, row, "deleted", deletion(row), revision=revision, caller=caller)

    def doomed(self) -> None:
        """Objects were doomed in a transaction that is committed: their bytes can go."""
        self._on_doomed()

    async def versions(self, pid: str, *, caller: Caller) -> list[Version]:
        """Every content that the record has or had, newest first."""
        async with self._database.connection() as connection:
            row = self.readable(await queries.media_by_pid(connection, pid), pid, caller=caller, now=self._clock())
            return await version_queries.versions(connection, row.id)

    def readable(self, row: Row | None, pid: str, *, caller: Caller, now: datetime, even_expired: bool = False) -> Row:
        """The record, if it is there for this caller. Raises `RecordNotFound` and `RecordGone`."""
        if row is None:
            check_pid(pid)
            raise not_found(pid, caller)
        if not may_read(row, caller.identity, now):
            raise not_found(pid, caller)
        status = row.status_at(now)
        if status == "deleted" or (status == "expired" and not even_expired):
            raise gone(row, status)
        return row

    async def locked(self, connection: Connection, pid: str, *, caller: Caller, now: datetime, to: str = "change") -> MediaRow:
        """The record, locked for a change by this caller. An expired one can still be given more time."""
        require(caller.identity, "write", to=f"{to} records")
        return self.writable(await queries.media_by_pid(connection, pid, lock=True), pid, caller=caller, now=now, to=to)

    def writable(self, row: MediaRow | None, pid: str, *, caller: Caller, now: datetime, to: str = "change") -> MediaRow:
        """The record, if this caller may change it. One that can't be read is not there."""
        if row is None or not may_read(row, caller.identity, now):
            raise not_found(check_pid(pid), caller)
        if row.status == "deleted":
            raise gone(row, "deleted")
        if not may_write(row, caller.identity):
            raise NotAllowed(f"{caller.identity.name} may read {pid} but not {to} it", pid=pid)
        return row

    async def note_failed(self, connection: Connection, media: int, *, reason: str, actor: str) -> None:
        """An upload failed: a record without any content says so."""
        failed = await queries.set_failed(connection, media, reason=reason)
        if failed is not None:
            await events.append(
                connection,
                kind="media",
                subject=failed.pid,
                media=media,
                revision=failed.revision,
                actor=actor,
                action="failed",
                changes={"status": Change(before=failed.before, after="failed"), "status_reason": Change(after=reason)},
                request_id=None,
            )

    async def note(
        self,
        connection: Connection,
        row: MediaRow,
        action: str,
        changes: dict[str, Change],
        *,
        revision: int,
        caller: Caller,
    ) -> None:
        """Write a line of the record's history."""
        await events.append(
            connection,
            kind="media",
            subject=row.pid,
            media=row.id,
            revision=revision,
            actor=caller.identity.name,
            action=action,
            changes=changes,
            request_id=caller.request_id,
        )


def check_revision(row: MediaRow, revisions: list[int] | None) -> None:
    if revisions is not None and row.revision not in revisions:
        raise RevisionMismatch(
            f"{row.pid} is at revision {row.revision}: someone changed it; read it again and repeat your change",
            pid=row.pid,
            revision=row.revision,
        )


def check_deletable(row: MediaRow, caller: Caller) -> None:
    """Raise unless this caller may delete the record, and nothing stands against it."""
    if not owns(row, caller.identity):
        raise NotAllowed(f"only the owner or an administrator may delete {row.pid}", pid=row.pid)
    if row.held:
        raise RecordHeld(
            f"{row.pid} is held: nobody deletes it before the hold is lifted; GET /holds/{row.pid} says why", pid=row.pid
        )


def deletion(row: MediaRow) -> dict[str, Change]:
    """What a deletion changes."""
    return {
        "status": Change(before=row.status, after="deleted"),
        "identifiers": Change(before=row.identifiers, after={}),
    }


def not_found(pid: str, caller: Caller) -> RecordNotFound:
    hint = "" if caller.identity.known else "; you are not logged in"
    return RecordNotFound(f"there is no record {pid} that you may read{hint}", pid=pid)


def gone(row: ContentRow, status: str, *, receipts: list[Receipt] | None = None) -> RecordGone:
    since = row.deleted_at if status == "deleted" else row.expires_at
    when = since.isoformat(timespec="seconds") if since else "earlier"
    sentence = f"the record {row.pid} was deleted at {when}"
    if status == "expired":
        sentence = f"the record {row.pid} expired at {when}; a PATCH of expires_at brings it back as long as it is not removed"
    elif row.status_reason == "expired":
        sentence = f"the record {row.pid} was removed at {when}, because it had expired"
    told = {} if receipts is None else {"receipts": receipts}
    return RecordGone(sentence, pid=row.pid, record_status=status, since=since, **told)


def broken_rule(error: ConstraintViolated, pid: str) -> MediastoreError:
    """The catalog's own error for a constraint of its tables."""
    match error.constraint:
        case "identifier_unique_value_key":
            return IdentifierTaken("another record has one of these identifiers, and its type allows each value once", pid=pid)
        case "media_pid_type_fkey" | "identifier_type_fkey" | "is_unique":
            return RecordInvalid("an identifier type of this record was deleted just now", pid=pid)
        case _:
            return error
