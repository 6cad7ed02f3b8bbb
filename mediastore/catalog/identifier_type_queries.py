"""Identifier types in the database."""

from mediastore.catalog.schemas import IdentifierType
from mediastore.database import Connection

IDENTIFIER_TYPE_COLUMNS = 'name, pattern, is_unique AS "unique", description, created_at, updated_at'


async def identifier_types(connection: Connection) -> list[IdentifierType]:
    rows = await connection.fetch(f"SELECT {IDENTIFIER_TYPE_COLUMNS} FROM identifier_type ORDER BY name")
    return [IdentifierType(**row) for row in rows]


async def identifier_type(connection: Connection, name: str, *, lock: bool = False) -> IdentifierType | None:
    row = await connection.fetchrow(
        f"SELECT {IDENTIFIER_TYPE_COLUMNS} FROM identifier_type WHERE name = $1" + (" FOR UPDATE" if lock else ""), name
    )
    return IdentifierType(**row) if row else None


async def insert_identifier_type(connection: Connection, *, name: str, pattern: str, unique: bool, description: str) -> None:
    await connection.execute(
        "INSERT INTO identifier_type (name, pattern, is_unique, description) VALUES ($1, $2, $3, $4)",
        name,
        pattern,
        unique,
        description,
    )


async def update_identifier_type(connection: Connection, *, name: str, pattern: str, unique: bool, description: str) -> None:
    """Write the type; when its uniqueness changes, so does that of every identifier of it, or nothing does."""
    await connection.execute(
        "UPDATE identifier_type SET pattern = $2, is_unique = $3, description = $4, updated_at = now() WHERE name = $1",
        name,
        pattern,
        unique,
        description,
    )
    await connection.execute("UPDATE identifier SET is_unique = $2 WHERE type = $1 AND is_unique <> $2", name, unique)


async def delete_identifier_type(connection: Connection, name: str) -> None:
    # Tombstones forget the type of their PID: it is in their history.
    await connection.execute("UPDATE media SET pid_type = NULL WHERE pid_type = $1 AND status = 'deleted'", name)
    await connection.execute("DELETE FROM identifier_type WHERE name = $1", name)


async def use_of_identifier_type(connection: Connection, name: str) -> int:
    """How many records have an identifier or a PID of this type."""
    count: int = await connection.fetchval(
        """
        SELECT count(*) FROM (
            SELECT id FROM media WHERE pid_type = $1 AND status <> 'deleted'
            UNION SELECT media FROM identifier WHERE type = $1
        ) AS used
        """,
        name,
    )
    return count
