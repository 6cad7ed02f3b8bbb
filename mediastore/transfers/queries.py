"""Uploads in the database: written down before their first byte moves."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from mediastore.catalog.schemas import Checksum
from mediastore.database import Connection
from mediastore.transfers.schemas import Method


class StaleUpload(Struct, frozen=True, kw_only=True):
    """An upload that has shown no life for long."""

    id: UUID
    media: int | None


class SilentUpload(Struct, frozen=True, kw_only=True):
    """A direct upload that nobody looks after."""

    id: UUID
    state: Literal["open", "verifying"]
    store_kind: str


class Attempt(Struct, frozen=True, kw_only=True):
    """The newest upload to a record: whether it is under way, or how it ended."""

    pid: str
    state: Literal["open", "verifying", "completed", "failed"]
    reason: str | None
    """Of its failure: the code of an error, or a word."""
    last_activity: datetime


class ClosedUpload(Struct, frozen=True, kw_only=True):
    object: int
    created_record: bool
    """Whether its record was made by it, or by one that has ended and left the record to those that were under way."""
    caller: str


class UploadRow(Struct, frozen=True, kw_only=True):
    """A direct upload, with its object, its record and its store."""

    id: UUID
    method: Method
    state: Literal["open", "verifying", "completed", "failed"]
    caller: str
    created_record: bool
    size: int | None
    """None where nobody knows before they come how many bytes there will be."""
    part_size: int | None
    s3_upload_id: str | None
    reason: str | None
    problem: Raw | None
    claims: Raw
    about: Raw
    pid: str
    version_before: int
    landing: int | None
    landing_key: str | None
    urls_until: datetime | None
    verifying_at: datetime | None
    created_at: datetime
    last_activity: datetime
    expires_at: datetime
    object: int
    key: str
    media_type: str
    filename: str | None
    media: int | None
    record_gone: bool
    """Whether the record was deleted since."""
    store: int
    store_name: str
    store_kind: str
    store_checksums: list[str]

    @property
    def claimed(self) -> dict[str, str]:
        """Digests that the client declared, lower-case hex by algorithm."""
        return msgspec.json.decode(self.claims, type=dict[str, str])

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What has to be known of the bytes: what the store asks for, and what was claimed."""
        return tuple(sorted({*self.store_checksums, *self.claimed}))


UPLOADS = """
SELECT u.id, u.method, u.state, u.caller, u.created_record, u.size, u.part_size, u.s3_upload_id, u.reason, u.problem, u.claims,
    u.about, u.pid, u.version_before, u.landing, l.key AS landing_key,
    u.urls_until, u.verifying_at, u.created_at, u.last_activity, u.expires_at,
    o.id AS object, o.key, o.media_type, o.filename, o.media,
    coalesce(m.deleted_at IS NOT NULL, true) AS record_gone, o.store, s.name AS store_name, s.kind AS store_kind,
    s.checksums AS store_checksums
FROM upload u JOIN stored_object o ON o.id = u.stored_object JOIN store s ON s.id = o.store
LEFT JOIN stored_object l ON l.id = u.landing LEFT JOIN media m ON m.id = o.media
WHERE u.method <> 'proxied'
"""


async def insert_upload(
    connection: Connection,
    *,
    id: UUID,
    object: int,
    method: str,
    caller: str,
    created_record: bool,
    size: int | None,
    reserved: int,
    part_size: int | None,
    landing: int | None,
    expires_at: datetime | None,
    pid: str,
    version_before: int,
    claims: Mapping[str, str],
    about: Raw,
) -> None:
    """Write down an upload that is about to begin."""
    await connection.execute(
        """
        INSERT INTO upload (id, stored_object, method, state, caller, created_record, size, reserved, part_size, landing,
            expires_at, pid, version_before, claims, about)
        VALUES ($1, $2, $3, 'open', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        """,
        id,
        object,
        method,
        caller,
        created_record,
        size,
        reserved,
        part_size,
        landing,
        expires_at,
        pid,
        version_before,
        claims,
        about,
    )


async def upload_by_id(connection: Connection, id: UUID) -> UploadRow | None:
    row = await connection.fetchrow(f"{UPLOADS} AND u.id = $1", id)
    return UploadRow(**row) if row else None


async def uploads(connection: Connection, *, caller: str | None, before: UUID | None, limit: int) -> list[UploadRow]:
    """Direct uploads, newest first; of one caller or of all."""
    rows = await connection.fetch(
        f"{UPLOADS} AND ($1::text IS NULL OR u.caller = $1) AND ($2::uuid IS NULL OR u.id < $2) ORDER BY u.id DESC LIMIT $3",
        caller,
        before,
        limit,
    )
    return [UploadRow(**row) for row in rows]


class Named(Struct, frozen=True, kw_only=True):
    """Whose bytes lie, or are to lie, at a key."""

    pid: str
    version: int | None
    """None until they are verified."""
    upload: UUID | None
    """The direct upload that they came or will come by."""
    state: str
    """Of the object."""
    sent_as: str | None
    """The access that it came by a form for, at the key itself; None for what came another way."""


async def named_at(connection: Connection, store: int, keys: Sequence[str]) -> Named | None:
    """The record that has one of these keys, the first of them that is anybody's."""
    row = await connection.fetchrow(
        """
        SELECT m.pid, o.version, o.state, u.id AS upload,
            CASE WHEN u.method = 'post' AND u.landing IS NULL THEN u.about ->> 'access' END AS sent_as
        FROM stored_object o JOIN media m ON m.id = o.media
        LEFT JOIN upload u ON u.stored_object = o.id AND u.method <> 'proxied'
        WHERE o.store = $1 AND o.key = ANY ($2) ORDER BY array_position($2, o.key) LIMIT 1
        """,
        store,
        list(keys),
    )
    return Named(**row) if row else None


async def same_form(
    connection: Connection,
    pid: str,
    *,
    caller: str,
    store: int,
    size: int,
    claims: Mapping[str, str],
    media_type: str,
    access: str,
) -> UploadRow | None:
    """An upload by form of the very same bytes into this record, as what it is or will be: open, or its content. A form that
    leads to a key of its own first is another thing.
    """
    row = await connection.fetchrow(
        f"""
        {UPLOADS} AND u.method = 'post' AND u.landing IS NULL AND m.pid = $1 AND m.deleted_at IS NULL AND u.caller = $2
            AND o.store = $3 AND u.size = $4 AND u.claims = $5 AND o.media_type = $6
            AND (u.state = 'open' AND o.state = 'writing' AND u.expires_at > now() AND u.about ->> 'access' = $7
                OR u.state = 'completed' AND o.state = 'stored' AND m.current_object = o.id AND m.access = $7)
        ORDER BY u.state, u.id DESC LIMIT 1
        """,
        pid,
        caller,
        store,
        size,
        claims,
        media_type,
        access,
    )
    return UploadRow(**row) if row else None


async def note_urls(connection: Connection, upload: UUID, media: int, *, until: datetime | None) -> bool:
    """Note until when URLs write to the key of a completed upload, where any do; False where its bytes have been let go of."""
    await lock_media(connection, media)
    done = await connection.fetchval(
        """
        UPDATE upload u SET urls_until = greatest(urls_until, $2) FROM stored_object o
        WHERE u.id = $1 AND u.state = 'completed' AND o.id = u.stored_object AND o.state = 'stored' RETURNING true
        """,
        upload,
        until,
    )
    return bool(done)


async def newest_attempts(connection: Connection, pids: Sequence[str]) -> list[Attempt]:
    """The newest upload to each of these records that has any."""
    rows = await connection.fetch(
        """
        SELECT m.pid, u.state, u.reason, u.last_activity FROM media m CROSS JOIN LATERAL (
            SELECT u.state, u.reason, u.last_activity FROM stored_object o JOIN upload u ON u.stored_object = o.id
            WHERE o.media = m.id ORDER BY u.id DESC LIMIT 1) u
        WHERE m.pid = ANY ($1)
        """,
        pids,
    )
    return [Attempt(**row) for row in rows]


async def unsized_uploads_of(connection: Connection, pids: Sequence[str], *, limit: int) -> list[UploadRow]:
    """Uploads to these records that nobody will complete: open ones as they began, and those that are verified since just now."""
    rows = await connection.fetch(
        f"""
        {UPLOADS} AND u.size IS NULL AND m.pid = ANY ($1)
            AND (u.state = 'open' OR u.state = 'verifying' AND u.verifying_at > now() - interval '10 s')
        ORDER BY u.state, u.id LIMIT $2
        """,
        pids,
        limit,
    )
    return [UploadRow(**row) for row in rows]


async def still_verifying(connection: Connection, uploads: Sequence[UUID]) -> list[UUID]:
    """Those of these uploads that are still being verified."""
    rows = await connection.fetch("SELECT id FROM upload WHERE id = ANY ($1) AND state = 'verifying'", uploads)
    return [row["id"] for row in rows]


async def unsized_uploads_to_look_for(connection: Connection, *, limit: int) -> list[UploadRow]:
    """Open uploads that nobody will complete: those of the last ten minutes, and of the older ones so many that, where this is
    asked once a minute, each is looked for after a tenth more of its age.
    """
    rows = await connection.fetch(
        f"""
        {UPLOADS} AND u.state = 'open' AND u.size IS NULL
            AND random() < 600 / greatest(extract(epoch FROM now() - u.created_at), 1) ORDER BY random() LIMIT $1
        """,
        limit,
    )
    return [UploadRow(**row) for row in rows]


async def lock_open(connection: Connection, upload: UUID) -> bool:
    """Whether the upload is open, and stays so until the end of the transaction."""
    return bool(await connection.fetchval("SELECT true FROM upload WHERE id = $1 AND state = 'open' FOR UPDATE", upload))


async def keep_open(connection: Connection, upload: UUID, *, expires_at: datetime, urls_until: datetime | None = None) -> bool:
    """Note a sign of life, and until when URLs were given that write to the store; False where the upload is not open."""
    done = await connection.fetchval(
        """
        UPDATE upload SET last_activity = now(), expires_at = $2, urls_until = greatest(urls_until, $3)
        WHERE id = $1 AND state = 'open' RETURNING true
        """,
        upload,
        expires_at,
        urls_until,
    )
    return bool(done)


async def claim(connection: Connection, upload: UUID, digests: Mapping[str, str]) -> bool:
    """Note what is claimed of the bytes of an open upload, besides what was; False where it is not open."""
    done = await connection.fetchval(
        "UPDATE upload SET claims = $2 || claims, last_activity = now() WHERE id = $1 AND state = 'open' RETURNING true",
        upload,
        digests,
    )
    return bool(done)


async def offer_again(
    connection: Connection, upload: UUID, *, expires_at: datetime, urls_until: datetime | None
) -> datetime | None:
    """As `keep_open`, for one more form of an upload: until when it is open now, which is later than before, by however little.

    So who gave out the one before can tell that it is not the last. None where the upload is not open.
    """
    until: datetime | None = await connection.fetchval(
        """
        UPDATE upload SET last_activity = now(), expires_at = greatest($2, expires_at + interval '1 microsecond'),
            urls_until = greatest(urls_until, $3)
        WHERE id = $1 AND state = 'open' RETURNING expires_at
        """,
        upload,
        expires_at,
        urls_until,
    )
    return until


async def begin_verifying(connection: Connection, upload: UUID) -> int | None:
    """From open to verifying: no part is taken from here on. Returns its object; None where it is not open."""
    object: int | None = await connection.fetchval(
        """
        UPDATE upload SET state = 'verifying', verifying_at = now(), last_activity = now()
        WHERE id = $1 AND state = 'open' RETURNING stored_object
        """,
        upload,
    )
    return object


async def silent_uploads(connection: Connection, *, grace_s: float, verifying_s: float, limit: int) -> list[SilentUpload]:
    """Direct uploads that somebody has to look after: open ones past their time, and those whose verification was forgotten.

    In any order, so that many of a store that is away don't stand before all others. After a day a verification whose job is
    held, for a fault of ours, waits for a person.
    """
    rows = await connection.fetch(
        """
        SELECT u.id, u.state, s.kind AS store_kind FROM upload u
        JOIN stored_object o ON o.id = u.stored_object JOIN store s ON s.id = o.store LEFT JOIN media m ON m.id = o.media
        WHERE u.method <> 'proxied' AND (
            u.state = 'open' AND (u.expires_at < now() - make_interval(secs => $1) OR m.deleted_at IS NOT NULL)
            OR u.state = 'verifying' AND u.last_activity < now() - make_interval(secs => $2)
                AND u.verifying_at > now() - interval '1 day')
        ORDER BY random() LIMIT $3
        """,
        grace_s,
        verifying_s,
        limit,
    )
    return [SilentUpload(**row) for row in rows]


async def uploads_in(connection: Connection, store: int) -> list[StaleUpload]:
    """Direct uploads into this store that have not ended."""
    rows = await connection.fetch(
        """
        SELECT u.id, o.media FROM upload u JOIN stored_object o ON o.id = u.stored_object
        WHERE u.method <> 'proxied' AND u.state IN ('open', 'verifying') AND o.store = $1
        """,
        store,
    )
    return [StaleUpload(**row) for row in rows]


async def set_upload_id(connection: Connection, upload: UUID, s3_upload_id: str) -> None:
    """Remember the store's id of the multipart upload, so that it can be aborted whatever happens."""
    await connection.execute("UPDATE upload SET s3_upload_id = $2, last_activity = now() WHERE id = $1", upload, s3_upload_id)


async def show_life(connection: Connection, uploads: Iterable[UUID]) -> None:
    """These uploads are under way."""
    await connection.execute("UPDATE upload SET last_activity = now() WHERE id = ANY ($1) AND state = 'open'", list(uploads))


async def complete_upload(connection: Connection, upload: UUID, *, claims: Mapping[str, str] | None) -> bool:
    """Whether the upload had not ended, and no more is claimed of its bytes than `claims`; it is completed then."""
    done = await connection.fetchval(
        """
        UPDATE upload SET state = 'completed', last_activity = now()
        WHERE id = $1 AND state IN ('open', 'verifying') AND ($2::jsonb IS NULL OR claims = $2) RETURNING true
        """,
        upload,
        claims,
    )
    return bool(done)


async def checksums_of(connection: Connection, object: int) -> dict[str, Checksum]:
    """What is known of the bytes of an object."""
    found = await connection.fetchval("SELECT checksums FROM stored_object WHERE id = $1", object)
    return msgspec.json.decode(found or b"{}", type=dict[str, Checksum])


async def fail_upload(
    connection: Connection,
    upload: UUID,
    *,
    reason: str,
    withdraw: bool,
    problem: Mapping[str, object] | None = None,
    silent_since: datetime | None = None,
) -> ClosedUpload | None:
    """Give up an upload that has not ended; None where it has, one way or the other, or where it was heard of in between.

    `withdraw`: whether a record that it made may go with it, or later with the last upload into it.
    """
    row = await connection.fetchrow(
        """
        UPDATE upload u SET state = 'failed', reason = $2, problem = $3, created_record = created_record AND $4
        WHERE id = $1 AND state IN ('open', 'verifying') AND ($5::timestamptz IS NULL OR expires_at <= $5)
        RETURNING stored_object AS object, caller, created_record OR EXISTS (
            SELECT FROM stored_object o JOIN stored_object b ON b.media = o.media JOIN upload first ON first.stored_object = b.id
            WHERE o.id = u.stored_object AND first.created_record AND first.state = 'failed') AS created_record
        """,
        upload,
        reason,
        problem,
        withdraw,
        silent_since,
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
    """Seconds for which the upload, or the doomed object, that has waited longest has waited; 0 when none does.

    A direct upload may be open for days: it waits from its expiry on. So does an object whose key is purged once more later.
    """
    age: float | None = await connection.fetchval(
        """
        SELECT extract(epoch FROM now() - least(
            (SELECT min(last_activity) FROM upload WHERE state IN ('open', 'verifying') AND method = 'proxied'),
            (SELECT min(expires_at) FROM upload WHERE state = 'open' AND method <> 'proxied'),
            (SELECT min(verifying_at) FROM upload WHERE state = 'verifying' AND method <> 'proxied'),
            (SELECT min(doomed_at) FROM stored_object
                WHERE state = 'purging' AND (attempts > 0 OR next_attempt_at <= now()))))::float
        """
    )
    return max(age or 0.0, 0.0)


async def lock_media(connection: Connection, media: int) -> None:
    """Records are locked before their uploads and objects, everywhere, so that nobody waits in a circle."""
    await connection.execute("SELECT FROM media WHERE id = $1 FOR UPDATE", media)
