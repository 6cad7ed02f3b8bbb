"""Sweeps that nobody asked for: each store when its interval has passed, and those whose process died."""

import msgspec
from msgspec import Struct

from mediastore.database import Database
from mediastore.jobs.queue import JobQueue
from mediastore.retention import sweep_queries as queries
from mediastore.retention.sweeper import Sweeper

SWEEP = "sweep_store"


class SweepJob(Struct, frozen=True, kw_only=True):
    """Which store."""

    store: int


class SweepSchedule:
    def __init__(self, database: Database, *, sweeper: Sweeper, jobs: JobQueue) -> None:
        self._database = database
        self._sweeper = sweeper
        self._jobs = jobs

    async def enqueue_due(self) -> None:
        """The schedule: a job for each store that is due, and reports that are still open. What lies in memory is swept there."""
        async with self._database.transaction() as connection:
            await queries.end_dead(connection)
            await queries.settle_reports(connection)
            for store, kind in sorted(await queries.stores_due(connection)):
                await self._jobs.enqueue(
                    connection, SWEEP, SweepJob(store=store), dedupe_key=f"{SWEEP} {store}", local=kind == "memory"
                )

    async def sweep(self, payload: bytes) -> None:
        """The job. Safe to run twice and at once: the database lets one sweep of a store run."""
        await self._sweeper.sweep_due(msgspec.json.decode(payload, type=SweepJob).store)
