"""Sweeps in the database: who runs one, what it has come to, and its report."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from msgspec import Struct

from mediastore.database import Connection
from mediastore.placement.schemas import Retention
from mediastore.retention.due_queries import Due
from mediastore.retention.schemas import SweepItem


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


class Terms(Struct, frozen=True, kw_only=True):
    """On whose word a sweep goes, and how far that goes."""

    rehearsal: int | None
    approved: bool


async def take_over(
    connection: Connection, store: int, *, runner: UUID, lease_s: float, terms: Terms | None = None
) -> int | None:
    """The sweep of a process that shows no life any more, now ours. What is kept will be counted anew: it is still there.

    With `terms`, only one that was begun on the same.
    """
    id: int | None = await connection.fetchval(
        """
        UPDATE sweep SET runner = $2, lease_until = now() + make_interval(secs => $3), held = 0, exempt = 0
        WHERE store = $1 AND state = 'running' AND NOT dry_run AND lease_until < now()
            AND ($4::boolean IS NULL OR approved = $4 AND rehearsal IS NOT DISTINCT FROM $5::bigint) RETURNING id
        """,
        store,
        runner,
        lease_s,
        terms.approved if terms else None,
        terms.rehearsal if terms else None,
    )
    return id


async def end_dead(connection: Connection, store: int | None = None) -> None:
    """End sweeps of processes that show no life any more: that of this store, or else all that nobody will go on with. What they
    decided stays decided, and the clean-up removes it.
    """
    dead = (
        "dry_run OR EXISTS (SELECT FROM store s WHERE s.id = w.store AND (NOT s.enabled OR s.brake IS NOT NULL))"
        if store is None
        else "store = $1 AND NOT dry_run"
    )
    await connection.execute(
        f"""
        UPDATE sweep w SET state = 'failed', detail = 'its process ended, and no other goes on with it', finished_at = now(),
            {ADDED_UP} WHERE state = 'running' AND lease_until < now() AND ({dead})
        """,
        *([] if store is None else [store]),
    )


async def began_before(connection: Connection, store: int, sweep: int) -> datetime | None:
    """When the sweep before this one began."""
    began: datetime | None = await connection.fetchval(
        "SELECT started_at FROM sweep WHERE store = $1 AND id < $2 AND NOT dry_run ORDER BY id DESC LIMIT 1", store, sweep
    )
    return began


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


async def latest_sweeps(connection: Connection) -> list[SweepRow]:
    """Of each store the sweep that began last; rehearsals are none."""
    rows = await connection.fetch(
        f"""
        SELECT l.* FROM store t CROSS JOIN LATERAL (
            {SWEEPS} WHERE w.store = t.id AND NOT w.dry_run ORDER BY w.id DESC LIMIT 1
        ) l WHERE t.deleted_at IS NULL
        """
    )
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


async def forget_items(connection: Connection, store: int, *, after: timedelta) -> None:
    """Lists of rehearsals that were too old long ago to be carried out; their reports stay."""
    await connection.execute(
        """
        DELETE FROM sweep_item i USING sweep w
        WHERE w.id = i.sweep AND w.store = $1 AND w.dry_run AND w.started_at < now() - $2::interval
        """,
        store,
        after,
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
    """Which limit sweeps wait for, by store; nothing that says how much a store holds, for everybody may know this."""
    rows = await connection.fetch(
        "SELECT name, brake ->> 'stopped_by' AS stopped_by FROM store WHERE brake IS NOT NULL AND deleted_at IS NULL"
    )
    return {row["name"]: f"sweeps wait for an administrator's word: {row['stopped_by']}" for row in rows}


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
