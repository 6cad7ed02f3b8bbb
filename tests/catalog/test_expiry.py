"""How long records live: by their own wish, and by the policy of their store."""

import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.server import Server


def moment(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def seconds_left(record: dict[str, str]) -> float:
    return (datetime.fromisoformat(record["expires_at"]) - datetime.now(UTC)).total_seconds()


def until_expired(record: dict[str, str]) -> None:
    time.sleep(max(0.0, seconds_left(record)) + 0.05)


def store(admin: httpx.Client, name: str, **retention: int) -> None:
    answer = admin.post("/stores", json={"name": name, "kind": "filesystem", "retention": retention})
    assert answer.status_code == 201, answer.text


def test_a_time_to_live_or_a_moment_but_not_both(admin: httpx.Client) -> None:
    assert admin.post("/media", json={"pid": "for-ever"}).json()["expires_at"] is None
    by_ttl = admin.post("/media", json={"pid": "by-ttl", "ttl_s": 100}).json()
    assert 90 < seconds_left(by_ttl) <= 100
    wanted = moment(500)
    by_moment = admin.post("/media", json={"pid": "by-moment", "expires_at": wanted}).json()
    assert datetime.fromisoformat(by_moment["expires_at"]) == datetime.fromisoformat(wanted)
    for answer in (
        admin.post("/media", json={"pid": "by-both", "ttl_s": 100, "expires_at": wanted}),
        admin.patch("/media/by-ttl", json={"ttl_s": 100, "expires_at": wanted}),
        admin.put(f"/content/by-both?ttl_s=100&expires_at={wanted.replace('+', '%2B')}", content=b"x"),
    ):
        assert answer.status_code == 422, answer.text
        assert "both" in answer.json()["detail"]


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2099-01-01T00:00:00"},
        {"expires_at": "2099-01-01"},
        {"expires_at": "tomorrow"},
        {"expires_at": 4102444800},
        {"ttl_s": 0},
        {"ttl_s": -1},
        {"ttl_s": 1.5},
        {"ttl_s": "60"},
        {"ttl_s": 3_153_600_001},
        {"ttl_s": 10**30},
    ],
    ids=str,
)
def test_a_time_that_can_not_be_is_refused(admin: httpx.Client, fields: dict[str, object]) -> None:
    admin.post("/media", json={"pid": "bad-time"})
    assert admin.post("/media", json={"pid": "bad-time-2", **fields}).status_code == 422
    assert admin.patch("/media/bad-time", json=fields).status_code == 422
    assert admin.get("/media/bad-time").json()["revision"] == 1


def test_an_expired_record_is_gone_for_readers_and_comes_back_with_more_time(server: Server, admin: httpx.Client) -> None:
    put = admin.put("/content/expiring?ttl_s=2", content=b"bytes")
    assert put.status_code == 201, put.text
    assert admin.get("/content/expiring").status_code == 200
    until_expired(put.json())
    for path in ("/media/expiring", "/content/expiring", "/versions/expiring", "/content/expiring?version=1"):
        gone = admin.get(path)
        assert (gone.status_code, gone.json()["code"], gone.json()["record_status"]) == (410, "record_gone", "expired"), path
    assert admin.head("/content/expiring").status_code == 410
    assert "expiring" not in [item["pid"] for item in admin.get("/media?limit=1000").json()["items"]]
    assert admin.put("/content/expiring", content=b"more").status_code == 410
    assert admin.post("/media", json={"pid": "expiring"}).status_code == 409
    assert admin.get("/history/expiring").status_code == 200
    with server.client("") as nobody:
        assert nobody.get("/media/expiring").status_code == 404, "who could not read it learns nothing"
    back = admin.patch("/media/expiring", json={"ttl_s": 100})
    assert (back.status_code, back.json()["status"]) == (200, "ready"), back.text
    assert admin.get("/content/expiring").content == b"bytes"
    assert "expiring" in [item["pid"] for item in admin.get("/media?limit=1000").json()["items"]]
    assert admin.patch("/media/expiring", json={"expires_at": None}).json()["expires_at"] is None


def test_an_expired_record_can_be_deleted(admin: httpx.Client) -> None:
    made = admin.post("/media", json={"pid": "expired-deleted", "ttl_s": 1}).json()
    until_expired(made)
    assert admin.delete("/media/expired-deleted").status_code == 204
    gone = admin.get("/media/expired-deleted")
    assert (gone.status_code, gone.json()["record_status"]) == (410, "deleted")


def test_time_is_taken_away_by_null(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "ttl-null", "ttl_s": 100})
    assert admin.patch("/media/ttl-null", json={"ttl_s": None}).json()["expires_at"] is None


def test_a_store_gives_its_records_a_time_to_live(admin: httpx.Client) -> None:
    store(admin, "by-default", default_ttl_s=100)
    made = admin.post("/media", json={"pid": "default-ttl", "store": "by-default"}).json()
    assert 90 < seconds_left(made) <= 100
    longer = admin.post("/media", json={"pid": "default-longer", "store": "by-default", "ttl_s": 1000}).json()
    assert 900 < seconds_left(longer) <= 1000
    assert admin.patch("/media/default-ttl", json={"expires_at": None}).json()["expires_at"] is None
    by_put = admin.put("/content/default-put?store=by-default", content=b"x").json()
    assert 90 < seconds_left(by_put) <= 100
    by_batch = admin.post("/media/batch", json={"items": [{"op": "create", "store": "by-default"}]}).json()["items"][0]
    assert 90 < seconds_left(by_batch["media"]) <= 100


def test_a_store_keeps_records_no_longer_than_it_says(admin: httpx.Client) -> None:
    store(admin, "limited", max_ttl_s=100)
    assert 90 < seconds_left(admin.post("/media", json={"pid": "limited/none", "store": "limited"}).json()) <= 100
    assert 40 < seconds_left(admin.post("/media", json={"pid": "limited/short", "store": "limited", "ttl_s": 50}).json()) <= 50
    for answer in (
        admin.post("/media", json={"pid": "limited/long", "store": "limited", "ttl_s": 101}),
        admin.post("/media", json={"pid": "limited/long", "store": "limited", "expires_at": moment(200)}),
        admin.patch("/media/limited/short", json={"ttl_s": 101}),
        admin.patch("/media/limited/short", json={"expires_at": None}),
        admin.put("/content/limited/long?store=limited&ttl_s=101", content=b"x"),
    ):
        assert answer.status_code == 422, answer.text
        assert "100" in answer.json()["detail"]
    assert admin.get("/media/limited/long").status_code == 404


def test_a_record_that_comes_into_a_limited_store_is_limited_too(admin: httpx.Client) -> None:
    """By PATCH and by PUT: no record may live longer there than the store says."""
    store(admin, "narrow", max_ttl_s=100)
    for name, fields in (("for-ever", {}), ("long", {"ttl_s": 5000})):
        admin.post("/media", json={"pid": f"narrow/{name}/patch", **fields})
        admin.post("/media", json={"pid": f"narrow/{name}/put", **fields})
        admin.patch(f"/media/narrow/{name}/patch", json={"store": "narrow"})
        admin.put(f"/content/narrow/{name}/put?store=narrow", content=b"x")
        for way in ("patch", "put"):
            record = admin.get(f"/media/narrow/{name}/{way}").json()
            assert record["store"] == "local" or (record["expires_at"] and seconds_left(record) <= 100), (name, way)
