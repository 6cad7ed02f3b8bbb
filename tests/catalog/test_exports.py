"""Lines out: all that somebody may read, nothing else, and enough for an import elsewhere."""

import json
from typing import Any

import httpx
import pytest

from tests.catalog.test_imports import ndjson, sent
from tests.database import DatabaseServer
from tests.server import Server, add_user, running_server


def exported(client: httpx.Client, after: str | None = None, **filters: Any) -> list[dict[str, Any]]:
    answer = client.post("/media/export", json=filters if after is None else {**filters, "after": after})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_export_has_what_may_be_read_and_nothing_else(server: Server, admin: httpx.Client) -> None:
    for name in ("exporter", "exported"):
        add_user(admin, name)
    records: list[dict[str, Any]] = [
        {"pid": "out/private"},
        {"pid": "out/internal", "access": "internal"},
        {"pid": "out/public", "access": "public"},
        {"pid": "out/shared", "readers": ["exporter"]},
        {"pid": "out/embargo", "access": "public", "public_at": "2036-01-01T00:00:00Z"},
        {"pid": "out/gone", "access": "public"},
        {"pid": "out/expired", "access": "public", "ttl_s": 1},
    ]
    with server.client("exported") as other:
        sent(other, ndjson(*records))
        other.delete("/media/out/gone")
        while other.get("/media/out/expired").status_code != 410:
            pass
    with server.client("exporter") as client, server.client("") as nobody:
        assert [line["pid"] for line in exported(client)] == ["out/internal", "out/public", "out/shared"]
        assert [line["pid"] for line in exported(nobody)] == ["out/public"]
        assert exported(client, after="out/internal")[0] == client.get("/media/out/public").json()
        refused = [client.post("/media/export", json={"after": pid}) for pid in ("out/private", "out/never")]
        assert [answer.status_code for answer in refused] == [404, 404]
        assert refused[0].json()["detail"].replace("private", "never") == refused[1].json()["detail"]
        assert client.post("/media/export", json={"after": "out/gone"}).text == "", "a deleted one still has its place"
    assert len(exported(admin)) == 5
    assert admin.post("/media/export").status_code == 200, "no body asks for all"
    assert admin.post("/media/export", json={"before": 1}).status_code == 422


def test_an_export_imports_elsewhere_as_it_was(
    server: Server, admin: httpx.Client, database_server: DatabaseServer, template_database: str
) -> None:
    admin.post("/identifier-types", json={"name": "TRIP", "pattern": "[a-z]+[0-9]+", "unique": True})
    lines = [
        {
            "pid": f"trip/{n}",
            "metadata": {"n": n, "x": 1e-9, "text": "línea\nß"},
            "tags": ["a", "b"],
            "identifiers": {"TRIP": f"t{n}"},
            "readers": ["alice"],
            "writers": ["group:ctd"],
            "owner": "bob",
            "public_at": "2036-01-01T00:00:00Z",
            "expires_at": "2037-01-01T00:00:00.123456Z",
        }
        for n in range(2500)
    ]
    sent(admin, ndjson(*lines))
    admin.put("/content/trip/7", content=b"bytes", headers={"Content-Type": "text/csv"}).raise_for_status()
    file = admin.post("/media/export").content
    with (
        database_server.database(template=template_database) as url,
        running_server(url) as elsewhere,
        elsewhere.client() as there,
    ):
        there.post("/identifier-types", json={"name": "TRIP", "pattern": "[a-z]+[0-9]+", "unique": True})
        done, told = sent(there, file)
        assert told == []
        assert done["created"] == len(file.splitlines())
        local = {"status", "content", "version", "revision", "created_at", "updated_at"}
        first, second = ([{k: v for k, v in line.items() if k not in local} for line in exported(at)] for at in (admin, there))
        assert first == second
        assert sent(there, file)[0]["unchanged"] == len(first)


def test_a_long_export_comes_whole_and_goes_on_where_it_was_cut(admin: httpx.Client) -> None:
    sent(admin, ndjson(*({"pid": f"long/{n:05}", "metadata": {"n": n}} for n in range(3300))))
    for n in range(3):
        admin.post("/media", json={"pid": f"heavy/{n}", "metadata": {"x": "y" * 5_000_000}}).raise_for_status()
    whole = exported(admin)
    assert len({line["pid"] for line in whole}) == len(whole)
    assert len([line for line in whole if line["pid"].startswith(("long/", "heavy/"))]) == 3303
    assert exported(admin, after="long/01234") == whole[[line["pid"] for line in whole].index("long/01234") + 1 :]


def test_an_export_has_what_a_search_finds(server: Server, admin: httpx.Client) -> None:
    lines = [
        {"pid": f"found/{n:04}", "metadata": {"n": n}, "tags": ["even"] if n % 2 == 0 else ["odd"], "access": "internal"}
        for n in range(2500)
    ]
    sent(admin, ndjson(*lines))
    admin.put("/content/found/0004", content=b"x" * 10, headers={"Content-Type": "text/csv"}).raise_for_status()
    add_user(admin, "finder")
    for filters in (
        {"pid": "found/*", "tags": {"all": ["even"]}},
        {"where": "$.n < 2100 && $.n > 1900", "owner": ["admin"]},
        {"pid": "found/*", "media_type": ["text/*"], "size": {"gt": 5}},
        {"pid": "found/*", "metadata": {"n": 7}},
        {"q": "found even"},
    ):
        with server.client("finder") as client:
            pages: list[dict[str, Any]] = []
            page = client.post("/media/search", json={**filters, "limit": 1000}).json()
            pages += page["items"]
            while page["next"]:
                page = client.post("/media/search", json={**filters, "limit": 1000, "cursor": page["next"]}).json()
                pages += page["items"]
            assert pages
            assert exported(client, **filters) == pages[::-1], filters
    assert [line["pid"] for line in exported(admin, after="found/0007", metadata={"n": 8})] == ["found/0008"]
    assert exported(admin, after="found/0008", metadata={"n": 8}) == []
    for wrong in ({"where": "$.n >"}, {"fields": {"never": {"eq": 1}}}, {"limit": 1}, {"q": "-"}):
        assert admin.post("/media/export", json=wrong).status_code == 422, wrong


@pytest.mark.parametrize("status", ["pending", "ready", "expired", "failed", "lost"])
def test_every_status_can_be_asked_for_alone(admin: httpx.Client, status: str) -> None:
    found = admin.post("/media/search", json={"status": [status], "limit": 1000})
    assert found.status_code == 200, found.text
    answer = admin.post("/media/export", json={"status": [status]})
    assert answer.status_code == 200, answer.text
    if found.json()["next"] is None:
        assert [json.loads(line) for line in answer.text.splitlines()] == found.json()["items"][::-1]
