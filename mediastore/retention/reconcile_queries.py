"""Rows beside a store's listing: comparisons, and objects that are asked for again."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from mediastore.database import Connection
from mediastore.retention.upkeep_schemas import Counts, Reconciliation, StoppedBy


class ObjectRow(Struct, frozen=True, kw_only=True):
    id: int
    key: str
    state: str
    size: int | None


class RunRow(Struct, frozen=True, kw_only=True):
    """A comparison that is asked for, under way or done."""

    id: int
    store: int
    store_name: str
    asked_by: str
    asked_at: datetime
    believe_missing: bool
    believe_unknown: bool
    began_at: datetime | None
    ended_at: datetime | None
    after_key: str
    counts: Raw
    stopped_by: StoppedBy | None
    reason: str | None

    def counted(self) -> Counts:
        return msgspec.json.decode(self.counts, type=Counts)

    def shown(self) -> Reconciliation:
        took = (self.ended_at - self.began_at).total_seconds() if self.ended_at and self.began_at else None
        return Reconciliation(
            id=self.id,
            store=self.store_name,
            asked_by=self.asked_by,
            asked_at=self.asked_at,
            began_at=self.began_at,
            ended_at=self.ended_at,
            duration_s=took,
            counts=self.counted(),
            stopped_by=self.stopped_by,
            reason=self.reason,
        )


class MissingRow(Struct, frozen=True, kw_only=True):
    """An object that was declared missing."""

    id: int
    key: str
    size: int
    checksums: Raw


class AbsenceRow(Struct, frozen=True, kw_only=True):
    object: int
    key: str
    asked: int
    first_asked_at: datetime | None


# The listing's order is that of the keys' bytes, whatever the collation of the database; an index has it. Where the planner knows
# too little of a store that was just filled, it would rather sort all of it, for each page.
IN_ORDER = "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off"
ROWS_AFTER = """
SELECT id, key, state, size FROM stored_object WHERE store = $1 AND key COLLATE "C" > $2 ORDER BY key COLLATE "C" LIMIT $3
"""

# Between the first and the last of the keys, so that where the planner knows too little of a store, and takes the index of the
# listing for its first column alone, it does not read all of the store.
ROWS_AT = """
SELECT id, key, state, size FROM stored_object
WHERE store = $1 AND key = ANY ($2) AND key COLLATE "C" BETWEEN $3 AND $4
"""

RUNS = """
SELECT r.id, r.store, s.name AS store_name, r.asked_by, r.asked_at, r.believe_missing, r.believe_unknown, r.began_at, r.ended_at,
    r.after_key, r.counts, r.stopped_by, r.reason
FROM reconciliation r JOIN store s ON s.id = r.store
"""


async def rows_after(connection: Connection, store: int, after: str, limit: int) -> list[ObjectRow]:
    """The next rows by key, in a transaction of the caller's."""
    await connection.execute(IN_ORDER)
    rows = await connection.fetch(ROWS_AFTER, store, after, limit)
    return [ObjectRow(id=row[0], key=row[1], state=row[2], size=row[3]) for row in rows]


async def rows_at(connection: Connection, store: int, keys: Sequence[str]) -> dict[str, ObjectRow]:
    """The rows of these keys as they are at this moment."""
    rows = await connection.fetch(ROWS_AT, store, keys, min(keys, default=""), max(keys, default=""))
    return {row["key"]: ObjectRow(**row) for row in rows}


async def stored_count(connection: Connection, store: int) -> int:
    """How many objects should be in the store; kept by triggers, not counted."""
    count: int = await connection.fetchval(
        "SELECT coalesce(sum(object_count), 0)::bigint FROM store_usage WHERE store = $1", store
    )
    return count


async def ask_for_run(
    connection: Connection, store: int, *, asked_by: str, believe_missing: bool = False, believe_unknown: bool = False
) -> int:
    """The comparison of the store that is open, made if there is none; an administrator's word is added to it."""
    id: int = await connection.fetchval(
        """
        INSERT INTO reconciliation AS r (store, asked_by, believe_missing, believe_unknown) VALUES ($1, $2, $3, $4)
        ON CONFLICT (store) WHERE ended_at IS NULL DO UPDATE
            SET believe_missing = r.believe_missing OR $3, believe_unknown = r.believe_unknown OR $4
        RETURNING id
        """,
        store,
        asked_by,
        believe_missing,
        believe_unknown,
    )
    return id


async def begin_run(connection: Connection, store: int, *, at: datetime) -> RunRow | None:
    """The open comparison of the store, begun, or gone on with where somebody has begun it; None if none is open."""
    await connection.execute(
        "UPDATE reconciliation SET began_at = $2 WHERE store = $1 AND ended_at IS NULL AND began_at IS NULL", store, at
    )
    row = await connection.fetchrow(f"{RUNS} WHERE r.store = $1 AND r.ended_at IS NULL", store)
    return RunRow(**row) if row else None


async def note_progress(connection: Connection, run: int, *, after_key: str, counts: Counts) -> None:
    await connection.execute("UPDATE reconciliation SET after_key = $2, counts = $3 WHERE id = $1", run, after_key, counts)


async def end_run(
    connection: Connection, run: int, *, at: datetime, counts: Counts, stopped_by: StoppedBy | None, reason: str | None
) -> None:
    await connection.execute(
        "UPDATE reconciliation SET ended_at = $2, counts = $3, stopped_by = $4, reason = $5 WHERE id = $1 AND ended_at IS NULL",
        run,
        at,
        counts,
        stopped_by,
        reason,
    )


async def run_by_id(connection: Connection, id: int) -> RunRow | None:
    row = await connection.fetchrow(f"{RUNS} WHERE r.id = $1", id)
    return RunRow(**row) if row else None


async def runs_before(connection: Connection, store: int, *, before: int, limit: int) -> list[RunRow]:
    """Newest first."""
    rows = await connection.fetch(f"{RUNS} WHERE r.store = $1 AND r.id < $2 ORDER BY r.id DESC LIMIT $3", store, before, limit)
    return [RunRow(**row) for row in rows]


async def forget_old(connection: Connection, store: int, *, before: datetime) -> None:
    """Reports and findings that were dealt with long ago."""
    await connection.execute("DELETE FROM finding WHERE store = $1 AND done_at < $2", store, before)
    await connection.execute("DELETE FROM reconciliation WHERE store = $1 AND ended_at < $2", store, before)


async def set_problem(connection: Connection, store: int, task: str, *, problem: str | None, at: datetime) -> bool:
    """What is wrong with the store as a whole, or that nothing is. Whether that is news."""
    news = await connection.fetchval(
        """
        UPDATE upkeep u SET problem = $3, problem_at = CASE WHEN $3::text IS NULL THEN NULL ELSE coalesce(u.problem_at, $4) END
        FROM upkeep b WHERE b.store = u.store AND b.task = u.task AND u.store = $1 AND u.task = $2
            AND u.problem IS DISTINCT FROM $3
        RETURNING (b.problem IS NULL) <> ($3 IS NULL)
        """,
        store,
        task,
        problem,
        at,
    )
    return bool(news)


async def believe(connection: Connection, store: int, *, until: datetime) -> None:
    """An administrator has said that so much may be missing."""
    await connection.execute("UPDATE upkeep SET believed_until = $2 WHERE store = $1 AND task = 'reconcile'", store, until)


async def is_believed(connection: Connection, store: int, *, at: datetime) -> bool:
    until = await connection.fetchval("SELECT believed_until FROM upkeep WHERE store = $1 AND task = 'reconcile'", store)
    return until is not None and until > at


# What is not found.


async def note_absent(connection: Connection, store: int, objects: Sequence[int], *, revision: int, at: datetime) -> int:
    """Write down that these are not listed; returns how many of them still should be there."""
    rows = await connection.fetch(
        """
        WITH still AS (SELECT id FROM stored_object WHERE id = ANY ($2) AND state = 'stored'),
        noted AS (
            INSERT INTO absence AS a (stored_object, store, store_revision, next_ask_at) SELECT id, $1, $3, $4 FROM still
            ON CONFLICT ON CONSTRAINT absence_pkey DO UPDATE
                SET store_revision = $3, asked = 0, first_asked_at = NULL, next_ask_at = $4 WHERE a.store_revision <> $3
        )
        SELECT id FROM still
        """,
        store,
        objects,
        revision,
        at,
    )
    return len(rows)


async def due_absences(connection: Connection, store: int, *, at: datetime, after: int, limit: int) -> list[AbsenceRow]:
    rows = await connection.fetch(
        """
        SELECT a.stored_object AS object, o.key, a.asked, a.first_asked_at
        FROM absence a JOIN stored_object o ON o.id = a.stored_object
        WHERE a.store = $1 AND a.next_ask_at <= $2 AND a.stored_object > $3 ORDER BY a.stored_object LIMIT $4
        """,
        store,
        at,
        after,
        limit,
    )
    return [AbsenceRow(**row) for row in rows]


async def note_asked(
    connection: Connection, store: int, objects: Sequence[int], *, revision: int, at: datetime, next_at: datetime
) -> None:
    """The store said of these that they are not there. Under other settings than the last time the asking begins anew."""
    await connection.execute(
        """
        UPDATE absence SET asked = CASE WHEN store_revision = $3 THEN asked + 1 ELSE 1 END,
            first_asked_at = CASE WHEN store_revision = $3 THEN coalesce(first_asked_at, $4) ELSE $4 END,
            store_revision = $3, next_ask_at = $5
        WHERE store = $1 AND stored_object = ANY ($2)
        """,
        store,
        objects,
        revision,
        at,
        next_at,
    )


async def note_first_asked(connection: Connection, object: int, *, at: datetime, next_at: datetime) -> None:
    """The store has just said that it is not there; no ask of a comparison that was not due yet counts twice."""
    await connection.execute(
        "UPDATE absence SET asked = 1, first_asked_at = $2, next_ask_at = $3 WHERE stored_object = $1 AND asked = 0",
        object,
        at,
        next_at,
    )


async def drop_absences(connection: Connection, objects: Sequence[int]) -> None:
    await connection.execute("DELETE FROM absence WHERE stored_object = ANY ($1)", objects)


async def drop_all_absences(connection: Connection, store: int) -> None:
    """What a store said that has a problem is no evidence."""
    await connection.execute("DELETE FROM absence WHERE store = $1", store)


async def drop_settled_absences(connection: Connection, store: int) -> None:
    """Of objects that need not be there any more, or were declared missing."""
    await connection.execute(
        """
        DELETE FROM absence a USING stored_object o WHERE a.store = $1 AND o.id = a.stored_object AND o.state <> 'stored'
        """,
        store,
    )


async def absent_count(connection: Connection, store: int) -> int:
    """How many objects the store was asked for in vain."""
    count: int = await connection.fetchval("SELECT count(*) FROM absence WHERE store = $1 AND asked > 0", store)
    return count


async def believable(connection: Connection, store: int, *, revision: int, asked: int, since: datetime, limit: int) -> list[int]:
    """Objects that the store was asked for so often, and for so long, always under the settings of today."""
    rows = await connection.fetch(
        """
        SELECT stored_object FROM absence WHERE store = $1 AND store_revision = $2 AND asked >= $3 AND first_asked_at <= $4
        ORDER BY stored_object LIMIT $5
        """,
        store,
        revision,
        asked,
        since,
        limit,
    )
    return [row["stored_object"] for row in rows]


async def others_than_absent(connection: Connection, store: int, *, after: str, limit: int) -> list[str]:
    """Keys of objects that should be there and are not among the absent, from some key on."""
    rows = await connection.fetch(
        """
        SELECT key FROM stored_object o WHERE store = $1 AND state = 'stored' AND key COLLATE "C" > $2
            AND NOT EXISTS (SELECT FROM absence WHERE stored_object = o.id)
        ORDER BY key COLLATE "C" LIMIT $3
        """,
        store,
        after,
        limit,
    )
    return [row["key"] for row in rows]


class Declared(Struct, frozen=True, kw_only=True):
    missing: int
    lost: int


async def lock_records(connection: Connection, objects: Sequence[int]) -> None:
    """Lock the records of these objects, before the objects, as everywhere."""
    await connection.execute(
        "SELECT FROM media WHERE id IN (SELECT media FROM stored_object WHERE id = ANY ($1)) ORDER BY id FOR UPDATE", objects
    )


async def declare_missing(connection: Connection, objects: Sequence[int], *, reason: str, actor: str, at: datetime) -> Declared:
    """The bytes of these are gone. Records whose content they were are lost; each record's history says so."""
    await lock_records(connection, objects)
    row = await connection.fetchrow(
        """
        WITH missing AS (
            UPDATE stored_object SET state = 'missing', state_reason = $2, fixity = 'missing', fixity_detail = NULL,
                checked_at = $4, recheck_at = NULL
            WHERE id = ANY ($1) AND state = 'stored' RETURNING id, media, version
        ), lost AS (
            UPDATE media m SET status = 'lost', status_reason = $2, revision = m.revision + 1, updated_at = now()
            FROM media b WHERE b.id = m.id AND m.current_object IN (SELECT id FROM missing) AND m.status IN ('ready', 'expired')
            RETURNING m.id, m.pid, m.revision, m.current_object, b.status AS before
        ), noted AS (
            INSERT INTO history (kind, subject, media, revision, actor, action, changes)
            SELECT 'media', pid, id, revision, $3, 'lost', jsonb_build_object(
                'status', jsonb_build_object('before', before, 'after', 'lost'),
                'status_reason', jsonb_build_object('before', NULL, 'after', $2::text)) FROM lost
        ), noted_older AS (
            INSERT INTO history (kind, subject, media, actor, action, changes)
            SELECT 'media', m.pid, m.id, $3, 'missing', jsonb_build_object(
                'version', jsonb_build_object('before', o.version, 'after', NULL),
                'reason', jsonb_build_object('before', NULL, 'after', $2::text))
            FROM missing o JOIN media m ON m.id = o.media WHERE o.id NOT IN (SELECT current_object FROM lost)
        )
        SELECT (SELECT count(*) FROM missing) AS missing, (SELECT count(*) FROM lost) AS lost
        """,
        objects,
        reason,
        actor,
        at,
    )
    await drop_absences(connection, objects)
    return Declared(**row) if row else Declared(missing=0, lost=0)


async def missing_by_id(connection: Connection, object: int) -> MissingRow | None:
    row = await connection.fetchrow(
        "SELECT id, key, size, checksums FROM stored_object WHERE id = $1 AND state = 'missing'", object
    )
    return MissingRow(**row) if row else None


async def set_found(connection: Connection, object: int, *, actor: str, at: datetime) -> bool:
    """The bytes are back and were verified; a record whose content they are is ready again. False where they need not be."""
    await lock_records(connection, [object])
    found = await connection.fetchval(
        """
        WITH found AS (
            UPDATE stored_object SET state = 'stored', state_reason = NULL, fixity = 'ok', fixity_detail = NULL, checked_at = $3,
                recheck_at = NULL
            WHERE id = $1 AND state = 'missing' RETURNING id, media, version
        ), ready AS (
            UPDATE media SET status = 'ready', status_reason = NULL, revision = revision + 1, updated_at = now()
            WHERE current_object IN (SELECT id FROM found) AND status = 'lost' RETURNING id, pid, revision
        ), noted AS (
            INSERT INTO history (kind, subject, media, revision, actor, action, changes)
            SELECT 'media', pid, id, revision, $2, 'found',
                jsonb_build_object('status', jsonb_build_object('before', 'lost', 'after', 'ready')) FROM ready
        ), noted_older AS (
            INSERT INTO history (kind, subject, media, actor, action, changes)
            SELECT 'media', m.pid, m.id, $2, 'found',
                jsonb_build_object('version', jsonb_build_object('before', NULL, 'after', o.version))
            FROM found o JOIN media m ON m.id = o.media WHERE NOT EXISTS (SELECT FROM ready)
        )
        SELECT true FROM found
        """,
        object,
        actor,
        at,
    )
    return bool(found)


async def check_first(connection: Connection, objects: Sequence[int], *, at: datetime) -> None:
    """Have these compared with their checksums out of turn."""
    await connection.execute("UPDATE stored_object SET recheck_at = $2 WHERE id = ANY ($1) AND state = 'stored'", objects, at)
