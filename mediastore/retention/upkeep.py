"""The upkeep of stores as jobs: what is due is enqueued by the clock, or because somebody asks, and done by any worker."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

import msgspec
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.service import Catalog
from mediastore.clock import Clock
from mediastore.database import Connection, Database
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from mediastore.placement import queries as placement
from mediastore.placement.queries import StoreRow
from mediastore.placement.service import Placement
from mediastore.retention import fixity_queries, reconcile_queries, upkeep_queries
from mediastore.retention.fixity import FixityCheck
from mediastore.retention.reconcile_queries import RunRow
from mediastore.retention.reconciler import Reconciler
from mediastore.retention.upkeep_errors import LeaseLost, UpkeepBusy
from mediastore.retention.upkeep_schemas import FixityShown, ReconcileAsk, Reconciliation, UpkeepState
from mediastore.transfers.errors import ContentLost, ContentMissing
from stores.errors import StoreUnavailable

RECONCILE = "reconcile_store"
CHECK = "check_fixity"
UPKEEP = "upkeep"
WAIT_S = 10
"""How long a request waits for what a job does."""
POLL_S = 0.1
RETRY_S = 3600
"""After which a comparison that was stopped is tried again, if the policy does not say sooner."""
BUSY_S = 5
ELSEWHERE_S = 2
"""When a job on a memory store is tried again that another server has to do."""
NEWEST = 2**63 - 1

Answer = TypeVar("Answer")


class StoreJob(Struct, frozen=True, kw_only=True):
    """What a job about a store is told. `object`: about that one alone."""

    store: int
    object: int | None = None


class Upkeep:
    def __init__(
        self,
        database: Database,
        *,
        placement: Placement,
        catalog: Catalog,
        reconciler: Reconciler,
        fixity: FixityCheck,
        jobs: JobQueue,
        clock: Clock,
    ) -> None:
        self._database = database
        self._placement = placement
        self._catalog = catalog
        self._reconciler = reconciler
        self._fixity = fixity
        self._jobs = jobs
        self._clock = clock

    # The schedule and the jobs.

    async def enqueue_due(self) -> None:
        """Have done what is due, in every store that is switched on; a store at a time, so that none waits for another."""
        async with self._database.connection() as connection:
            rows = [row for row in await placement.stores(connection) if row.enabled]
        for row in rows:
            reads = await self._fixity.is_due(row)
            async with self._database.transaction() as connection:
                if (work := await self._due_work(connection, row)) is not None:
                    await self._enqueue(connection, RECONCILE, row, key=work)
                if reads:
                    await self._enqueue(connection, CHECK, row, key="due")

    async def reconcile_store(self, payload: bytes) -> None:
        """The job."""
        store = msgspec.json.decode(payload, type=StoreJob).store
        await self._patiently(lambda: self._reconciler.run(store))

    async def check_fixity(self, payload: bytes) -> None:
        """The job."""
        job = msgspec.json.decode(payload, type=StoreJob)
        if job.object is not None:
            object = job.object
            await self._patiently(lambda: self._fixity.check_object(object))
        else:
            await self._patiently(lambda: self._fixity.run(job.store))

    async def _patiently(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except LeaseLost:
            pass  # whoever has it goes on
        except UpkeepBusy as error:
            raise RetryLater(error.message, delay_s=BUSY_S) from error
        except StoreUnavailable as error:  # in memory, of another server, as far as anybody knows
            raise RetryLater(error.message, delay_s=ELSEWHERE_S) from error

    async def _due_work(self, connection: Connection, row: StoreRow) -> str | None:
        """What a comparison of the store is to be made for, in a word that stays the same until it is done."""
        policy, now = row.care(), self._clock()
        due = await upkeep_queries.due(connection, row.id, at=now)
        if due.open is not None:
            return str(due.open)
        if due.absent:
            return "absent"
        if not policy.reconcile_interval_s:
            return None
        pause_s = min(policy.reconcile_interval_s, RETRY_S) if due.stopped else policy.reconcile_interval_s
        since = due.ended_at or row.created_at
        if (now - since).total_seconds() < pause_s:
            return None
        return str(await reconcile_queries.ask_for_run(connection, row.id, asked_by="system"))

    async def _enqueue(self, connection: Connection, job: str, row: StoreRow, *, key: str, object: int | None = None) -> None:
        """`key` tells this work from what the job before, which may not have been taken out yet, has just done."""
        key = f"{job} {row.id} {key}"
        payload = StoreJob(store=row.id, object=object)
        await self._jobs.enqueue(connection, job, payload, dedupe_key=key, local=row.kind == "memory")

    # What people ask for.

    async def reconcile(self, name: str, asked: ReconcileAsk, *, caller: Caller) -> Reconciliation:
        """Have a store compared, and wait a little for the report. One that is under way is waited for."""
        require(caller.identity, "admin", to="compare stores with their rows")
        async with self._database.transaction() as connection:
            row = await self._placement.found(connection, name)
            run = await reconcile_queries.ask_for_run(
                connection,
                row.id,
                asked_by=caller.identity.name,
                believe_missing=asked.believe_missing,
                believe_unknown=asked.believe_unknown,
            )
            await self._enqueue(connection, RECONCILE, row, key=str(run))

        async def look() -> RunRow:
            async with self._database.connection() as connection:
                found = await reconcile_queries.run_by_id(connection, run)
            assert found is not None  # noqa: S101 - reports are kept for a year
            return found

        return (await waited(look, lambda found: found.ended_at is not None)).shown()

    async def reconcile_here(self, name: str) -> Reconciliation:
        """Compare a store in this process, on the word of whoever runs the server. Raises `UpkeepBusy`."""
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            await reconcile_queries.ask_for_run(connection, row.id, asked_by="system")
        try:
            run = await self._reconciler.run(row.id)
        except StoreUnavailable as error:
            raise UpkeepBusy(f"{error.message}; ask that one: POST /api/v1/stores/{name}/reconcile", store=name) from error
        if run is None:
            raise UpkeepBusy(f"another process has just compared the store {name}; try again")
        return run.shown()

    async def reports(
        self, name: str, *, cursor: int | None, limit: int, caller: Caller
    ) -> tuple[list[Reconciliation], int | None]:
        """The comparisons of a store, newest first, and the cursor of the next page."""
        require(caller.identity, "admin", to="see how stores compare with their rows")
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            rows = await reconcile_queries.runs_before(
                connection, row.id, before=NEWEST if cursor is None else cursor, limit=limit + 1
            )
        return [item.shown() for item in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None

    async def state(self, name: str, *, caller: Caller) -> UpkeepState:
        """How the upkeep of a store fares."""
        require(caller.identity, "admin", to="see how stores compare with their rows")
        async with self._database.connection() as connection:
            return await upkeep_queries.state(connection, await self._placement.found(connection, name))

    async def check(self, pid: str, *, caller: Caller) -> tuple[FixityShown, bool]:
        """Have the current content of a record read, for those who may change it. Whether it was by the time of the answer."""
        require(caller.identity, "write", to="have content checked")
        async with self._database.transaction() as connection:
            media = await catalog_queries.media_by_pid(connection, pid)
            media = self._catalog.writable(media, pid, caller=caller, now=self._clock())
            object, store = stored_object(media)
            before = await fixity_queries.shown(connection, object)
            row = await placement.store_by_id(connection, store)
            assert row is not None  # noqa: S101 - a store with objects is never deleted
            await self._enqueue(connection, CHECK, row, key=f"{object} {before and before.checked_at}", object=object)

        async def look() -> fixity_queries.ShownRow:
            async with self._database.connection() as connection:
                found = await fixity_queries.shown(connection, object)
            if found is None:
                raise ContentLost(f"the content of {media.pid} went away", pid=media.pid)
            return found

        known = before.checked_at if before else None
        found = await waited(look, lambda found: found.checked_at != known)
        return shown(media.pid, found), found.checked_at != known

    async def check_here(self, pid: str) -> FixityShown:
        """Read the current content of a record in this process, on the word of whoever runs the server."""
        async with self._database.connection() as connection:
            media = await catalog_queries.media_by_pid(connection, pid)
        if media is None or media.status == "deleted":
            raise ContentMissing(f"there is no record {pid}", pid=pid)
        object, _ = stored_object(media)
        try:
            await self._fixity.check_object(object)
        except StoreUnavailable as error:
            raise UpkeepBusy(f"{error.message}; ask that one: POST /api/v1/fixity/{pid}", pid=pid) from error
        async with self._database.connection() as connection:
            found = await fixity_queries.shown(connection, object)
        if found is None:
            raise ContentLost(f"the content of {pid} went away", pid=pid)
        return shown(pid, found)


def stored_object(media: MediaRow) -> tuple[int, int]:
    """The object that is a record's content, and its store. Raises `ContentMissing` and `ContentLost`."""
    if media.object is None or media.object_store is None:
        raise ContentMissing(f"the record {media.pid} has no content yet", pid=media.pid)
    if media.object_state != "stored":
        raise ContentLost(f"the content of {media.pid} is gone: {media.status_reason}", pid=media.pid)
    return media.object, media.object_store


def shown(pid: str, row: fixity_queries.ShownRow) -> FixityShown:
    return FixityShown(pid=pid, version=row.version, fixity=row.fixity, checked_at=row.checked_at, detail=row.detail)


async def waited(look: Callable[[], Awaitable[Answer]], is_done: Callable[[Answer], bool]) -> Answer:
    """What there is to see once it is done, or after `WAIT_S`."""
    until = monotonic() + WAIT_S
    while True:
        found = await look()
        if is_done(found) or monotonic() >= until:
            return found
        await asyncio.sleep(POLL_S)
