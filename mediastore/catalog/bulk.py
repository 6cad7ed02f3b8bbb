"""One thing done to many records at once, by the rules of one: each gets its own outcome, and all together a few statements."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar, assert_never

from msgspec import Struct, structs

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import bulk_queries, queries
from mediastore.catalog.bulk_queries import Deletion, Update, update_of
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import AnswerTooLarge
from mediastore.catalog.queries import Inserted, MediaRow, NewMedia
from mediastore.catalog.schemas import BatchCreate, BatchDelete, BatchItem, BatchRead, BatchUpdate, Media
from mediastore.catalog.service import Catalog, check_deletable, check_revision, deletion
from mediastore.clock import Clock
from mediastore.database import Connection
from mediastore.errors import MediastoreError
from mediastore.placement import objects

WINDOW = 8 * 1024 * 1024
"""Bytes of metadata that are read and changed by one statement, unless one record alone has more."""


class Named(Protocol):
    @property
    def pid(self) -> str: ...


Item = TypeVar("Item", bound=Named)


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of one item: its record, an error, or neither for a delete and where the answer is full."""

    op: str
    pid: str | None
    media: Media | None = None
    error: MediastoreError | None = None


class Room:
    """How many bytes of metadata an answer may still hold, of records that were not sent by whom it goes to."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.full = False

    def take(self, size: int) -> bool:
        """Whether there was room; then there is less. Once there was none, there is none for smaller ones either."""
        self.full = self.full or size > self.left
        self.left -= 0 if self.full else size
        return not self.full


class Bulk:
    """Everything runs in the caller's transaction, and on any number of items of one kind.

    What is wrong with an item is its outcome. What only the database finds (`REFUSED`) is raised, and then nothing was done.
    """

    def __init__(self, *, catalog: Catalog, drafts: Drafts, clock: Clock) -> None:
        self._catalog = catalog
        self._drafts = drafts
        self._clock = clock

    async def perform(
        self, connection: Connection, items: Sequence[BatchItem | Outcome], *, caller: Caller, room: Room
    ) -> list[Outcome]:
        """Items of one kind. Those that change something name different records."""
        match items[0]:
            case Outcome():
                return [item for item in items if isinstance(item, Outcome)]
            case BatchCreate():
                return await self.create(connection, [item for item in items if isinstance(item, BatchCreate)], caller=caller)
            case BatchRead():
                reads = [item for item in items if isinstance(item, BatchRead)]
                return await self._read(connection, reads, caller=caller, room=room)
            case BatchUpdate():
                updates = [item for item in items if isinstance(item, BatchUpdate)]
                return await self.update(connection, updates, caller=caller, room=room)
            case BatchDelete():
                return await self._delete(connection, [item for item in items if isinstance(item, BatchDelete)], caller=caller)
            case unknown:
                assert_never(unknown)

    async def create(self, connection: Connection, items: Sequence[BatchCreate], *, caller: Caller) -> list[Outcome]:
        """Of several with one PID the first is made."""
        now = self._clock()
        drafts: list[NewMedia | Outcome] = []
        first: dict[str, NewMedia] = {}
        for item in items:
            try:
                draft = await self._draft(item, caller=caller, now=now)
            except MediastoreError as error:
                drafts.append(Outcome(op="create", pid=item.pid, error=error))
                continue
            drafts.append(draft)
            first.setdefault(draft.pid, draft)
        actor, request_id = caller.identity.name, caller.request_id
        inserted = await queries.insert_medias(connection, list(first.values()), actor=actor, request_id=request_id)
        outcomes = [_created(draft, first, inserted) if isinstance(draft, NewMedia) else draft for draft in drafts]
        left = [draft for draft, outcome in zip(drafts, outcomes, strict=True) if isinstance(draft, NewMedia) and outcome is None]
        errors = iter(await self._catalog.left_out(connection, left) if left else ())
        return [
            outcome or Outcome(op="create", pid=draft.pid, error=next(errors))
            for draft, outcome in zip(drafts, outcomes, strict=True)
        ]

    async def update(self, connection: Connection, items: Sequence[BatchUpdate], *, caller: Caller, room: Room) -> list[Outcome]:
        now = self._clock()
        if refused := _refused(items, caller, to="change records"):
            return refused
        outcomes: list[Outcome] = []
        there = await bulk_queries.sizes(connection, [item.pid for item in items], lock=True)
        for window in windows(items, there):
            rows = await queries.medias_by_pid(connection, [item.pid for item in window])
            changed = [await self._changed(rows.get(item.pid), item, caller=caller, now=now) for item in window]
            updates = [each[1] for each in changed if not isinstance(each, MediastoreError) and each[1] is not None]
            done = {}
            if updates:
                actor, request_id = caller.identity.name, caller.request_id
                done = await bulk_queries.update_medias(connection, updates, actor=actor, request_id=request_id)
            for item, each in zip(window, changed, strict=True):
                if isinstance(each, MediastoreError):
                    outcomes.append(Outcome(op="update", pid=item.pid, error=each))
                    continue
                after = each[0]
                if after.id in done:
                    now_so = done[after.id]
                    after = structs.replace(after, revision=now_so.revision, updated_at=now_so.updated_at)
                shown = after.shown(now) if room.take(len(bytes(after.metadata))) else None
                outcomes.append(Outcome(op="update", pid=item.pid, media=shown))
        return outcomes

    async def _changed(
        self, row: MediaRow | None, item: BatchUpdate, *, caller: Caller, now: datetime
    ) -> tuple[MediaRow, Update | None] | MediastoreError:
        """The record as it will be, and the change that makes it so, if any."""
        try:
            row = self._catalog.writable(row, item.pid, caller=caller, now=now)
            check_revision(row, None if item.revision is None else [item.revision])
            after, names, changes = await self._drafts.changed(row, item, identity=caller.identity, now=now)
        except MediastoreError as error:
            return error
        if not changes:
            return row, None
        return after, update_of(row, after, names, changes)

    async def _read(self, connection: Connection, items: Sequence[BatchRead], *, caller: Caller, room: Room) -> list[Outcome]:
        now = self._clock()
        outcomes: list[Outcome] = []
        there = await bulk_queries.sizes(connection, [item.pid for item in items])
        for window in windows(items, there):
            # Whoever is not there is too large like the others then, so that nothing is learned of what can't be read.
            rows = {} if room.full else await queries.medias_by_pid(connection, [item.pid for item in window])
            outcomes += [self._shown(rows.get(item.pid), item, caller=caller, now=now, room=room) for item in window]
        return outcomes

    def _shown(self, row: MediaRow | None, item: BatchRead, *, caller: Caller, now: datetime, room: Room) -> Outcome:
        try:
            if not room.full:
                row = self._catalog.readable(row, item.pid, caller=caller, now=now)
            if row is None or not room.take(len(bytes(row.metadata))):
                raise AnswerTooLarge(
                    "the records before this one fill the answer; ask for the rest by another call", pid=item.pid
                )
        except MediastoreError as error:
            return Outcome(op="read", pid=item.pid, error=error)
        return Outcome(op="read", pid=item.pid, media=row.shown(now))

    async def _delete(self, connection: Connection, items: Sequence[BatchDelete], *, caller: Caller) -> list[Outcome]:
        now = self._clock()
        if refused := _refused(items, caller, to="delete records"):
            return refused
        outcomes: list[Outcome] = []
        there = await bulk_queries.sizes(connection, [item.pid for item in items], lock=True)
        for window in windows(items, there):
            rows = await queries.medias_by_pid(connection, [item.pid for item in window])
            found = [self._deletable(rows.get(item.pid), item, caller=caller, now=now) for item in window]
            going = [row for row in found if isinstance(row, MediaRow)]
            if going:
                await objects.doom_all_of(connection, [row.id for row in going], reason="deleted")
                deletions = [Deletion(id=row.id, changes=deletion(row)) for row in going]
                actor, request_id = caller.identity.name, caller.request_id
                await bulk_queries.delete_medias(connection, deletions, actor=actor, request_id=request_id)
            outcomes += [
                Outcome(op="delete", pid=item.pid, error=row if isinstance(row, MediastoreError) else None)
                for item, row in zip(window, found, strict=True)
            ]
        return outcomes

    def _deletable(self, row: MediaRow | None, item: BatchDelete, *, caller: Caller, now: datetime) -> MediaRow | MediastoreError:
        try:
            found = self._catalog.writable(row, item.pid, caller=caller, now=now, to="delete")
            check_revision(found, None if item.revision is None else [item.revision])
            check_deletable(found, caller)
        except MediastoreError as error:
            return error
        return found

    async def _draft(self, item: BatchCreate, *, caller: Caller, now: datetime) -> NewMedia:
        require(caller.identity, "write", to="create records")
        return await self._drafts.new(item.pid or self._catalog.mint(), item, owner=caller.identity.name, now=now)


def windows(items: Sequence[Item], sizes: Mapping[str, int]) -> Iterator[list[Item]]:
    """The items in their order, as many at a time as have `WINDOW` bytes together, but at least one."""
    window: list[Item] = []
    size = 0
    for item in items:
        more = sizes.get(item.pid, 0)
        if window and size + more > WINDOW:
            yield window
            window, size = [], 0
        window.append(item)
        size += more
    if window:
        yield window


def _created(draft: NewMedia, first: dict[str, NewMedia], inserted: dict[str, Inserted]) -> Outcome | None:
    """None where the record was left out; of several with one PID the first is the one."""
    if first[draft.pid] is draft and draft.pid in inserted:
        return Outcome(op="create", pid=draft.pid, media=draft.shown(inserted[draft.pid].created_at))
    return None


def _refused(items: Sequence[BatchUpdate] | Sequence[BatchDelete], caller: Caller, *, to: str) -> list[Outcome]:
    """An outcome for each where the caller may not do this at all, whatever the record."""
    try:
        require(caller.identity, "write", to=to)
    except MediastoreError as error:
        return [Outcome(op=operation(item), pid=item.pid, error=error) for item in items]
    return []


def operation(item: BatchItem | Outcome) -> str:
    return item.op if isinstance(item, Outcome) else str(item.__struct_config__.tag)
