"""Each filter and each order has an index that PostgreSQL uses, also with the caller's right to read among the conditions."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from mediastore.accounts.schemas import ALL_SCOPES, Identity
from mediastore.catalog.field_values import Field
from mediastore.catalog.filter_queries import Asked, conditions
from mediastore.catalog.search import order_of
from mediastore.catalog.search_queries import begin, page_statement, read_where
from mediastore.catalog.search_schemas import FieldRange, SearchRequest, SizeRange, TagFilter, TimeRange
from mediastore.database import _prepare
from tests.database import DatabaseServer, run

RECORDS = 20_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = {"depth": Field(name="depth", path=["depth"], type="number")}
ADMIN = Identity(name="admin", role="administrator", scopes=ALL_SCOPES)
READER = Identity(name="reader", groups=("lab",))
SEED = """
INSERT INTO store (name, kind) VALUES ('s', 'memory');
INSERT INTO identifier_type (name, pattern) VALUES ('T', '.*');
INSERT INTO media (pid, owner, access, store, status, tags, metadata, created_at, updated_at, expires_at, readers)
SELECT 'p' || n, 'owner' || n % 1000, CASE WHEN n % 1000 = 0 THEN 'public' ELSE 'private' END, s.id, 'pending',
    ARRAY['t' || n % 1000],
    jsonb_build_object('depth', n, 'cruise', 'c' || n % 1000, 'word', 'w' || n), timestamptz '2020-01-01Z' + n * interval '1 min',
    timestamptz '2020-01-01Z' + n * interval '1 min', timestamptz '2100-01-01Z' + n * interval '1 min',
    CASE WHEN n % 1000 = 1 THEN '{group:lab}'::text[] ELSE '{}' END
FROM generate_series(1, 20000) AS n, store s;
INSERT INTO stored_object (media, version, store, key, size, media_type, checksums, state, stored_at)
    SELECT id, 1, store, pid, id, 'type/' || id % 1000, jsonb_build_object('md5', jsonb_build_object('value', md5(pid))),
        'stored', now()
    FROM media;
UPDATE media SET current_object = o.id, version = 1, status = 'ready' FROM stored_object o WHERE o.media = media.id;
INSERT INTO identifier (media, type, value, is_unique) SELECT id, 'T', pid, false FROM media;
CREATE INDEX media_field_1_idx ON media ((metadata_number(metadata, ARRAY['depth'])), id) WHERE deleted_at IS NULL;
"""


@pytest.fixture(scope="module")
def seeded_url(database_server: DatabaseServer, template_database: str) -> Iterator[str]:
    async def seed(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(SEED)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    with database_server.database(template=template_database) as url:
        run(seed(url))
        yield url


@pytest.fixture
async def connection(seeded_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(seeded_url)
    await _prepare(connection)
    yield connection
    await connection.close()


PLANS: list[tuple[dict[str, Any], str]] = [
    ({"pid": "p77"}, "media_pid_idx"),
    ({"pid": "p77*"}, "media_pid_idx"),
    ({"identifiers": {"T": "p77"}}, "identifier_"),
    ({"identifiers": {"*": "p777*"}}, "identifier_search_idx"),
    ({"tags": TagFilter(all=["t77"])}, "media_tags_idx"),
    ({"tags": TagFilter(any=["t77", "t78"])}, "media_tags_idx"),
    ({"metadata": msgspec.Raw(b'{"cruise": "c77"}')}, "media_metadata_idx"),
    ({"where": '$.cruise == "c77" && $.depth > 3'}, "media_metadata_idx"),
    ({"owner": ["owner77"]}, "media_owner_idx"),
    ({"status": ["failed"]}, "media_status_idx"),
    ({"checksum": "0" * 32}, "stored_object_checksum_idx"),
    ({"media_type": ["type/77"]}, "stored_object_media_type_idx"),
    ({"size": SizeRange(gte=77, lt=99)}, "stored_object_size_idx"),
    ({"created_at": TimeRange(lt=datetime(2020, 1, 1, 1, tzinfo=UTC))}, "media_created_at_idx"),
    ({"updated_at": TimeRange(lt=datetime(2020, 1, 1, 1, tzinfo=UTC))}, "media_updated_at_idx"),
    ({"expires_at": TimeRange(lt=datetime(2100, 1, 1, 1, tzinfo=UTC))}, "media_expiry_idx"),
    ({"q": "w77"}, "media_text_words_idx"),
    ({"q": "w77*"}, "media_text_words_idx"),
    ({"fields": {"depth": FieldRange(gte=77, lt=99)}}, "media_field_1_idx"),
    ({"sort": "pid"}, "media_pid_idx"),
    ({"sort": "-created_at"}, "media_created_at_idx"),
    ({"sort": "updated_at"}, "media_updated_at_idx"),
    ({"sort": "expires_at"}, "media_expiry_idx"),
    ({"sort": "-size"}, "stored_object_size_idx"),
    ({"sort": "-depth"}, "media_field_1_idx"),
]


@pytest.mark.parametrize("identity", [ADMIN, READER], ids=["administrator", "reader"])
@pytest.mark.parametrize(
    ("asked", "index"), PLANS, ids=[f"{number}-{'-'.join(sorted(asked))}" for number, (asked, _) in enumerate(PLANS)]
)
async def test_there_is_an_index_for_it(
    connection: "asyncpg.Connection[asyncpg.Record]", identity: Identity, asked: dict[str, Any], index: str
) -> None:
    text = await plan(connection, SearchRequest(**asked), identity)
    # A reader of few records is better served by the index of what it may read.
    assert index in text or (identity is READER and "media_readers_idx" in text)


@pytest.mark.parametrize(
    ("identity", "indexes"),
    [(READER, {"media_readers_idx", "media_access_idx", "media_owner_idx"}), (Identity(name=""), {"media_access_idx"})],
    ids=["reader", "nobody"],
)
async def test_the_few_records_that_somebody_may_read_are_found_among_many(
    connection: "asyncpg.Connection[asyncpg.Record]", identity: Identity, indexes: set[str]
) -> None:
    text = await plan(connection, SearchRequest(), identity)
    assert {index for index in indexes if index in text} == indexes


async def plan(connection: "asyncpg.Connection[asyncpg.Record]", request: SearchRequest, identity: Identity) -> str:
    condition = None if request.where is None else await read_where(connection, request.where)
    where = conditions(Asked(filters=request, identity=identity, now=NOW, fields=FIELDS, where=condition))
    statement = page_statement(where, order_of(request, FIELDS), after=None, limit=101)
    async with connection.transaction():
        await begin(connection, timeout_s=60)
        rows = await connection.fetch(f"EXPLAIN {statement}", *where.values)
    return "\n".join(row[0] for row in rows)
