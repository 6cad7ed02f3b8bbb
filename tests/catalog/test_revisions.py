"""Revisions: conditions on them, and the history of what made them."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.accounts.peek import rows
from tests.server import Server, add_user


def events(admin: httpx.Client, pid: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = admin.get(f"/history/{pid}").json()["items"]
    return found


def test_a_change_needs_the_revision_that_it_names(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "matched"})
    first = admin.patch("/media/matched", json={"tags": ["a"]}, headers={"If-Match": '"1"'})
    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    late = admin.patch("/media/matched", json={"tags": ["b"]}, headers={"If-Match": '"1"'})
    assert (late.status_code, late.json()["code"], late.json()["revision"]) == (412, "revision_mismatch", 2)
    assert admin.get("/media/matched").json()["tags"] == ["a"]
    for header in ("*", '"2"', '"9", "2"', '"2","9"'):
        assert admin.patch("/media/matched", json={"tags": ["a"]}, headers={"If-Match": header}).status_code == 200, header
    assert admin.delete("/media/matched", headers={"If-Match": '"1"'}).status_code == 412
    assert admin.get("/media/matched").status_code == 200
    assert admin.delete("/media/matched", headers={"If-Match": '"2"'}).status_code == 204


@pytest.mark.parametrize(
    "header", ["1", '"', '"1', "'1'", '"a"', '""', '"1" "2"', "*, *", '"1", x', '"-1"', '"1.0"', '"' + "9" * 30 + '"']
)
def test_a_condition_that_is_none_is_refused_and_nothing_is_changed(admin: httpx.Client, header: str) -> None:
    admin.post("/media", json={"pid": "malformed"})
    for answer in (
        admin.patch("/media/malformed", json={"tags": ["x"]}, headers={"If-Match": header}),
        admin.delete("/media/malformed", headers={"If-Match": header}),
    ):
        assert answer.status_code in {400, 412}, answer.text
    assert admin.get("/media/malformed").json()["revision"] == 1


def test_a_condition_on_a_record_that_is_not_there(admin: httpx.Client) -> None:
    assert admin.patch("/media/not-there", json={}, headers={"If-Match": "*"}).status_code in {404, 412}


@pytest.mark.parametrize("header", ['"1"', "*", '"7", "1"', 'W/"1"'])
def test_a_reader_who_has_it_is_told_so(admin: httpx.Client, header: str) -> None:
    """Tags are compared weakly here (RFC 9110, 13.1.2): proxies that compress make them weak."""
    admin.post("/media", json={"pid": "known"})
    answer = admin.get("/media/known", headers={"If-None-Match": header})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')


def test_a_reader_who_has_another_gets_it(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "unknown"})
    for header in ('"2"', '"11"', 'W/"2"'):
        assert admin.get("/media/unknown", headers={"If-None-Match": header}).json()["pid"] == "unknown"
    assert admin.get("/media/unknown", headers={"If-None-Match": "1"}).status_code == 400


def test_of_many_changes_of_one_revision_one_is_made(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "lost-update"})

    def change(n: int) -> int:
        return admin.patch("/media/lost-update", json={"tags": [str(n)]}, headers={"If-Match": '"1"'}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(change, range(8))) == [200] + [412] * 7


def test_parallel_changes_are_all_made_one_after_the_other(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "together"})
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: admin.patch("/media/together", json={"metadata": {f"k{n}": n}}), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert admin.get("/media/together").json()["metadata"] == {f"k{n}": n for n in range(16)}
    assert sorted(answer.json()["revision"] for answer in answers) == list(range(2, 18))
    assert [event["revision"] for event in events(admin, "together")] == list(range(1, 18))


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"metadata": {}},
        {"metadata": {"a": 1}},
        {"metadata": {"never": None}},
        {"tags": ["x", "x"]},
        {"access": "private"},
        {"identifiers": {}},
        {"readers": None},
        {"store": "local"},
        {"expires_at": None},
        {"owner": "admin"},
    ],
    ids=str,
)
def test_a_change_of_nothing_makes_no_revision(admin: httpx.Client, patch: dict[str, object]) -> None:
    admin.post("/media", json={"pid": "no-op", "metadata": {"a": 1}, "tags": ["x"]})
    before = admin.get("/media/no-op").json()
    answer = admin.patch("/media/no-op", json=patch)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"1"')
    assert answer.json() == before == admin.get("/media/no-op").json()
    assert len(events(admin, "no-op")) == 1


def test_history_tells_who_what_before_and_after(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "historian")
    admin.post("/identifier-types", json={"name": "HISTORY", "pattern": ".+"})
    with server.client("historian") as historian:
        made = historian.post(
            "/media", json={"pid": "told", "metadata": {"a": 1.10}, "tags": ["x"]}, headers={"X-Request-ID": "made-it"}
        )
        assert made.status_code == 201
        changes = {"metadata": {"b": 2}, "tags": ["y"], "access": "internal", "identifiers": {"HISTORY": "1"}, "store": "scratch"}
        assert historian.patch("/media/told", json=changes, headers={"X-Request-ID": "changed-it"}).status_code == 200
    assert admin.put("/content/told", content=b"bytes").status_code == 200
    assert admin.delete("/media/told", headers={"X-Request-ID": "deleted-it"}).status_code == 204
    found = events(admin, "told")
    assert [(event["action"], event["actor"], event["revision"]) for event in found] == [
        ("created", "historian", 1),
        ("changed", "historian", 2),
        ("content", "admin", 3),
        ("deleted", "admin", 4),
    ]
    assert [found[n]["request_id"] for n in (0, 1, 3)] == ["made-it", "changed-it", "deleted-it"]
    assert found[2]["request_id"], "one that was not given is made up"
    assert {event["subject"] for event in found} == {"told"}
    made_changes, changed, content, deleted = (json.loads(json.dumps(event["changes"])) for event in found)
    assert made_changes["metadata"]["after"] == {"a": 1.1}
    assert changed["tags"] == {"before": ["x"], "after": ["y"]}
    assert changed["access"] == {"before": "private", "after": "internal"}
    assert changed["metadata"] == {"before": {"a": 1.1}, "after": {"a": 1.1, "b": 2}}
    assert changed["identifiers"] == {"before": {}, "after": {"HISTORY": "1"}}
    assert changed["store"] == {"before": "local", "after": "scratch"}
    assert set(changed) == {"tags", "access", "metadata", "identifiers", "store"}
    assert content["version"] == {"before": 0, "after": 1}
    assert content["status"] == {"before": "pending", "after": "ready"}
    assert content["content"]["after"]["size"] == 5
    assert deleted["status"] == {"before": "ready", "after": "deleted"}
    assert deleted["identifiers"] == {"before": {"HISTORY": "1"}, "after": {}}


def test_a_change_that_fails_leaves_no_history(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "failing")
    admin.post("/identifier-types", json={"name": "FAIL", "pattern": ".+", "unique": True})
    admin.post("/media", json={"pid": "fail/other", "identifiers": {"FAIL": "v"}})
    admin.post("/media", json={"pid": "fail", "readers": ["failing"]})
    before = rows(server, "SELECT count(*) FROM history")[0]["count"]
    with server.client("failing") as failing:
        for answer in (
            failing.patch("/media/fail", json={"tags": ["x"]}),
            failing.delete("/media/fail"),
            admin.patch("/media/fail", json={"tags": ["x"]}, headers={"If-Match": '"9"'}),
            admin.patch("/media/fail", json={"identifiers": {"FAIL": "v"}, "tags": ["x"]}),
            admin.patch("/media/fail", json={"store": "never"}),
            admin.post("/media", json={"pid": "fail"}),
            admin.post("/media", json={"pid": "fail/new", "identifiers": {"FAIL": "v"}}),
            admin.put("/content/fail", content=b"x", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        ):
            assert answer.status_code >= 400
    assert rows(server, "SELECT count(*) FROM history")[0]["count"] == before
    assert admin.get("/media/fail").json()["tags"] == []
    assert len(events(admin, "fail")) == 1


def test_history_comes_in_pages(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "long-history"})
    for n in range(6):
        admin.patch("/media/long-history", json={"metadata": {"n": n}})
    found: list[int] = []
    cursor: dict[str, str] = {}
    while True:
        page = admin.get("/history/long-history", params={"limit": 3, **cursor}).json()
        found += [event["revision"] for event in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert found == [1, 2, 3, 4, 5, 6, 7]
    assert admin.get("/history/long-history?cursor=zzz").status_code == 422
    assert admin.get("/history/long-history?limit=0").status_code == 422


def test_versions_newest_first(admin: httpx.Client) -> None:
    for n in range(3):
        admin.put(f"/content/versioned?filename=f{n}.txt", content=b"x" * n, headers={"Content-Type": "text/plain"})
    found = admin.get("/versions/versioned").json()["items"]
    assert [(item["version"], item["current"], item["size"], item["filename"]) for item in found] == [
        (3, True, 2, "f2.txt"),
        (2, False, 1, "f1.txt"),
        (1, False, 0, "f0.txt"),
    ]
    assert {item["state"] for item in found} == {"stored"}
    assert all(set(item["checksums"]) == {"md5", "sha256"} for item in found)


def test_a_tombstone_says_gone_only_to_those_who_could_read(server: Server, admin: httpx.Client) -> None:
    for name in ("mourner", "stranger"):
        add_user(admin, name)
    assert admin.put("/content/buried", content=b"x").status_code == 201
    assert admin.patch("/media/buried", json={"readers": ["mourner"]}).status_code == 200
    assert admin.delete("/media/buried").status_code == 204
    assert admin.post("/media", json={"pid": "buried-public", "access": "public"}).status_code == 201
    assert admin.delete("/media/buried-public").status_code == 204
    with server.client("mourner") as mourner, server.client("stranger") as stranger, server.client("") as nobody:
        for path in ("/media/buried", "/content/buried", "/versions/buried"):
            gone = mourner.get(path)
            assert (gone.status_code, gone.json()["code"], gone.json()["record_status"]) == (410, "record_gone", "deleted"), path
            assert stranger.get(path).status_code == nobody.get(path).status_code == 404, path
        assert mourner.get("/history/buried").status_code == 200, "what happened stays readable"
        assert stranger.get("/history/buried").status_code == 404
        assert nobody.get("/media/buried-public").status_code == 410
        assert mourner.patch("/media/buried", json={"tags": ["x"]}).status_code == 410
        assert stranger.patch("/media/buried", json={"tags": ["x"]}).status_code == 404
        assert stranger.delete("/media/buried").status_code == 404
    assert admin.delete("/media/buried").status_code == 410
