"""One handler at work on one job, and what becomes of the job then."""

import asyncio
import random
from collections.abc import Awaitable
from datetime import timedelta

import structlog
from pgqueuer.core.executors import AbstractEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.domain import models
from pgqueuer.domain.errors import RetryRequested

from mediastore.database import DatabaseUnavailable
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.work import Handler, Job
from mediastore.logging import MASK, SECRETS
from stores.errors import StoreError

FIRST_DELAY_S = 1
LONGEST_DELAY_S = 600
GROWTH = 3
"""So that the eight attempts that a job has by default take a quarter of an hour, not two minutes: outages last that long."""
REASON_MAX_CHARACTERS = 1000


class Abandoned(Exception):
    """The worker stops, and does not wait for this handler any longer."""


class Held(Exception):
    """The job has failed too often."""


class Running:
    """The handlers that are at work in one worker."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Future[None]] = set()
        self._abandoned = False

    async def run(self, work: Awaitable[None]) -> None:
        """Let the handler do its work. Raises `Abandoned` when it was stopped by `abandon`."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        if self._abandoned:
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
            if self._abandoned:
                raise Abandoned from None
            raise RuntimeError("the handler was cancelled from within") from None
        finally:
            self._tasks.discard(task)

    def abandon(self) -> None:
        """Cancel what still runs, and whatever would begin."""
        self._abandoned = True
        for task in self._tasks:
            task.cancel()


class Execution(AbstractEntrypointExecutor):
    """Does the jobs of one kind for PgQueuer, and tells it what to do with a job that was not done."""

    def __init__(self, job: Job, running: Running) -> None:
        super().__init__(EntrypointExecutorParameters(job.concurrency, func=_runs_elsewhere, on_failure="hold"))
        self._job = job
        self._running = running
        self._log = structlog.get_logger("mediastore.jobs")

    async def execute(self, job: models.Job, context: models.Context) -> None:  # noqa: ARG002 - PgQueuer's signature
        """Raises nothing of the handler's own: what PgQueuer gets to know is fit to be shown."""
        try:
            await self._running.run(_begun(self._job.run, job.payload or b""))
        except Abandoned:
            raise RetryRequested from None
        except RetryLater as later:
            self._log.debug("a job asks for time", job=self._job.name, id=job.id, reason=later.message, delay_s=later.delay_s)
            raise RetryRequested(timedelta(seconds=later.delay_s), told(later)) from None
        except DatabaseUnavailable as away:  # nobody's failure: the worker can't go on without it either
            raise RetryRequested(timedelta(seconds=delay_s(2)), told(away)) from None
        except Exception as error:  # noqa: BLE001 - the outermost edge of a job
            job.attempts += 1
            last = job.attempts >= self._job.attempts
            self._log.warning(
                "a job failed, and is held" if last else "a job failed, and is tried again",
                job=self._job.name,
                id=job.id,
                attempts=job.attempts,
                error=repr(error),
            )
            if last:
                raise Held(told(error)) from None
            raise RetryRequested(timedelta(seconds=delay_s(job.attempts)), told(error)) from None


def delay_s(failures: int) -> float:
    """How long to wait after so many failures: about a second at first, ten minutes at last, never in step with others."""
    grown: float = FIRST_DELAY_S * GROWTH ** min(failures - 1, 10)
    return min(grown, LONGEST_DELAY_S) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def told(error: Exception) -> str:
    """What people may read of an error: the sentence of one of ours; of a foreign one, which may quote anything, its name."""
    text = error.message if isinstance(error, MediastoreError | StoreError) else type(error).__name__
    text = SECRETS.sub(MASK, text).replace("\0", " ").encode(errors="replace").decode()
    return text[:REASON_MAX_CHARACTERS]


async def _begun(run: Handler, payload: bytes) -> None:
    await run(payload)


async def _runs_elsewhere(_: models.Job) -> None:
    """PgQueuer asks every executor for a function; ours runs its job in `execute`, and nobody calls this one."""
    raise AssertionError("jobs are run by Execution.execute")
