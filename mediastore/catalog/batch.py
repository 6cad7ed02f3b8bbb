"""Many creates, reads, updates and deletes in one call, each with its own result."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from random import uniform
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import Raw

from mediastore.accounts.schemas import Caller
from mediastore.catalog import bulk_queries
from mediastore.catalog.bulk import Bulk, Outcome, Room, operation
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import BatchUndone, RecordInvalid
from mediastore.catalog.schemas import BatchDelete, BatchItem, BatchUpdate
from mediastore.catalog.service import Catalog, broken_rule
from mediastore.database import (
    Connection,
    ConstraintViolated,
    Database,
    DatabaseError,
    DatabaseUnavailable,
    ValueRefused,
    collided,
    translated,
)

REFUSED = (ConstraintViolated, ValueRefused)
"""What the database alone can say of an item."""
TOGETHER = 1000
"""Items of one kind that share their statements: more would only make each statement longer."""
TRIES = 5
"""Of a transaction that met another one which changed the same rows in another order."""

Group: TypeAlias = Sequence[BatchItem | Outcome]
Scope: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""What makes some items one: a transaction of their own, or a savepoint inside that of the whole batch."""
Result = TypeVar("Result")


class Batch:
    def __init__(
        self, database: Database, *, bulk: Bulk, catalog: Catalog, drafts: Drafts, max_items: int, max_answer_bytes: int
    ) -> None:
        self._database = database
        self._bulk = bulk
        self._catalog = catalog
        self._drafts = drafts
        self._max_items = max_items
        self._max_answer_bytes = max_answer_bytes
        self._decoder: msgspec.json.Decoder[BatchItem] = msgspec.json.Decoder(BatchItem)

    async def run(self, items: Sequence[Raw], *, atomic: bool, caller: Caller, dry_run: bool = False) -> list[Outcome]:
        """An outcome for each item, in their order. Atomic: one error undoes all. Dry run: all is undone, and says what would be.

        Neighbours of one kind go to the database together, which is what makes thousands of them quick.
        """
        self.check_number(len(items))
        parsed = [self._parse(item) for item in items]
        await self._drafts.refresh_rules()
        scope: Scope = self._rehearsal if dry_run else self._database.transaction
        outcomes = await (self._atomically if atomic else self._each)(parsed, scope, caller=caller)
        if not dry_run and any(outcome.op == "delete" and outcome.error is None for outcome in outcomes):
            self._catalog.doomed()
        return outcomes

    def check_number(self, items: int) -> None:
        """Raise `RecordInvalid` for more than one call may have."""
        if items > self._max_items:
            raise RecordInvalid(f"{items} items are too many for one call; send at most {self._max_items}", items=items)

    def _parse(self, item: Raw) -> BatchItem | Outcome:
        try:
            return self._decoder.decode(item)
        except (msgspec.DecodeError, RecursionError) as error:
            return Outcome(op="unknown", pid=None, error=RecordInvalid(f"the item can't be read: {error}"))

    @asynccontextmanager
    async def _rehearsal(self) -> AsyncIterator[Connection]:
        """A transaction of which nothing stays."""
        try:
            async with self._database.transaction() as connection:
                yield connection
                raise _Undo
        except _Undo:
            pass

    async def _each(self, parsed: Group, scope: Scope, *, caller: Caller) -> list[Outcome]:
        """Every item stands for itself. When the database leaves half-way, what was done says so, and the rest says why not."""
        outcomes: list[Outcome] = []
        room = Room(self._max_answer_bytes)
        waiting: deque[Group] = deque(_groups(parsed))
        while waiting:
            group = waiting.popleft()
            left = room.left
            try:
                outcomes += await _again(partial(self._together, group, scope, caller=caller, room=room))
            except REFUSED as error:
                room.left = left
                if len(group) == 1:
                    outcomes.append(_refused(group[0], error))
                else:
                    waiting.extendleft(reversed(_halves(group)))
            except DatabaseError as error:
                if not outcomes:
                    raise
                rest = parsed[len(outcomes) :]
                return outcomes + [Outcome(op=operation(item), pid=item.pid, error=error) for item in rest]
        return outcomes

    async def _together(self, group: Group, scope: Scope, *, caller: Caller, room: Room) -> list[Outcome]:
        with translated():
            async with scope() as connection:
                return await self._bulk.perform(connection, group, caller=caller, room=room)

    async def _settled(self, group: Group, scope: Scope, *, caller: Caller, room: Room) -> list[Outcome]:
        """The group's outcomes. Where the database refuses one of them, halves find out which; those before it go first."""
        left = room.left
        try:
            return await self._together(group, scope, caller=caller, room=room)
        except REFUSED as error:
            room.left = left
            if len(group) == 1:
                return [_refused(group[0], error)]
        first, second = _halves(group)
        return [
            *await self._settled(first, scope, caller=caller, room=room),
            *await self._settled(second, scope, caller=caller, room=room),
        ]

    async def _atomically(self, parsed: Group, scope: Scope, *, caller: Caller) -> list[Outcome]:
        try:
            outcomes = await _again(lambda: self._all_or_nothing(parsed, scope, caller=caller, alone=False))
        except REFUSED:
            # The database refused one of some that went together: halves, behind savepoints, show which.
            outcomes = await _again(lambda: self._all_or_nothing(parsed, scope, caller=caller, alone=True))
        return _undone(parsed, outcomes) if any(outcome.error for outcome in outcomes) else outcomes

    async def _all_or_nothing(self, parsed: Group, scope: Scope, *, caller: Caller, alone: bool) -> list[Outcome]:
        """The outcomes up to the first group with an error, for which everything is undone."""
        outcomes: list[Outcome] = []
        room = Room(self._max_answer_bytes)
        try:
            async with scope() as connection:
                # All that will be locked, at once and in one order: two batches then don't wait for each other in a circle.
                changed = [item.pid for item in parsed if isinstance(item, BatchUpdate | BatchDelete)]
                if changed:
                    await bulk_queries.sizes(connection, changed, lock=True)
                for group in _groups(parsed):
                    if alone:
                        done = await self._settled(group, lambda: _savepoint(connection), caller=caller, room=room)
                    else:
                        done = await self._bulk.perform(connection, group, caller=caller, room=room)
                    outcomes += done
                    if any(outcome.error for outcome in done):
                        raise _Undo
        except _Undo:
            pass
        return outcomes


class _Undo(Exception):
    """Rolls the transaction back."""


@asynccontextmanager
async def _savepoint(connection: Connection) -> AsyncIterator[Connection]:
    async with connection.transaction():
        yield connection


async def _again(work: Callable[[], Awaitable[Result]]) -> Result:
    """Do it, and again when PostgreSQL ended it because two transactions waited for each other: it undid all of it."""
    for left in range(TRIES - 1, -1, -1):
        try:
            return await work()
        except DatabaseUnavailable as error:
            if left == 0 or not collided(error):
                raise
            await asyncio.sleep(uniform(0.01, 0.1))  # noqa: S311 - so that the two don't meet again
    raise AssertionError


def _groups(items: Group) -> list[list[BatchItem | Outcome]]:
    """Runs of neighbours of one kind. No record is changed twice in one."""
    groups: list[list[BatchItem | Outcome]] = []
    seen: set[str | None] = set()
    for item in items:
        kind = type(item)
        begins = not groups or type(groups[-1][0]) is not kind or len(groups[-1]) == TOGETHER
        if begins or (item.pid in seen and isinstance(item, BatchUpdate | BatchDelete)):
            groups.append([])
            seen = set()
        groups[-1].append(item)
        seen.add(item.pid)
    return groups


def _halves(group: Group) -> tuple[Group, Group]:
    middle = len(group) // 2
    return group[:middle], group[middle:]


def _refused(item: BatchItem | Outcome, error: DatabaseError) -> Outcome:
    """What came of an item that the database alone could refuse."""
    told = broken_rule(error, item.pid or "") if isinstance(error, ConstraintViolated) else error
    return Outcome(op=operation(item), pid=item.pid, error=told)


def _undone(parsed: Group, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The items that failed keep their errors; the others say that they were undone."""
    result = []
    for index, item in enumerate(parsed):
        outcome = outcomes[index] if index < len(outcomes) else None
        if outcome is None or outcome.error is None:
            pid = item.pid
            error = BatchUndone("another item of this atomic batch failed, so this one was not done", pid=pid)
            outcome = Outcome(op=operation(item), pid=pid, error=error)
        result.append(outcome)
    return result
