"""Uploads in the database: written down before their first byte moves."""

from collections.abc import Iterable
from uuid import UUID

from msgspec import Struct

from mediastore.database import Connection


class StaleUpload(Struct, frozen=True, kw_only=True):
    """An upload that has shown no life for long."""

    id: UUID
    media: int | None


class ClosedUpload(Struct, frozen=True, kw_only=True):
    object: int
    created_record: bool


async def insert_upload(
    connection: Connection, *, id: UUID, object: int, caller: str, created_record: bool, size: int | None
) -> None:
    """Write down a proxied upload that is about to begin."""
    await connection.execute(
        """
        INSERT INTO upload (id, stored_object, method, state, caller, created_record, size)
        VALUES ($1, $2, 'proxied', 'open', $3, $4, $5)
        """,
        id,
        object,
        caller,
        created_record,
        size,
    )


async def set_upload_id(connection: Connection, upload: UUID, s3_upload_id: str) -> None:
    """Remember the store's id of the multipart upload, so that it can be aborted whatever happens."""
    await connection.execute("UPDATE upload SET s3_upload_id = $2, last_activity = now() WHERE id = $1", upload, s3_upload_id)


async def show_life(connection: Connection, uploads: Iterable[UUID]) -> None:
    """These uploads are under way."""
    await connection.execute("UPDATE upload SET last_activity = now() WHERE id = ANY ($1) AND state = 'open'", list(uploads))


async def complete_upload(connection: Connection, upload: UUID) -> bool:
    """Whether the upload was still open; it is completed then."""
    done = await connection.fetchval(
        "UPDATE upload SET state = 'completed', last_activity = now() WHERE id = $1 AND state = 'open' RETURNING true", upload
    )
    return bool(done)


async def fail_upload(connection: Connection, upload: UUID, *, reason: str) -> ClosedUpload | None:
    """Give up an upload that is still open; None where it has ended already, one way or the other."""
    row = await connection.fetchrow(
        """
        UPDATE upload SET state = 'failed', reason = $2 WHERE id = $1 AND state = 'open'
        RETURNING stored_object AS object, created_record
        """,
        upload,
        reason,
    )
    return ClosedUpload(**row) if row else None


async def is_completed(connection: Connection, upload: UUID) -> bool:
    return bool(await connection.fetchval("SELECT state = 'completed' FROM upload WHERE id = $1", upload))


async def stale_uploads(connection: Connection, *, stale_s: float, limit: int) -> list[StaleUpload]:
    """Open uploads without a sign of life for `stale_s`, counted from the last one and not from their beginning."""
    rows = await connection.fetch(
        """
        SELECT u.id, o.media FROM upload u JOIN stored_object o ON o.id = u.stored_object
        WHERE u.state = 'open' AND u.method = 'proxied' AND u.last_activity < now() - make_interval(secs => $1)
        ORDER BY u.last_activity LIMIT $2
        """,
        stale_s,
        limit,
    )
    return [StaleUpload(**row) for row in rows]


async def oldest_nonfinal_s(connection: Connection) -> float:
    """Seconds for which the upload, or the doomed object, that has waited longest has waited; 0 when none does."""
    age: float | None = await connection.fetchval(
        """
        SELECT extract(epoch FROM now() - least(
            (SELECT min(last_activity) FROM upload WHERE state IN ('open', 'verifying')),
            (SELECT min(doomed_at) FROM stored_object WHERE state = 'purging')))::float
        """
    )
    return age or 0.0


async def lock_media(connection: Connection, media: int) -> None:
    """Records are locked before their uploads and objects, everywhere, so that nobody waits in a circle."""
    await connection.execute("SELECT FROM media WHERE id = $1 FOR UPDATE", media)
