"""Declared fields: said by administrators, built by a job, mended after a crash."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity
from mediastore.catalog.errors import MetadataFieldInvalid
from mediastore.catalog.field_paths import parse_path, shown_path
from mediastore.catalog.field_queries import index_name
from mediastore.catalog.field_schemas import MetadataFieldCreate
from mediastore.catalog.fields import IndexJob, MetadataFields
from mediastore.database import Database
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from tests.server import Server, add_user

ADMIN = Caller(identity=Identity(name="admin", role="administrator", scopes=ALL_SCOPES))


def ready(admin: httpx.Client, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        field: dict[str, Any] = admin.get(f"/metadata-fields/{name}").json()
        if field["state"] == "ready":
            return field
        assert time.monotonic() < deadline, field


def test_a_field_is_declared_used_and_taken_back(server: Server, admin: httpx.Client) -> None:
    for number, depth in enumerate([30, 2.5, "deep", None, True, -1, {"m": 3}]):
        assert admin.post("/media", json={"pid": f"field/{number}", "metadata": {"ctd": {"depth": depth}}}).status_code == 201
    made = admin.post("/metadata-fields", json={"name": "depth", "path": "$.ctd.depth", "type": "number"})
    assert made.status_code == 201, made.text
    assert (made.json()["path"], made.json()["state"]) == ("ctd.depth", "building")
    field = ready(admin, "depth")
    assert (field["problem"], field["ready_at"] is not None) == (None, True)
    assert [item["name"] for item in admin.get("/metadata-fields").json()["items"]] == ["depth"]

    def found(query: str) -> list[str]:
        answer = admin.get(f"/media?pid=field/*&{query}")
        assert answer.status_code == 200, answer.text
        return [item["pid"][-1] for item in answer.json()["items"]]

    assert found("field=depth:gt:-1&sort=depth") == ["1", "0"]
    assert found("field=depth:eq:2.50") == ["1"]
    assert found("sort=-depth") == ["0", "1", "5", "6", "4", "3", "2"], "those without a number last"
    counted = admin.get("/media?pid=field/*&facet=depth&limit=1").json()["facets"]["depth"]
    assert counted == [{"value": None, "count": 4}, *({"value": value, "count": 1} for value in (-1, 2.5, 30))]
    assert admin.get("/media?field=depth:gt:deep").json()["code"] == "search_invalid"
    assert admin.delete("/metadata-fields/depth").status_code == 204
    gone = admin.get("/media?field=depth:gt:1")
    assert "there are: none yet" in gone.json()["detail"]
    assert admin.get("/metadata-fields/depth").json()["code"] == "metadata_field_not_found"


def test_numbers_beyond_python_s_are_counted_as_exactly_as_they_were_written(admin: httpx.Client) -> None:
    assert admin.post("/metadata-fields", json={"name": "exact", "type": "number"}).status_code == 201
    long = "1" + "0" * 400 + ".5"
    for number in (long, "12345678901234567890.123"):
        body = f'{{"metadata": {{"exact": {number}}}}}'
        assert admin.post("/media", content=body, headers={"Content-Type": "application/json"}).status_code == 201
    answer = admin.post("/media/search", json={"fields": {"exact": {"gt": 0}}, "facets": ["exact"], "limit": 1})
    assert answer.status_code == 200, answer.text
    assert f'"value":{long}' in answer.text
    assert '"value":12345678901234567890.123' in answer.text
    assert admin.delete("/metadata-fields/exact").status_code == 204


def test_only_administrators_declare_fields(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "someone")
    with server.client("someone") as someone:
        assert someone.post("/metadata-fields", json={"name": "x", "type": "text"}).status_code == 403
        assert someone.get("/metadata-fields").status_code == 200
        assert someone.delete("/metadata-fields/x").status_code == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "size", "type": "number"}, "metadata_field_invalid"),
        ({"name": "tags", "type": "text"}, "metadata_field_invalid"),
        ({"name": "a", "path": "a..b", "type": "text"}, "metadata_field_invalid"),
        ({"name": "a", "path": "a[0]", "type": "text"}, "metadata_field_invalid"),
        ({"name": "a", "path": "a' OR 1", "type": "text"}, "metadata_field_invalid"),
        ({"name": "a b", "type": "text"}, "body_invalid"),
        ({"name": "a", "type": "date"}, "body_invalid"),
    ],
)
def test_a_field_that_can_not_be_is_refused(admin: httpx.Client, body: dict[str, Any], code: str) -> None:
    answer = admin.post("/metadata-fields", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


def test_a_name_is_given_once(admin: httpx.Client) -> None:
    assert admin.post("/metadata-fields", json={"name": "twice", "type": "text"}).status_code == 201
    assert admin.post("/metadata-fields", json={"name": "twice", "type": "time"}).json()["code"] == "metadata_field_exists"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("depth", ["depth"]),
        ("$.ctd.depth", ["ctd", "depth"]),
        ('ctd."max. depth"', ["ctd", "max. depth"]),
        ('"it\'s".x', ["it's", "x"]),
    ],
)
def test_paths_are_read_and_shown(text: str, names: list[str]) -> None:
    assert parse_path(text) == names
    assert parse_path(shown_path(names)) == names


@pytest.mark.parametrize("text", ["", ".", "$", "a.", ".a", "a b", "1a", '"a', 'a"b"', "$.a[*]", ".".join("a" * 21)])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(MetadataFieldInvalid, match="is no path"):
        parse_path(text)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=3)
    yield database
    await database.close()


async def declared(database: Database, name: str, type: Any = "number") -> tuple[MetadataFields, int]:
    fields = MetadataFields(database, jobs=JobQueue())
    await fields.create(MetadataFieldCreate(name=name, type=type), caller=ADMIN)
    async with database.connection() as connection:
        id: int = await connection.fetchval("SELECT id FROM metadata_field WHERE name = $1", name)
    return fields, id


async def index_state(database: Database, id: int) -> tuple[bool | None, str | None]:
    async with database.connection() as connection:
        valid = await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", index_name(id))
        return valid, await connection.fetchval("SELECT state FROM metadata_field WHERE id = $1", id)


def payload(id: int) -> bytes:
    return msgspec.json.encode(IndexJob(field=id))


async def test_a_build_that_was_killed_is_done_again(database: Database) -> None:
    fields, id = await declared(database, "depth")
    async with database.connection() as connection:
        # What a killed `CREATE INDEX CONCURRENTLY` leaves.
        await connection.execute(f"CREATE INDEX {index_name(id)} ON media (id)")
        await connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index_name(id)}'::regclass")
    assert await index_state(database, id) == (False, "building")
    await fields.index(payload(id))
    assert await index_state(database, id) == (True, "ready")
    await fields.index(payload(id))
    assert await index_state(database, id) == (True, "ready"), "a second time does nothing"
    async with database.connection() as connection:
        text = await connection.fetchval("SELECT pg_get_indexdef(to_regclass($1))", index_name(id))
    assert "metadata_number" in text


async def test_a_build_waits_for_writers_and_keeps_none_waiting(database: Database, database_url: str) -> None:
    fields, id = await declared(database, "depth")
    writer = await asyncpg.connect(database_url)
    open_one = writer.transaction()
    await open_one.start()
    await writer.execute("INSERT INTO store (name, kind) VALUES ('s', 'memory')")
    await writer.execute(
        "INSERT INTO media (pid, owner, access, store, status) SELECT 'a', 'x', 'private', id, 'pending' FROM store"
    )
    building = asyncio.create_task(fields.index(payload(id)))
    try:
        async with asyncio.timeout(20), database.connection() as connection:
            while (await index_state(database, id))[0] is None:  # noqa: ASYNC110 - another session sets no event
                await asyncio.sleep(0.02)
            with pytest.raises(RetryLater):
                await fields.index(payload(id))
            await connection.execute("UPDATE store SET enabled = true")
            await writer.execute(
                "INSERT INTO media (pid, owner, access, store, status) SELECT 'b', 'x', 'private', id, 'pending' FROM store"
            )
            assert not building.done()
    finally:
        await open_one.commit()
        await building
        await writer.close()
    assert await index_state(database, id) == (True, "ready")


async def test_the_index_of_a_field_that_is_gone_goes_too(database: Database) -> None:
    fields, id = await declared(database, "depth")
    await fields.index(payload(id))
    await fields.delete("depth", caller=ADMIN)
    await fields.index(payload(id))
    assert await index_state(database, id) == (None, None)


VALUES = [
    *("null", "true", "0", "-1.5e-300", "1e999", "[]", "{}", '[{"depth": 1}]', '""', '"x"', '"2024-02-30"', '"2024-13-01"'),
    *('"2023-02-29T00:00:00Z"', '"0000-01-01"', '"9999-12-31T23:59:59-23:59"', '"0001-01-01T00:00:00+23:59"', '"24:00"'),
    *('"2024-01-01T24:00:00Z"', '"\u0662\u0660\u0662\u0664-01-01"', '"2024-02-29T23:59:59.9999999Z"'),
]


@pytest.mark.parametrize("type", ["number", "text", "time", "boolean"])
async def test_no_metadata_can_break_an_index(database: Database, type: str) -> None:
    fields, id = await declared(database, "depth", type)
    await fields.index(payload(id))
    async with database.connection() as connection:
        await connection.execute("INSERT INTO store (name, kind) VALUES ('s', 'memory')")
        for number, value in enumerate([*VALUES, f'"{"é" * 100_000}"', f'"{"x" * 3000}"', "9" * 1000]):
            await connection.execute(
                "INSERT INTO media (pid, owner, access, store, status, metadata)"
                " SELECT $1, 'x', 'private', id, 'pending', $2::text::jsonb FROM store",
                str(number),
                f'{{"depth": {value}}}',
            )
    assert await index_state(database, id) == (True, "ready")
