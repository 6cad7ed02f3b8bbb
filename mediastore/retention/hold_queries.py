"""Holds in the database, and what else decides about one record."""

from datetime import datetime
from uuid import UUID

from mediastore.database import Connection
from mediastore.placement.queries import exempt
from mediastore.retention.schemas import Hold

COLUMNS = "id, placed_by, reason, until, created_at"


async def insert_hold(
    connection: Connection, *, id: UUID, media: int, placed_by: str, reason: str, until: datetime | None
) -> Hold:
    row = await connection.fetchrow(
        f"INSERT INTO hold (id, media, placed_by, reason, until) VALUES ($1, $2, $3, $4, $5) RETURNING {COLUMNS}",
        id,
        media,
        placed_by,
        reason,
        until,
    )
    assert row is not None  # noqa: S101 - it was just inserted
    return Hold(**row)


async def hold(connection: Connection, media: int, id: UUID) -> Hold | None:
    """A hold of this record, lifted or not."""
    row = await connection.fetchrow(f"SELECT {COLUMNS} FROM hold WHERE media = $1 AND id = $2", media, id)
    return Hold(**row) if row else None


async def holds(connection: Connection, media: int) -> list[Hold]:
    """Those that stand."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM hold WHERE media = $1 AND lifted_at IS NULL AND (until IS NULL OR until > now())
        ORDER BY created_at, id
        """,
        media,
    )
    return [Hold(**row) for row in rows]


async def lift_hold(connection: Connection, id: UUID, *, lifted_by: str) -> bool:
    """Whether it stood until now."""
    done = await connection.fetchval(
        "UPDATE hold SET lifted_by = $2, lifted_at = now() WHERE id = $1 AND lifted_at IS NULL RETURNING true", id, lifted_by
    )
    return bool(done)


async def matches(connection: Connection, media: int, path: str | None) -> bool:
    """Whether the record's metadata match the SQL/JSON path."""
    if path is None:
        return False
    return bool(await connection.fetchval(f"SELECT {exempt('metadata', '$2')} FROM media WHERE id = $1", media, path))


async def oldest_version(connection: Connection, media: int) -> datetime | None:
    """Since when the record has an old content that is still there."""
    since: datetime | None = await connection.fetchval(
        "SELECT min(superseded_at) FROM stored_object WHERE media = $1 AND state = 'stored'", media
    )
    return since
