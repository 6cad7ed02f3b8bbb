"""How jobs end, written down.

PgQueuer deletes what was cancelled, holds a job that it could not put back, counts every return as an attempt, and stores
stack traces with whatever secrets are in them. Here a job leaves the queue only when it is done, and keeps a sentence about its
last error.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

import structlog
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.models import Job, TracebackRecord
from pgqueuer.domain.types import JOB_STATUS, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from mediastore.database import ConstraintViolated, DatabaseError
from mediastore.jobs.driver import LOOK, PatientDriver
from mediastore.jobs.names import LOCAL, NAMES, SLOT_INDEX

End: TypeAlias = tuple[Job, JOB_STATUS, TracebackRecord | None]

# Nothing happens unless the job is still this worker's: another has it when this one was silent for too long.
PUT_BACK = f"""
WITH mine AS (
    SELECT id, attempts FROM pgqueuer WHERE id = $1 AND queue_manager_id = $2 AND status = 'picked' FOR UPDATE
), back AS (
    UPDATE pgqueuer AS job
    SET status = $3::pgqueuer_status, execute_after = now() + $4::interval, attempts = $5,
        headers = CASE WHEN $6::text IS NULL THEN job.headers ELSE jsonb_build_object('error', $6::text) END,
        updated = now(), queue_manager_id = NULL, slot = NULL
    FROM mine WHERE job.id = mine.id
    RETURNING job.id, job.entrypoint, job.priority, job.status, job.attempts - mine.attempts AS failures
), logged AS (
    INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority) SELECT id, status, entrypoint, priority FROM back
), counted AS (
    INSERT INTO job_failure AS known (job, failures)
    SELECT replace(entrypoint, '{LOCAL}', ''), failures FROM back WHERE failures > 0
    ON CONFLICT (job) DO UPDATE SET failures = known.failures + excluded.failures
)
SELECT pg_notify('{NAMES.channel}', '{LOOK.decode()}') FROM back
"""  # noqa: S608 - constants; values are parameters


@dataclass
class Ledger(Queries):
    """The worker's statements. A job's `attempts` count its failures, and are written as its execution left them."""

    @classmethod
    def on(cls, driver: PatientDriver) -> "Ledger":
        return cls(
            driver,
            qbe=QueryBuilderEnvironment(NAMES),
            qbq=QueryQueueBuilder(NAMES),
            qbs=QuerySchedulerBuilder(NAMES),
        )

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        try:
            return await super().dequeue(batch_size, entrypoints, queue_manager_id, global_concurrency_limit, heartbeat_timeout)
        except ConstraintViolated as error:
            if error.constraint == SLOT_INDEX:  # another worker took the last seat of a job with a limit
                return []
            raise

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        """Put the job back, with the reason if there is one. If that can't be said, another worker takes it after our silence."""
        context = (traceback_record and traceback_record.additional_context) or {}
        reason = context.get("reason")
        try:
            await self._put_back(job, "queued", delay, None if reason is None else str(reason))
        except DatabaseError as error:
            structlog.get_logger("mediastore.jobs").warning("a job could not be handed back", id=job.id, reason=error.message)

    async def log_jobs(self, job_status: list[End]) -> None:
        """Take what is done out of the queue. Safe to repeat."""
        done = [end for end in job_status if end[1] == "successful"]
        if done:
            await super().log_jobs(done)
        for job, status, record in job_status:
            if status == "canceled":
                await self._put_back(job, "queued", timedelta(0), None)
            elif status != "successful":
                await self._put_back(job, "failed", timedelta(0), None if record is None else record.exception_message)

    async def _put_back(self, job: Job, status: JOB_STATUS, delay: timedelta, reason: str | None) -> None:
        await self.driver.fetch(PUT_BACK, job.id, job.queue_manager_id, status, delay, job.attempts, reason)
