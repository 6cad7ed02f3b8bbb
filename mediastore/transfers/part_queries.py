"""Parts that came to this server: in their places in the upload's landing, or each an object of its own.

A part is in its place only where no other one of its number is known at that moment, so two writers never meet there. Once all
are received in their places nobody writes to the landing any more, and it is the content as it is.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from msgspec import Raw, Struct

from mediastore.database import Connection


class PartRow(Struct, frozen=True, kw_only=True):
    """A part that is there."""

    number: int
    object: int
    key: str
    size: int
    in_place: bool
    checksums: Raw
    received_at: datetime


async def insert_part(connection: Connection, *, object: int, upload: UUID, number: int, size: int) -> bool:
    """A part is about to come; the caller holds the upload's lock. Returns whether it goes to its place in the landing."""
    in_place: bool = await connection.fetchval(
        """
        INSERT INTO upload_part (stored_object, upload, number, size, in_place)
        SELECT $1, u.id, $3, $4, u.landing IS NOT NULL AND NOT EXISTS (
            SELECT FROM upload_part p WHERE p.upload = u.id AND p.number = $3)
        FROM upload u WHERE u.id = $2 RETURNING in_place
        """,
        object,
        upload,
        number,
        size,
    )
    return in_place


async def receive_part(connection: Connection, *, object: int, size: int, checksums: Mapping[str, str]) -> bool:
    """The part is there, in place of one of the same number that came before; the caller holds the upload's lock.

    False where the clean-up took it for dead.
    """
    await connection.execute(
        """
        WITH older AS (
            DELETE FROM upload_part p USING upload_part fresh
            WHERE fresh.stored_object = $1 AND p.upload = fresh.upload AND p.number = fresh.number AND p.stored_object <> $1
                AND p.received_at IS NOT NULL
            RETURNING p.stored_object)
        UPDATE stored_object SET state = 'purging', state_reason = 'sent again', doomed_at = now(), next_attempt_at = now()
        WHERE id IN (SELECT stored_object FROM older) AND state = 'writing'
        """,
        object,
    )
    done = await connection.fetchval(
        """
        UPDATE upload_part SET received_at = now(), last_activity = now(), checksums = $2, size = $3 WHERE stored_object = $1
        RETURNING true
        """,
        object,
        checksums,
        size,
    )
    return bool(done)


async def parts_of(connection: Connection, upload: UUID) -> list[PartRow]:
    """The parts that are there, by number."""
    rows = await connection.fetch(
        """
        SELECT p.number, p.stored_object AS object, o.key, p.size, p.in_place, p.checksums, p.received_at
        FROM upload_part p JOIN stored_object o ON o.id = p.stored_object
        WHERE p.upload = $1 AND p.received_at IS NOT NULL ORDER BY p.number
        """,
        upload,
    )
    return [PartRow(**row) for row in rows]


UNSETTLED = "SELECT FROM upload_part WHERE upload = $1 AND in_place <> (received_at IS NOT NULL)"
"""What keeps the landing from being the content: a part in its place that did not come whole, or one that lies by itself."""


async def is_settled(connection: Connection, upload: UUID) -> bool:
    """Whether every part that came is in its place, and nobody writes to the landing any more."""
    settled: bool = await connection.fetchval(
        f"SELECT u.landing IS NOT NULL AND NOT EXISTS ({UNSETTLED}) FROM upload u WHERE u.id = $1", upload
    )
    return settled


async def show_life_of_parts(connection: Connection, objects: Iterable[int], *, idle_s: float) -> None:
    """These parts are coming, and so their uploads live. Uploads are locked before their parts, and in order, everywhere."""
    await connection.execute(
        """
        WITH alive AS (
            SELECT id FROM upload WHERE state = 'open'
                AND id IN (SELECT upload FROM upload_part WHERE stored_object = ANY ($1)) ORDER BY id FOR UPDATE)
        UPDATE upload SET last_activity = now(), expires_at = greatest(expires_at, now() + make_interval(secs => $2))
        WHERE id IN (SELECT id FROM alive)
        """,
        list(objects),
        idle_s,
    )
    await connection.execute("UPDATE upload_part SET last_activity = now() WHERE stored_object = ANY ($1)", list(objects))


async def adopt(connection: Connection, upload: UUID, *, object: int) -> bool:
    """The one part of an upload, or the landing where all its parts are in their places, is the whole content: it becomes the
    upload's object. Nothing ever came to the one announced.

    False where another part came just now.
    """
    there = await connection.fetchval(
        f"""
        WITH part AS (
            DELETE FROM upload_part WHERE stored_object = $2 AND NOT in_place AND received_at IS NOT NULL RETURNING true),
        landing AS (
            UPDATE upload SET landing = NULL WHERE id = $1 AND landing = $2 AND NOT EXISTS ({UNSETTLED}) RETURNING true)
        SELECT true FROM part UNION ALL SELECT true FROM landing
        """,
        upload,
        object,
    )
    if not there:
        return False
    before = await connection.fetchval("SELECT stored_object FROM upload WHERE id = $1", upload)
    await connection.execute(
        """
        UPDATE stored_object o SET media = b.media, media_type = b.media_type, filename = b.filename FROM stored_object b
        WHERE o.id = $1 AND b.id = $2
        """,
        object,
        before,
    )
    await connection.execute("UPDATE upload SET stored_object = $2 WHERE id = $1", upload, object)
    await connection.execute("DELETE FROM stored_object WHERE id = $1", before)
    return True


async def drop_part(connection: Connection, object: int, *, reason: str) -> bool:
    """Forget a part that did not come whole, and decide that its bytes go.

    False where it did come, be it that the answer was lost: it may be a record's content by now.
    """
    await connection.execute("DELETE FROM upload_part WHERE stored_object = $1 AND received_at IS NULL", object)
    await connection.execute(
        """
        UPDATE stored_object SET state = 'purging', state_reason = $2, doomed_at = now(), next_attempt_at = now()
        WHERE id = $1 AND state = 'writing' AND media IS NULL AND NOT EXISTS (SELECT FROM upload_part WHERE stored_object = $1)
        """,
        object,
        reason,
    )
    return not await connection.fetchval(
        "SELECT true FROM stored_object WHERE id = $1 AND state NOT IN ('purging', 'purged')", object
    )


async def coming(connection: Connection, upload: UUID, number: int) -> int:
    """How often this part is on its way at this moment."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM upload_part WHERE upload = $1 AND number = $2 AND received_at IS NULL", upload, number
    )
    return found


async def doom_parts(connection: Connection, upload: UUID, *, reason: str, quarantine: bool = False) -> None:
    """Decide that the bytes of all parts go, and those of the landing; after a quarantine, where they are to be looked at.

    Parts that still come are left to who receives them, and finds the upload ended: their bytes may not be there yet.
    """
    await connection.execute(
        """
        WITH gone AS (DELETE FROM upload_part WHERE upload = $1 AND received_at IS NOT NULL RETURNING stored_object)
        UPDATE stored_object SET state = $3, state_reason = $2, doomed_at = now(), next_attempt_at = now()
        WHERE state = 'writing'
            AND (id IN (SELECT stored_object FROM gone) OR id = (SELECT landing FROM upload WHERE id = $1))
        """,
        upload,
        reason,
        "quarantined" if quarantine else "purging",
    )


async def doom_stale_parts(connection: Connection, *, stale_s: float, limit: int) -> int:
    """Decide that the bytes go of parts that stopped coming; returns how many.

    One that was to go to its place keeps it while its upload is open: its writer may be slow, and not dead.
    """
    rows = await connection.fetch(
        """
        WITH stale AS (
            DELETE FROM upload_part WHERE stored_object IN (
                SELECT p.stored_object FROM upload_part p JOIN upload u ON u.id = p.upload
                WHERE p.received_at IS NULL AND p.last_activity < now() - make_interval(secs => $1)
                    AND NOT (p.in_place AND u.state IN ('open', 'verifying'))
                ORDER BY p.last_activity LIMIT $2 FOR UPDATE OF p SKIP LOCKED)
            RETURNING stored_object)
        UPDATE stored_object SET state = 'purging', state_reason = 'interrupted', doomed_at = now(), next_attempt_at = now()
        WHERE id IN (SELECT stored_object FROM stale) AND state = 'writing' RETURNING id
        """,
        stale_s,
        limit,
    )
    return len(rows)
