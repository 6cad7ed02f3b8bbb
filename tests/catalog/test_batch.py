"""Many changes in one call."""

import time
from typing import Any

import httpx
import pytest

from tests.server import Server, add_user


def batch(client: httpx.Client, *items: dict[str, Any], atomic: bool = False) -> list[dict[str, Any]]:
    answer = client.post("/media/batch", json={"items": items, "atomic": atomic})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["items"]
    assert len(results) == len(items)
    return results


def statuses(results: list[dict[str, Any]]) -> list[int]:
    return [result["status"] for result in results]


def codes(results: list[dict[str, Any]]) -> list[str | None]:
    return [result.get("problem", {}).get("code") for result in results]


@pytest.mark.parametrize("atomic", [False, True])
def test_every_item_gets_its_answer_in_order(admin: httpx.Client, atomic: bool) -> None:
    p = f"order/{atomic}"
    results = batch(
        admin,
        {"op": "create", "pid": f"{p}/1", "metadata": {"n": 1}},
        {"op": "create", "pid": f"{p}/2"},
        {"op": "update", "pid": f"{p}/1", "metadata": {"m": 2}, "revision": 1},
        {"op": "read", "pid": f"{p}/1"},
        {"op": "delete", "pid": f"{p}/2"},
        {"op": "create", "pid": f"{p}/3"},
        {"op": "create"},
        atomic=atomic,
    )
    assert statuses(results) == [201, 201, 200, 200, 204, 201, 201]
    assert [result["pid"] for result in results[:6]] == [f"{p}/{n}" for n in (1, 2, 1, 1, 2, 3)]
    assert results[3]["media"]["metadata"] == {"n": 1, "m": 2}
    assert "media" not in results[4]
    assert results[6]["pid"] == results[6]["media"]["pid"]
    assert admin.get(f"/media/{p}/1").json() == results[3]["media"]
    assert admin.get(f"/media/{p}/2").status_code == 410
    history = admin.get(f"/history/{p}/1").json()["items"]
    assert [event["revision"] for event in history] == [1, 2]
    assert len({event["request_id"] for event in history}) == 1


@pytest.mark.parametrize("atomic", [False, True])
def test_a_dry_run_says_what_would_be_and_leaves_everything_as_it_was(server: Server, admin: httpx.Client, atomic: bool) -> None:
    p, name = f"dry/{atomic}", f"dry-{atomic}"
    add_user(admin, name)
    stored = admin.put(f"/content/{p}/1", content=b"stays")
    assert stored.status_code == 201
    admin.patch(f"/media/{p}/1", json={"writers": [name]})
    admin.post("/media", json={"pid": f"{p}/2"})
    admin.post(f"/holds/{p}/2", json={"reason": "kept"})
    before = [admin.get(f"/media/{p}/{n}").json() for n in (1, 2)]
    history = admin.get(f"/history/{p}/1").json()
    update = {"op": "update", "pid": f"{p}/1", "add_tags": ["new"]}
    create = {"op": "create", "pid": f"{p}/3"}
    with server.client(name) as other:
        for client, items, answers in (
            (admin, [create, update, {"op": "delete", "pid": f"{p}/1"}], [201, 200, 204]),
            (admin, [{"op": "delete", "pid": f"{p}/2"}, create], [409, 424 if atomic else 201]),
            (other, [update, {"op": "delete", "pid": f"{p}/1"}], [424 if atomic else 200, 403]),
            (admin, [create, {"op": "update", "pid": f"{p}/3", "add_tags": ["x"]}], [201, 200] if atomic else [201, 404]),
        ):
            answer = client.post("/media/batch", json={"items": items, "atomic": atomic, "dry_run": True})
            assert [item["status"] for item in answer.json()["items"]] == answers
            for item, sent in zip(answer.json()["items"], items, strict=True):
                if item["status"] == 200:
                    assert item["media"]["tags"] == sent["add_tags"]
    assert [admin.get(f"/media/{p}/{n}").json() for n in (1, 2)] == before
    assert admin.get(f"/media/{p}/3").status_code == 404
    assert admin.get(f"/content/{p}/1").content == b"stays"
    assert admin.get(f"/history/{p}/1").json() == history


def test_an_item_that_fails_does_not_touch_the_others(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "batch-other")
    with server.client("batch-other") as other:
        assert other.post("/media", json={"pid": "alone/foreign", "readers": ["batch-editor"]}).status_code == 201
        assert other.post("/media", json={"pid": "alone/hidden"}).status_code == 201
    add_user(admin, "batch-editor")
    with server.client("batch-editor") as editor:
        results = batch(
            editor,
            {"op": "create", "pid": "alone/1"},
            {"op": "create", "pid": "/bad"},
            {"op": "create", "pid": "alone/1"},
            {"op": "create", "pid": "alone/2", "store": "never"},
            {"op": "create", "pid": "alone/3", "titel": 1},
            {"op": "fly", "pid": "alone/4"},
            {"pid": "alone/5"},
            {"op": "update", "pid": "alone/1", "tags": ["x"], "revision": 7},
            {"op": "update", "pid": "alone/never", "tags": ["x"]},
            {"op": "update", "pid": "alone/foreign", "tags": ["x"]},
            {"op": "delete", "pid": "alone/foreign"},
            {"op": "read", "pid": "alone/hidden"},
            {"op": "update", "pid": "alone/hidden", "tags": ["x"]},
            {"op": "create", "pid": "alone/6"},
        )
        assert statuses(results) == [201, 422, 409, 422, 422, 422, 422, 412, 404, 403, 403, 404, 404, 201]
        assert codes(results)[:4] == [None, "pid_invalid", "pid_taken", "store_unknown"]
        assert "titel" in results[4]["problem"]["detail"]
        assert "fly" in results[5]["problem"]["detail"]
        for result in results:
            assert ("problem" in result) == (result["status"] >= 400)
            if "problem" in result:
                assert result["problem"]["status"] == result["status"]
        assert editor.get("/media/alone/1").json()["revision"] == 1
        assert editor.get("/media/alone/6").status_code == 200


@pytest.mark.parametrize(
    "item",
    [
        {"metadata": {"a": "\x00"}},
        {"metadata": {"\x00": 1}},
        {"tags": ["\x00"]},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"identifiers": {"BATCH-WIDE": "".join(chr(0x4E00 + n * 7 % 20000) for n in range(1024))}},
    ],
    ids=lambda item: str(item)[:40],
)
def test_an_item_that_the_database_refuses_does_not_take_the_others_along(admin: httpx.Client, item: dict[str, Any]) -> None:
    admin.post("/identifier-types", json={"name": "BATCH-WIDE", "pattern": "(?s).*"})
    p = f"refused/{time.monotonic_ns()}"
    results = batch(
        admin, {"op": "create", "pid": f"{p}/1"}, {"op": "create", "pid": f"{p}/2", **item}, {"op": "create", "pid": f"{p}/3"}
    )
    assert [results[0]["status"], results[2]["status"]] == [201, 201]
    assert results[1]["status"] in {201, 422}
    assert admin.get(f"/media/{p}/1").status_code == 200


@pytest.mark.parametrize(
    "metadata", ['{"a": {"b": 1e99999999999999999999}}', '{"a": 1e200000}', '{"a": 1e400, "b": "\\\\u0000"}', "[]"]
)
def test_an_item_with_odd_metadata_does_not_take_the_others_along(admin: httpx.Client, metadata: str) -> None:
    p = f"unreadable/{time.monotonic_ns()}"
    body = f'{{"items": [{{"op": "create", "pid": "{p}/1"}}, {{"op": "create", "pid": "{p}/2", "metadata": {metadata}}}]}}'
    answer = admin.post("/media/batch", content=body.encode())
    assert answer.status_code == 200, answer.text
    results = statuses(answer.json()["items"])
    assert results[0] == 201
    assert results[1] in {201, 422}


def test_duplicates_inside_a_batch_leave_the_first(admin: httpx.Client) -> None:
    results = batch(admin, *({"op": "create", "pid": "twice", "metadata": {"n": n}} for n in range(3)))
    assert statuses(results) == [201, 409, 409]
    assert admin.get("/media/twice").json()["metadata"] == {"n": 0}


def test_identifier_conflicts_inside_a_batch_and_with_what_is_there(admin: httpx.Client) -> None:
    assert admin.post("/identifier-types", json={"name": "BATCH", "pattern": "[a-z]+", "unique": True}).status_code == 201
    assert admin.post("/media", json={"pid": "conflict/there", "identifiers": {"BATCH": "there"}}).status_code == 201
    results = batch(
        admin,
        {"op": "create", "pid": "conflict/1", "identifiers": {"BATCH": "there"}},
        {"op": "create", "pid": "conflict/2", "identifiers": {"BATCH": "new"}},
        {"op": "create", "pid": "conflict/3", "identifiers": {"BATCH": "new"}},
        {"op": "create", "pid": "conflict/4", "identifiers": {"BATCH": "9"}},
        {"op": "create", "pid": "conflict/5", "identifiers": {"BATCH": "other"}},
        {"op": "update", "pid": "conflict/5", "identifiers": {"BATCH": "new"}},
        {"op": "update", "pid": "conflict/5", "identifiers": {"BATCH": "mine"}},
    )
    assert statuses(results) == [409, 201, 409, 422, 201, 409, 200]
    assert codes(results) == ["identifier_taken", None, "identifier_taken", "pattern_broken", None, "identifier_taken", None]
    assert admin.get("/media/conflict/1").status_code == 404
    assert admin.get("/media/conflict/5").json()["identifiers"] == {"BATCH": "mine"}


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        ({"op": "create", "pid": "/bad"}, 422),
        ({"op": "create", "pid": "atomic-there"}, 409),
        ({"op": "update", "pid": "atomic-there", "revision": 9}, 412),
        ({"op": "read", "pid": "atomic-never"}, 404),
        ({"op": "fly"}, 422),
        ({"op": "create", "pid": "atomic-id", "identifiers": {"ATOMIC": "there"}}, 409),
        ({"op": "update", "pid": "atomic-there", "identifiers": {"ATOMIC": "there"}}, 409),
        ({"op": "create", "metadata": {"a": "\x00"}}, 422),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", [0, 2, 4])
def test_an_atomic_batch_is_done_whole_or_not_at_all(admin: httpx.Client, bad: dict[str, Any], status: int, place: int) -> None:
    admin.post("/media", json={"pid": "atomic-there", "tags": ["as it was"]})
    admin.post("/identifier-types", json={"name": "ATOMIC", "pattern": ".+", "unique": True})
    admin.post("/media", json={"pid": "atomic-id-there", "identifiers": {"ATOMIC": "there"}})
    admin.put("/content/atomic-victim", content=b"x")
    before = {pid: admin.get(f"/media/{pid}").json() for pid in ("atomic-there", "atomic-victim")}
    items: list[dict[str, Any]] = [
        {"op": "create", "pid": "atomic/1"},
        {"op": "update", "pid": "atomic-there", "tags": ["changed"]},
        {"op": "delete", "pid": "atomic-victim"},
        {"op": "create", "pid": "atomic/2"},
    ]
    items.insert(place, bad)
    results = batch(admin, *items, atomic=True)
    assert results[place]["status"] == status
    assert [result["status"] for n, result in enumerate(results) if n != place] == [424] * 4
    assert {code for n, code in enumerate(codes(results)) if n != place} == {"batch_undone"}
    for pid, record in before.items():
        assert admin.get(f"/media/{pid}").json() == record
    assert admin.get("/media/atomic/1").status_code == admin.get("/media/atomic/2").status_code == 404
    assert admin.get("/content/atomic-victim").content == b"x"
    assert len(admin.get("/history/atomic-there").json()["items"]) == 1


def test_a_thousand_creates_at_once(admin: httpx.Client) -> None:
    items = [{"op": "create", "pid": f"thousand/{n:04}", "metadata": {"n": n}, "tags": ["t"]} for n in range(1000)]
    results = batch(admin, *items)
    assert statuses(results) == [201] * 1000
    assert [result["pid"] for result in results] == [item["pid"] for item in items]
    assert admin.get("/media/thousand/0999").json() == results[999]["media"]
    assert admin.get("/history/thousand/0500").json()["items"][0]["action"] == "created"
    assert set(statuses(batch(admin, *items))) == {409}
    # They read newest first, and a batch's order is the order of its items.
    listed = [item["pid"] for item in admin.get("/media?limit=1000").json()["items"] if item["pid"].startswith("thousand/")]
    assert listed == sorted((str(item["pid"]) for item in items), reverse=True)


@pytest.mark.parametrize(
    "items", [[], [{"op": "create"}] * 10_001, {}, None, "x"], ids=["none", "too many", "object", "null", "text"]
)
def test_too_many_items_or_none_are_refused(admin: httpx.Client, items: object) -> None:
    answer = admin.post("/media/batch", json={"items": items})
    assert answer.status_code == 422
    if items == [{"op": "create"}] * 10_001:
        assert "at most 10000" in answer.json()["detail"]


def test_nobody_and_readers_in_a_batch(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "batch-reader", "reader")
    admin.post("/media", json={"pid": "batch-public", "access": "public"})
    with server.client("") as nobody, server.client("batch-reader") as reader:
        for client, refused in ((nobody, 401), (reader, 403)):
            items = [
                {"op": "create", "pid": "batch-no"},
                {"op": "read", "pid": "batch-public"},
                {"op": "delete", "pid": "batch-public"},
            ]
            assert statuses(batch(client, *items)) == [refused, 200, refused]
            assert statuses(batch(client, *items, atomic=True)) == [refused, 424, 424]
    assert admin.get("/media/batch-public").status_code == 200


def test_bytes_of_records_deleted_by_batch_go(admin: httpx.Client) -> None:
    admin.post("/stores", json={"name": "batch-store", "kind": "filesystem"})
    for n in range(3):
        assert admin.put(f"/content/batch-bytes/{n}?store=batch-store", content=b"x").status_code == 201
    assert statuses(batch(admin, *({"op": "delete", "pid": f"batch-bytes/{n}"} for n in range(3)))) == [204] * 3
    deadline = time.monotonic() + 20
    while (answer := admin.delete("/stores/batch-store")).status_code == 409 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer.status_code == 204, answer.text
