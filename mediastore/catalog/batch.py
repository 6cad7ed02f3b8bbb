"""Many creates, reads, updates and deletes in one call, each with its own result."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Raw

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import BatchUndone, RecordInvalid
from mediastore.catalog.queries import Inserted, NewMedia
from mediastore.catalog.schemas import BatchCreate, BatchDelete, BatchItem, BatchRead, BatchUpdate, Media
from mediastore.catalog.service import Catalog, broken_rule
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database, DatabaseError, ValueRefused, translated
from mediastore.errors import MediastoreError

REFUSED = (ConstraintViolated, ValueRefused)
"""What the database alone can say of an item."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one item: its record, an error, or neither for a delete."""

    op: str
    pid: str | None
    media: Media | None = None
    error: MediastoreError | None = None


class Batch:
    def __init__(self, database: Database, *, catalog: Catalog, drafts: Drafts, max_items: int, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._drafts = drafts
        self._max_items = max_items
        self._clock = clock
        self._decoder: msgspec.json.Decoder[BatchItem] = msgspec.json.Decoder(BatchItem)

    async def run(self, items: Sequence[Raw], *, atomic: bool, caller: Caller) -> list[Outcome]:
        """An outcome for each item, in their order. Atomic: one error undoes all.

        Neighbouring creates go to the database together, which is what makes a thousand of them quick.
        """
        if len(items) > self._max_items:
            raise RecordInvalid(f"{len(items)} items are too many for one call; send at most {self._max_items}", items=len(items))
        parsed = [self._parse(item) for item in items]
        await self._drafts.refresh_rules()
        if atomic:
            return await self._atomically(parsed, caller=caller)
        outcomes: list[Outcome] = []
        for group in _groups(parsed):
            if len(group) > 1:
                outcomes += await self._create_together(group, caller=caller)
            else:
                outcomes.append(await self._alone(group[0], caller=caller))
        if any(outcome.op == "delete" for outcome in outcomes):
            self._catalog.doomed()
        return outcomes

    def _parse(self, item: Raw) -> BatchItem | Outcome:
        try:
            return self._decoder.decode(item)
        except (msgspec.DecodeError, RecursionError) as error:
            return Outcome(op="unknown", pid=None, error=RecordInvalid(f"the item can't be read: {error}"))

    async def _atomically(self, parsed: Sequence[BatchItem | Outcome], *, caller: Caller) -> list[Outcome]:
        try:
            outcomes = await self._all_or_nothing(_groups(parsed), caller=caller)
        except REFUSED:
            # The database refused one of some that went together: one by one it shows which.
            outcomes = await self._all_or_nothing([[item] for item in parsed], caller=caller)
        if any(outcome.error for outcome in outcomes):
            return _undone(parsed, outcomes)
        if any(outcome.op == "delete" for outcome in outcomes):
            self._catalog.doomed()
        return outcomes

    async def _all_or_nothing(self, groups: Sequence[Sequence[BatchItem | Outcome]], *, caller: Caller) -> list[Outcome]:
        """The outcomes up to the first group with an error, for which everything is undone."""
        outcomes: list[Outcome] = []
        try:
            async with self._database.transaction() as connection:
                for group in groups:
                    if len(group) > 1:
                        done = await self._insert_together(connection, group, caller=caller)
                    else:
                        done = [await self._guarded(connection, group[0], caller=caller)]
                    outcomes += done
                    if any(outcome.error for outcome in done):
                        raise _Undo
        except _Undo:
            pass
        return outcomes

    async def _alone(self, item: BatchItem | Outcome, *, caller: Caller) -> Outcome:
        async with self._database.transaction() as connection:
            return await self._guarded(connection, item, caller=caller)

    async def _guarded(self, connection: Connection, item: BatchItem | Outcome, *, caller: Caller) -> Outcome:
        """One item inside a transaction, behind a savepoint: an item with an error does nothing."""
        try:
            with translated():
                async with connection.transaction():
                    outcome = await self._in(connection, item, caller=caller)
                    if outcome.error is not None:
                        raise _Undo(outcome)
                    return outcome
        except _Undo as undo:
            return undo.outcome
        except ConstraintViolated as error:
            return Outcome(op=_op(item), pid=item.pid, error=broken_rule(error, item.pid or ""))
        except ValueRefused as error:
            return Outcome(op=_op(item), pid=item.pid, error=error)

    async def _in(self, connection: Connection, item: BatchItem | Outcome, *, caller: Caller) -> Outcome:
        """One item inside a transaction; the error of the item itself is its outcome."""
        if isinstance(item, Outcome):
            return item
        now, media, pid = self._clock(), None, item.pid
        try:
            match item:
                case BatchCreate():
                    new = await self._draft(item, caller=caller, now=now)
                    pid = new.pid
                    inserted = await self._catalog.insert(connection, new, caller=caller)
                    media = new.shown(inserted.created_at)
                case BatchRead():
                    row = await queries.media_by_pid(connection, item.pid)
                    media = self._catalog.readable(row, item.pid, caller=caller, now=now).shown(now)
                case BatchUpdate():
                    revisions = None if item.revision is None else [item.revision]
                    media = await self._catalog.change_in(connection, item.pid, item, revisions=revisions, caller=caller, now=now)
                case BatchDelete():
                    revisions = None if item.revision is None else [item.revision]
                    await self._catalog.delete_in(connection, item.pid, revisions=revisions, caller=caller, now=now)
        except DatabaseError:
            raise
        except MediastoreError as error:
            return Outcome(op=_op(item), pid=pid, error=error)
        return Outcome(op=_op(item), pid=pid, media=media)

    async def _create_together(self, items: Sequence[BatchItem | Outcome], *, caller: Caller) -> list[Outcome]:
        try:
            async with self._database.transaction() as connection:
                return await self._insert_together(connection, items, caller=caller)
        except REFUSED:
            # One of them breaks a rule that only the database sees; alone each gets its own answer.
            return [await self._alone(item, caller=caller) for item in items]

    async def _insert_together(
        self, connection: Connection, items: Sequence[BatchItem | Outcome], *, caller: Caller
    ) -> list[Outcome]:
        now = self._clock()
        drafts: list[NewMedia | Outcome] = []
        first: dict[str, NewMedia] = {}
        for item in items:
            assert isinstance(item, BatchCreate)  # noqa: S101 - see _groups
            try:
                draft = await self._draft(item, caller=caller, now=now)
            except MediastoreError as error:
                drafts.append(Outcome(op="create", pid=item.pid, error=error))
                continue
            drafts.append(draft)
            first.setdefault(draft.pid, draft)
        inserted = await queries.insert_medias(connection, list(first.values()), request_id=caller.request_id)
        outcomes = [_created(draft, first, inserted) if isinstance(draft, NewMedia) else draft for draft in drafts]
        left = [draft for draft, outcome in zip(drafts, outcomes, strict=True) if isinstance(draft, NewMedia) and outcome is None]
        errors = iter(await self._catalog.left_out(connection, left) if left else ())
        return [
            outcome or Outcome(op="create", pid=draft.pid, error=next(errors))
            for draft, outcome in zip(drafts, outcomes, strict=True)
        ]

    async def _draft(self, item: BatchCreate, *, caller: Caller, now: datetime) -> NewMedia:
        require(caller.identity, "write", to="create records")
        return await self._drafts.new(item.pid or self._catalog.mint(), item, owner=caller.identity.name, now=now)


def _created(draft: NewMedia, first: dict[str, NewMedia], inserted: dict[str, Inserted]) -> Outcome | None:
    """None where the record was left out; of several with one PID the first is the one."""
    if first[draft.pid] is draft and draft.pid in inserted:
        return Outcome(op="create", pid=draft.pid, media=draft.shown(inserted[draft.pid].created_at))
    return None


class _Undo(Exception):
    """Rolls the transaction back."""

    @property
    def outcome(self) -> Outcome:
        outcome: Outcome = self.args[0]
        return outcome


def _groups(items: Sequence[BatchItem | Outcome]) -> list[list[BatchItem | Outcome]]:
    """Runs of neighbouring creates, and everything else one by one."""
    groups: list[list[BatchItem | Outcome]] = []
    for item in items:
        if isinstance(item, BatchCreate) and groups and isinstance(groups[-1][0], BatchCreate):
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _undone(parsed: Sequence[BatchItem | Outcome], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The items that failed keep their errors; the others say that they were undone."""
    result = []
    for index, item in enumerate(parsed):
        outcome = outcomes[index] if index < len(outcomes) else None
        if outcome is None or outcome.error is None:
            pid = item.pid
            error = BatchUndone("another item of this atomic batch failed, so this one was not done", pid=pid)
            outcome = Outcome(op=_op(item), pid=pid, error=error)
        result.append(outcome)
    return result


def _op(item: BatchItem | Outcome) -> str:
    return item.op if isinstance(item, Outcome) else str(item.__struct_config__.tag)
