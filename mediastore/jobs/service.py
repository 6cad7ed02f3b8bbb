"""What administrators may see of the queue, and do about it."""

from collections.abc import Sequence

import structlog

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.jobs import queries
from mediastore.jobs.errors import JobDuplicate, JobError, JobNotFound, JobRunning
from mediastore.jobs.names import DEDUPE_INDEX
from mediastore.jobs.schemas import JobCount, JobShown, JobStatus

NEWEST = 2**63 - 1


class Backlog:
    """`jobs`: the kinds of jobs that are counted."""

    def __init__(self, database: Database, *, jobs: Sequence[str]) -> None:
        self._database = database
        self._jobs = jobs
        self._log = structlog.get_logger("mediastore.jobs")

    async def page(
        self, *, status: JobStatus | None, job: str | None, cursor: int | None, limit: int, caller: Caller
    ) -> tuple[list[JobShown], int | None, list[JobCount]]:
        """Jobs that are not done, newest first, the cursor of the next page, and the counts of all."""
        require(caller.identity, "admin", to="see jobs")
        before = NEWEST if cursor is None else cursor
        async with self._database.connection() as connection:
            items = await queries.page(connection, status=status, job=job, before=before, limit=limit + 1)
            depths = await queries.depths(connection, self._jobs)
        more = items[limit - 1].id if len(items) > limit else None
        return items[:limit], more, [depth.count for depth in depths]

    async def retry(self, id: int, *, caller: Caller) -> JobShown:
        """Have a held job, or one that waits for its time, done now. Raises `JobNotFound`, `JobRunning`, `JobDuplicate`."""
        require(caller.identity, "admin", to="retry jobs")
        try:
            async with self._database.transaction() as connection:
                shown = await queries.requeue(connection, id)
                if shown is None:
                    raise await _missing(connection, id)
        except ConstraintViolated as error:
            if error.constraint != DEDUPE_INDEX:
                raise
            async with self._database.connection() as connection:
                other = await queries.twin(connection, id)
            raise JobDuplicate(f"another job for the same work waits or runs; drop job {id}", other=other) from error
        self._log.info("a job was queued again", id=id, job=shown.job, actor=caller.identity.name, request_id=caller.request_id)
        return shown

    async def drop(self, id: int, *, caller: Caller) -> None:
        """Forget a held or waiting job. What it was to do is not done. Raises `JobNotFound` and `JobRunning`."""
        require(caller.identity, "admin", to="drop jobs")
        async with self._database.transaction() as connection:
            job = await queries.drop(connection, id)
            if job is None:
                raise await _missing(connection, id)
        self._log.info("a job was dropped", id=id, job=job, actor=caller.identity.name, request_id=caller.request_id)


async def _missing(connection: Connection, id: int) -> JobError:
    if await queries.is_there(connection, id):
        return JobRunning(f"job {id} is running; wait for how it ends")
    return JobNotFound(f"there is no job {id}: it is done, was dropped, or never was")
