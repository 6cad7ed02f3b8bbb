"""What a store may hold, whoever asks for it at the same moment."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import httpx
import pytest

from tests.database import DatabaseServer, run
from tests.server import Server, add_user, running_server
from tests.transfers.sending import begin, complete, send

RECOUNT = """
SELECT s.name AS store, m.owner, count(*) AS objects, sum(o.size)::bigint AS bytes FROM stored_object o
JOIN media m ON m.id = o.media JOIN store s ON s.id = o.store WHERE o.state = 'stored' GROUP BY 1, 2 ORDER BY 1, 2
"""
COUNTED = """
SELECT s.name AS store, u.owner, u.object_count AS objects, u.byte_count AS bytes
FROM store_usage u JOIN store s ON s.id = u.store
WHERE u.object_count <> 0 OR u.byte_count <> 0 ORDER BY 1, 2
"""


@pytest.fixture(scope="module")
def place(database_server: DatabaseServer, template_database: str) -> Iterator[tuple[Server, str]]:
    with database_server.database(template=template_database) as url, running_server(url) as server:
        yield server, url


@pytest.fixture
def client(place: tuple[Server, str]) -> Iterator[httpx.Client]:
    with place[0].client() as admin:
        yield admin


def store_with(client: httpx.Client, name: str, **quota: int) -> str:
    answer = client.post("/stores", json={"name": name, "kind": "filesystem", "quota": quota})
    assert answer.status_code == 201, answer.text
    assert {limit: most for limit, most in answer.json()["quota"].items() if most is not None} == quota
    return name


def usage(client: httpx.Client, store: str) -> dict[str, Any]:
    answer = client.get(f"/stores/{store}/usage")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def recounted(url: str) -> None:
    async def look() -> None:
        connection = await asyncpg.connect(url)
        try:
            assert await connection.fetch(COUNTED) == await connection.fetch(RECOUNT)
        finally:
            await connection.close()

    run(look())


def test_h13_of_fifty_uploads_of_60_percent_at_once_one_wins(place: tuple[Server, str], client: httpx.Client) -> None:
    store = store_with(client, "narrow", bytes=1000)
    barrier = threading.Barrier(50)

    def one(number: int) -> httpx.Response:
        barrier.wait()
        return httpx.post(
            f"{place[0].url}/api/v1/uploads",
            json={"pid": f"narrow-{number}", "store": store, "size": 600},
            headers=dict(client.headers),
            timeout=60,
        )

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))
    assert sorted(answer.status_code for answer in answers) == [201] + [413] * 49
    problem = next(answer for answer in answers if answer.status_code == 413).json()
    assert (problem["code"], problem["quota"], problem["limit"], problem["asked"]) == ("quota_exceeded", "bytes", 1000, 600)
    assert "taken" not in problem, "how much others have is not for everybody"
    upload = next(answer for answer in answers if answer.status_code == 201).json()
    shown = usage(client, store)
    assert (shown["used"]["bytes"], shown["reserved"]) == (0, {"bytes": 600, "objects": 1})
    records = [item["pid"] for item in client.get("/media?limit=1000").json()["items"] if item["store"] == store]
    assert records == [upload["pid"]], "those that were refused left no record"
    assert send(upload, b"x" * 600)[0].status_code == 200
    assert complete(client, upload).status_code == 200
    shown = usage(client, store)
    assert (shown["used"], shown["reserved"]) == ({"bytes": 600, "objects": 1}, {"bytes": 0, "objects": 0})
    recounted(place[1])


def test_what_was_reserved_is_free_again_after_a_cancel(client: httpx.Client) -> None:
    store = store_with(client, "cancelled", bytes=10)
    upload = begin(client, pid="cancelled-1", store=store, size=10)
    assert client.post("/uploads", json={"pid": "cancelled-2", "store": store, "size": 1}).status_code == 413
    assert client.delete(f"/uploads/{upload['id']}").status_code == 204
    assert usage(client, store)["reserved"] == {"bytes": 0, "objects": 0}
    begin(client, pid="cancelled-2", store=store, size=10)


def test_content_through_the_server_counts_too(place: tuple[Server, str], client: httpx.Client) -> None:
    store = store_with(client, "proxied", bytes=10, objects=2)
    assert client.put(f"/content/proxied-1?store={store}", content=b"12345678").status_code == 201
    for content in (b"12345", iter([b"123", b"45"])):
        refused = client.put(f"/content/proxied-2?store={store}", content=content)
        assert (refused.status_code, refused.json()["quota"]) == (413, "bytes")
        assert client.get("/media/proxied-2").status_code == 404
    assert client.put(f"/content/proxied-1?store={store}", content=iter([b"1", b"2"])).status_code == 200
    many = client.put(f"/content/proxied-3?store={store}", content=b"")
    assert (many.status_code, many.json()["quota"]) == (413, "objects")
    assert client.delete("/media/proxied-1").status_code == 204
    assert usage(client, store)["used"] == {"bytes": 0, "objects": 0}
    assert client.put(f"/content/proxied-3?store={store}", content=b"123").status_code == 201
    recounted(place[1])


def test_each_owner_has_a_share_which_moves_along_with_a_record(place: tuple[Server, str], client: httpx.Client) -> None:
    store = store_with(client, "shared", bytes_per_owner=10)
    for name in ("ann", "bob"):
        add_user(client, name)
    with place[0].client("ann") as ann, place[0].client("bob") as bob:
        assert ann.put(f"/content/anns?store={store}", content=b"12345678").status_code == 201
        assert ann.put(f"/content/anns-2?store={store}", content=b"12345678").json()["quota"] == "bytes_per_owner"
        assert bob.put(f"/content/bobs?store={store}", content=b"1").status_code == 201
        assert [item["owner"] for item in usage(ann, store)["owners"]] == ["ann"]
        assert usage(ann, store)["used"] == {"bytes": 8, "objects": 1}
        assert client.patch("/media/anns", json={"owner": "bob"}).status_code == 200
        assert usage(ann, store)["used"] == {"bytes": 0, "objects": 0}
        assert usage(bob, store)["used"] == {"bytes": 9, "objects": 2}
        assert bob.put(f"/content/bobs-2?store={store}", content=b"12").status_code == 413
        assert ann.put(f"/content/anns-2?store={store}", content=b"12345678").status_code == 201
    shown = usage(client, store)
    assert [(item["owner"], item["used"]["bytes"]) for item in shown["owners"]] == [("ann", 8), ("bob", 9)]
    recounted(place[1])


def test_a_quota_can_change(client: httpx.Client) -> None:
    store = store_with(client, "changing", bytes=1)
    assert client.put(f"/content/changing?store={store}", content=b"12").status_code == 413
    assert client.patch(f"/stores/{store}", json={"quota": {"bytes": 2}}).status_code == 200
    assert client.put(f"/content/changing?store={store}", content=b"12").status_code == 201
    assert client.patch(f"/stores/{store}", json={"quota": {}}).json()["quota"]["bytes"] is None
    assert client.patch(f"/stores/{store}", json={"quota": {"bytes": -1}}).status_code == 422
    assert client.patch(f"/stores/{store}", json={"quota": {"kilograms": 1}}).status_code == 422
