"""Stores and S3 configs in the database."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec
from msgspec import Raw, Struct

from mediastore.database import Connection, ValueRefused
from mediastore.placement.schemas import (
    AddressingStyle,
    Algorithm,
    Amount,
    Brake,
    DayHeld,
    OwnerUsage,
    Quota,
    Retention,
    S3Config,
    StoreShown,
    StoreTotals,
    Upkeep,
)


class S3ConfigRow(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    endpoint_url: str | None
    region: str | None
    addressing_style: AddressingStyle
    access_key_sealed: bytes | None
    secret_key_sealed: bytes | None
    created_at: datetime
    updated_at: datetime

    def shown(self) -> S3Config:
        return S3Config(
            name=self.name,
            endpoint_url=self.endpoint_url,
            region=self.region,
            addressing_style=self.addressing_style,
            has_keys=self.access_key_sealed is not None,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class StoreRow(Struct, frozen=True, kw_only=True):
    id: int
    name: str
    kind: str
    bucket: str | None
    prefix: str
    path: str | None
    s3_config: int | None
    s3_config_name: str | None
    options: Raw
    checksums: list[Algorithm]
    retention: Raw
    quota: Raw
    brake: Raw | None
    upkeep: Raw
    enabled: bool
    incarnation: UUID | None
    revision: int
    created_at: datetime
    updated_at: datetime

    def shown(self) -> StoreShown:
        return StoreShown(
            name=self.name,
            kind=self.kind,
            bucket=self.bucket,
            prefix=self.prefix,
            path=self.path,
            s3_config_name=self.s3_config_name,
            options=msgspec.json.decode(self.options),
            checksums=tuple(self.checksums),
            retention=self.policy(),
            quota=self.limits(),
            brake=None if self.brake is None else msgspec.json.decode(self.brake, type=Brake),
            upkeep=self.care(),
            enabled=self.enabled,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )

    def policy(self) -> Retention:
        return msgspec.json.decode(self.retention, type=Retention)

    def limits(self) -> Quota:
        return msgspec.json.decode(self.quota, type=Quota)

    def care(self) -> Upkeep:
        return msgspec.json.decode(self.upkeep, type=Upkeep)


S3_CONFIG_COLUMNS = (
    "id, name, endpoint_url, region, addressing_style, access_key_sealed, secret_key_sealed, created_at, updated_at"
)
STORES = """
SELECT s.id, s.name, s.kind, s.bucket, s.prefix, s.path, s.s3_config, c.name AS s3_config_name, s.options, s.checksums,
    s.retention, s.quota, s.brake, s.upkeep, s.enabled, s.incarnation, s.revision, s.created_at, s.updated_at
FROM store s LEFT JOIN s3_config c ON c.id = s.s3_config
WHERE s.deleted_at IS NULL
"""

PLACEMENT_LOCK = 6_334_785_113
"""Advisory lock of whoever adds or moves a store, so that no two can come to overlap."""


async def lock_placement(connection: Connection) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", PLACEMENT_LOCK)


async def stores(connection: Connection) -> list[StoreRow]:
    return [StoreRow(**row) for row in await connection.fetch(f"{STORES} ORDER BY s.name")]


async def store_by_name(connection: Connection, name: str, *, lock: bool = False) -> StoreRow | None:
    if lock:  # first, so that what is read then is not older than the lock
        await connection.execute("SELECT FROM store WHERE name = $1 AND deleted_at IS NULL FOR UPDATE", name)
    row = await connection.fetchrow(f"{STORES} AND s.name = $1", name)
    return StoreRow(**row) if row else None


async def store_by_id(connection: Connection, id: int) -> StoreRow | None:
    row = await connection.fetchrow(f"{STORES} AND s.id = $1", id)
    return StoreRow(**row) if row else None


async def live_stores(connection: Connection, ids: Collection[int]) -> set[int]:
    """Those of the stores that are there."""
    rows = await connection.fetch("SELECT id FROM store WHERE id = ANY ($1) AND deleted_at IS NULL", list(ids))
    return {row["id"] for row in rows}


async def insert_store(connection: Connection, row: StoreRow) -> None:
    await connection.execute(
        """
        INSERT INTO store (name, kind, bucket, prefix, path, s3_config, options, checksums, retention,
            quota, upkeep)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        row.name,
        row.kind,
        row.bucket,
        row.prefix,
        row.path,
        row.s3_config,
        row.options,
        row.checksums,
        row.retention,
        row.quota,
        row.upkeep,
    )


async def update_store(connection: Connection, row: StoreRow) -> None:
    await connection.execute(
        """
        UPDATE store SET bucket = $2, prefix = $3, path = $4, s3_config = $5, options = $6, checksums = $7, retention = $8,
            enabled = $9, quota = $10, upkeep = $11, revision = revision + 1, updated_at = now()
        WHERE id = $1
        """,
        row.id,
        row.bucket,
        row.prefix,
        row.path,
        row.s3_config,
        row.options,
        row.checksums,
        row.retention,
        row.enabled,
        row.quota,
        row.upkeep,
    )


async def delete_store(connection: Connection, id: int) -> None:
    """The row stays for the tombstones that point at it; the name becomes free."""
    await connection.execute("UPDATE store SET deleted_at = now(), enabled = false, revision = revision + 1 WHERE id = $1", id)


async def check_jsonpath(connection: Connection, path: str) -> None:
    """Raise `ValueRefused`, with what PostgreSQL says, for a text that is no SQL/JSON path or can't be asked of metadata.

    Nor may it be a path to something, `$.camera`, instead of a question with yes or no: that is taken for a no, and nothing would
    be exempt. Nor may it have a variable, for which there is no value.
    """
    try:
        written: str = await connection.fetchval(
            "SELECT $1::text::jsonpath::text FROM jsonb_path_match('{}', $1::text::jsonpath)", path
        )
    except asyncpg.PostgresError as error:
        raise ValueRefused(str(error).splitlines()[0]) from error
    if '$"' in re.sub(r'"(?:[^"\\]|\\.)*"', '"', written):
        raise ValueRefused("it has a variable; there are none, write values")


def exempt(metadata: str, path: str) -> str:
    """SQL: whether the metadata are what the path asks for; what can't be told of a record is a no, and no error. Times with and
    without a zone are compared as in UTC.
    """
    return f"coalesce(jsonb_path_match_tz({metadata}, {path}::text::jsonpath, '{{}}', true), false)"


async def lock_quota(connection: Connection, store: int) -> None:
    """One promise at a time. Rows that point at the store can be written meanwhile, its settings can't."""
    await connection.execute("SELECT FROM store WHERE id = $1 FOR NO KEY UPDATE", store)


async def usage_by_owner(connection: Connection, store: int, *, owner: str | None) -> list[OwnerUsage]:
    """What is used, kept by triggers on the objects, and what uploads that have not ended reserve, and those whose bytes are in
    quarantine; of one owner or of all."""
    rows = await connection.fetch(
        """
        WITH reserved AS (
            SELECT m.owner, count(*) AS objects, sum(u.reserved) AS bytes
            FROM upload u JOIN stored_object o ON o.id = u.stored_object JOIN media m ON m.id = o.media
            WHERE (u.state IN ('open', 'verifying') OR u.state = 'failed' AND o.state = 'quarantined')
                AND o.store = $1 AND ($2::text IS NULL OR m.owner = $2) GROUP BY m.owner
        ), used AS (
            SELECT owner, object_count AS objects, byte_count AS bytes FROM store_usage
            WHERE store = $1 AND object_count > 0 AND ($2::text IS NULL OR owner = $2)
        )
        SELECT owner, coalesce(u.objects, 0)::bigint AS used_objects, coalesce(u.bytes, 0)::bigint AS used_bytes,
            coalesce(r.objects, 0)::bigint AS reserved_objects, coalesce(r.bytes, 0)::bigint AS reserved_bytes
        FROM used u FULL JOIN reserved r USING (owner) ORDER BY owner
        """,
        store,
        owner,
    )
    return [
        OwnerUsage(
            owner=row["owner"],
            used=Amount(bytes=row["used_bytes"], objects=row["used_objects"]),
            reserved=Amount(bytes=row["reserved_bytes"], objects=row["reserved_objects"]),
        )
        for row in rows
    ]


async def usage_by_store(connection: Connection) -> list[StoreTotals]:
    """As `usage_by_owner`, of each store as a whole."""
    rows = await connection.fetch(
        """
        SELECT s.name AS store, coalesce(u.objects, 0)::bigint AS used_objects, coalesce(u.bytes, 0)::bigint AS used_bytes,
            coalesce(r.objects, 0)::bigint AS reserved_objects, coalesce(r.bytes, 0)::bigint AS reserved_bytes
        FROM store s
        LEFT JOIN (
            SELECT store, sum(object_count) AS objects, sum(byte_count) AS bytes FROM store_usage GROUP BY store
        ) u ON u.store = s.id
        LEFT JOIN (
            SELECT o.store, count(*) AS objects, sum(p.reserved) AS bytes
            FROM upload p JOIN stored_object o ON o.id = p.stored_object
            WHERE p.state IN ('open', 'verifying') OR p.state = 'failed' AND o.state = 'quarantined' GROUP BY o.store
        ) r ON r.store = s.id
        WHERE s.deleted_at IS NULL ORDER BY s.name
        """
    )
    return [
        StoreTotals(
            store=row["store"],
            used=Amount(bytes=row["used_bytes"], objects=row["used_objects"]),
            reserved=Amount(bytes=row["reserved_bytes"], objects=row["reserved_objects"]),
        )
        for row in rows
    ]


TODAY = "(now() AT TIME ZONE 'UTC')::date"


async def note_day(connection: Connection) -> None:
    """Write down what every store holds today."""
    await connection.execute(
        f"""
        INSERT INTO store_day (store, day, object_count, byte_count)
        SELECT s.id, {TODAY}, coalesce(sum(u.object_count), 0), coalesce(sum(u.byte_count), 0)
        FROM store s LEFT JOIN store_usage u ON u.store = s.id WHERE s.deleted_at IS NULL GROUP BY s.id ORDER BY s.id
        ON CONFLICT (store, day) DO UPDATE SET object_count = excluded.object_count, byte_count = excluded.byte_count
        """
    )


async def days_held(connection: Connection, store: int, *, days: int) -> list[DayHeld]:
    """One a day, each by an indexed look-up of the last that was noted; today's by what there is."""
    rows = await connection.fetch(
        f"""
        WITH first AS (
            SELECT greatest(min(day), {TODAY} - $2::int + 1) AS day FROM store_day WHERE store = $1
        )
        SELECT d.day::date AS day, n.byte_count AS bytes, n.object_count AS objects
        FROM first CROSS JOIN LATERAL generate_series(first.day::timestamp, ({TODAY} - 1)::timestamp, '1 day') AS d (day)
        CROSS JOIN LATERAL (
            SELECT byte_count, object_count FROM store_day
            WHERE store = $1 AND store_day.day <= d.day::date ORDER BY store_day.day DESC LIMIT 1
        ) AS n
        UNION ALL
        SELECT {TODAY}, coalesce(sum(byte_count), 0)::bigint, coalesce(sum(object_count), 0)::bigint
        FROM store_usage WHERE store = $1 ORDER BY day
        """,
        store,
        days,
    )
    return [DayHeld(**row) for row in rows]


async def lock_share(connection: Connection, store: int, *, owner: str) -> None:
    """One promise to this owner at a time, until the transaction ends. Names that hash alike wait for each other, no more."""
    await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", f"share {owner}", store)


async def share_of_owner(connection: Connection, store: int, *, owner: str, public: bool, joining: int | None) -> int:
    """Bytes of an owner's public records in a store, or of all others: stored, reserved by uploads that have not ended, and in
    quarantine. An upload counts where its record will be when it is completed, and what the record has counts there, too: it goes
    along. So does that of the record `joining`, if any."""
    size: int = await connection.fetchval(
        """
        WITH coming AS (
            SELECT o.media, u.reserved
            FROM upload u JOIN stored_object o ON o.id = u.stored_object JOIN media m ON m.id = o.media
            WHERE (u.state IN ('open', 'verifying') OR u.state = 'failed' AND o.state = 'quarantined')
                AND o.store = $1 AND m.owner = $2 AND (coalesce(u.about ->> 'access', m.access) = 'public') = $3
        )
        SELECT (
            SELECT coalesce(sum(o.size), 0) FROM media m JOIN stored_object o ON o.media = m.id
            WHERE m.owner = $2 AND o.store = $1 AND o.state = 'stored'
                AND ((m.access = 'public') = $3 OR m.id = $4 OR m.id IN (SELECT media FROM coming))
        )::bigint + (SELECT coalesce(sum(reserved), 0) FROM coming)::bigint
        """,
        store,
        owner,
        public,
        joining,
    )
    return size


async def incarnation(connection: Connection, store: int) -> UUID | None:
    """Which process a memory store lives in."""
    found: UUID | None = await connection.fetchval("SELECT incarnation FROM store WHERE id = $1", store)
    return found


async def set_incarnation(connection: Connection, store: int, incarnation: UUID) -> UUID | None:
    """Note which process a memory store lives in; returns the one before."""
    before: UUID | None = await connection.fetchval("SELECT incarnation FROM store WHERE id = $1 FOR UPDATE", store)
    await connection.execute("UPDATE store SET incarnation = $2 WHERE id = $1", store, incarnation)
    return before


async def use_of_stores(connection: Connection, stores: Sequence[int]) -> int:
    """How many records live in these stores, or have bytes there."""
    count: int = await connection.fetchval(
        """
        SELECT count(*) FROM (
            SELECT id FROM media WHERE store = ANY ($1) AND status <> 'deleted'
            UNION
            SELECT coalesce(media, -id) FROM stored_object WHERE store = ANY ($1) AND state <> 'purged'
        ) AS used
        """,
        stores,
    )
    return count


async def s3_configs(connection: Connection) -> list[S3ConfigRow]:
    rows = await connection.fetch(f"SELECT {S3_CONFIG_COLUMNS} FROM s3_config ORDER BY name")
    return [S3ConfigRow(**row) for row in rows]


async def s3_config_by_name(connection: Connection, name: str, *, lock: bool = False) -> S3ConfigRow | None:
    row = await connection.fetchrow(
        f"SELECT {S3_CONFIG_COLUMNS} FROM s3_config WHERE name = $1" + (" FOR UPDATE" if lock else ""), name
    )
    return S3ConfigRow(**row) if row else None


async def s3_config_by_id(connection: Connection, id: int) -> S3ConfigRow | None:
    row = await connection.fetchrow(f"SELECT {S3_CONFIG_COLUMNS} FROM s3_config WHERE id = $1", id)
    return S3ConfigRow(**row) if row else None


async def insert_s3_config(connection: Connection, row: S3ConfigRow) -> None:
    await connection.execute(
        """
        INSERT INTO s3_config (name, endpoint_url, region, addressing_style, access_key_sealed, secret_key_sealed)
        VALUES ($1, $2, $3, $4, $5, $6)
        """,
        row.name,
        row.endpoint_url,
        row.region,
        row.addressing_style,
        row.access_key_sealed,
        row.secret_key_sealed,
    )


async def update_s3_config(connection: Connection, row: S3ConfigRow) -> None:
    """Write the config, and give its stores a new revision so that every process opens them anew."""
    await connection.execute(
        """
        UPDATE s3_config SET endpoint_url = $2, region = $3, addressing_style = $4, access_key_sealed = $5,
            secret_key_sealed = $6, revision = revision + 1, updated_at = now()
        WHERE id = $1
        """,
        row.id,
        row.endpoint_url,
        row.region,
        row.addressing_style,
        row.access_key_sealed,
        row.secret_key_sealed,
    )
    await connection.execute("UPDATE store SET revision = revision + 1 WHERE s3_config = $1", row.id)


async def delete_s3_config(connection: Connection, id: int) -> None:
    # Stores that were deleted may still name it; they never need it again.
    await connection.execute("UPDATE store SET s3_config = NULL WHERE s3_config = $1 AND deleted_at IS NOT NULL", id)
    await connection.execute("DELETE FROM s3_config WHERE id = $1", id)


async def stores_of_s3_config(connection: Connection, id: int) -> list[int]:
    rows = await connection.fetch("SELECT id FROM store WHERE s3_config = $1 AND deleted_at IS NULL ORDER BY id", id)
    return [row["id"] for row in rows]
