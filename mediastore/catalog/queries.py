"""Records and their identifiers in the database.

Written by hand where it is hot: a record with its content and identifiers is one indexed statement, any number of new records
with their identifiers and history is one statement.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Raw, Struct

from mediastore.catalog.schemas import Access, Content, Media, Status
from mediastore.database import Connection


class ContentRow(Struct, frozen=True, kw_only=True):
    """Who may read a record and whether anyone can, with its current content and where that lies: all that a download needs."""

    id: int
    pid: str
    owner: str
    access: Access
    readers: list[str]
    writers: list[str]
    public_at: datetime | None
    status: Status
    status_reason: str | None
    version: int
    expires_at: datetime | None
    deleted_at: datetime | None
    object: int | None
    object_key: str | None
    object_store: int | None
    object_store_revision: int | None
    object_state: str | None
    filename: str | None
    media_type: str | None
    size: int | None
    stored_at: datetime | None
    checksums: Raw | None

    def status_at(self, now: datetime) -> Status:
        """The status as it is: an expiry that has passed counts, whether or not the sweeper came by."""
        if self.status in {"pending", "ready", "failed"} and self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return self.status


class MediaRow(ContentRow, frozen=True, kw_only=True):
    """A record with its current content and where that lies."""

    pid_type: str | None
    metadata: Raw
    tags: list[str]
    store: int
    store_name: str
    revision: int
    created_at: datetime
    updated_at: datetime
    identifiers: Raw
    held: bool

    def shown(self, now: datetime) -> Media:
        return Media(
            pid=self.pid,
            pid_type=self.pid_type,
            identifiers=self.identifiers,  # type: ignore[arg-type]  # Raw, see Media
            metadata=self.metadata,  # type: ignore[arg-type]  # Raw, see Media
            tags=self.tags,
            store=self.store_name,
            status=self.status_at(now),
            status_reason=self.status_reason,
            version=self.version,
            content=self.content(),
            owner=self.owner,
            access=self.access,
            readers=self.readers,
            writers=self.writers,
            public_at=self.public_at,
            expires_at=self.expires_at,
            held=self.held,
            revision=self.revision,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    def content(self) -> Content | None:
        if self.object is None or self.object_state != "stored":
            return None
        return Content(
            filename=self.filename,
            media_type=self.media_type or "",
            size=self.size or 0,
            stored_at=self.stored_at,  # type: ignore[arg-type]  # stored objects have it, by constraint
            checksums=self.checksums,  # type: ignore[arg-type]  # Raw, see Media
        )


CONTENT_COLUMNS = """
    m.id, m.pid, m.owner, m.access, m.readers, m.writers, m.public_at, m.status, m.status_reason, m.version, m.expires_at,
    m.deleted_at, o.id AS object, o.key AS object_key, o.store AS object_store, os.revision AS object_store_revision,
    o.state AS object_state, o.filename, o.media_type, o.size, o.stored_at, o.checksums
"""
CONTENT_TABLES = """
    media m
    LEFT JOIN stored_object o ON o.id = m.current_object
    LEFT JOIN store os ON os.id = o.store
"""
MEDIA = f"""
SELECT {CONTENT_COLUMNS}, m.pid_type, m.metadata, m.tags, m.store, s.name AS store_name, m.revision, m.created_at, m.updated_at,
    (SELECT coalesce(jsonb_object_agg(i.type, i.value), '{{}}') FROM identifier i WHERE i.media = m.id) AS identifiers,
    EXISTS (SELECT FROM hold h WHERE h.media = m.id AND h.lifted_at IS NULL AND (h.until IS NULL OR h.until > now())) AS held
FROM {CONTENT_TABLES} JOIN store s ON s.id = m.store
"""


CONTENT_BY_PID = f"SELECT {CONTENT_COLUMNS} FROM {CONTENT_TABLES} WHERE m.pid = $1"
MEDIA_BY_PID = f"{MEDIA} WHERE m.pid = $1"
MEDIA_BY_ID = f"{MEDIA} WHERE m.id = $1"


async def media_by_pid(connection: Connection, pid: str, *, lock: bool = False) -> MediaRow | None:
    """The record. Locked first and read then, where it is to be locked: a statement that had to wait for the lock would see the
    record's row as it is, and all that it joins to that row as it was before.
    """
    if lock:
        await connection.execute("SELECT FROM media WHERE pid = $1 FOR UPDATE", pid)
    row = await connection.fetchrow(MEDIA_BY_PID, pid)
    return MediaRow(**row) if row else None


async def content_by_pid(connection: Connection, pid: str) -> ContentRow | None:
    """The record as a download needs it: half the work of reading all of it, and metadata can be large."""
    row = await connection.fetchrow(CONTENT_BY_PID, pid)
    return ContentRow(**row) if row else None


async def media_by_id(connection: Connection, id: int) -> MediaRow | None:
    row = await connection.fetchrow(MEDIA_BY_ID, id)
    return MediaRow(**row) if row else None


async def medias_by_pid(connection: Connection, pids: Sequence[str]) -> dict[str, MediaRow]:
    rows = await connection.fetch(f"{MEDIA} WHERE m.pid = ANY ($1)", pids)
    return {row["pid"]: MediaRow(**row) for row in rows}


READABLE = """(
    $1 OR m.owner = $2 OR m.readers && $3 OR m.writers && $3
    OR CASE WHEN m.public_at IS NULL THEN m.access = 'public' ELSE m.public_at <= $4 END
    OR (m.access = 'internal' AND $2 <> '')
)"""
"""What `accounts.access.may_read` says, in SQL. $1: administrator, $2: name, $3: principals, $4: now. Searches have their own,
by parts that indexes can find: `filter_queries.readable_by`.
"""


async def medias_by_identifier(
    connection: Connection,
    *,
    type: str,
    value: str,
    administrator: bool,
    name: str,
    principals: Sequence[str],
    now: datetime,
    limit: int,
    most_bytes: int,
) -> list[MediaRow]:
    """Records that the caller may read and that have this identifier, or this PID of this type; oldest first, as many as have
    `most_bytes` of metadata.
    """
    rows = await connection.fetch(
        f"""
        WITH named AS (
            SELECT m.id, row_number() OVER sorted AS number, sum(octet_length(m.metadata::text)) OVER sorted AS bytes
            FROM media m
            WHERE m.id IN (
                SELECT media FROM identifier WHERE type = $5 AND value = $6
                UNION ALL SELECT id FROM media WHERE pid = $6 AND pid_type = $5
            ) AND m.status <> 'deleted' AND {READABLE}
            WINDOW sorted AS (ORDER BY m.id) ORDER BY m.id LIMIT $7
        )
        {MEDIA}
        WHERE m.id IN (SELECT id FROM named WHERE number = 1 OR bytes <= $8) ORDER BY m.id
        """,
        administrator,
        name,
        principals,
        now,
        type,
        value,
        limit,
        most_bytes,
    )
    return [MediaRow(**row) for row in rows]


class NewIdentifier(Struct, frozen=True, kw_only=True):
    type: str
    value: str


class IdentifierChange(Struct, frozen=True, kw_only=True):
    """What changes of a record's identifiers: values that are new, and types that go."""

    added: list[NewIdentifier]
    removed: list[str]


class NewMedia(Struct, frozen=True, kw_only=True):
    """A record to be, with its identifiers and its first line of history."""

    pid: str
    pid_type: str | None
    metadata: Raw
    tags: list[str]
    owner: str
    access: Access
    readers: list[str]
    writers: list[str]
    public_at: datetime | None
    store: int
    store_name: str
    expires_at: datetime | None
    identifiers: list[NewIdentifier]
    changes: Mapping[str, object]

    def shown(self, created_at: datetime) -> Media:
        """The record as it is right after it was inserted."""
        return Media(
            pid=self.pid,
            pid_type=self.pid_type,
            identifiers={item.type: item.value for item in self.identifiers},
            metadata=self.metadata,  # type: ignore[arg-type]  # Raw, see Media
            tags=self.tags,
            store=self.store_name,
            status="pending",
            status_reason=None,
            version=0,
            content=None,
            owner=self.owner,
            access=self.access,
            readers=self.readers,
            writers=self.writers,
            public_at=self.public_at,
            expires_at=self.expires_at,
            held=False,
            revision=1,
            created_at=created_at,
            updated_at=created_at,
        )


class Inserted(Struct, frozen=True, kw_only=True):
    id: int
    pid: str
    created_at: datetime


INSERT_MEDIAS = """
WITH given AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1) AS x (
        pid text, pid_type text, metadata jsonb, tags text[], owner text, access text, readers text[], writers text[],
        public_at timestamptz, store bigint, expires_at timestamptz, identifiers jsonb, changes jsonb)
), live AS MATERIALIZED (
    -- Locked, so that no store is deleted while records come into it.
    SELECT id FROM store WHERE id IN (SELECT store FROM given) AND deleted_at IS NULL FOR KEY SHARE
), wanted AS MATERIALIZED (
    SELECT given.pid, i.type, i.value FROM given, jsonb_to_recordset(given.identifiers) AS i (type text, value text)
), types AS MATERIALIZED (
    -- Locked, so that a type's uniqueness holds from the moment when it is said.
    SELECT name, is_unique FROM identifier_type WHERE name IN (SELECT type FROM wanted) FOR SHARE
), new AS (
    INSERT INTO media (pid, pid_type, metadata, tags, owner, access, readers, writers, public_at, store, expires_at, status)
    SELECT pid, pid_type, metadata, tags, owner, access, readers, writers, public_at, store, expires_at, 'pending'
    FROM given WHERE store IN (SELECT id FROM live)
    ON CONFLICT ON CONSTRAINT media_pid_key DO NOTHING
    RETURNING id, pid, created_at
), named AS (
    INSERT INTO identifier (media, type, value, is_unique)
    SELECT new.id, wanted.type, wanted.value, types.is_unique
    FROM new JOIN wanted USING (pid) LEFT JOIN types ON types.name = wanted.type
), noted AS (
    INSERT INTO history (kind, subject, media, revision, actor, action, changes, request_id)
    SELECT 'media', new.pid, new.id, 1, $3, 'created', given.changes, $2
    FROM new JOIN given USING (pid)
)
SELECT id, pid, created_at FROM new
"""


async def insert_medias(
    connection: Connection, medias: Sequence[NewMedia], *, actor: str, request_id: str | None
) -> dict[str, Inserted]:
    """Insert records whose PIDs differ from each other; those whose PID is taken, or whose store is gone, are left out."""
    rows = await connection.fetch(INSERT_MEDIAS, medias, request_id, actor)
    return {row["pid"]: Inserted(**row) for row in rows}


async def update_media(connection: Connection, row: MediaRow, *, revisions: int = 1) -> None:
    """Write the fields that people change. `revisions` is 0 where the same transaction counts its revision elsewhere."""
    await connection.execute(
        """
        UPDATE media SET metadata = $2, tags = $3, owner = $4, access = $5, readers = $6, writers = $7, public_at = $8,
            store = $9, expires_at = $10, revision = revision + $11, updated_at = now()
        WHERE id = $1
        """,
        row.id,
        row.metadata,
        row.tags,
        row.owner,
        row.access,
        row.readers,
        row.writers,
        row.public_at,
        row.store,
        row.expires_at,
        revisions,
    )


async def set_content(connection: Connection, media: int, *, object: int, version: int) -> int:
    """Point a record at its new content and make it ready; returns the new revision."""
    revision: int = await connection.fetchval(
        """
        UPDATE media SET current_object = $2, version = $3, status = 'ready', status_reason = NULL, revision = revision + 1,
            updated_at = now()
        WHERE id = $1 RETURNING revision
        """,
        media,
        object,
        version,
    )
    return revision


async def touch(connection: Connection, media: int) -> int:
    """Something about a record changed that its row does not show; returns the new revision."""
    revision: int = await connection.fetchval(
        "UPDATE media SET revision = revision + 1, updated_at = now() WHERE id = $1 RETURNING revision", media
    )
    return revision


async def next_version(connection: Connection, media: int) -> int:
    """The number of a record's next content. The caller holds the record's lock."""
    version: int = await connection.fetchval("SELECT coalesce(max(version), 0) + 1 FROM stored_object WHERE media = $1", media)
    return version


async def set_deleted(connection: Connection, media: int) -> int:
    """Make a tombstone; returns the new revision. Identifiers are let go, and stay in the history."""
    revision: int = await connection.fetchval(
        """
        UPDATE media SET status = 'deleted', status_reason = NULL, current_object = NULL, deleted_at = now(), updated_at = now(),
            revision = revision + 1
        WHERE id = $1 RETURNING revision
        """,
        media,
    )
    await connection.execute("DELETE FROM identifier WHERE media = $1", media)
    return revision


async def withdraw_pristine(connection: Connection, media: int) -> bool:
    """Take back a record that never had content and that nobody has touched since it was made; False where somebody has, or holds
    it.
    """
    gone = await connection.fetchval(
        """
        DELETE FROM media WHERE id = $1 AND status = 'pending' AND revision = 1 AND version = 0
            AND NOT EXISTS (SELECT FROM hold WHERE media = $1)
            AND NOT EXISTS (SELECT FROM stored_object WHERE media = $1 AND state IN ('writing', 'verifying', 'stored'))
        RETURNING true
        """,
        media,
    )
    return bool(gone)


class Failed(Struct, frozen=True, kw_only=True):
    pid: str
    revision: int
    before: Status


async def set_failed(connection: Connection, media: int, *, reason: str) -> Failed | None:
    """Say of a record without content that it has failed; None where it has content. The caller holds the record's lock."""
    row = await connection.fetchrow(
        """
        UPDATE media m SET status = 'failed', status_reason = $2, revision = m.revision + 1, updated_at = now()
        FROM media b WHERE b.id = $1 AND m.id = b.id AND m.status IN ('pending', 'failed') AND m.version = 0
        RETURNING m.pid, m.revision, b.status AS before
        """,
        media,
        reason,
    )
    return Failed(**row) if row else None


async def set_lost(connection: Connection, store: int, *, reason: str, actor: str) -> int:
    """Say of every record whose current content was in this store that it is lost; returns how many."""
    rows = await connection.fetch(
        """
        WITH missing AS (
            UPDATE stored_object SET state = 'missing', state_reason = $2, fixity = 'missing', fixity_detail = NULL,
                recheck_at = NULL WHERE store = $1 AND state = 'stored' RETURNING id
        ), lost AS (
            UPDATE media SET status = 'lost', status_reason = $2, revision = revision + 1, updated_at = now()
            WHERE current_object IN (SELECT id FROM missing) AND status IN ('ready', 'expired')
            RETURNING id, pid, revision
        ), noted AS (
            INSERT INTO history (kind, subject, media, revision, actor, action, changes)
            SELECT 'media', pid, id, revision, $3, 'lost',
                jsonb_build_object('status', jsonb_build_object('before', 'ready', 'after', 'lost'),
                    'status_reason', jsonb_build_object('after', $2::text)) FROM lost
        )
        SELECT id FROM lost
        """,
        store,
        reason,
        actor,
    )
    return len(rows)


async def change_identifiers(connection: Connection, media: int, change: IdentifierChange) -> None:
    await connection.execute("DELETE FROM identifier WHERE media = $1 AND type = ANY ($2)", media, change.removed)
    if change.added:
        await connection.execute(
            """
            WITH wanted AS MATERIALIZED (
                SELECT type, value FROM jsonb_to_recordset($2) AS i (type text, value text)
            ), types AS MATERIALIZED (
                SELECT name, is_unique FROM identifier_type WHERE name IN (SELECT type FROM wanted) FOR SHARE
            )
            INSERT INTO identifier (media, type, value, is_unique)
            SELECT $1, wanted.type, wanted.value, types.is_unique FROM wanted LEFT JOIN types ON types.name = wanted.type
            ON CONFLICT ON CONSTRAINT identifier_pkey DO UPDATE SET value = excluded.value, is_unique = excluded.is_unique
            """,
            media,
            change.added,
        )
