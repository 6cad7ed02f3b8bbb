"""Rows that name store keys. Each is committed before the first byte goes to its key, and outlives the bytes."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import uuid_utils
from msgspec import Struct

from mediastore.database import Connection


class Doomed(Struct, frozen=True, kw_only=True):
    """An object whose bytes are to go."""

    id: int
    store: int
    key: str
    attempts: int
    upload_id: str | None
    """Of a multipart upload that may still be open."""
    maybe_open: bool
    """Whether its upload ended otherwise than by completion: then one may be open whose id we never learned."""
    bytes_until: datetime | None
    """Until when bytes may still come to the key: it is purged at once, and once more then."""


def new_key() -> str:
    """A store key that was never used and never will be: a time-ordered UUID below one of 256 folders."""
    name = str(uuid_utils.uuid7())
    return f"{name[-2:]}/{name}"


async def insert_object(
    connection: Connection, *, media: int | None, store: int, key: str, media_type: str, filename: str | None
) -> int:
    """Announce an object that is about to be written."""
    id: int = await connection.fetchval(
        """
        INSERT INTO stored_object (media, store, key, media_type, filename, state) VALUES ($1, $2, $3, $4, $5, 'writing')
        RETURNING id
        """,
        media,
        store,
        key,
        media_type,
        filename,
    )
    return id


async def set_stored(
    connection: Connection,
    object: int,
    *,
    version: int,
    size: int,
    checksums: Mapping[str, object],
    at: datetime,
    media_type: str | None = None,
) -> bool:
    """The bytes are there and were verified. Only an object that is being written can become stored; False where it was not.

    `media_type`, where given, was not known when the object was announced.
    """
    done = await connection.fetchval(
        """
        UPDATE stored_object SET state = 'stored', version = $2, size = $3, checksums = $4, stored_at = $5, checked_at = $5,
            media_type = coalesce($6, media_type)
        WHERE id = $1 AND state IN ('writing', 'verifying') RETURNING true
        """,
        object,
        version,
        size,
        checksums,
        at,
        media_type,
    )
    return bool(done)


async def reserve_version(connection: Connection, object: int) -> None:
    """Take the number that the content will have when it is verified, so that what completes later lies above it.

    The caller holds the record's lock. An object that fails gives its number back.
    """
    await connection.execute(
        """
        UPDATE stored_object o SET state = 'verifying',
            version = (SELECT coalesce(max(version), 0) + 1 FROM stored_object WHERE media = o.media)
        WHERE id = $1 AND state = 'writing'
        """,
        object,
    )


async def reserved_version(connection: Connection, object: int) -> int | None:
    version: int | None = await connection.fetchval("SELECT version FROM stored_object WHERE id = $1", object)
    return version


async def doom(connection: Connection, object: int, *, reason: str, wait_s: float = 0) -> None:
    """Decide that the bytes go: the first of deletion's two phases. `wait_s` leaves time to whoever deletes them at once."""
    await connection.execute(
        """
        UPDATE stored_object SET state = 'purging', state_reason = $2, doomed_at = now(),
            version = CASE WHEN stored_at IS NULL THEN NULL ELSE version END, next_attempt_at = now() + make_interval(secs => $3)
        WHERE id = $1 AND state NOT IN ('purging', 'purged')
        """,
        object,
        reason,
        wait_s,
    )


async def quarantine(connection: Connection, object: int, *, reason: str) -> None:
    """The bytes are not what they should be: nobody reads them, and they stay for a look before they go."""
    await connection.execute(
        """
        UPDATE stored_object SET state = 'quarantined', state_reason = $2, doomed_at = now(), next_attempt_at = now(),
            version = NULL
        WHERE id = $1 AND state IN ('writing', 'verifying')
        """,
        object,
        reason,
    )


async def end_quarantine(connection: Connection, *, after_s: float, limit: int) -> int:
    """Decide that bytes go which have been in quarantine for `after_s`; returns how many."""
    rows = await connection.fetch(
        """
        UPDATE stored_object SET state = 'purging', next_attempt_at = now() WHERE id IN (
            SELECT id FROM stored_object WHERE state = 'quarantined' AND next_attempt_at < now() - make_interval(secs => $1)
            ORDER BY next_attempt_at LIMIT $2 FOR UPDATE SKIP LOCKED)
        RETURNING id
        """,
        after_s,
        limit,
    )
    return len(rows)


async def doom_again(connection: Connection, *, store: int, key: str, reason: str) -> bool:
    """Bytes came to a key after it was purged: they go too, whether or not the key still has a row.

    False where the row says that the bytes are somebody's.
    """
    doomed = await connection.fetchval(
        """
        INSERT INTO stored_object (store, key, media_type, state, state_reason, doomed_at)
        VALUES ($1, $2, '', 'purging', $3, now())
        ON CONFLICT ON CONSTRAINT stored_object_key_key DO UPDATE
            SET state = 'purging', state_reason = $3, doomed_at = now(), next_attempt_at = now()
            WHERE stored_object.state IN ('purging', 'purged')
        RETURNING true
        """,
        store,
        key,
        reason,
    )
    return bool(doomed)


async def doom_all_of(connection: Connection, medias: Sequence[int], *, reason: str, wait_s: float = 0) -> int:
    """Decide that every object of these records goes; returns how many.

    What is being written is left to its upload, which will find its record gone: bytes may still be on their way to the key.
    """
    rows = await connection.fetch(
        """
        UPDATE stored_object SET state = 'purging', state_reason = $2, doomed_at = now(),
            next_attempt_at = now() + make_interval(secs => $3)
        WHERE media = ANY ($1) AND state NOT IN ('writing', 'verifying', 'purging', 'purged') RETURNING id
        """,
        medias,
        reason,
        wait_s,
    )
    return len(rows)


DOOMED = """
SELECT o.id, o.store, o.key, o.attempts, u.s3_upload_id AS upload_id, coalesce(u.state <> 'completed', false) AS maybe_open,
    greatest(u.urls_until, l.urls_until,
        CASE WHEN u.state = 'failed' AND u.method <> 'proxied' OR l.state IN ('failed', 'completed')
            THEN o.doomed_at END)
        + interval '1 day' AS bytes_until
FROM stored_object o LEFT JOIN upload u ON u.stored_object = o.id LEFT JOIN upload l ON l.landing = o.id
WHERE o.state = 'purging'
"""
"""`bytes_until`: a request that began before its URL ended, and a verification that was under way, can bring bytes afterwards."""


async def doomed_of(connection: Connection, ids: Sequence[int]) -> list[Doomed]:
    """These objects, as far as their bytes are to go."""
    return [Doomed(**row) for row in await connection.fetch(f"{DOOMED} AND o.id = ANY ($1) ORDER BY o.id", ids)]


async def supersede(connection: Connection, media: int, *, current: int | None) -> None:
    """The record's contents but the current one are old from this moment on, unless they were before."""
    await connection.execute(
        """
        UPDATE stored_object SET superseded_at = now()
        WHERE media = $1 AND id IS DISTINCT FROM $2 AND state = 'stored' AND superseded_at IS NULL
        """,
        media,
        current,
    )


async def claim_doomed(connection: Connection, *, limit: int, lease_s: float, but: Sequence[int] = ()) -> list[Doomed]:
    """Objects whose bytes are due to go, oldest first, of all stores but some; nobody else gets them for `lease_s`."""
    rows = await connection.fetch(
        f"""
        {DOOMED} AND o.next_attempt_at <= now() AND o.store <> ALL ($2::bigint[])
        ORDER BY o.next_attempt_at LIMIT $1 FOR UPDATE OF o SKIP LOCKED
        """,
        limit,
        list(but),
    )
    await connection.execute(
        "UPDATE stored_object SET next_attempt_at = now() + make_interval(secs => $2) WHERE id = ANY ($1)",
        [row["id"] for row in rows],
        lease_s,
    )
    return [Doomed(**row) for row in rows]


class Gone(Struct, frozen=True, kw_only=True):
    """An object whose bytes nobody finds in its store any more."""

    id: int
    kept_as: str | None = None
    """How the store keeps them nevertheless, so that nothing was freed: `delete marker`."""
    again_at: datetime | None = None
    """When the key is emptied once more, because bytes may still come to it; the row stays until then."""


async def set_gone(connection: Connection, gone: Sequence[Gone]) -> None:
    """The bytes of these objects are gone. Each gets its receipt, once: late bytes don't change what is known of the first.

    What was missing before has freed nothing. What never belonged to a record, or whose record was withdrawn, leaves no row, but
    for a direct upload, whose end can be asked for.
    """
    ids = [one.id for one in gone]
    await connection.execute(
        """
        UPDATE stored_object o SET state = CASE WHEN g.again_at IS NULL THEN 'purged' ELSE o.state END,
            next_attempt_at = coalesce(g.again_at, o.next_attempt_at), purge_problem = NULL,
            attempts = CASE WHEN g.again_at IS NULL THEN o.attempts ELSE 0 END,
            receipt = coalesce(o.receipt, jsonb_build_object(
                'at', now(), 'answer', coalesce(g.kept_as, 'gone'), 'rule', coalesce(o.state_reason, 'unknown'), 'size', o.size,
                'bytes_freed',
                    CASE WHEN g.kept_as IS NULL AND o.fixity IS DISTINCT FROM 'missing' THEN coalesce(o.size, 0) ELSE 0 END,
                'sweep', o.sweep, 'checksums', coalesce((
                    SELECT jsonb_object_agg(name, told -> 'value') FROM jsonb_each(o.checksums) AS told_of (name, told)), '{}')))
        FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS g (id, kept_as, again_at)
        WHERE o.id = g.id AND o.state = 'purging'
        """,
        ids,
        [one.kept_as for one in gone],
        [one.again_at for one in gone],
    )
    await connection.execute(
        """
        DELETE FROM stored_object o WHERE id = ANY ($1) AND state = 'purged' AND media IS NULL
            AND NOT EXISTS (SELECT FROM upload WHERE stored_object = o.id AND method <> 'proxied')
        """,
        ids,
    )


async def set_purge_failed(connection: Connection, problems: Mapping[int, str]) -> None:
    """Try these again later: after 10 s, then twice as long each time, up to an hour. Says what the store answered of each."""
    await connection.execute(
        """
        UPDATE stored_object o SET attempts = attempts + 1, purge_problem = p.problem,
            next_attempt_at = now() + make_interval(secs => least(10 * 2 ^ least(attempts, 20), 3600))
        FROM unnest($1::bigint[], $2::text[]) AS p (id, problem) WHERE o.id = p.id AND o.state = 'purging'
        """,
        list(problems),
        list(problems.values()),
    )
