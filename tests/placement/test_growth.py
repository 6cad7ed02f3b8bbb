"""What a store held on each day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from mediastore.database import Database
from mediastore.migrations.mediastore_0011_growth import DAYS_BEFORE
from mediastore.placement.diary import Diary
from tests.database import DatabaseServer, run
from tests.server import Server, add_user, running_server

TODAY = datetime.now(UTC).date()
MOVES = """
WITH records AS (
    INSERT INTO media (pid, owner, access, store, status, version)
    SELECT 'past/' || n, 'admin', 'private', s.id, 'pending', 0 FROM store s, generate_series(1, 6) AS n WHERE s.name = 'local'
    RETURNING id, pid, store
)
INSERT INTO stored_object (media, store, key, media_type, state, version, size, stored_at, doomed_at)
SELECT r.id, r.store, r.pid, 'text/plain', m.state, 1, 10,
    now() - make_interval(days => m.came), now() - make_interval(days => m.went)
FROM records r JOIN (VALUES
    ('past/1', 'stored', 5, NULL), ('past/2', 'stored', 5, NULL), ('past/3', 'purged', 5, 2), ('past/4', 'purging', 3, 3),
    ('past/5', 'missing', 3, NULL), ('past/6', 'stored', 0, NULL)
) AS m (pid, state, came, went) ON m.pid = r.pid
"""


@pytest.fixture(scope="module")
def place(database_server: DatabaseServer, template_database: str) -> Iterator[tuple[Server, str]]:
    with database_server.database(template=template_database) as url, running_server(url) as server:
        yield server, url


@pytest.fixture
def client(place: tuple[Server, str]) -> Iterator[httpx.Client]:
    with place[0].client() as admin:
        yield admin


def sql(url: str, *statements: tuple[Any, ...]) -> list[asyncpg.Record]:
    async def execute() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetch(*statement) for statement in statements][-1]
        finally:
            await connection.close()

    return run(execute())


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def grown(client: httpx.Client, store: str, **query: int) -> list[tuple[str, int, int]]:
    answer = client.get(f"/stores/{store}/growth", params=query)
    assert answer.status_code == 200, answer.text
    return [(item["day"], item["objects"], item["bytes"]) for item in answer.json()["items"]]


def test_growth_has_every_day_and_ends_with_what_there_is(place: tuple[Server, str], client: httpx.Client) -> None:
    assert client.post("/stores", json={"name": "field", "kind": "filesystem"}).status_code == 201
    assert grown(client, "field") == [(ago(0), 0, 0)], "of a new store nothing else is known"
    for days, objects in ((400, 1), (4, 7), (2, 3)):
        day = (
            "INSERT INTO store_day SELECT id, current_date - $1::int, $2::bigint, $2::bigint * 10 FROM store WHERE name = 'field'"
        )
        sql(place[1], (day, days, objects))
    assert client.put("/content/field/1", content=b"12345", params={"store": "field"}).status_code == 201
    assert grown(client, "field", days=6) == [
        (ago(5), 1, 10),
        (ago(4), 7, 70),
        (ago(3), 7, 70),
        (ago(2), 3, 30),
        (ago(1), 3, 30),
        (ago(0), 1, 5),
    ], "a day without a note is like the one before, also where that lies before the first that is asked for"
    assert len(grown(client, "field", days=3660)) == 401


def test_notes_of_a_day_are_one_however_often_they_are_made(place: tuple[Server, str], client: httpx.Client) -> None:
    assert client.put("/content/noted", content=b"1234", params={"store": "local"}).status_code == 201

    async def note() -> None:
        database = Database(place[1], pool_size=1)
        await Diary(database).note()
        await Diary(database).note()
        await database.close()

    run(note())
    days = "SELECT day, object_count, byte_count FROM store_day d JOIN store s ON s.id = d.store WHERE s.name = 'local'"
    assert [tuple(row) for row in sql(place[1], (days,))] == [(TODAY, 1, 4)]


def test_days_before_the_first_note_are_told_by_what_came_and_went(database_url: str) -> None:
    store = "INSERT INTO store (name, kind) VALUES ('local', 'filesystem')"
    read = "SELECT current_date - day AS ago, object_count AS objects, byte_count AS bytes FROM store_day ORDER BY day"
    rows = sql(database_url, (store,), (MOVES,), (DAYS_BEFORE,), (read,))
    assert [tuple(row) for row in rows] == [(5, 3, 30), (3, 3, 30), (2, 2, 20), (0, 3, 30)]


def test_growth_is_for_administrators(place: tuple[Server, str], client: httpx.Client) -> None:
    add_user(client, "ann")
    with place[0].client("ann") as ann:
        assert ann.get("/stores/local/growth").status_code == 403
    assert client.get("/stores/nowhere/growth").status_code == 404
    assert (
        client.get("/stores/local/growth", params={"days": 0}).json()["code"]
        == client.get("/stores/local/growth", params={"days": "many"}).json()["code"]
    )
