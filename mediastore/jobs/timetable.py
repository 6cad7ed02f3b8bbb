"""Schedules: the clock makes jobs.

A tick is claimed and its job enqueued in one transaction, so that of any number of workers one makes it, once, and it is done
like every other job: tried again, taken over, held. The clock is the database's, because machines differ about the time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from croniter import croniter
from msgspec import Struct

from mediastore.database import Database
from mediastore.jobs.queue import JobQueue
from mediastore.jobs.work import Schedule

LONGEST_WAIT_S = 30
"""The time between two looks, in case clocks are set."""

NEXT_RUNS = "SELECT entrypoint, expression, next_run FROM pgqueuer_schedules WHERE entrypoint = ANY($1)"

# A new schedule waits for its first tick. The condition is asked of the row as it is once no other worker has it locked.
CLAIM = """
INSERT INTO pgqueuer_schedules AS known (expression, entrypoint, next_run) VALUES ($1, $2, $3)
ON CONFLICT (expression, entrypoint) DO UPDATE SET next_run = excluded.next_run, last_run = now(), updated = now()
WHERE known.next_run <= now()
RETURNING last_run IS NOT NULL
"""

# Its successor is made now; one that is held says enough about all that failed.
DROP_HELD = "DELETE FROM pgqueuer WHERE status = 'failed' AND entrypoint = $1"


class Tick(Struct, frozen=True, kw_only=True):
    """Payload of a job that the clock made."""

    at: datetime


class Timetable:
    def __init__(self, database: Database, *, queue: JobQueue, schedules: Sequence[Schedule]) -> None:
        self._database = database
        self._queue = queue
        self._schedules = schedules

    async def run_once(self) -> float:
        """Enqueue what is due. Returns the seconds until it is worth looking again. Ticks that nobody was there for are one."""
        names = [schedule.name for schedule in self._schedules]
        async with self._database.connection() as connection:
            rows = await connection.fetch(NEXT_RUNS, names)
            now: datetime = await connection.fetchval("SELECT now()")
        next_runs = {(row["entrypoint"], row["expression"]): row["next_run"] for row in rows}
        for schedule in self._schedules:
            known = next_runs.get((schedule.name, schedule.every))
            if known is None or known <= now:
                await self._claim(schedule)
        ticks = [next_tick(schedule.every, after=now) for schedule in self._schedules]
        until_next = min((tick - now for tick in ticks), default=timedelta(seconds=LONGEST_WAIT_S))
        return min(until_next.total_seconds(), LONGEST_WAIT_S)

    async def _claim(self, schedule: Schedule) -> None:
        async with self._database.transaction() as connection:
            now: datetime = await connection.fetchval("SELECT now()")
            following = next_tick(schedule.every, after=now)
            if await connection.fetchval(CLAIM, schedule.every, schedule.name, following):
                await connection.execute(DROP_HELD, schedule.name)
                await self._queue.enqueue(connection, schedule.name, Tick(at=now), dedupe_key=f"schedule:{schedule.name}")


def next_tick(every: str, *, after: datetime) -> datetime:
    """The first moment of the cron expression after this one."""
    tick: datetime = croniter(every, after).get_next(datetime)
    return tick
