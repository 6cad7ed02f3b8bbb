"""Connections that stay at hand: used again, shared, never handed on when something is wrong with them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from mediastore import database as module
from mediastore.database import Database, DatabaseUnavailable, QueryTooSlow


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=3, wait_s=1, query_timeout_s=2)
    await database.open()
    yield database
    await database.close()


async def backend(database: Database) -> int:
    """Which of PostgreSQL's processes answers."""
    async with database.connection() as connection:
        return int(await connection.fetchval("SELECT pg_backend_pid()"))


async def others(database: Database, url: str) -> int:
    """How many connections the database has, but for the one that asks."""
    connection = await asyncpg.connect(url)
    try:
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(await connection.fetchval(count))
    finally:
        await connection.close()


async def test_what_comes_back_is_used_again(database: Database, database_url: str) -> None:
    assert len({await backend(database) for _ in range(20)}) == 1
    assert await others(database, database_url) == 1


async def test_many_share_the_pool_and_all_are_served(database: Database, database_url: str) -> None:
    async def use(number: int) -> int:
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_sleep(0.01)")
            return int(await connection.fetchval("SELECT $1::int", number))

    for _ in range(3):
        assert await asyncio.gather(*(use(number) for number in range(40))) == list(range(40))
        assert await others(database, database_url) == 3


async def test_who_waits_too_long_is_told_and_nobody_after(database: Database) -> None:
    held = [await database.borrow() for _ in range(3)]
    with pytest.raises(DatabaseUnavailable):
        await backend(database)
    waiting = asyncio.create_task(backend(database))
    await asyncio.sleep(0.1)
    for connection in held:
        await database.give_back(connection)
    await waiting
    assert len(await asyncio.gather(*(backend(database) for _ in range(30)))) == 30


async def test_one_that_died_at_hand_is_not_handed_out(database: Database, database_url: str) -> None:
    first = await backend(database)
    killer = await asyncpg.connect(database_url)
    await killer.execute("SELECT pg_terminate_backend($1, 5000)", first)
    await killer.close()
    for _ in range(10):
        assert await backend(database) != first
    assert await others(database, database_url) == 1


async def test_one_that_dies_in_use_is_given_back_without_an_error(database: Database) -> None:
    async with database.connection() as connection:
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await asyncio.gather(*(backend(database) for _ in range(20)))


async def test_one_that_was_idle_for_long_is_not_trusted(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0)
    assert len({await backend(database) for _ in range(10)}) == 10
    await asyncio.sleep(0.2)
    assert await others(database, database_url) <= 2  # one in the place of each, and asyncpg keeps one ready


async def test_what_a_crowd_left_is_closed_one_after_the_other(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.3)
    held = [await database.borrow() for _ in range(3)]
    for connection in held:
        await database.give_back(connection)
    for _ in range(6):
        await backend(database)
        await asyncio.sleep(0.1)
    assert await others(database, database_url) == 1


async def test_a_crowd_that_comes_before_the_pool_is_open_is_served(database_url: str) -> None:
    database = Database(database_url, pool_size=1, wait_s=1)

    async def use() -> None:
        async with database.connection():
            pass

    await asyncio.gather(*(use() for _ in range(50)))
    await database.close()


async def test_a_transaction_that_was_left_open_is_not_handed_on(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("BEGIN")
        await connection.execute("CREATE TABLE half (done int)")
    for _ in range(3):
        async with database.connection() as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("SELECT to_regclass('half')") is None


async def test_a_query_that_was_cut_leaves_a_connection_that_works(database: Database) -> None:
    with pytest.raises(QueryTooSlow):
        async with database.connection() as connection:
            await connection.execute("SELECT pg_sleep(10)")
    for _ in range(2):
        async with database.connection() as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.execute("SELECT pg_sleep(1)")
        assert len(await asyncio.gather(*(backend(database) for _ in range(20)))) == 20


async def test_closing_leaves_no_connection_behind(database: Database, database_url: str) -> None:
    await asyncio.gather(*(backend(database) for _ in range(20)))
    await asyncio.wait_for(database.close(), timeout=2)
    await asyncio.sleep(0.2)
    assert await others(database, database_url) == 0


async def test_closing_waits_for_what_runs_and_no_longer(database: Database, database_url: str) -> None:
    await asyncio.gather(*(backend(database) for _ in range(20)))

    async def long() -> None:
        async with database.transaction() as connection:
            await connection.execute("CREATE TABLE last (done int)")
            await connection.execute("SELECT pg_sleep(0.3)")

    running = asyncio.create_task(long())
    await asyncio.sleep(0.1)
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseUnavailable, match="stopping"):
        await backend(database)
    await asyncio.wait_for(closing, timeout=2)
    await running
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('last')") is not None
    await connection.close()
