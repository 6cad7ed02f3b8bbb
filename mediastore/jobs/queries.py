"""The queue as administrators and metrics see it: PgQueuer's tables, read and mended by hand."""

from collections.abc import Sequence

import asyncpg
import msgspec
from msgspec import Raw, Struct

from mediastore.database import Connection
from mediastore.jobs.driver import LOOK
from mediastore.jobs.names import LOCAL, NAMES, job_name, local_name
from mediastore.jobs.schemas import JobCount, JobShown, JobStatus

STATUSES: dict[JobStatus, str] = {"waiting": "queued", "running": "picked", "held": "failed"}
SHOWN: dict[str, JobStatus] = {stored: shown for shown, stored in STATUSES.items()}

COLUMNS = "id, entrypoint, status::text, attempts, payload, headers, created, execute_after"

# The status stands in the statement, so that a plan can use the partial indexes.
PAGE = {
    status: f"""
        SELECT {COLUMNS} FROM pgqueuer
        WHERE id < $1 AND ($2::text[] IS NULL OR entrypoint = ANY($2)) {f"AND status = '{STATUSES[status]}'" if status else ""}
        ORDER BY id DESC LIMIT $3
        """
    for status in (*STATUSES, None)
}

MOST_COUNTED = 100_000

# The orders make PostgreSQL read just these rows in partial indexes, however many there are of other kinds. Priorities are all 0,
# so the least id is the oldest.
DEPTHS = f"""
SELECT name AS job, sum(waiting)::bigint AS waiting, sum(running)::bigint AS running, sum(held)::bigint AS held,
    coalesce(extract(epoch FROM now() - least(min(oldest_waiting), min(oldest_running))), 0)::float8 AS oldest_s,
    coalesce((SELECT failures FROM job_failure WHERE job = name), 0) AS failures
FROM unnest($1::text[]) AS name
CROSS JOIN LATERAL (VALUES (name), (name || '{LOCAL}')) AS queued_as (entrypoint)
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting FROM (
        SELECT FROM pgqueuer WHERE entrypoint = queued_as.entrypoint AND status = 'queued'
        ORDER BY execute_after LIMIT {MOST_COUNTED}
    ) AS counted
) AS counts
CROSS JOIN LATERAL (
    SELECT count(*) AS running, min(created) AS oldest_running
    FROM pgqueuer WHERE entrypoint = queued_as.entrypoint AND status = 'picked'
) AS in_hand
CROSS JOIN LATERAL (
    SELECT count(*) AS held FROM pgqueuer WHERE entrypoint = queued_as.entrypoint AND status = 'failed'
) AS put_away
LEFT JOIN LATERAL (
    SELECT created AS oldest_waiting FROM pgqueuer
    WHERE entrypoint = queued_as.entrypoint AND status = 'queued' ORDER BY priority DESC, id LIMIT 1
) AS first ON true
GROUP BY name ORDER BY name
"""

REQUEUE = f"""
WITH again AS (
    UPDATE pgqueuer SET status = 'queued', attempts = 0, execute_after = now(), updated = now()
    WHERE id = $1 AND status IN ('queued', 'failed')
    RETURNING id, entrypoint, priority, status, attempts, payload, headers, created, execute_after
), logged AS (
    INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority) SELECT id, status, entrypoint, priority FROM again
)
SELECT {COLUMNS}, pg_notify('{NAMES.channel}', '{LOOK.decode()}') FROM again
"""

DROP = """
WITH gone AS (
    DELETE FROM pgqueuer WHERE id = $1 AND status IN ('queued', 'failed') RETURNING id, entrypoint, priority
)
INSERT INTO pgqueuer_log (job_id, status, entrypoint, priority) SELECT id, 'deleted', entrypoint, priority FROM gone
RETURNING entrypoint
"""

TWIN = """
SELECT twin.id FROM pgqueuer AS job JOIN pgqueuer AS twin USING (dedupe_key)
WHERE job.id = $1 AND twin.id <> job.id AND twin.status IN ('queued', 'picked')
"""


class Depth(Struct, frozen=True, kw_only=True):
    """How one kind of job fares."""

    job: str
    waiting: int
    """At most `MOST_COUNTED`, and as many of the local ones."""
    running: int
    held: int
    oldest_s: float
    """Age of the oldest that waits or runs."""
    failures: int
    """Since ever."""

    @property
    def count(self) -> JobCount:
        return JobCount(job=self.job, waiting=self.waiting, running=self.running, held=self.held)


async def page(connection: Connection, *, status: JobStatus | None, job: str | None, before: int, limit: int) -> list[JobShown]:
    """Jobs that are not done, newest first."""
    names = None if job is None else [job, local_name(job)]
    return [_shown(row) for row in await connection.fetch(PAGE[status], before, names, limit)]


async def depths(connection: Connection, jobs: Sequence[str]) -> list[Depth]:
    """How these kinds of jobs fare, by name."""
    return [Depth(**row) for row in await connection.fetch(DEPTHS, jobs)]


async def requeue(connection: Connection, id: int) -> JobShown | None:
    """Have a held or waiting job done now, as if it had never failed; None when there is none."""
    row = await connection.fetchrow(REQUEUE, id)
    return None if row is None else _shown(row)


async def drop(connection: Connection, id: int) -> str | None:
    """Forget a held or waiting job; returns its kind, or None when there is none."""
    name = await connection.fetchval(DROP, id)
    return None if name is None else job_name(name)


async def is_there(connection: Connection, id: int) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pgqueuer WHERE id = $1)", id))


async def twin(connection: Connection, id: int) -> int | None:
    """The job of the same key that waits or runs."""
    other: int | None = await connection.fetchval(TWIN, id)
    return other


def _shown(row: asyncpg.Record) -> JobShown:
    headers = msgspec.json.decode(row["headers"] or b"null", type=_Headers | None)
    name = job_name(row["entrypoint"])
    status = SHOWN[row["status"]]
    return JobShown(
        id=row["id"],
        job=name,
        local=name != row["entrypoint"],
        status=status,
        attempts=row["attempts"],
        payload=Raw(row["payload"] or b"null"),
        error=headers.error if headers else None,
        created_at=row["created"],
        next_at=row["execute_after"] if status == "waiting" else None,
    )


class _Headers(Struct):
    error: str | None = None
