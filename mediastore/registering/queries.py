"""Registrations in the database. The row of an object claims its key as long as a registration waits, and afterwards."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from mediastore.database import Connection
from mediastore.registering.schemas import Registration, RegistrationStatus


class RegistrationRow(Struct, frozen=True, kw_only=True):
    id: int
    store: int
    store_name: str
    key: str
    scan: int | None
    stored_object: int | None
    media: int | None
    pid: str
    created_record: bool
    about: Raw
    claims: Raw
    size: int | None
    state: RegistrationStatus
    problem: Raw | None
    caller: str
    created_at: datetime
    ended_at: datetime | None
    media_type: str | None
    """As it was said when it began; empty where it was not."""
    filename: str | None

    def claimed(self) -> dict[str, str]:
        return msgspec.json.decode(self.claims, type=dict[str, str])

    def shown(self) -> Registration:
        return Registration(
            id=self.id,
            store=self.store_name,
            key=self.key,
            pid=self.pid,
            status=self.state,
            size=self.size,
            problem=None if self.problem is None else msgspec.json.decode(self.problem),
            scan=self.scan,
            asked_by=self.caller,
            created_at=self.created_at,
            ended_at=self.ended_at,
        )


REGISTRATIONS = """
SELECT r.id, r.store, s.name AS store_name, r.key, r.scan, r.stored_object, r.media, r.pid, r.created_record, r.about, r.claims,
    r.size, r.state, r.problem, r.caller, r.created_at, r.ended_at, o.media_type, o.filename
FROM registration r JOIN store s ON s.id = r.store LEFT JOIN stored_object o ON o.id = r.stored_object
"""


async def insert_registration(
    connection: Connection,
    *,
    store: int,
    key: str,
    scan: int | None,
    object: int,
    media: int,
    pid: str,
    created_record: bool,
    about: Raw,
    claims: Mapping[str, str],
    size: int | None,
    caller: str,
) -> int:
    id: int = await connection.fetchval(
        """
        INSERT INTO registration
            (store, key, scan, stored_object, media, pid, created_record, about, claims, size, state, caller)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'waiting', $11) RETURNING id
        """,
        store,
        key,
        scan,
        object,
        media,
        pid,
        created_record,
        about,
        dict(claims),
        size,
        caller,
    )
    return id


async def insert_failed(
    connection: Connection,
    *,
    store: int,
    key: str,
    scan: int,
    pid: str,
    size: int | None,
    problem: Mapping[str, object],
    caller: str,
    at: datetime,
) -> None:
    """An object of a scan that can't be registered. Safe to repeat."""
    await connection.execute(
        """
        INSERT INTO registration (store, key, scan, pid, created_record, size, state, problem, caller, ended_at)
        VALUES ($1, $2, $3, $4, false, $5, 'failed', $6, $7, $8) ON CONFLICT ON CONSTRAINT registration_scan_key DO NOTHING
        """,
        store,
        key,
        scan,
        pid,
        size,
        dict(problem),
        caller,
        at,
    )


async def registration_by_id(connection: Connection, id: int) -> RegistrationRow | None:
    row = await connection.fetchrow(f"{REGISTRATIONS} WHERE r.id = $1", id)
    return RegistrationRow(**row) if row else None


async def registrations_before(
    connection: Connection, store: int, *, scan: int | None, state: RegistrationStatus | None, before: int, limit: int
) -> list[RegistrationRow]:
    """Newest first, of one scan or state where they are given."""
    rows = await connection.fetch(
        f"""
        {REGISTRATIONS}
        WHERE r.store = $1 AND r.id < $2 AND ($3::bigint IS NULL OR r.scan = $3) AND ($4::text IS NULL OR r.state = $4)
        ORDER BY r.id DESC LIMIT $5
        """,
        store,
        before,
        scan,
        state,
        limit,
    )
    return [RegistrationRow(**row) for row in rows]


async def problems_of(connection: Connection, scan: int, *, limit: int) -> list[RegistrationRow]:
    """The first registrations of a scan that failed."""
    rows = await connection.fetch(f"{REGISTRATIONS} WHERE r.scan = $1 AND r.state = 'failed' ORDER BY r.id LIMIT $2", scan, limit)
    return [RegistrationRow(**row) for row in rows]


async def end_registration(
    connection: Connection, id: int, *, state: RegistrationStatus, at: datetime, problem: Mapping[str, object] | None = None
) -> bool:
    """Only one that waits can end; False where it does not."""
    ended = await connection.fetchval(
        """
        UPDATE registration SET state = $2, problem = $3, ended_at = $4 WHERE id = $1 AND state = 'waiting' RETURNING true
        """,
        id,
        state,
        None if problem is None else dict(problem),
        at,
    )
    return bool(ended)


async def release(connection: Connection, object: int) -> None:
    """Give the claim on the key back. The bytes are somebody else's and stay, so the row must not be doomed: it goes."""
    await connection.execute("DELETE FROM stored_object WHERE id = $1 AND state IN ('writing', 'verifying')", object)


class Namer(Struct, frozen=True, kw_only=True):
    """What names a key."""

    state: str
    pid: str | None


async def namer(connection: Connection, store: int, key: str) -> Namer | None:
    row = await connection.fetchrow(
        """
        SELECT o.state, m.pid FROM stored_object o LEFT JOIN media m ON m.id = o.media WHERE o.store = $1 AND o.key = $2
        """,
        store,
        key,
    )
    return Namer(**row) if row else None


async def named(connection: Connection, store: int, keys: Collection[str]) -> set[str]:
    """Those of the keys that a row names, in whatever state its object is."""
    rows = await connection.fetch("SELECT key FROM stored_object WHERE store = $1 AND key = ANY ($2)", store, list(keys))
    return {row["key"] for row in rows}


async def of_scan(connection: Connection, scan: int, keys: Collection[str]) -> dict[str, tuple[int, RegistrationStatus]]:
    """The registrations that a scan has made of these keys: id and state."""
    rows = await connection.fetch("SELECT key, id, state FROM registration WHERE scan = $1 AND key = ANY ($2)", scan, list(keys))
    return {row["key"]: (row["id"], row["state"]) for row in rows}


class Forgotten(Struct, frozen=True, kw_only=True):
    id: int
    memory: bool
    """Whether it is about what lies in a server's memory."""


async def waiting_since(connection: Connection, before: datetime, *, limit: int) -> Sequence[Forgotten]:
    """Registrations that have waited since before, oldest first, but for those that a running scan looks after."""
    rows = await connection.fetch(
        """
        SELECT r.id, s.kind = 'memory' AS memory FROM registration r JOIN store s ON s.id = r.store
            LEFT JOIN scan c ON c.id = r.scan
        WHERE r.state = 'waiting' AND r.created_at < $1 AND c.state IS DISTINCT FROM 'running' ORDER BY r.created_at LIMIT $2
        """,
        before,
        limit,
    )
    return [Forgotten(**row) for row in rows]


async def forget_ended(connection: Connection, before: datetime, *, limit: int) -> int:
    """Registrations that ended before then are forgotten, but for those of a running scan; the history has what they did."""
    status = await connection.execute(
        """
        DELETE FROM registration WHERE id IN (
            SELECT r.id FROM registration r LEFT JOIN scan c ON c.id = r.scan
            WHERE r.ended_at < $1 AND c.state IS DISTINCT FROM 'running' ORDER BY r.ended_at LIMIT $2 FOR UPDATE OF r SKIP LOCKED)
        """,
        before,
        limit,
    )
    return int(status.split()[-1])
