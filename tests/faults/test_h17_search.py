"""Searches that cost too much are cut, say what to narrow, and leave the others served; none tells of what is hidden."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
import pytest

from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity
from mediastore.catalog import search_queries
from mediastore.catalog.errors import SearchBusy, SearchInvalid, SearchTooSlow
from mediastore.catalog.history import History, Wanted
from mediastore.catalog.search import Search
from mediastore.catalog.search_schemas import Count, SearchRequest, TagFilter
from mediastore.catalog.turns import Turns
from mediastore.database import Database

ADMIN = Caller(identity=Identity(name="admin", role="administrator", scopes=ALL_SCOPES))
STRANGER = Caller(identity=Identity(name="stranger", role="editor", scopes=ALL_SCOPES))
RECORDS = 3000
SEED = """
INSERT INTO media (pid, owner, access, store, status, tags, metadata)
SELECT 'secret/' || n, 'alice', 'private', s.id, 'pending', ARRAY['hidden'],
    jsonb_build_object('text', repeat('a', 200) || '!', 'depth', n)
FROM generate_series(1, $1::int) AS n, store s
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=6)
    async with database.connection() as connection:
        await connection.execute("INSERT INTO store (name, kind) VALUES ('s', 'memory')")
        await connection.execute(SEED, RECORDS)
        await connection.execute("ANALYZE")
    yield database
    await database.close()


def search(database: Database, **options: Any) -> Search:
    limits = {"timeout_s": 10, "count_timeout_s": 10, "turns": Turns(), "clock": lambda: datetime.now(UTC)}
    return Search(database, **{**limits, **options})


@asynccontextmanager
async def locked(url: str) -> AsyncIterator[None]:
    """Nobody else reads records inside the block: whoever tries waits."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE media IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (SearchRequest(), "add what has an index"),
        (SearchRequest(pid="*x*"), "`pid` begins with a wildcard"),
        (SearchRequest(where="$.depth > 3"), "declare fields"),
    ],
)
async def test_h17_a_search_is_cut_at_its_limit_and_says_what_to_narrow(
    database: Database, database_url: str, asked: SearchRequest, said: str
) -> None:
    async with locked(database_url):
        with pytest.raises(SearchTooSlow, match=r"took longer than 0\.2 s") as caught:
            await search(database, timeout_s=0.2).run(asked, caller=ADMIN)
    assert said in caught.value.message
    assert (await search(database).run(asked, caller=ADMIN)).items is not None


async def test_h17_a_catastrophic_expression_in_a_path_ends_with_the_limit(database: Database) -> None:
    evil = SearchRequest(where='$.text like_regex "^(a+)+$" || $.text like_regex "^(a|aa)+$" || $.text like_regex "(.*a){20}$"')
    begun = asyncio.get_running_loop().time()
    with suppress(SearchTooSlow, SearchInvalid):
        await search(database, timeout_s=0.5).run(evil, caller=ADMIN)
    assert asyncio.get_running_loop().time() - begun < 5


async def test_h17_slow_searches_leave_connections_for_others(database: Database, database_url: str) -> None:
    turns = Turns(at_once=3, wait_s=0.2)
    slow = search(database, timeout_s=5, turns=turns)
    history = History(database, turns=turns, timeout_s=0.3, clock=lambda: datetime.now(UTC))
    async with locked(database_url):
        running = [asyncio.create_task(slow.run(SearchRequest(), caller=ADMIN)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(SearchBusy):
            await slow.run(SearchRequest(), caller=ADMIN)
        with pytest.raises(SearchBusy):
            await history.page(Wanted(actor="nobody"), before=None, limit=10, caller=STRANGER)
        async with asyncio.timeout(2), database.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM store") == 1
    assert [len((await task).items) for task in running] == [100, 100, 100]
    assert len((await slow.run(SearchRequest(), caller=ADMIN)).items) == 100, "turns come back"
    async with locked(database_url):
        with pytest.raises(SearchTooSlow, match="subject"):
            await history.page(Wanted(actor="nobody"), before=None, limit=10, caller=STRANGER)
    assert await history.page(Wanted(actor="nobody"), before=None, limit=10, caller=STRANGER) == ([], None)


PATHS = {
    "long": "$" + ".a" * 900,
    "nested": "(" * 900 + "$.a > 1" + ")" * 900,
    "many": "$.a == 1" + " || $.a == 1" * 150,
    "deep": "$.**.**.**.** > 1",
    "wide": "$.a[0 to 2147483647] > 1",
    "long number": "$.a > 1e131071",
}


@pytest.mark.parametrize("path", list(PATHS.values()), ids=list(PATHS))
async def test_h17_an_expensive_path_is_answered_refused_or_cut(database: Database, path: str) -> None:
    with suppress(SearchInvalid, SearchTooSlow):
        await search(database, timeout_s=2).run(SearchRequest(where=path), caller=ADMIN)
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_h14_counts_estimates_and_facets_know_nothing_of_hidden_records(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = SearchRequest(tags=TagFilter(all=["hidden"]), count=True, facets=["tags", "owner", "status"])
    there = await search(database).run(asked, caller=ADMIN)
    hidden = await search(database).run(asked, caller=STRANGER)
    assert there.count == Count(value=RECORDS, exact=True)
    assert (hidden.items, hidden.count) == ([], Count(value=0, exact=True))
    assert hidden.facets == {"tags": [], "owner": [], "status": []}

    async def too_slow(connection: Any, where: Any) -> int:
        await connection.execute("SELECT pg_sleep(10)")
        return 0

    monkeypatch.setattr(search_queries, "exact_count", too_slow)
    estimated = search(database, count_timeout_s=0.1)
    assert (await estimated.run(asked, caller=STRANGER)).count == Count(value=0, exact=False)
    monkeypatch.setattr(search_queries, "SAMPLE_ROWS", 1500)
    found = (await estimated.run(asked, caller=ADMIN)).count
    assert isinstance(found, Count)
    assert not found.exact
    assert 0.3 * RECORDS < found.value < 3 * RECORDS


async def test_h14_a_cursor_of_ones_own_making_shows_nothing_more(database: Database) -> None:
    asked = SearchRequest(sort="pid", limit=1)
    page = await search(database).run(asked, caller=ADMIN)
    stolen = msgspec.structs.replace(asked, cursor=page.next)
    assert (await search(database).run(stolen, caller=STRANGER)).items == []


GUESSES = {
    "a variable": "$.depth == {guess} && $nothing == 1",
    "times that can't be compared": '$.depth == {guess} && "2026-01-01T00:00:00Z".datetime() > "2026-01-01".datetime()',
    "a template": '$.depth == {guess} && $.text.datetime("TZ") > "2026-01-01".datetime()',
    "more work than there is time": "$.depth == {guess} && " + "exists($.** ? (" * 16 + '@ == "x"' + "))" * 16,
}


@pytest.mark.parametrize("path", list(GUESSES.values()), ids=list(GUESSES))
async def test_h14_a_condition_ends_the_same_way_whether_a_guess_about_hidden_records_is_right_or_wrong(
    database: Database, path: str
) -> None:
    async def told(guess: int) -> str:
        asked = SearchRequest(where=path.format(guess=guess), count=True, facets=["owner"])
        try:
            page = await search(database, timeout_s=2).run(asked, caller=STRANGER)
        except (SearchInvalid, SearchTooSlow) as error:
            return error.message.replace(str(guess), "")
        return f"{page.items} {page.count} {page.facets}"

    assert await told(guess=7) == await told(guess=RECORDS + 7)


async def test_times_are_compared_whether_or_not_they_have_an_offset(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            """UPDATE media SET metadata = metadata || '{"at": "2026-01-02T00:00:00Z"}' WHERE metadata @> '{"depth": 5}'"""
        )
    asked = SearchRequest(where='$.at.datetime() > "2026-01-01".datetime()')
    assert [item.pid for item in (await search(database).run(asked, caller=ADMIN)).items] == ["secret/5"]


async def test_h17_a_page_of_large_records_is_a_short_one(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            "UPDATE media SET metadata = jsonb_build_object('x', repeat('x', 6 * 1024 * 1024)) WHERE pid ~ '^secret/[1-5]$'"
        )
    asked = SearchRequest(pid="secret/?", sort="pid", limit=100)
    found: list[list[str]] = []
    cursor: str | None = None
    while cursor is not None or not found:
        page = await search(database).run(msgspec.structs.replace(asked, cursor=cursor), caller=ADMIN)
        found.append([item.pid[-1:] for item in page.items])
        cursor = page.next
    assert found == [["1", "2"], ["3", "4"], ["5", "6", "7", "8", "9"]]
