"""Sweeps in the database: who runs one, what is due, and the decision that it goes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct

from mediastore.database import Connection
from mediastore.placement.schemas import Retention
from mediastore.retention.schemas import Rule, SweepItem

HOLDS = "SELECT FROM hold h WHERE h.media = m.id AND h.lifted_at IS NULL AND (h.until IS NULL OR h.until > now())"


class SweepRow(Struct, frozen=True, kw_only=True):
    id: int
    store: int
    store_name: str
    dry_run: bool
    rehearsal: int | None
    approved: bool
    requested_by: str
    state: Literal["running", "done", "stopped", "failed"]
    cutoff: datetime
    found: int
    removed: int
    objects: int
    bytes: int
    bytes_freed: int
    bytes_kept: int
    held: int
    exempt: int
    failed: int
    stopped_by: str | None
    detail: str | None
    started_at: datetime
    finished_at: datetime | None


class Due(Struct, frozen=True, kw_only=True):
    """A record, or an old version of one, past its time and grace; locked."""

    media: int
    pid: str
    due_at: datetime
    object: int | None
    """Of an old version; None for the whole record."""
    version: int | None
    objects: int
    bytes: int
    held: bool
    exempt: bool

    @property
    def rule(self) -> Rule:
        return "expired" if self.object is None else "old version"


class Mark(Struct, frozen=True, kw_only=True):
    """How far a sweep has come: `due_at` and id of the last that it looked at."""

    at: datetime
    id: int


SWEEPS = """
SELECT w.id, w.store, s.name AS store_name, w.dry_run, w.rehearsal, w.approved, w.requested_by, w.state, w.cutoff, w.found,
    w.removed, w.object_count AS objects, w.byte_count AS bytes, w.bytes_freed, w.bytes_kept, w.held, w.exempt, w.failed,
    w.stopped_by, w.detail, w.started_at, w.finished_at
FROM sweep w JOIN store s ON s.id = w.store
"""


ADDED_UP = """
(bytes_freed, bytes_kept, failed) = (
    SELECT coalesce(sum(coalesce((o.receipt ->> 'bytes_freed')::bigint, o.size)) FILTER (WHERE o.receipt IS NOT NULL), 0),
        coalesce(sum(o.size) FILTER (WHERE o.receipt ->> 'answer' <> 'gone'), 0),
        count(*) FILTER (WHERE o.state = 'purging' AND o.receipt IS NULL)
    FROM stored_object o WHERE o.sweep = w.id)
"""
"""What came of a sweep's decisions. Receipts are written once, so nothing counts twice; older ones don't say what was freed."""


async def database_now(connection: Connection) -> datetime:
    now: datetime = await connection.fetchval("SELECT now()")
    return now


async def begin_sweep(
    connection: Connection,
    *,
    store: int,
    dry_run: bool,
    rehearsal: int | None,
    approved: bool,
    requested_by: str,
    runner: UUID,
    lease_s: float,
) -> int | None:
    """A new sweep of the store; None where one is running."""
    id: int | None = await connection.fetchval(
        """
        INSERT INTO sweep (store, dry_run, rehearsal, approved, requested_by, state, runner, lease_until, cutoff)
        VALUES ($1, $2, $3, $4, $5, 'running', $6, now() + make_interval(secs => $7), now())
        ON CONFLICT (store) WHERE state = 'running' AND NOT dry_run DO NOTHING RETURNING id
        """,
        store,
        dry_run,
        rehearsal,
        approved,
        requested_by,
        runner,
        lease_s,
    )
    return id


async def take_over(connection: Connection, store: int, *, runner: UUID, lease_s: float) -> int | None:
    """The sweep of a process that shows no life any more, now ours. What is kept will be counted anew: it is still there."""
    id: int | None = await connection.fetchval(
        """
        UPDATE sweep SET runner = $2, lease_until = now() + make_interval(secs => $3), held = 0, exempt = 0
        WHERE store = $1 AND state = 'running' AND NOT dry_run AND lease_until < now() RETURNING id
        """,
        store,
        runner,
        lease_s,
    )
    return id


async def is_ours(connection: Connection, sweep: int, *, runner: UUID) -> bool:
    """Whether the sweep is still this process's, at this moment."""
    return bool(
        await connection.fetchval("SELECT true FROM sweep WHERE id = $1 AND runner = $2 AND state = 'running'", sweep, runner)
    )


async def keep(connection: Connection, sweep: int, *, runner: UUID, lease_s: float) -> bool:
    """Whether the sweep is still this process's, which it stays to the end of the transaction, and for the lease."""
    done = await connection.fetchval(
        """
        UPDATE sweep SET lease_until = now() + make_interval(secs => $3)
        WHERE id = $1 AND runner = $2 AND state = 'running' RETURNING true
        """,
        sweep,
        runner,
        lease_s,
    )
    return bool(done)


COUNTED = {"found", "removed", "object_count", "byte_count", "held", "exempt"}


async def count(connection: Connection, sweep: int, **more: int) -> None:
    """Add to the report, by the names of its columns."""
    assert more.keys() <= COUNTED  # noqa: S101 - names of columns, never data
    changes = ", ".join(f"{name} = {name} + ${number}" for number, name in enumerate(more, 2))
    await connection.execute(f"UPDATE sweep SET {changes} WHERE id = $1", sweep, *more.values())


async def finish_sweep(
    connection: Connection, sweep: int, *, runner: UUID, state: str, stopped_by: str | None = None, detail: str | None = None
) -> None:
    """Close the report. What was freed is added up from the receipts, whoever removed the bytes."""
    await connection.execute(
        f"""
        UPDATE sweep w SET state = $3, stopped_by = $4, detail = $5, finished_at = now(), {ADDED_UP}
        WHERE id = $1 AND runner = $2 AND state = 'running'
        """,
        sweep,
        runner,
        state,
        stopped_by,
        detail,
    )


async def settle_reports(connection: Connection) -> None:
    """Add up the receipts of ended sweeps anew as long as objects of theirs are still to go. Done twice it changes nothing."""
    await connection.execute(f"UPDATE sweep w SET {ADDED_UP} WHERE failed > 0 AND state <> 'running'")


async def set_brake(connection: Connection, store: int, brake: dict[str, object] | None) -> None:
    await connection.execute("UPDATE store SET brake = $2 WHERE id = $1", store, brake)


async def sweep_by_id(connection: Connection, id: int) -> SweepRow | None:
    row = await connection.fetchrow(f"{SWEEPS} WHERE w.id = $1", id)
    return SweepRow(**row) if row else None


async def sweeps(connection: Connection, store: int, *, before: int, limit: int) -> list[SweepRow]:
    rows = await connection.fetch(f"{SWEEPS} WHERE w.store = $1 AND w.id < $2 ORDER BY w.id DESC LIMIT $3", store, before, limit)
    return [SweepRow(**row) for row in rows]


async def stores_due(connection: Connection) -> list[tuple[int, str]]:
    """Id and kind of the stores whose interval has passed since their last sweep began, or whose sweep lost its process."""
    rows = await connection.fetch(
        """
        SELECT s.id, s.kind FROM store s WHERE s.deleted_at IS NULL AND s.enabled AND s.brake IS NULL
            AND NOT EXISTS (SELECT FROM sweep w WHERE w.store = s.id AND NOT w.dry_run
                AND (w.state = 'running' AND w.lease_until > now() OR w.state <> 'running' AND w.started_at >
                    now() - make_interval(secs => coalesce((s.retention ->> 'sweep_interval_s')::int, $1))))
        """,
        Retention().sweep_interval_s,
    )
    return [(row["id"], row["kind"]) for row in rows]


async def total_objects(connection: Connection, store: int) -> int:
    """How many objects the store holds."""
    total: int = await connection.fetchval(
        "SELECT coalesce(sum(object_count), 0)::bigint FROM store_usage WHERE store = $1", store
    )
    return total


async def weigh(connection: Connection, store: int, policy: Retention, *, cutoff: datetime, most: int) -> tuple[int, int]:
    """Objects and bytes that a sweep would remove at this moment; counting ends above `most` records."""
    row = await connection.fetchrow(
        f"""
        WITH due AS (
            SELECT m.id FROM media m WHERE m.store = $1 AND m.expires_at < $2 AND m.deleted_at IS NULL
                AND NOT EXISTS ({HOLDS}) AND NOT m.tags && $3 AND NOT coalesce(m.metadata @@ $4::text::jsonpath, false)
            ORDER BY m.expires_at, m.id LIMIT $6
        ), old AS (
            SELECT o.size FROM stored_object o JOIN media m ON m.id = o.media
            WHERE o.store = $1 AND o.state = 'stored' AND o.superseded_at < $5 AND m.id NOT IN (SELECT id FROM due)
                AND NOT EXISTS ({HOLDS}) AND NOT m.tags && $3 AND NOT coalesce(m.metadata @@ $4::text::jsonpath, false)
            ORDER BY o.superseded_at LIMIT $6
        ), gone AS (
            SELECT o.size FROM stored_object o WHERE o.media IN (SELECT id FROM due) AND o.state = 'stored'
            UNION ALL SELECT size FROM old
        ) SELECT count(*) AS objects, coalesce(sum(size), 0)::bigint AS bytes FROM gone
        """,
        store,
        cutoff,
        list(policy.exempt_tags),
        policy.exempt_where,
        old_cutoff(policy, cutoff),
        most + 1,
    )
    assert row is not None  # noqa: S101 - an aggregate
    return row["objects"], row["bytes"]


def old_cutoff(policy: Retention, cutoff: datetime) -> datetime | None:
    """Contents that were superseded before this go; None where they stay as long as their record."""
    if policy.old_versions_ttl_s is None:
        return None
    # `cutoff` lies a grace before the sweep's moment; old versions have no grace, for nobody can restore what nobody sees expire.
    return cutoff + timedelta(seconds=policy.grace_s - policy.old_versions_ttl_s)


async def due_records(
    connection: Connection,
    store: int,
    policy: Retention,
    *,
    cutoff: datetime,
    after: Mark,
    rehearsal: int | None,
    limit: int,
    lock: bool,
) -> tuple[list[Due], Mark | None]:
    """Records past their expiry and grace, in order, and what keeps them. With `lock`, those that somebody else has locked are
    passed over, and what is said of the others holds to the end of the transaction. Also where to go on; None at the end.
    """
    bound = "AND EXISTS (SELECT FROM sweep_item i WHERE i.sweep = $5 AND i.media = m.id AND i.version = 0)" if rehearsal else ""
    ids = await connection.fetch(
        f"""
        SELECT m.id, m.expires_at AS at FROM media m
        WHERE m.store = $1 AND m.expires_at < $2 AND m.deleted_at IS NULL AND (m.expires_at, m.id) > ($3, $4) {bound}
        ORDER BY m.expires_at, m.id LIMIT {int(limit)} {"FOR UPDATE SKIP LOCKED" if lock else ""}
        """,
        *(store, cutoff, after.at, after.id, *([rehearsal] if rehearsal else [])),
    )
    # A second statement, because a hold that was committed while the first one waited for a lock shows only now.
    rows = await connection.fetch(
        f"""
        SELECT m.id AS media, m.pid, m.expires_at AS due_at, NULL::bigint AS object, NULL::int AS version,
            (SELECT count(*) FROM stored_object o WHERE o.media = m.id AND o.state = 'stored') AS objects,
            (SELECT coalesce(sum(o.size), 0)::bigint FROM stored_object o WHERE o.media = m.id AND o.state = 'stored') AS bytes,
            EXISTS ({HOLDS}) AS held, m.tags && $2 OR coalesce(m.metadata @@ $3::text::jsonpath, false) AS exempt
        FROM media m WHERE m.id = ANY ($1) AND m.expires_at < $4 AND m.deleted_at IS NULL ORDER BY m.expires_at, m.id
        """,
        [row["id"] for row in ids],
        list(policy.exempt_tags),
        policy.exempt_where,
        cutoff,
    )
    return [Due(**row) for row in rows], _mark(ids)


async def due_versions(
    connection: Connection,
    store: int,
    policy: Retention,
    *,
    cutoff: datetime,
    after: Mark,
    rehearsal: int | None,
    limit: int,
    lock: bool,
) -> tuple[list[Due], Mark | None]:
    """Old contents past their time, in order, and what keeps them; their records are locked. As `due_records`."""
    bound = "AND EXISTS (SELECT FROM sweep_item i WHERE i.sweep = $5 AND i.media = o.media AND i.version = o.version)"
    ids = await connection.fetch(
        f"""
        SELECT o.id, o.superseded_at AS at FROM stored_object o JOIN media m ON m.id = o.media
        WHERE o.store = $1 AND o.state = 'stored' AND o.superseded_at < $2 AND (o.superseded_at, o.id) > ($3, $4)
            {bound if rehearsal else ""}
        ORDER BY o.superseded_at, o.id LIMIT {int(limit)} {"FOR UPDATE OF m SKIP LOCKED" if lock else ""}
        """,
        *(store, old_cutoff(policy, cutoff), after.at, after.id, *([rehearsal] if rehearsal else [])),
    )
    rows = await connection.fetch(
        f"""
        SELECT m.id AS media, m.pid, o.superseded_at AS due_at, o.id AS object, o.version, 1 AS objects, o.size AS bytes,
            EXISTS ({HOLDS}) AS held, m.tags && $2 OR coalesce(m.metadata @@ $3::text::jsonpath, false) AS exempt
        FROM stored_object o JOIN media m ON m.id = o.media
        WHERE o.id = ANY ($1) AND o.state = 'stored' AND m.current_object IS DISTINCT FROM o.id ORDER BY o.superseded_at, o.id
        """,
        [row["id"] for row in ids],
        list(policy.exempt_tags),
        policy.exempt_where,
    )
    return [Due(**row) for row in rows], _mark(ids)


def _mark(rows: Sequence[Any]) -> Mark | None:
    return Mark(at=rows[-1]["at"], id=rows[-1]["id"]) if rows else None


async def list_items(connection: Connection, sweep: int, items: Sequence[Due]) -> None:
    """Write down what a rehearsal would remove."""
    await connection.execute(
        """
        INSERT INTO sweep_item (sweep, media, version, pid, rule, due_at, object_count, byte_count)
        SELECT $1, * FROM unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[], $8::bigint[])
        ON CONFLICT DO NOTHING
        """,
        sweep,
        [item.media for item in items],
        [item.version or 0 for item in items],
        [item.pid for item in items],
        [item.rule for item in items],
        [item.due_at for item in items],
        [item.objects for item in items],
        [item.bytes for item in items],
    )


async def items(connection: Connection, sweep: int, *, offset: int, limit: int) -> list[SweepItem]:
    rows = await connection.fetch(
        """
        SELECT pid, nullif(version, 0) AS version, rule, due_at, object_count AS objects, byte_count AS bytes
        FROM sweep_item WHERE sweep = $1 ORDER BY due_at, media, version OFFSET $2 LIMIT $3
        """,
        sweep,
        offset,
        limit,
    )
    return [SweepItem(**row) for row in rows]


async def remove_records(connection: Connection, medias: Sequence[int], *, sweep: int, actor: str, lease_s: float) -> list[int]:
    """Decide that these records go: tombstones, history, objects doomed; returns the objects. The caller holds the locks."""
    rows = await connection.fetch(
        """
        WITH named AS (DELETE FROM identifier WHERE media = ANY ($1) RETURNING media, type, value
        ), names AS (SELECT media, jsonb_object_agg(type, value) AS identifiers FROM named GROUP BY media
        ), before AS (
            SELECT m.id, m.status, m.expires_at, coalesce(n.identifiers, '{}') AS identifiers
            FROM media m LEFT JOIN names n ON n.media = m.id WHERE m.id = ANY ($1)
        ), gone AS (
            UPDATE media m SET status = 'deleted', status_reason = 'expired', current_object = NULL, deleted_at = now(),
                updated_at = now(), revision = m.revision + 1
            FROM before b WHERE m.id = b.id RETURNING m.id, m.pid, m.revision, b.status, b.expires_at, b.identifiers
        ), noted AS (
            INSERT INTO history (kind, subject, media, revision, actor, action, changes)
            SELECT 'media', pid, id, revision, $3, 'deleted', jsonb_build_object(
                'status', jsonb_build_object('before', status, 'after', 'deleted'),
                'identifiers', jsonb_build_object('before', identifiers, 'after', '{}'::jsonb),
                'rule', jsonb_build_object('before', NULL, 'after', 'expired'),
                'expires_at', jsonb_build_object('before', expires_at, 'after', expires_at),
                'sweep', jsonb_build_object('before', NULL, 'after', $2::bigint)) FROM gone
        )
        UPDATE stored_object SET state = 'purging', state_reason = 'expired', doomed_at = now(), sweep = $2,
            next_attempt_at = now() + make_interval(secs => $4)
        WHERE media = ANY ($1) AND state NOT IN ('writing', 'verifying', 'purging', 'purged') RETURNING id
        """,
        medias,
        sweep,
        actor,
        lease_s,
    )
    return [row["id"] for row in rows]


async def remove_versions(connection: Connection, objects: Sequence[int], *, sweep: int, actor: str, lease_s: float) -> list[int]:
    """Decide that these old contents go; returns the objects. The caller holds the locks of their records."""
    rows = await connection.fetch(
        """
        WITH gone AS (
            UPDATE stored_object SET state = 'purging', state_reason = 'old version', doomed_at = now(), sweep = $2,
                next_attempt_at = now() + make_interval(secs => $4)
            WHERE id = ANY ($1) AND state = 'stored' RETURNING id, media, version, size
        ), noted AS (
            INSERT INTO history (kind, subject, media, revision, actor, action, changes)
            SELECT 'media', m.pid, m.id, m.revision, $3, 'version_removed', jsonb_build_object(
                'version', jsonb_build_object('before', g.version, 'after', NULL),
                'rule', jsonb_build_object('before', NULL, 'after', 'old version'),
                'sweep', jsonb_build_object('before', NULL, 'after', $2::bigint))
            FROM gone g JOIN media m ON m.id = g.media
        ) SELECT id FROM gone
        """,
        objects,
        sweep,
        actor,
        lease_s,
    )
    return [row["id"] for row in rows]


async def unfinished(connection: Connection, sweep: int, *, after: int, limit: int) -> list[int]:
    """Objects that this sweep decided to remove, and whose bytes nobody has removed yet, in order of their ids."""
    rows = await connection.fetch(
        """
        SELECT id FROM stored_object
        WHERE sweep = $1 AND state = 'purging' AND attempts = 0 AND receipt IS NULL AND id > $2 ORDER BY id LIMIT $3
        """,
        sweep,
        after,
        limit,
    )
    return [row["id"] for row in rows]


async def braked(connection: Connection) -> dict[str, str]:
    """Why sweeps wait, by store."""
    rows = await connection.fetch(
        "SELECT name, brake ->> 'reason' AS reason FROM store WHERE brake IS NOT NULL AND deleted_at IS NULL"
    )
    return {row["name"]: row["reason"] for row in rows}


class Totals(Struct, frozen=True, kw_only=True):
    """What the sweeps of a store have removed since ever."""

    store: str
    objects: int
    bytes: int


async def totals(connection: Connection) -> list[Totals]:
    rows = await connection.fetch(
        """
        SELECT s.name AS store, coalesce(sum(w.object_count), 0)::bigint AS objects,
            coalesce(sum(w.bytes_freed), 0)::bigint AS bytes
        FROM store s LEFT JOIN sweep w ON w.store = s.id AND NOT w.dry_run WHERE s.deleted_at IS NULL GROUP BY s.name
        """
    )
    return [Totals(**row) for row in rows]
