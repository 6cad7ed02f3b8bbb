"""Scans in the database: what was asked, how far they have come, and what came of it."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Raw, Struct

from mediastore.database import Connection
from mediastore.registering.queries import Forgotten
from mediastore.registering.schemas import Registration, Scan, ScanCounts, ScanStatus


class ScanRow(Struct, frozen=True, kw_only=True):
    id: int
    store: int
    store_name: str
    prefix: str
    pid_pattern: str
    about: Raw
    media_type: str | None
    min_age_s: int
    state: ScanStatus
    after_key: str
    listed: int
    named: int
    young: int
    reason: str | None
    caller: str
    created_at: datetime
    ended_at: datetime | None
    waiting: int
    done: int
    failed: int

    def shown(self, problems: list[Registration]) -> Scan:
        return Scan(
            id=self.id,
            store=self.store_name,
            prefix=self.prefix,
            pid_pattern=self.pid_pattern,
            min_age_s=self.min_age_s,
            status=self.state,
            reason=self.reason,
            counts=ScanCounts(
                listed=self.listed,
                named=self.named,
                young=self.young,
                waiting=self.waiting,
                done=self.done,
                failed=self.failed,
            ),
            problems=problems,
            asked_by=self.caller,
            created_at=self.created_at,
            ended_at=self.ended_at,
        )


# What became of the objects is counted from their own rows: a number kept beside them could be wrong after a crash.
SCANS = """
SELECT c.id, c.store, s.name AS store_name, c.prefix, c.pid_pattern, c.about, c.media_type, c.min_age_s, c.state, c.after_key,
    c.listed, c.named, c.young, c.reason, c.caller, c.created_at, c.ended_at, r.waiting, r.done, r.failed
FROM scan c JOIN store s ON s.id = c.store CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE state = 'waiting') AS waiting, count(*) FILTER (WHERE state = 'done') AS done,
        count(*) FILTER (WHERE state = 'failed') AS failed
    FROM registration WHERE scan = c.id
) AS r
"""


async def insert_scan(
    connection: Connection,
    *,
    store: int,
    prefix: str,
    pid_pattern: str,
    about: Raw,
    media_type: str | None,
    min_age_s: int,
    caller: str,
) -> int:
    id: int = await connection.fetchval(
        """
        INSERT INTO scan (store, prefix, pid_pattern, about, media_type, min_age_s, caller) VALUES ($1, $2, $3, $4, $5, $6, $7)
        RETURNING id
        """,
        store,
        prefix,
        pid_pattern,
        about,
        media_type,
        min_age_s,
        caller,
    )
    return id


async def scan_by_id(connection: Connection, id: int) -> ScanRow | None:
    row = await connection.fetchrow(f"{SCANS} WHERE c.id = $1", id)
    return ScanRow(**row) if row else None


async def scans_before(connection: Connection, store: int, *, before: int, limit: int) -> list[ScanRow]:
    """Newest first."""
    rows = await connection.fetch(f"{SCANS} WHERE c.store = $1 AND c.id < $2 ORDER BY c.id DESC LIMIT $3", store, before, limit)
    return [ScanRow(**row) for row in rows]


async def lock_running(connection: Connection, id: int) -> bool:
    """Whether the scan runs; while the transaction lasts nobody stops it."""
    return bool(await connection.fetchval("SELECT true FROM scan WHERE id = $1 AND state = 'running' FOR SHARE", id))


async def advance(connection: Connection, id: int, *, after: str, to: str, listed: int, named: int, young: int) -> bool:
    """Write down how far the scan has come; False where it was stopped, or somebody else has brought it further."""
    done = await connection.fetchval(
        """
        UPDATE scan SET after_key = $3, listed = listed + $4, named = named + $5, young = young + $6
        WHERE id = $1 AND after_key = $2 AND state = 'running' RETURNING true
        """,
        id,
        after,
        to,
        listed,
        named,
        young,
    )
    return bool(done)


async def end_scan(connection: Connection, id: int, *, state: ScanStatus, at: datetime, reason: str | None = None) -> bool:
    """Only a running one can end; False where it does not run."""
    ended = await connection.fetchval(
        "UPDATE scan SET state = $2, ended_at = $3, reason = $4 WHERE id = $1 AND state = 'running' RETURNING true",
        id,
        state,
        at,
        reason,
    )
    return bool(ended)


async def running(connection: Connection) -> Sequence[Forgotten]:
    rows = await connection.fetch(
        """
        SELECT c.id, s.kind = 'memory' AS memory FROM scan c JOIN store s ON s.id = c.store WHERE c.state = 'running'
        ORDER BY c.id
        """
    )
    return [Forgotten(**row) for row in rows]


async def forget_ended(connection: Connection, before: datetime) -> None:
    """Scans that ended before then and whose registrations are forgotten."""
    await connection.execute(
        "DELETE FROM scan c WHERE ended_at < $1 AND NOT EXISTS (SELECT FROM registration WHERE scan = c.id)", before
    )
