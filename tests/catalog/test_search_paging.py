"""Pages through 100,000 records, while others insert, change and delete: what stood throughout is there once."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import asyncpg
import pytest
from msgspec import structs

from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity
from mediastore.catalog.search import Search
from mediastore.catalog.search_schemas import FieldRange, SearchRequest, TagFilter
from mediastore.catalog.turns import Turns
from mediastore.database import Database
from tests.database import DatabaseServer, run

RECORDS = 100_000
ADMIN = Caller(identity=Identity(name="admin", role="administrator", scopes=ALL_SCOPES))
STANDING = """
INSERT INTO media (pid, owner, access, store, status, tags, metadata, created_at, updated_at, expires_at)
SELECT 'standing/' || lpad((n * 7919 % 100000)::text, 6, '0'), 'admin', 'private', s.id, 'pending', '{standing}',
    jsonb_build_object('depth', CASE WHEN n % 5 > 0 THEN n % 1000 END),
    timestamptz '2026-01-01Z' + n % 3000 * interval '1 s', timestamptz '2026-01-01Z' + n % 7 * interval '1 s',
    CASE WHEN n % 3 = 0 THEN timestamptz '2100-01-01Z' + n % 500 * interval '1 s' END
FROM generate_series(1, $1::int) AS n, store s
"""
SIZES = """
WITH objects AS (
    INSERT INTO stored_object (media, version, store, key, size, media_type, state, stored_at)
    SELECT id, 1, store, id::text, id % 100, 'text/plain', 'stored', now() FROM media WHERE id % 2 = 0 RETURNING id, media
)
UPDATE media SET current_object = o.id, version = 1, status = 'ready' FROM objects o WHERE o.media = media.id
"""


@pytest.fixture(scope="module")
def database_url(database_server: DatabaseServer, template_database: str) -> Iterator[str]:
    async def seed(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute("INSERT INTO store (name, kind) VALUES ('s', 'memory')")
        await connection.execute("INSERT INTO metadata_field (name, path, type) VALUES ('depth', '{depth}', 'number')")
        await connection.execute(
            "CREATE INDEX media_field_1_idx ON media ((metadata_number(metadata, ARRAY['depth'])), id) WHERE deleted_at IS NULL"
        )
        await connection.execute(STANDING, RECORDS)
        await connection.execute(SIZES)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    with database_server.database(template=template_database) as url:
        run(seed(url))
        yield url


async def disturb(url: str, stop: asyncio.Event, *, tag: str) -> int:
    """Records that come and go at every place of every order. Each process has its own, or they would wait in a circle."""
    connection = await asyncpg.connect(url)
    mine = "deleted_at IS NULL AND tags @> ARRAY[$1] AND id % 3"
    done = 0
    while not stop.is_set():
        await connection.execute(
            """
            INSERT INTO media (pid, owner, access, store, status, tags, metadata, created_at, updated_at, expires_at)
            SELECT 'standing/' || lpad(n::text, 6, '0') || $1, 'admin', 'private', s.id, 'pending', ARRAY[$1],
                jsonb_build_object('depth', n % 1000), timestamptz '2026-01-01Z' + n % 3000 * interval '1 s',
                timestamptz '2026-01-01Z' + n % 7 * interval '1 s', timestamptz '2100-01-01Z' + n % 500 * interval '1 s'
            FROM (SELECT (random() * 100000)::int AS n FROM generate_series(1, 50)) AS r, store s ON CONFLICT DO NOTHING
            """,
            tag,
        )
        await connection.execute(f"UPDATE media SET updated_at = now(), expires_at = NULL WHERE {mine} = 0", tag)
        await connection.execute(f"UPDATE media SET status = 'deleted', deleted_at = now() WHERE {mine} = 1", tag)
        await connection.execute(f"DELETE FROM media WHERE {mine} = 2", tag)
        done += 1
    await connection.close()
    return done


@pytest.mark.parametrize(
    "request_",
    [
        SearchRequest(),
        SearchRequest(sort="-expires_at"),
        SearchRequest(sort="size"),
        SearchRequest(sort="-depth"),
        SearchRequest(tags=TagFilter(all=["standing"]), fields={"depth": FieldRange(gte=900)}, sort="-pid"),
    ],
    ids=lambda request: f"{request.sort} {'filtered' if request.fields else 'all'}",
)
async def test_what_stands_throughout_is_found_once(database_url: str, request_: SearchRequest) -> None:
    database = Database(database_url, pool_size=2)
    search = Search(database, timeout_s=60, count_timeout_s=60, turns=Turns(), clock=lambda: datetime.now(UTC))
    async with database.connection() as connection:
        condition = "(metadata ->> 'depth')::int >= 900" if request_.fields else "true"
        rows = await connection.fetch(f"SELECT pid FROM media WHERE tags = '{{standing}}' AND {condition}")
    standing = {row["pid"] for row in rows}
    stop = asyncio.Event()
    others = [asyncio.create_task(disturb(database_url, stop, tag=tag)) for tag in ("one", "other")]
    found: list[str] = []
    cursor: str | None = None
    try:
        while True:
            asked = structs.replace(request_, limit=1000, cursor=cursor)
            page = await search.run(asked, caller=ADMIN)
            found += [item.pid for item in page.items if item.tags == ["standing"]]
            cursor = page.next
            if cursor is None:
                break
    finally:
        stop.set()
        rounds = await asyncio.gather(*others)
        await database.close()
    assert len(found) == len(set(found))
    assert set(found) == standing
    assert min(rounds) > 0
