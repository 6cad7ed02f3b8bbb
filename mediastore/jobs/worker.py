"""Does the jobs of the queue, in a server or alone; as many workers as wanted, on any machine."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from pgqueuer.core.qm import QueueManager

from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.jobs.driver import PatientDriver, wait
from mediastore.jobs.execution import Execution, Running
from mediastore.jobs.ledger import Ledger
from mediastore.jobs.names import NAMES, local_name
from mediastore.jobs.queue import JobQueue
from mediastore.jobs.timetable import Timetable
from mediastore.jobs.work import Job, Schedule

CONNECTIONS = 2
"""Size of the pool for `Worker`. With the one that listens: what a worker takes of the database beside what its handlers do."""
POLL_S = 5
"""How often to look for jobs that nobody announced: those of dead workers, and all behind a pooler that swallows NOTIFY."""
BUSY_POLL_S = 0.25
"""The same while jobs wait that there was no room for."""
RETRY_S = 2


class Worker:
    """`database` is the worker's own, and closed with it. A job of a worker that dies is another's after `lost_s + POLL_S`.

    `shared`: does the jobs that any worker may do, and makes those of the schedules. `local`: does those that are for servers.
    """

    def __init__(
        self,
        database: Database,
        *,
        jobs: Sequence[Job],
        schedules: Sequence[Schedule],
        queue: JobQueue,
        concurrency: int,
        grace_s: float,
        lost_s: float,
        shared: bool = True,
        local: bool = False,
    ) -> None:
        self._database = database
        self._jobs: dict[str, Job] = {}
        if shared:
            self._jobs |= {job.name: job for job in (*jobs, *map(_job, schedules))}
        if local:
            self._jobs |= {local_name(job.name): job for job in jobs}
        self._timetable = Timetable(database, queue=queue, schedules=schedules if shared else ())
        self._concurrency = concurrency
        self._grace_s = grace_s
        self._lost_s = lost_s
        self._log = structlog.get_logger("mediastore.jobs")

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set and what was begun is done, or, after `grace_s`, handed back for others to begin at once.

        A database that is away or not migrated is waited for. Being cancelled is a stop without grace.
        """
        running = Running()
        ending = asyncio.create_task(self._end(stop, running))
        try:
            while not stop.is_set():
                try:
                    if await self._is_migrated():
                        await self._work(stop, running)
                except Exception as error:  # noqa: BLE001 - the outermost edge of a loop
                    self._log.warning("the worker stumbled; it begins again", error=repr(error))
                await wait(stop, RETRY_S)
        finally:
            ending.cancel()
            await self._database.close()

    async def _end(self, stop: asyncio.Event, running: Running) -> None:
        await stop.wait()
        await asyncio.sleep(self._grace_s)
        running.abandon()

    async def _is_migrated(self) -> bool:
        try:
            return await self._database.migrated()
        except MediastoreError as error:
            self._log.warning("the worker waits for the database", reason=error.message)
            return False

    async def _work(self, stop: asyncio.Event, running: Running) -> None:
        manager = QueueManager(Ledger.on(PatientDriver(self._database, stop=stop)), NAMES.channel)
        manager.shutdown = stop
        manager.min_dequeue_poll_interval = timedelta(seconds=BUSY_POLL_S)
        for name, job in self._jobs.items():
            manager.register_executor(name, Execution(job, running))
        ticking = asyncio.create_task(self._tick(stop))
        working = asyncio.create_task(
            manager.run(
                dequeue_timeout=timedelta(seconds=min(POLL_S, self._lost_s / 4)),
                batch_size=max(1, self._concurrency // 2),
                max_concurrent_tasks=self._concurrency,
                heartbeat_timeout=timedelta(seconds=self._lost_s),
                log_aggregation_interval=timedelta(0),  # its statistics are nobody's
            )
        )
        try:
            # Cancelling PgQueuer's own tasks would leave jobs in an unknown state, so this waits without passing that on.
            await asyncio.wait({working})
        except asyncio.CancelledError:
            stop.set()
            running.abandon()
            await asyncio.wait({working})
            raise
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        await working

    async def _tick(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                pause_s = await self._timetable.run_once()
            except Exception as error:  # noqa: BLE001 - the outermost edge of a loop
                self._log.warning("a look at the schedules failed; the next one tries again", error=repr(error))
                pause_s = RETRY_S
            await wait(stop, pause_s)


def _job(schedule: Schedule) -> Job:
    async def run(_: bytes) -> None:
        await schedule.run()

    return Job(name=schedule.name, run=run, attempts=schedule.attempts, concurrency=1)
