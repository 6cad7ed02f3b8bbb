"""The contents of a record, one version after the other, in the database."""

from datetime import datetime

from msgspec import Raw, Struct

from mediastore.catalog.schemas import Version
from mediastore.database import Connection


async def versions(connection: Connection, media: int) -> list[Version]:
    """The contents of a record that were verified once, newest first."""
    rows = await connection.fetch(
        """
        SELECT o.version, o.id IS NOT DISTINCT FROM m.current_object AS current, o.state, s.name AS store, o.filename,
            o.media_type, o.size, o.stored_at, o.checksums, o.checked_at, o.fixity
        FROM stored_object o JOIN media m ON m.id = o.media JOIN store s ON s.id = o.store
        WHERE o.media = $1 AND o.stored_at IS NOT NULL ORDER BY o.version DESC, o.id
        """,
        media,
    )
    return [Version(**row) for row in rows]


class Receipt(Struct, frozen=True, kw_only=True):
    """What became of the bytes of one content of a record that is gone."""

    version: int
    state: str
    """`purged`: the store has let go of them; else they are on their way."""
    size: int
    receipt: Raw | None


async def receipts(connection: Connection, media: int) -> list[Receipt]:
    """Of every content that the record ever had, newest first."""
    rows = await connection.fetch(
        """
        SELECT version, state, size, receipt FROM stored_object
        WHERE media = $1 AND stored_at IS NOT NULL ORDER BY version DESC, id LIMIT 100
        """,
        media,
    )
    return [Receipt(**row) for row in rows]


class StoredVersion(Struct, frozen=True, kw_only=True):
    """One content of a record and where it lies."""

    object: int
    object_key: str
    object_store: int
    object_store_revision: int
    object_state: str
    version: int
    filename: str | None
    media_type: str
    size: int
    stored_at: datetime
    checksums: Raw


async def version(connection: Connection, media: int, number: int) -> StoredVersion | None:
    row = await connection.fetchrow(
        """
        SELECT o.id AS object, o.key AS object_key, o.store AS object_store, s.revision AS object_store_revision,
            o.state AS object_state, o.version, o.filename, o.media_type, o.size, o.stored_at, o.checksums
        FROM stored_object o JOIN store s ON s.id = o.store WHERE o.media = $1 AND o.version = $2 AND o.stored_at IS NOT NULL
        ORDER BY o.id LIMIT 1
        """,
        media,
        number,
    )
    return StoredVersion(**row) if row else None
