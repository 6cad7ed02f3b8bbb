"""Declared metadata fields in the database, and their indexes."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from mediastore.catalog.field_paths import shown_path
from mediastore.catalog.field_schemas import FieldType, MetadataField
from mediastore.catalog.field_values import Field
from mediastore.database import Connection


class FieldRow(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    path: list[str]
    type: FieldType
    description: str
    state: str
    problem: str | None
    created_at: datetime
    ready_at: datetime | None

    @property
    def field(self) -> Field:
        return Field(name=self.name, path=self.path, type=self.type)

    def shown(self) -> MetadataField:
        return MetadataField(
            name=self.name,
            path=shown_path(self.path),
            type=self.type,
            description=self.description,
            state=self.state,  # type: ignore[arg-type]  # by constraint
            problem=self.problem,
            created_at=self.created_at,
            ready_at=self.ready_at,
        )


FIELDS = "SELECT id, name, path, type, description, state, problem, created_at, ready_at FROM metadata_field"


async def fields(connection: Connection) -> list[FieldRow]:
    rows = await connection.fetch(f"{FIELDS} ORDER BY name")
    return [FieldRow(**row) for row in rows]


async def field(connection: Connection, name: str, *, lock: bool = False) -> FieldRow | None:
    row = await connection.fetchrow(f"{FIELDS} WHERE name = $1" + (" FOR UPDATE" if lock else ""), name)
    return FieldRow(**row) if row else None


async def field_by_id(connection: Connection, id: int) -> FieldRow | None:
    row = await connection.fetchrow(f"{FIELDS} WHERE id = $1", id)
    return FieldRow(**row) if row else None


async def insert_field(connection: Connection, *, name: str, path: Sequence[str], type: FieldType, description: str) -> FieldRow:
    row = await connection.fetchrow(
        """
        INSERT INTO metadata_field (name, path, type, description) VALUES ($1, $2, $3, $4)
        RETURNING id, name, path, type, description, state, problem, created_at, ready_at
        """,
        name,
        path,
        type,
        description,
    )
    assert row is not None  # noqa: S101 - what was inserted
    return FieldRow(**row)


async def delete_field(connection: Connection, id: int) -> None:
    await connection.execute("DELETE FROM metadata_field WHERE id = $1", id)


async def set_state(connection: Connection, id: int, state: str, *, problem: str | None = None) -> None:
    await connection.execute(
        "UPDATE metadata_field SET state = $2, problem = $3, ready_at = CASE WHEN $2 = 'ready' THEN now() END WHERE id = $1",
        id,
        state,
        problem,
    )


# The index of a field. Its name is the field's id, so that a field that is declared again has another.


def index_name(id: int) -> str:
    return f"media_field_{id}_idx"


async def index_is_valid(connection: Connection, id: int) -> bool | None:
    """None where there is none. One that is not valid was left by a build that did not come to its end."""
    valid: bool | None = await connection.fetchval(
        "SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = to_regclass($1)", index_name(id)
    )
    return valid


async def drop_index(connection: Connection, id: int) -> None:
    """Without keeping writers waiting. Outside of a transaction."""
    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index_name(id)}")


async def build_index(connection: Connection, id: int, expression: str) -> None:
    """Without keeping writers waiting. Outside of a transaction. Records without a value are in it too, for they come last."""
    await connection.execute(f"CREATE INDEX CONCURRENTLY {index_name(id)} ON media ({expression}, id) WHERE deleted_at IS NULL")
    # The planner knows nothing of an expression before it has looked.
    await connection.execute("ANALYZE media")


async def try_lock(connection: Connection, id: int) -> bool:
    """Be the one who builds or drops this index, for as long as the connection lasts."""
    got: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1, $2::int)", INDEX_LOCK, id % 2**31)
    return got


INDEX_LOCK = 1_633_478_511
"""First number of the advisory locks: any constant of our own."""
