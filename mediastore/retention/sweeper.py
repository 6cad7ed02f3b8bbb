"""Removes what has expired, one sweep a store at a time: decides in batches under locks, commits, then removes the bytes.

Killed anywhere, it is taken over by another process, which goes on with the same report and the same budget. A process that
stalled and wakes finds that it is not the runner any more, and stops.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias, TypeVar
from uuid import uuid4

import msgspec
import structlog
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.clock import Clock
from mediastore.database import Connection, Database
from mediastore.errors import MediastoreError
from mediastore.events import queries as events
from mediastore.events.schemas import NOT_A_PERSON, Change
from mediastore.placement import objects
from mediastore.placement import queries as placement
from mediastore.placement.errors import StoreNotFound
from mediastore.placement.objects import Doomed
from mediastore.placement.policies import check_retention
from mediastore.placement.queries import StoreRow
from mediastore.placement.schemas import Retention
from mediastore.retention import due_queries
from mediastore.retention import sweep_queries as queries
from mediastore.retention.brake import Brake, Budget
from mediastore.retention.due_queries import Due, Mark, Weight, weight_of
from mediastore.retention.errors import RehearsalInvalid, SweepBraked, SweepNotFound, SweepRunning
from mediastore.retention.schemas import Sweep, SweepRequest
from mediastore.retention.sweep_queries import SweepRow, Terms
from mediastore.transfers.purge import Purger

BATCH = 1000
"""Records that are decided about in one transaction, and objects that one call to a store removes."""
IN_FLIGHT = 3
"""Batches whose bytes are going at once."""
LEASE_S = 60
"""How long a sweep waits for a sign of life of its process before another takes it over."""
RESERVED_S = 300
"""How long the clean-up leaves the bytes to the sweep that decided about them."""
CLOCK_DRIFT = timedelta(minutes=5)
REHEARSAL_LASTS = timedelta(days=7)
LIST_LASTS = timedelta(days=90)
"""How long one can read what a rehearsal listed, at least: it goes when another is begun."""
FIRST_ITEMS = 1000
BEGINNING = Mark(at=datetime(1, 1, 1, tzinfo=UTC), id=0)

Stop = TypeVar("Stop", bound=Exception)
Step: TypeAlias = Literal["begun", "weighed", "locked", "decided", "removed", "finished"]
Select: TypeAlias = Callable[..., Awaitable[tuple[list[Due], Mark | None]]]


async def _go_on(_: Step) -> None:
    """Nothing happens between the steps."""


class Lost(Exception):
    """Another process has taken the sweep over."""


class Run(Struct, kw_only=True):
    """A sweep in this process."""

    id: int
    store: StoreRow
    policy: Retention
    another: bool
    """Whether the policy is not the store's."""
    dry_run: bool
    cutoff: datetime
    rehearsal: int | None
    budget: Budget


class Sweeper:
    def __init__(
        self,
        database: Database,
        *,
        purger: Purger,
        clock: Clock,
        lease_s: float = LEASE_S,
        on_step: Callable[[Step], Awaitable[None]] = _go_on,
    ) -> None:
        self._database = database
        self._purger = purger
        self._clock = clock
        self._lease_s = lease_s
        self._on_step = on_step
        self._runner = uuid4()
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("mediastore.sweeper")

    async def request(self, name: str, asked: SweepRequest, *, caller: Caller, wait_s: float = 10) -> Sweep:
        """Begin a sweep on an administrator's word; the report as it is when it has ended, or after `wait_s`."""
        require(caller.identity, "admin", to="sweep stores")
        return await self.sweep(name, asked, requested_by=caller.identity.name, wait_s=wait_s)

    async def sweep(self, name: str, asked: SweepRequest, *, requested_by: str, wait_s: float | None = None) -> Sweep:
        """Sweep a store, or rehearse it. Raises `SweepRunning`, `SweepBraked` and `RehearsalInvalid`."""
        async with self._database.transaction() as connection:
            store = await placement.store_by_name(connection, name)
            if store is None:
                raise StoreNotFound(f"there is no store {name!r}", store=name)
            await self._check_asked(connection, store, asked)
            approved = asked.rehearsal is not None or asked.release_brake
            brake = store.shown().brake
            if brake is not None and not approved and not asked.dry_run:
                raise SweepBraked(
                    f"sweeps of {name} wait for an administrator's word: {brake.reason}. Rehearse it, look at the list, and bind "
                    "the next sweep to that rehearsal; or release the brake",
                    store=name,
                    stopped_by=brake.stopped_by,
                    sweep=brake.sweep,
                )
            if approved and not asked.dry_run:
                await self._release(connection, store, requested_by)
            id = None
            if asked.dry_run:
                await queries.forget_items(connection, store.id, after=LIST_LASTS)
            else:  # the process of the one before may have died
                id = await queries.take_over(
                    connection,
                    store.id,
                    runner=self._runner,
                    lease_s=self._lease_s,
                    terms=Terms(rehearsal=asked.rehearsal, approved=approved),
                )
                if id is None:
                    await queries.end_dead(connection, store.id)
            id = id or await queries.begin_sweep(
                connection,
                store=store.id,
                dry_run=asked.dry_run,
                rehearsal=asked.rehearsal,
                approved=approved,
                requested_by=requested_by,
                runner=self._runner,
                lease_s=self._lease_s,
            )
            if id is None:
                raise SweepRunning(f"a sweep of {name} is running; its report is at /stores/{name}/sweeps", store=name)
        task = asyncio.create_task(self._conduct(id, policy=asked.retention))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        for ended in done:
            ended.result()
        return await self.report(name, id)

    async def sweep_due(self, store: int) -> None:
        """Sweep a store on schedule, or go on with the sweep of a process that died; nothing where another is at it."""
        async with self._database.transaction() as connection:
            id = await queries.take_over(connection, store, runner=self._runner, lease_s=self._lease_s)
            row = await placement.store_by_id(connection, store)
            if id is None and row is not None and row.brake is None and row.enabled:
                id = await queries.begin_sweep(
                    connection,
                    store=store,
                    dry_run=False,
                    rehearsal=None,
                    approved=False,
                    requested_by=NOT_A_PERSON,
                    runner=self._runner,
                    lease_s=self._lease_s,
                )
        if id is not None:
            await self._conduct(id)

    async def close(self) -> None:
        """Leave running sweeps to others."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def report(self, name: str, id: int, *, offset: int = 0) -> Sweep:
        """The report of one sweep, with a page of the items of a rehearsal. Raises `SweepNotFound`."""
        async with self._database.connection() as connection:
            row = await queries.sweep_by_id(connection, id)
            if row is None or row.store_name != name:
                raise SweepNotFound(f"the store {name} has no sweep {id}", store=name, sweep=id)
            items = await queries.items(connection, id, offset=offset, limit=FIRST_ITEMS + 1) if row.dry_run else []
        more = str(offset + FIRST_ITEMS) if len(items) > FIRST_ITEMS else None
        return msgspec.structs.replace(shown(row), items=items[:FIRST_ITEMS], next=more)

    async def read(self, name: str, id: int, *, offset: int, caller: Caller) -> Sweep:
        """As `report`, for administrators."""
        require(caller.identity, "admin", to="see sweeps")
        return await self.report(name, id, offset=offset)

    async def reports(self, name: str, *, before: int, limit: int, caller: Caller) -> tuple[list[Sweep], int | None]:
        """Sweeps of a store, newest first."""
        require(caller.identity, "admin", to="see sweeps")
        async with self._database.connection() as connection:
            store = await placement.store_by_name(connection, name)
            if store is None:
                raise StoreNotFound(f"there is no store {name!r}", store=name)
            rows = await queries.sweeps(connection, store.id, before=before, limit=limit + 1)
        return [shown(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None

    async def latest(self, *, caller: Caller) -> dict[str, Sweep]:
        """Of each store that was ever swept the last sweep, by the store's name."""
        require(caller.identity, "admin", to="see sweeps")
        async with self._database.connection() as connection:
            return {row.store_name: shown(row) for row in await queries.latest_sweeps(connection)}

    async def _check_asked(self, connection: Connection, store: StoreRow, asked: SweepRequest) -> None:
        """Raise `RehearsalInvalid` and `StoreInvalid`."""
        if asked.retention is not None:
            if not asked.dry_run:
                raise RehearsalInvalid(
                    "a policy that is not the store's can only be rehearsed (dry_run); "
                    f"PATCH /stores/{store.name} makes it the store's"
                )
            await check_retention(connection, asked.retention)
        if asked.rehearsal is not None:
            await self._check_rehearsal(connection, store, asked.rehearsal)

    async def _check_rehearsal(self, connection: Connection, store: StoreRow, id: int) -> None:
        rehearsal = await queries.sweep_by_id(connection, id)
        if rehearsal is None or rehearsal.store != store.id or not rehearsal.dry_run or rehearsal.state != "done":
            raise RehearsalInvalid(
                f"{id} is no finished rehearsal of the store {store.name}; rehearse it first (dry_run)", rehearsal=id
            )
        if rehearsal.started_at < await queries.database_now(connection) - REHEARSAL_LASTS:
            raise RehearsalInvalid(f"the rehearsal {id} is older than a week; rehearse again", rehearsal=id)

    async def _release(self, connection: Connection, store: StoreRow, actor: str) -> None:
        if store.brake is not None:
            await queries.set_brake(connection, store.id, None)
            await self._note(connection, store, "brake_released", Change(before=store.shown().brake), actor)

    async def _conduct(self, id: int, *, policy: Retention | None = None) -> None:
        """Run a sweep to its end, whatever that is. `policy`: to rehearse in place of the store's."""
        try:
            run = await self._begin(id, policy=policy)
            await self._on_step("begun")
            async with asyncio.TaskGroup() as group:
                beating = group.create_task(self._beat(id))
                await self._run(run)
                beating.cancel()
            limit, words = await self._foresee(run) if run.dry_run else (None, None)
            await self._finish(id, "done", stopped_by=limit, detail=words)
        except* Lost:
            self._log.warning("a sweep was taken over by another process", sweep=id)
        except* Brake as stops:
            with suppress(Lost):
                await self._pull_brake(id, _first(stops, Brake))
        except* MediastoreError as errors:
            first = _first(errors, MediastoreError)
            self._log.warning("a sweep failed", sweep=id, reason=str(first))
            await self._finish(id, "failed", detail=str(first))

    async def _begin(self, id: int, *, policy: Retention | None) -> Run:
        async with self._database.connection() as connection:
            row = await queries.sweep_by_id(connection, id)
            assert row is not None  # noqa: S101 - we have just written it
            store = await placement.store_by_id(connection, row.store)
            if store is None:
                raise StoreNotFound("the store was deleted")
            now = await queries.database_now(connection)
            total = await queries.total_objects(connection, store.id)
            before = await queries.began_before(connection, store.id, id)
        if abs(self._clock() - now) > CLOCK_DRIFT:
            raise Brake("clock", f"the clocks of this server ({self._clock():%F %T}) and of the database ({now:%F %T}) disagree")
        another = policy is not None and policy != store.policy()
        policy = policy or store.policy()
        return Run(
            id=id,
            store=store,
            policy=policy,
            another=another,
            dry_run=row.dry_run,
            cutoff=row.cutoff - timedelta(seconds=policy.grace_s),
            rehearsal=row.rehearsal,
            budget=Budget(
                name=store.name,
                policy=policy,
                limited=not row.approved,
                spent=Weight(records=row.removed, objects=row.objects, bytes=row.bytes),
                total=total + row.objects,
                pause=row.started_at - (before or store.created_at),
            ),
        )

    async def _run(self, run: Run) -> None:
        if run.dry_run:
            await self._rehearse(run)
            return
        await self._remove_unfinished(run)
        if run.budget.limited:
            await self._weigh(run)
        await self._on_step("weighed")
        await self._sweep_all(run, due_queries.due_records)
        if run.policy.old_versions_ttl_s is not None:
            await self._sweep_all(run, due_queries.due_versions)

    async def _rehearse(self, run: Run) -> None:
        for select in self._selects(run):
            mark: Mark | None = BEGINNING
            while mark is not None:
                async with self._database.transaction() as connection:
                    due, mark = await self._select(connection, run, select, mark, lock=False)
                    going = [item for item in due if not (item.held or item.exempt)]
                    await queries.list_items(connection, run.id, going)
                    await self._count(connection, run, due, going, removed=0)

    async def _foresee(self, run: Run) -> tuple[str | None, str | None]:
        """Which limit would stop a sweep on schedule that finds the same, and in words all that is to be said of a rehearsal."""
        async with self._database.connection() as connection:
            row = await queries.sweep_by_id(connection, run.id)
        assert row is not None  # noqa: S101 - it is running
        words = ["rehearsed by another policy than the store's"] if run.another else []
        found, limit = Weight(records=row.found, objects=row.objects, bytes=row.bytes), None
        try:
            run.budget.check_pause(found)
            run.budget.check(found)
        except Brake as stop:
            limit = stop.limit
            words.append(f"a sweep on schedule would stop before it removes anything: {stop.reason}")
        return limit, "; ".join(words) or None

    def _selects(self, run: Run) -> list[Select]:
        return [due_queries.due_records, *([due_queries.due_versions] if run.policy.old_versions_ttl_s is not None else [])]

    async def _weigh(self, run: Run) -> None:
        """Raise `Brake` when the whole of it would be more than one run may remove: before anything is gone."""
        async with self._database.connection() as connection:
            more = await due_queries.weigh(connection, run.store.id, run.policy, cutoff=run.cutoff)
        run.budget.check_pause(more)
        run.budget.check(more)

    async def _sweep_all(self, run: Run, select: Select) -> None:
        """Decide and remove, batch by batch; the bytes of some go while the next are decided."""
        mark: Mark | None = BEGINNING
        turns = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            while mark is not None:
                await turns.acquire()
                mark, doomed = await self._decide(run, select, mark)
                group.create_task(self._remove(run, doomed)).add_done_callback(lambda _: turns.release())

    async def _decide(self, run: Run, select: Select, mark: Mark) -> tuple[Mark | None, list[int]]:
        """One batch, one transaction: who goes, and that they go. Returns where to go on, and the objects that go."""
        async with self._database.transaction() as connection:
            await self._keep(connection, run.id)
            due, after = await self._select(connection, run, select, mark, lock=True)
            await self._on_step("locked")
            going = [item for item in due if not (item.held or item.exempt)]
            weight = weight_of(going)
            run.budget.check(weight)
            records = [item.media for item in going if item.object is None]
            versions = [item.object for item in going if item.object is not None]
            doomed = await due_queries.remove_records(connection, records, sweep=run.id, actor=NOT_A_PERSON, lease_s=RESERVED_S)
            doomed += await due_queries.remove_versions(
                connection, versions, sweep=run.id, actor=NOT_A_PERSON, lease_s=RESERVED_S
            )
            await self._count(connection, run, due, going, removed=len(going))
        run.budget.spend(weight)
        await self._on_step("decided")
        return after, doomed

    async def _select(
        self, connection: Connection, run: Run, select: Select, mark: Mark, *, lock: bool
    ) -> tuple[list[Due], Mark | None]:
        return await select(
            connection,
            run.store.id,
            run.policy,
            cutoff=run.cutoff,
            after=mark,
            rehearsal=run.rehearsal,
            limit=BATCH,
            lock=lock,
        )

    async def _count(self, connection: Connection, run: Run, due: Sequence[Due], going: Sequence[Due], *, removed: int) -> None:
        weight = weight_of(going)
        await queries.count(
            connection,
            run.id,
            found=len(going),
            removed=removed,
            object_count=weight.objects,
            byte_count=weight.bytes,
            held=sum(item.held for item in due),
            exempt=sum(item.exempt and not item.held for item in due),
        )

    async def _remove_unfinished(self, run: Run) -> None:
        """What the process before us decided and did not come to."""
        last = 0
        while True:
            async with self._database.connection() as connection:
                left = await queries.unfinished(connection, run.id, after=last, limit=BATCH)
            if not left:
                return
            await self._remove(run, left)
            last = left[-1]

    async def _remove(self, run: Run, ids: Sequence[int]) -> None:
        """The second phase: bytes that were decided to go, in bulk, outside any lock."""
        async with self._database.connection() as connection:
            if not await queries.is_ours(connection, run.id, runner=self._runner):
                raise Lost
            doomed = await objects.doomed_of(connection, ids)
        by_store: dict[int, list[Doomed]] = {}
        for one in doomed:
            by_store.setdefault(one.store, []).append(one)
        for store, group in by_store.items():
            await self._purger.purge(store, group)
        await self._on_step("removed")

    async def _keep(self, connection: Connection, id: int) -> None:
        if not await queries.keep(connection, id, runner=self._runner, lease_s=self._lease_s):
            raise Lost

    async def _beat(self, id: int) -> None:
        """Show life while a store takes its time."""
        while True:
            await asyncio.sleep(self._lease_s / 3)
            async with self._database.connection() as connection:
                await self._keep(connection, id)

    async def _finish(self, id: int, state: str, *, stopped_by: str | None = None, detail: str | None = None) -> None:
        async with self._database.connection() as connection:
            await queries.finish_sweep(connection, id, runner=self._runner, state=state, stopped_by=stopped_by, detail=detail)
            row = await queries.sweep_by_id(connection, id)
        if row is not None and (row.removed or row.failed or state != "done"):
            self._log.info("swept", store=row.store_name, sweep=id, state=state, removed=row.removed, bytes_freed=row.bytes_freed)
        await self._on_step("finished")

    async def _pull_brake(self, id: int, stop: Brake) -> None:
        """No other sweep of this store before an administrator has looked; the event is in the store's history."""
        self._log.error("the brake stopped a sweep", sweep=id, stopped_by=stop.limit, reason=stop.reason)
        async with self._database.transaction() as connection:
            await self._keep(connection, id)
            row = await queries.sweep_by_id(connection, id)
            assert row is not None  # noqa: S101 - it was running
            store = await placement.store_by_id(connection, row.store)
            if store is not None and not row.dry_run:
                brake = {"sweep": id, "stopped_by": stop.limit, "reason": stop.reason, "at": self._clock()}
                await queries.set_brake(connection, store.id, brake)
                await self._note(connection, store, "brake", Change(after=brake), NOT_A_PERSON)
        await self._finish(id, "stopped", stopped_by=stop.limit, detail=stop.reason)

    async def _note(self, connection: Connection, store: StoreRow, action: str, change: Change, actor: str) -> None:
        await events.append(
            connection, kind="store", subject=store.name, actor=actor, action=action, changes={"brake": change}, request_id=None
        )


def _first(group: BaseExceptionGroup[Any], kind: type[Stop]) -> Stop:
    """The first of this kind, however deep."""
    for error in group.exceptions:
        found = _first(error, kind) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, kind):
            return found
    raise group


def shown(row: SweepRow) -> Sweep:
    facts = {name: getattr(row, name) for name in Sweep.__struct_fields__ if hasattr(row, name)}
    took_s = (row.finished_at - row.started_at).total_seconds() if row.finished_at else None
    return Sweep(**{**facts, "store": row.store_name, "duration_s": took_s})
