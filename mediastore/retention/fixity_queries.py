"""Stored objects whose bytes are to be compared with their checksums, and what came of it."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Raw, Struct

from mediastore.database import Connection
from mediastore.events import queries as events
from mediastore.events.schemas import NOT_A_PERSON, Change
from mediastore.retention.upkeep_schemas import Fixity


class CheckRow(Struct, frozen=True, kw_only=True):
    """An object that is to be read."""

    id: int
    store: int
    key: str
    size: int
    checksums: Raw
    checked_at: datetime | None


class ShownRow(Struct, frozen=True, kw_only=True):
    version: int
    fixity: Fixity | None
    checked_at: datetime | None
    detail: str | None


class Trouble(Struct, frozen=True, kw_only=True):
    """Objects of a store whose last comparison did not go well."""

    store: str
    fixity: Fixity
    objects: int


CHECKS = "SELECT id, store, key, size, checksums, checked_at FROM stored_object"


async def due_out_of_turn(connection: Connection, store: int, *, at: datetime, limit: int) -> list[CheckRow]:
    rows = await connection.fetch(
        f"{CHECKS} WHERE store = $1 AND recheck_at <= $2 AND state = 'stored' ORDER BY recheck_at LIMIT $3", store, at, limit
    )
    return [CheckRow(**row) for row in rows]


async def due(connection: Connection, store: int, *, before: datetime, limit: int) -> list[CheckRow]:
    """Those that have not been compared since `before`, oldest first."""
    rows = await connection.fetch(
        f"{CHECKS} WHERE store = $1 AND state = 'stored' AND checked_at < $2 ORDER BY checked_at LIMIT $3", store, before, limit
    )
    return [CheckRow(**row) for row in rows]


async def stored_by_id(connection: Connection, object: int) -> CheckRow | None:
    row = await connection.fetchrow(f"{CHECKS} WHERE id = $1 AND state = 'stored'", object)
    return CheckRow(**row) if row else None


async def shown(connection: Connection, object: int) -> ShownRow | None:
    row = await connection.fetchrow(
        "SELECT version, fixity, checked_at, fixity_detail AS detail FROM stored_object WHERE id = $1", object
    )
    return ShownRow(**row) if row else None


async def byte_count(connection: Connection, store: int) -> int:
    """What the store holds; kept by triggers, not counted."""
    count: int = await connection.fetchval("SELECT coalesce(sum(byte_count), 0)::bigint FROM store_usage WHERE store = $1", store)
    return count


async def note_result(
    connection: Connection,
    object: int,
    *,
    result: Fixity,
    detail: str | None,
    began_at: datetime,
    at: datetime,
    recheck_at: datetime | None,
) -> None:
    """Keep a result, unless a comparison that began later has left one. The history tells of bytes that became others."""
    row = await connection.fetchrow(
        """
        UPDATE stored_object o SET checked_at = $4, fixity = $2, fixity_detail = $3, recheck_at = $6
        FROM stored_object b LEFT JOIN media m ON m.id = b.media
        WHERE b.id = $1 AND o.id = b.id AND o.state = 'stored' AND (o.checked_at IS NULL OR o.checked_at <= $5)
        RETURNING b.fixity AS before, m.id AS media, m.pid, o.version
        """,
        object,
        result,
        detail,
        at,
        began_at,
        recheck_at,
    )
    if row is None or row["media"] is None or row["before"] == result or "mismatch" not in {row["before"], result}:
        return
    await events.append(
        connection,
        kind="media",
        subject=row["pid"],
        media=row["media"],
        actor=NOT_A_PERSON,
        action="fixity",
        changes={
            "fixity": Change(before=row["before"], after=result),
            "version": Change(after=row["version"]),
            "detail": Change(after=detail),
        },
        request_id=None,
    )


async def count_read(connection: Connection, store: int, *, objects: int, size: int) -> None:
    """For the metrics."""
    await connection.execute(
        """
        INSERT INTO upkeep AS u (store, task, objects_read, bytes_read) VALUES ($1, 'fixity', $2, $3)
        ON CONFLICT ON CONSTRAINT upkeep_pkey DO UPDATE
            SET objects_read = u.objects_read + $2, bytes_read = u.bytes_read + $3
        """,
        store,
        objects,
        size,
    )


async def troubles(connection: Connection, *, of: Sequence[Fixity] = ("mismatch", "missing", "error")) -> list[Trouble]:
    """By the index of what is to be compared out of turn, in which everything is that did not go well."""
    rows = await connection.fetch(
        """
        SELECT s.name AS store, o.fixity, count(*) AS objects FROM stored_object o JOIN store s ON s.id = o.store
        WHERE o.recheck_at IS NOT NULL AND o.state = 'stored' AND o.fixity = ANY ($1) AND s.deleted_at IS NULL
        GROUP BY s.name, o.fixity ORDER BY s.name, o.fixity
        """,
        list(of),
    )
    return [Trouble(**row) for row in rows]
