"""Signed URLs for downloads: of the store, or of this server; decided again when they are used."""

import time
from collections.abc import Iterator

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.database import DatabaseServer
from tests.server import Server, add_user, running_server

STORES = ("local", "scratch", "bucket")
CONTENT = bytes(range(256))


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    settings = {"MEDIASTORE_PRESIGNED_URL_TTL_S": "600", "MEDIASTORE_IDENTITY_CACHE_S": "0"}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server, ministack: S3Access) -> Iterator[httpx.Client]:
    with server.client() as admin:
        add_s3_store(admin, ministack, "bucket")
        for store in STORES:
            url = f"/content/in-{store}?store={store}&filename=a%20b.csv"
            assert admin.put(url, content=CONTENT, headers={"Content-Type": "text/csv"}).status_code == 201
        yield admin


def test_many_urls_at_once_each_with_its_result(client: httpx.Client) -> None:
    items = [{"pid": f"in-{store}"} for store in STORES] + [{"pid": "in-local", "version": 7}, {"pid": "nowhere"}]
    answer = client.post("/content/urls", json={"items": items, "expires_s": 60})
    assert answer.status_code == 200, answer.text
    issued = answer.json()["items"]
    assert [item["status"] for item in issued] == [200, 200, 200, 404, 404]
    assert [item["problem"]["code"] for item in issued[3:]] == ["version_not_found", "record_not_found"]
    for item in issued[:3]:
        got = httpx.get(item["url"])
        assert (got.status_code, got.content) == (200, CONTENT)
        assert got.headers["content-type"].startswith("text/csv")
        assert "a%20b.csv" in got.headers["content-disposition"] or "a b.csv" in got.headers["content-disposition"]
        part = httpx.get(item["url"], headers={"Range": "bytes=1-3"})
        assert (part.status_code, part.content) == (206, CONTENT[1:4])


@pytest.mark.parametrize("store", STORES)
def test_direct_leads_to_a_url_that_needs_no_log_in(client: httpx.Client, store: str) -> None:
    answer = client.get(f"/content/in-{store}?direct=true")
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "private, no-store")
    assert httpx.get(answer.headers["location"]).content == CONTENT


@pytest.mark.parametrize("store", STORES)
def test_every_url_is_in_the_history_with_who_and_how_long(client: httpx.Client, store: str) -> None:
    before = len(client.get(f"/history/in-{store}").json()["items"])
    client.get(f"/content/in-{store}?direct=true")
    [issued] = client.post("/content/urls", json={"items": [{"pid": f"in-{store}"}]}).json()["items"]
    events = client.get(f"/history/in-{store}").json()["items"][before:]
    assert [(event["action"], event["actor"]) for event in events] == [("url_issued", "admin")] * 2
    assert events[1]["changes"]["url"]["after"] == {"version": 1, "expires_at": issued["expires_at"]}


def test_a_url_to_this_server_is_for_one_content_alone(client: httpx.Client) -> None:
    client.put("/content/versions", content=b"one")
    [first] = client.post("/content/urls", json={"items": [{"pid": "versions"}]}).json()["items"]
    client.put("/content/versions", content=b"two")
    assert httpx.get(first["url"]).content == b"one"
    other = first["url"].replace("version=1", "version=2")
    assert httpx.get(other).json()["code"] == "url_token_wrong"
    assert httpx.get(first["url"].replace("/versions", "/in-local")).json()["code"] == "url_token_wrong"
    assert httpx.get(f"{first['url'][:-3]}xyz").status_code == 403
    assert httpx.put(first["url"], content=b"three").status_code in {400, 401}


def test_h14_access_withdrawn_after_the_url_was_issued_is_denied(client: httpx.Client, server: Server) -> None:
    add_user(client, "reader", role="reader")
    client.put("/content/lent", content=b"lent")
    client.patch("/media/lent", json={"readers": ["reader"]})
    with server.client("reader") as reader:
        [issued] = reader.post("/content/urls", json={"items": [{"pid": "lent"}]}).json()["items"]
    assert httpx.get(issued["url"]).content == b"lent"
    client.patch("/media/lent", json={"readers": []})
    assert httpx.get(issued["url"]).status_code == 404
    client.patch("/media/lent", json={"readers": ["reader"]})
    client.patch("/users/reader", json={"disabled": True})
    assert httpx.get(issued["url"]).status_code == 401


@pytest.mark.parametrize("store", STORES)
def test_a_url_ends_with_its_record(client: httpx.Client, store: str) -> None:
    made = client.put(f"/content/short-{store}?store={store}&ttl_s=5", content=b"short")
    [issued] = client.post("/content/urls", json={"items": [{"pid": f"short-{store}"}]}).json()["items"]
    assert issued["expires_at"] <= made.json()["expires_at"]
    assert httpx.get(issued["url"]).content == b"short"
    deadline = time.monotonic() + 60
    while httpx.get(issued["url"]).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert httpx.get(issued["url"]).status_code in {403, 410}


def test_nobody_gets_urls_of_what_is_not_public(client: httpx.Client, server: Server) -> None:
    with server.client("") as nobody:
        assert nobody.post("/content/urls", json={"items": [{"pid": "in-local"}]}).status_code == 401
        assert nobody.get("/content/in-local?direct=true").status_code == 404
        client.put("/content/open?access=public", content=b"open")
        answer = nobody.get("/content/open?direct=true")
        assert httpx.get(answer.headers["location"]).content == b"open"
    assert client.get("/history/open").json()["items"][-1]["actor"] == "anonymous"
