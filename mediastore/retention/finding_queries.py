"""What comparisons found in stores, and what was decided about it."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from mediastore.database import Connection
from mediastore.retention.upkeep_schemas import Decision, Finding, FindingKind
from stores.protocol import ObjectInfo

FINDINGS = """
SELECT f.id, s.name AS store, f.kind AS what, f.key, f.size, f.detail, f.first_seen_at, f.last_seen_at, f.times_seen, f.decision,
    f.decided_by, f.decided_at, f.pid, f.done_at, f.problem
FROM finding f JOIN store s ON s.id = f.store
"""


async def note_findings(
    connection: Connection,
    store: int,
    kind: FindingKind,
    found: Sequence[tuple[str, str, int | None, str]],
    *,
    run: int,
    at: datetime,
) -> None:
    """Write down what was found, as (key, upload id, size, detail). What comes again after it was dealt with is new."""
    await connection.execute(
        """
        INSERT INTO finding AS f (store, kind, key, upload_id, size, detail, first_seen_at, last_seen_at, reconciliation)
        SELECT $1, $2, key, upload_id, size, detail, $7, $7, $8
        FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[]) AS x (key, upload_id, size, detail) ORDER BY key
        ON CONFLICT ON CONSTRAINT finding_place_key DO UPDATE SET
            size = excluded.size, detail = excluded.detail, last_seen_at = $7, reconciliation = $8,
            times_seen = CASE WHEN f.reconciliation = $8 THEN f.times_seen ELSE f.times_seen + 1 END,
            first_seen_at = CASE WHEN f.done_at IS NULL THEN f.first_seen_at ELSE $7 END,
            decision = CASE WHEN f.done_at IS NULL THEN f.decision END,
            decided_by = CASE WHEN f.done_at IS NULL THEN f.decided_by END,
            decided_at = CASE WHEN f.done_at IS NULL THEN f.decided_at END,
            pid = CASE WHEN f.done_at IS NULL THEN f.pid END, done_at = NULL
        """,
        store,
        kind,
        [key for key, _, _, _ in found],
        [upload for _, upload, _, _ in found],
        [size for _, _, size, _ in found],
        [detail for _, _, _, detail in found],
        at,
        run,
    )


async def drop_unseen(connection: Connection, store: int, *, run: int, limit: int) -> bool:
    """What this comparison, which came to its end, did not see any more is not so any more. Whether there may be more of it."""
    status = await connection.execute(
        """
        DELETE FROM finding WHERE id IN (
            SELECT id FROM finding WHERE store = $1 AND decision IS NULL AND reconciliation IS DISTINCT FROM $2 LIMIT $3)
        """,
        store,
        run,
        limit,
    )
    return int(status.split()[-1]) == limit


class Undecided(Struct, frozen=True, kw_only=True):
    id: int
    key: str
    upload_id: str


async def undecided(
    connection: Connection, store: int, kind: FindingKind, *, run: int, seen_by: datetime, after: int, limit: int
) -> list[Undecided]:
    """Findings of this comparison that have been known since `seen_by`, about which nobody has said anything."""
    rows = await connection.fetch(
        """
        SELECT id, key, upload_id FROM finding
        WHERE store = $1 AND kind = $2 AND reconciliation = $3 AND decision IS NULL AND first_seen_at <= $4 AND id > $5
        ORDER BY id LIMIT $6
        """,
        store,
        kind,
        run,
        seen_by,
        after,
        limit,
    )
    return [Undecided(**row) for row in rows]


async def decide(
    connection: Connection, finding: int, *, decision: Decision, by: str, at: datetime, done: bool, pid: str | None = None
) -> bool:
    """Write a decision down; False where one was made before."""
    decided = await connection.fetchval(
        """
        UPDATE finding SET decision = $2, decided_by = $3, decided_at = $4, pid = $5, problem = NULL,
            done_at = CASE WHEN $6 THEN $4::timestamptz END
        WHERE id = $1 AND decision IS NULL RETURNING true
        """,
        finding,
        decision,
        by,
        at,
        pid,
        done,
    )
    return bool(decided)


async def set_done(connection: Connection, finding: int, *, at: datetime) -> bool:
    done = await connection.fetchval(
        """
        UPDATE finding SET done_at = $2, problem = NULL WHERE id = $1 AND decision IS NOT NULL AND done_at IS NULL RETURNING true
        """,
        finding,
        at,
    )
    return bool(done)


async def take_back(connection: Connection, finding: int, *, problem: str) -> None:
    """The decision could not be carried out: another can be made."""
    await connection.execute(
        """
        UPDATE finding SET decision = NULL, decided_by = NULL, decided_at = NULL, pid = NULL, problem = $2
        WHERE id = $1 AND done_at IS NULL
        """,
        finding,
        problem,
    )


async def delete_findings(connection: Connection, findings: Sequence[int]) -> None:
    await connection.execute("DELETE FROM finding WHERE id = ANY ($1)", findings)


async def finding_by_id(connection: Connection, store: int, id: int, *, lock: bool = False) -> Finding | None:
    row = await connection.fetchrow(
        f"{FINDINGS} WHERE f.store = $1 AND f.id = $2" + (" FOR UPDATE OF f" if lock else ""), store, id
    )
    return Finding(**row) if row else None


async def upload_of(connection: Connection, finding: int) -> str:
    """The store's id of the open upload that the finding is about."""
    upload_id: str | None = await connection.fetchval("SELECT upload_id FROM finding WHERE id = $1", finding)
    return upload_id or ""


async def findings_after(connection: Connection, store: int, *, after: int, limit: int) -> list[Finding]:
    """Oldest first."""
    rows = await connection.fetch(f"{FINDINGS} WHERE f.store = $1 AND f.id > $2 ORDER BY f.id LIMIT $3", store, after, limit)
    return [Finding(**row) for row in rows]


async def quarantine_unknown(connection: Connection, *, store: int, key: str, reason: str) -> bool:
    """Give bytes that have no row one that keeps them from everybody until the quarantine ends; False where there is a row."""
    made = await connection.fetchval(
        """
        INSERT INTO stored_object (store, key, media_type, state, state_reason, doomed_at)
        VALUES ($1, $2, '', 'quarantined', $3, now()) ON CONFLICT ON CONSTRAINT stored_object_key_key DO NOTHING RETURNING true
        """,
        store,
        key,
        reason,
    )
    return bool(made)


async def known_uploads(connection: Connection, store: int, keys: Sequence[str]) -> dict[str, set[str | None]]:
    """For each key whose upload is still somebody's, the store's ids of it; None among them for one not written down yet.

    One whose object has come to its end is nobody's, whatever its row says: nothing looks after it any more.
    """
    rows = await connection.fetch(
        """
        SELECT o.key, u.s3_upload_id AS id FROM stored_object o
            LEFT JOIN upload u ON u.stored_object = o.id OR u.landing = o.id
        WHERE o.store = $1 AND o.key = ANY ($2) AND o.key COLLATE "C" BETWEEN $3 AND $4
            AND o.state IN ('writing', 'verifying', 'purging')
        """,
        store,
        keys,
        min(keys, default=""),
        max(keys, default=""),
    )
    known: dict[str, set[str | None]] = {}
    for row in rows:
        known.setdefault(row["key"], set()).add(row["id"])
    return known


def listed_as(info: ObjectInfo, detail: str) -> tuple[str, str, int | None, str]:
    """A finding about a listed object, for `note_findings`."""
    return (info.key, "", info.size, detail)
