"""Many records in a few statements: locked in one order, changed and deleted together, each with its line of history."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Raw, Struct

from mediastore.catalog.queries import IdentifierChange, MediaRow, NewIdentifier
from mediastore.catalog.schemas import Access
from mediastore.database import Connection
from mediastore.events.schemas import Change


class Sized(Struct, frozen=True, kw_only=True):
    """A record that is there, and how long its metadata is, written out."""

    pid: str
    bytes: int


SIZES = "SELECT pid, octet_length(metadata::text) AS bytes FROM media WHERE pid = ANY ($1)"


async def sizes(connection: Connection, pids: Sequence[str], *, lock: bool = False) -> dict[str, int]:
    """Of those of these records that are there: the bytes of their metadata.

    Locked in the order of their ids, so that no two who lock many wait for each other in a circle.
    """
    rows = await connection.fetch(f"{SIZES} ORDER BY id FOR UPDATE" if lock else SIZES, pids)
    return {row["pid"]: row["bytes"] for row in rows}


class Update(Struct, frozen=True, kw_only=True):
    """A record as it is to be, what of its identifiers changes, and what of all that is news."""

    id: int
    metadata: Raw | None
    """None where it stays: it can be large."""
    tags: list[str]
    owner: str
    access: Access
    readers: list[str]
    writers: list[str]
    public_at: datetime | None
    store: int
    expires_at: datetime | None
    gone: list[str]
    named: list[NewIdentifier]
    changes: Mapping[str, Change]


def update_of(before: MediaRow, after: MediaRow, names: IdentifierChange | None, changes: Mapping[str, Change]) -> Update:
    return Update(
        id=after.id,
        metadata=None if after.metadata is before.metadata else after.metadata,
        tags=after.tags,
        owner=after.owner,
        access=after.access,
        readers=after.readers,
        writers=after.writers,
        public_at=after.public_at,
        store=after.store,
        expires_at=after.expires_at,
        gone=names.removed if names else [],
        named=names.added if names else [],
        changes=changes,
    )


class Changed(Struct, frozen=True, kw_only=True):
    id: int
    revision: int
    updated_at: datetime


UPDATE_MEDIAS = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1) AS x (
        id bigint, metadata jsonb, tags text[], owner text, access text, readers text[], writers text[], public_at timestamptz,
        store bigint, expires_at timestamptz, changes jsonb)
), changed AS (
    UPDATE media m SET metadata = coalesce(given.metadata, m.metadata), tags = given.tags, owner = given.owner,
        access = given.access, readers = given.readers, writers = given.writers, public_at = given.public_at,
        store = given.store, expires_at = given.expires_at, revision = m.revision + 1, updated_at = now()
    FROM given WHERE m.id = given.id
    RETURNING m.id, m.pid, m.revision, m.updated_at
), noted AS (
    INSERT INTO history (kind, subject, media, revision, actor, action, changes, request_id)
    SELECT 'media', changed.pid, changed.id, changed.revision, $2, 'changed', given.changes, $3
    FROM changed JOIN given USING (id)
)
SELECT id, revision, updated_at FROM changed
"""

TAKE_NAMES = """
DELETE FROM identifier i USING jsonb_to_recordset($1) AS given (id bigint, gone text[])
WHERE i.media = given.id AND i.type = ANY (given.gone)
"""

GIVE_NAMES = """
WITH wanted AS MATERIALIZED (
    SELECT given.id, i.type, i.value
    FROM jsonb_to_recordset($1) AS given (id bigint, named jsonb), jsonb_to_recordset(given.named) AS i (type text, value text)
), types AS MATERIALIZED (
    -- Locked, so that a type's uniqueness holds from the moment when it is said.
    SELECT name, is_unique FROM identifier_type WHERE name IN (SELECT type FROM wanted) FOR SHARE
)
INSERT INTO identifier (media, type, value, is_unique)
SELECT wanted.id, wanted.type, wanted.value, types.is_unique FROM wanted LEFT JOIN types ON types.name = wanted.type
ON CONFLICT ON CONSTRAINT identifier_pkey DO UPDATE SET value = excluded.value, is_unique = excluded.is_unique
"""


async def update_medias(
    connection: Connection, updates: Sequence[Update], *, actor: str, request_id: str | None
) -> dict[int, Changed]:
    """Write these changes, each of another record. The caller holds their locks."""
    rows = await connection.fetch(UPDATE_MEDIAS, updates, actor, request_id)
    if gone := [update for update in updates if update.gone]:
        await connection.execute(TAKE_NAMES, gone)
    if named := [update for update in updates if update.named]:
        await connection.execute(GIVE_NAMES, named)
    return {row["id"]: Changed(**row) for row in rows}


class Deletion(Struct, frozen=True, kw_only=True):
    id: int
    changes: Mapping[str, Change]


DELETE_MEDIAS = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1) AS x (id bigint, changes jsonb)
), deleted AS (
    UPDATE media m SET status = 'deleted', status_reason = NULL, current_object = NULL, deleted_at = now(), updated_at = now(),
        revision = m.revision + 1
    FROM given WHERE m.id = given.id
    RETURNING m.id, m.pid, m.revision
), unnamed AS (
    DELETE FROM identifier WHERE media IN (SELECT id FROM given)
)
INSERT INTO history (kind, subject, media, revision, actor, action, changes, request_id)
SELECT 'media', deleted.pid, deleted.id, deleted.revision, $2, 'deleted', given.changes, $3
FROM deleted JOIN given USING (id)
"""


async def delete_medias(connection: Connection, deletions: Sequence[Deletion], *, actor: str, request_id: str | None) -> None:
    """Make tombstones. The caller holds the records' locks, and has doomed their objects."""
    await connection.execute(DELETE_MEDIAS, deletions, actor, request_id)
