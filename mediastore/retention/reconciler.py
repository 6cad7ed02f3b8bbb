"""Compares what a store holds with what its rows say, both ways; one process a store at a time."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from mediastore.clock import Clock
from mediastore.database import Connection, Database
from mediastore.events import queries as events
from mediastore.events.schemas import NOT_A_PERSON, Change
from mediastore.placement import queries as placement
from mediastore.placement.errors import PlacementError
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from mediastore.retention import finding_queries
from mediastore.retention import reconcile_queries as queries
from mediastore.retention.absences import Absences
from mediastore.retention.comparison import Comparison
from mediastore.retention.lease import Lease, Leases
from mediastore.retention.policy import Policy
from mediastore.retention.reconcile_queries import RunRow
from mediastore.retention.upkeep_errors import StoreDoubtful
from mediastore.retention.upkeep_schemas import Counts, StoppedBy
from mediastore.retention.work import Work, is_elsewhere
from stores.errors import StoreError

KEPT = timedelta(days=365)
"""How long reports, and findings that were dealt with, can be read."""
WORD_HOLDS = timedelta(hours=1)
"""How long an administrator's word holds beyond the time that the asking takes."""


DROPPED_AT_ONCE = 10_000


class Reconciler:
    """Safe to run twice and at once: who has not the store's lease does nothing, who has lost it can't write any more."""

    def __init__(
        self, database: Database, *, registry: Registry, leases: Leases, on_doomed: Callable[[], None], clock: Clock
    ) -> None:
        self._database = database
        self._registry = registry
        self._leases = leases
        self._on_doomed = on_doomed
        self._clock = clock
        self._absences = Absences(database, clock=clock)
        self._log = structlog.get_logger("mediastore.reconcile")

    async def run(self, store: int) -> RunRow | None:
        """Carry out the comparison that is open for the store, or go on with it; without one, ask for what was not found.

        Returns the report, None where no comparison was open. Raises `UpkeepBusy` while another process is at it, and
        `StoreUnavailable` for a memory store that lives in another process; any other fault of the store is in the report.
        """
        async with self._leases.held(store, "reconcile") as lease:
            async with self._database.connection() as connection:
                row = await placement.store_by_id(connection, store)
                run = None if row is None else await queries.begin_run(connection, store, at=self._clock())
            if row is None:
                return None
            if run is None:
                await self._ask_again(row, lease)
                return None
            return await self._compare(row, run, lease)

    async def _work(self, row: StoreRow, lease: Lease) -> Work:
        store = await self._registry.get(row.id)
        async with self._database.connection() as connection:
            expected = await queries.stored_count(connection, row.id)
        return Work(row=row, store=store, lease=lease, policy=row.care(), expected=expected, at=self._clock())

    async def _ask_again(self, row: StoreRow, lease: Lease) -> None:
        try:
            answered = await self._absences.ask_again(await self._work(row, lease))
            if answered.missing:
                async with self._database.transaction() as connection:
                    await lease.check(connection)
                    await self._note(connection, row, {"missing": Change(after=answered.missing)})
        except StoreDoubtful as error:
            async with self._database.transaction() as connection:
                await lease.check(connection)
                await self._doubt(connection, row, error)
                # Which finds out whether that is so, and says it, or that it is over.
                await queries.ask_for_run(connection, row.id, asked_by=NOT_A_PERSON)
        except (StoreError, PlacementError) as error:
            if is_elsewhere(row, error):
                raise
            self._log.info("a store did not answer", store=row.name, reason=error.message)

    async def _compare(self, row: StoreRow, run: RunRow, lease: Lease) -> RunRow:
        counts = run.counted()
        try:
            work = await self._work(row, lease)
            if run.believe_missing:
                async with self._database.connection() as connection:
                    until = self._clock() + WORD_HOLDS + timedelta(seconds=2 * work.policy.missing_period_s)
                    await queries.believe(connection, row.id, until=until)
            comparison = Comparison(self._database, work=work, run=run, on_doomed=self._on_doomed, clock=self._clock)
            counts = comparison.counts
            await comparison.walk()
            await self._act(work, run, counts)
        except StoreDoubtful as error:
            return await self._end(row, run, lease, counts, doubt=error)
        except (StoreError, PlacementError) as error:
            if is_elsewhere(row, error):
                raise
            return await self._end(row, run, lease, counts, stopped_by="store", reason=error.message)
        return await self._end(row, run, lease, counts)

    async def _act(self, work: Work, run: RunRow, counts: Counts) -> None:
        """All keys were seen: what is to be done about what was found."""
        answered = await self._absences.ask_again(work, believed=run.believe_missing)
        counts.found += answered.found
        counts.missing += answered.missing
        policy = Policy(self._database, work=work, run=run, counts=counts, on_doomed=self._on_doomed, clock=self._clock)
        await policy.find_uploads()
        dropped = True
        while dropped:
            async with self._database.transaction() as connection:
                await work.lease.check(connection)
                dropped = await finding_queries.drop_unseen(connection, work.row.id, run=run.id, limit=DROPPED_AT_ONCE)
        await policy.abort_uploads()
        await policy.apply()

    async def _end(
        self,
        row: StoreRow,
        run: RunRow,
        lease: Lease,
        counts: Counts,
        *,
        doubt: StoreDoubtful | None = None,
        stopped_by: StoppedBy | None = None,
        reason: str | None = None,
    ) -> RunRow:
        now = self._clock()
        if doubt is not None:
            stopped_by, reason = doubt.stopped_by, doubt.message
        done = {name: value for name in DEEDS if (value := getattr(counts, name))}
        changes = {name: Change(after=value) for name, value in done.items()}
        async with self._database.transaction() as connection:
            await lease.check(connection)
            if doubt is not None:
                await self._doubt(connection, row, doubt)
            elif stopped_by is None:
                await queries.set_problem(connection, row.id, "reconcile", problem=None, at=now)
                await queries.forget_old(connection, row.id, before=now - KEPT)
            await queries.end_run(connection, run.id, at=now, counts=counts, stopped_by=stopped_by, reason=reason)
            if changes:
                await self._note(connection, row, changes)
            ended = await queries.run_by_id(connection, run.id)
        self._log.info("reconciled", store=row.name, stopped_by=stopped_by, reason=reason, listed=counts.listed, **done)
        assert ended is not None  # noqa: S101 - it was just written
        return ended

    async def _doubt(self, connection: Connection, row: StoreRow, error: StoreDoubtful) -> None:
        """The store has a problem: it shows, and what the store has said of missing objects is no evidence."""
        news = await queries.set_problem(connection, row.id, "reconcile", problem=error.message, at=self._clock())
        if error.stopped_by != "too_many_unknown":
            await queries.drop_all_absences(connection, row.id)
        if news:
            await self._note(connection, row, {"problem": Change(after=error.message)})
        self._log.warning("a store can't be believed; nothing was done upon it", store=row.name, reason=error.message)

    async def _note(self, connection: Connection, row: StoreRow, changes: dict[str, Change]) -> None:
        await events.append(
            connection,
            kind="store",
            subject=row.name,
            actor=NOT_A_PERSON,
            action="reconciled",
            changes=changes,
            request_id=None,
        )


DEEDS = ("missing", "found", "late", "removed", "quarantined", "aborted")
"""What of the counts changed something, and so belongs into the store's history."""
