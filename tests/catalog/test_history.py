"""What happened to everything, a record as it was, and who read what."""

import json
import random
import time
from typing import Any

import httpx
import pytest

from tests.accounts.peek import rows
from tests.database import DatabaseServer
from tests.server import Server, add_user, running_server

COMPARED = (
    "pid", "pid_type", "identifiers", "metadata", "tags", "store", "status", "status_reason", "version", "owner", "access",
    "readers", "writers", "public_at", "expires_at", "revision",
)  # fmt: skip


def eventually(look: Any, within_s: float = 10) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def reads(client: httpx.Client, pid: str) -> list[dict[str, Any]]:
    items = client.get(f"/history/{pid}", params={"reads": True}).json()["items"]
    return [event for event in items if event["action"] == "read"]


def all_pages(client: httpx.Client, **wanted: object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        answer = client.get("/events", params={**wanted, "limit": 7, **({} if cursor is None else {"cursor": cursor})})  # type: ignore[dict-item]  # whatever a test wants
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def test_a_record_as_it_was_after_each_of_its_changes(server: Server, admin: httpx.Client) -> None:
    """Whatever was done to it: each revision is shown as GET showed it at that time."""
    rng = random.Random(7)
    for name in ("PAST_A", "PAST_B"):
        assert admin.post("/identifier-types", json={"name": name, "pattern": ".*"}).status_code == 201
    for name in ("historian", "heir"):
        add_user(admin, name)
    assert admin.post("/media", json={"pid": "past", "tags": ["first"], "metadata": {"n": 0}, "ttl_s": 5000}).status_code == 201
    seen = {1: admin.get("/media/past").json()}
    changes: list[dict[str, Any]] = [
        {"tags": []}, {"tags": ["b", "c"]}, {"metadata": {"n": 1, "deep": {"a": [1, None, {"b": 2}]}}}, {"metadata": {"n": None}},
        {"identifiers": {"PAST_A": "1", "PAST_B": "x y"}}, {"identifiers": {"PAST_B": None}}, {"access": "public"},
        {"access": "internal"}, {"readers": ["historian"]}, {"readers": [], "writers": ["group:g"]}, {"owner": "heir"},
        {"expires_at": None}, {"ttl_s": 9000}, {"public_at": "2030-01-01T00:00:00Z"}, {"public_at": None}, {"store": "scratch"},
        {"store": "local"},
    ]  # fmt: skip
    for step in range(60):
        if step % 6 == 5:
            answer = admin.put("/content/past", content=b"%d" % step, params={"filename": f"{step}.txt"})
        else:
            answer = admin.patch("/media/past", json=rng.choice(changes))
        assert answer.status_code == 200, answer.text
        shown = admin.get("/media/past").json()
        seen[shown["revision"]] = shown
    private = admin.patch("/media/past", json={"access": "private", "public_at": None, "readers": [], "tags": ["private"]}).json()
    seen[private["revision"]] = private
    assert len(seen) > 30
    for revision, then in seen.items():
        answer = admin.get("/revisions/past", params={"revision": revision})
        assert answer.status_code == 200, answer.text
        was = answer.json()
        assert {name: was[name] for name in COMPARED} == {name: then[name] for name in COMPARED}, revision
        if then["content"] is not None:
            assert was["content"]["checksums"] == {name: sum["value"] for name, sum in then["content"]["checksums"].items()}
            assert was["content"]["filename"] == then["content"]["filename"]
    newest = max(seen)
    missing = admin.get("/revisions/past", params={"revision": newest + 1})
    assert (missing.status_code, missing.json()["code"]) == (404, "revision_not_found")
    assert str(newest) in missing.json()["detail"]
    assert admin.get("/revisions/past").json()["revision"] == newest
    for wrong in ({"revision": 0}, {"revision": "x"}):
        assert admin.get("/revisions/past", params=wrong).status_code in {400, 422}
    assert admin.delete("/media/past").status_code == 204
    gone = admin.get("/revisions/past", params={"revision": newest + 1}).json()
    assert (gone["status"], gone["action"], gone["identifiers"]) == ("deleted", "deleted", {})
    add_user(admin, "no-historian")
    with server.client("no-historian") as stranger, server.client("") as nobody:
        assert stranger.get("/revisions/past", params={"revision": 1}).status_code == 404
        assert nobody.get("/revisions/past", params={"revision": 1}).status_code == 401


def test_history_over_all_by_who_when_and_what(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "clerk")
    with server.client("clerk") as clerk:
        for n in range(20):
            assert clerk.post("/media", json={"pid": f"clerk/{n}"}).status_code == 201
        clerk.patch("/media/clerk/3", json={"tags": ["x"]})
    everything = all_pages(admin)
    ids = [event["id"] for event in everything]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == len(set(ids))
    assert {event["kind"] for event in everything} >= {"media", "account", "store"}
    mine = all_pages(admin, actor="clerk", kind="media")
    assert [event["action"] for event in mine] == ["changed"] + ["created"] * 20
    assert [event["subject"] for event in all_pages(admin, subject="clerk/3")] == ["clerk/3"] * 2
    assert [event["action"] for event in all_pages(admin, subject="clerk", kind="account")] == ["created"]
    assert len(all_pages(admin, actor="clerk", action="created")) == 20
    at = mine[10]["at"]
    assert [event["id"] for event in all_pages(admin, actor="clerk", since=at)] == [
        event["id"] for event in mine if event["at"] >= at
    ]
    assert [event["id"] for event in all_pages(admin, actor="clerk", until=at)] == [
        event["id"] for event in mine if event["at"] < at
    ]
    assert all_pages(admin, actor="nobody-of-this-name") == []
    exported = admin.get("/events/export", params={"actor": "clerk"})
    assert exported.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert lines == all_pages(admin, actor="clerk")[::-1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00"},
        {"kind": "dog"},
        {"until": "2026-01-01T00:00:00 01:00"},
        {"who": "x"},
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(admin: httpx.Client, wrong: dict[str, str]) -> None:
    for path in ("/events", "/events/export"):
        answer = admin.get(path, params=wrong)
        assert answer.status_code in {400, 422}, answer.text
        assert next(iter(wrong)) in answer.json()["detail"]


def test_others_see_what_happened_to_records_that_they_may_read_and_nothing_else(server: Server, admin: httpx.Client) -> None:
    for name in ("peter", "paula"):
        add_user(admin, name)
    with server.client("peter") as peter, server.client("paula") as paula, server.client("") as nobody:
        peter.post("/media", json={"pid": "peter/private"})
        peter.post("/media", json={"pid": "peter/shared", "readers": ["paula"]})
        peter.post("/media", json={"pid": "peter/internal", "access": "internal"})
        paula.post("/media", json={"pid": "paula/own"})
        seen = {event["subject"] for event in all_pages(paula, kind="media")}
        assert {"peter/shared", "peter/internal", "paula/own"} <= seen
        assert "peter/private" not in seen
        assert {event["kind"] for event in all_pages(paula)} == {"media"}, "accounts and stores are for administrators"
        assert all_pages(paula, subject="peter/private") == all_pages(paula, subject="no-such-record") == []
        exported = {json.loads(line)["subject"] for line in paula.get("/events/export").text.splitlines()}
        assert exported == {event["subject"] for event in all_pages(paula)}
        for path in ("/events", "/events/export"):
            assert nobody.get(path).status_code == 401


def test_nobody_changes_history_not_even_the_database_s_owner(server: Server) -> None:
    for statement in ("UPDATE history SET actor = 'x'", "DELETE FROM history", "TRUNCATE history"):
        with pytest.raises(Exception, match="append-only"):
            rows(server, statement)


def test_downloads_are_in_the_history_for_those_who_ask_for_them(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "bookworm")
    admin.put("/content/book", content=bytes(1000), params={"access": "public"})
    with server.client("bookworm") as bookworm, server.client("") as nobody:
        assert bookworm.get("/content/book").status_code == 200
        for start in range(0, 1000, 100):
            assert bookworm.get("/content/book", headers={"Range": f"bytes={start}-{start + 99}"}).status_code == 206
        assert nobody.get("/content/book", params={"version": 1}).status_code == 200
        # None of these moves bytes.
        assert nobody.head("/content/book").status_code == 200
        etag = bookworm.get("/content/book").headers["etag"]
        assert bookworm.get("/content/book", headers={"If-None-Match": etag}).status_code == 304
        assert nobody.get("/content/no-book").status_code == 404

        def counted() -> dict[str, int]:
            found: dict[str, int] = {}
            for event in reads(admin, "book"):
                told = event["changes"]["read"]["after"]
                assert (told["version"], event["revision"]) == (1, None)
                found[event["actor"]] = found.get(event["actor"], 0) + told["requests"]
            return found

        eventually(lambda: counted() == {"bookworm": 12, "anonymous": 1})
        assert len(reads(admin, "book")) < 13, "requests that come together are one line"
    assert "read" not in {event["action"] for event in admin.get("/history/book").json()["items"]}
    assert "read" not in {event["action"] for event in all_pages(admin)}
    assert {event["action"] for event in all_pages(admin, subject="book", action="read")} == {"read"}
    assert "read" in {event["action"] for event in all_pages(admin, subject="book", reads=True)}


def test_reads_that_nobody_wrote_down_yet_are_written_when_the_server_ends(
    database_server: DatabaseServer, template_database: str
) -> None:
    with database_server.database(template=template_database) as url, running_server(url) as server:
        with server.client() as admin:
            admin.put("/content/last", content=b"x")
            assert admin.get("/content/last").content == b"x"
        server.stop()
        server.start()
        with server.client() as admin:
            assert len(reads(admin, "last")) == 1


def test_the_audit_of_access_can_be_switched_off(database_server: DatabaseServer, template_database: str) -> None:
    with (
        database_server.database(template=template_database) as url,
        running_server(url, {"MEDIASTORE_AUDIT_ACCESS": "no"}) as server,
        server.client() as admin,
    ):
        admin.put("/content/unwatched", content=b"x")
        assert admin.get("/content/unwatched").content == b"x"
        assert admin.post("/content/urls", json={"items": [{"pid": "unwatched"}]}).json()["items"][0]["status"] == 200
        time.sleep(1.5)  # longer than reads are kept before they are written
        items = admin.get("/history/unwatched", params={"reads": True}).json()["items"]
        assert [event["action"] for event in items] == ["created", "content"]
