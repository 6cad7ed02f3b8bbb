"""What of a store is due, what that weighs, and the decision that it goes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from mediastore.database import Connection
from mediastore.placement.queries import exempt
from mediastore.placement.schemas import Retention
from mediastore.retention.schemas import Rule

HOLDS = "SELECT FROM hold h WHERE h.media = m.id AND h.lifted_at IS NULL AND (h.until IS NULL OR h.until > now())"


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


class Weight(Struct, frozen=True, kw_only=True):
    records: int
    """And old versions."""
    objects: int
    bytes: int


def weight_of(due: Sequence[Due]) -> Weight:
    return Weight(records=len(due), objects=sum(item.objects for item in due), bytes=sum(item.bytes for item in due))


class Mark(Struct, frozen=True, kw_only=True):
    """How far a sweep has come: `due_at` and id of the last that it looked at."""

    at: datetime
    id: int


async def weigh(connection: Connection, store: int, policy: Retention, *, cutoff: datetime) -> Weight:
    """What a sweep would remove at this moment; counting ends above as many records as one may."""
    row = await connection.fetchrow(
        f"""
        WITH due AS (
            SELECT m.id FROM media m WHERE m.store = $1 AND m.expires_at < $2 AND m.deleted_at IS NULL
                AND NOT EXISTS ({HOLDS}) AND NOT m.tags && $3 AND NOT {exempt("m.metadata", "$4")}
            ORDER BY m.expires_at, m.id LIMIT $6
        ), old AS (
            SELECT o.size FROM stored_object o JOIN media m ON m.id = o.media
            WHERE o.store = $1 AND o.state = 'stored' AND o.superseded_at < $5 AND m.id NOT IN (SELECT id FROM due)
                AND NOT EXISTS ({HOLDS}) AND NOT m.tags && $3 AND NOT {exempt("m.metadata", "$4")}
            ORDER BY o.superseded_at LIMIT $6
        ), gone AS (
            SELECT o.size FROM stored_object o WHERE o.media IN (SELECT id FROM due) AND o.state = 'stored'
            UNION ALL SELECT size FROM old
        ) SELECT (SELECT count(*) FROM due) + (SELECT count(*) FROM old) AS records, count(*) AS objects,
            coalesce(sum(size), 0)::bigint AS bytes FROM gone
        """,
        store,
        cutoff,
        list(policy.exempt_tags),
        policy.exempt_where,
        old_cutoff(policy, cutoff),
        policy.max_objects_per_run + 1,
    )
    assert row is not None  # noqa: S101 - an aggregate
    return Weight(**row)


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
    bound = (
        "AND EXISTS (SELECT FROM sweep_item i WHERE i.sweep = $5 AND i.media = m.id AND i.version = 0 "
        "AND i.due_at = m.expires_at)"
    )
    ids = await connection.fetch(
        f"""
        SELECT m.id, m.expires_at AS at FROM media m
        WHERE m.store = $1 AND m.expires_at < $2 AND m.deleted_at IS NULL AND (m.expires_at, m.id) > ($3, $4)
            {bound if rehearsal else ""}
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
            EXISTS ({HOLDS}) AS held, m.tags && $2 OR {exempt("m.metadata", "$3")} AS exempt
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
    bound = (
        "AND EXISTS (SELECT FROM sweep_item i WHERE i.sweep = $5 AND i.media = o.media AND i.version = o.version "
        "AND i.due_at = o.superseded_at)"
    )
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
            EXISTS ({HOLDS}) AS held, m.tags && $2 OR {exempt("m.metadata", "$3")} AS exempt
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
