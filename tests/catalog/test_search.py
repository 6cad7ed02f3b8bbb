"""Search over HTTP: both faces of the language, its errors, counts and facets."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.server import Server, add_user

NEXT = "2100-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def records(server: Server) -> Iterator[httpx.Client]:
    """Ten records of a cruise, some with content; the client is their owner."""
    with server.client() as admin:
        add_user(admin, "finder")
        add_user(admin, "other")
        assert admin.post("/identifier-types", json={"name": "CAST", "pattern": ".*"}).status_code == 201
    with server.client("finder") as client:
        for number in range(10):
            record = {
                "pid": f"find/me_{number}",
                "identifiers": {"CAST": f"c%{number}"},
                "metadata": {"cruise": "AR77" if number < 5 else "AR78", "depth": number, "note": "Übersicht of the bloom"},
                "tags": ["raw"] + (["odd"] if number % 2 else []),
                "access": "internal" if number == 9 else "private",
            }
            assert client.post("/media", json=record).status_code == 201
        for number in (1, 2):
            sent = client.put(
                f"/content/find/me_{number}?filename=Sketch{number}.PNG",
                content=b"x" * number,
                headers={"Content-Type": "image/png"},
            )
            assert sent.status_code == 200, sent.text
        yield client


def numbers(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(item["pid"].rpartition("_")[2]) for item in answer.json()["items"]]


SAME: list[tuple[dict[str, Any], dict[str, Any], list[int]]] = [
    ({"pid": "find/me_3"}, {"pid": "find/me_3"}, [3]),
    ({"pid": "*me_?"}, {"pid": "*me_?"}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
    ({"pid": "*me\\*"}, {"pid": "*me\\*"}, []),
    ({"identifier": "CAST:c%3"}, {"identifiers": {"CAST": "c%3"}}, [3]),
    ({"identifier": "*:c%3"}, {"identifiers": {"*": "c%3"}}, [3]),
    ({"identifier": "CAST:c_3"}, {"identifiers": {"CAST": "c_3"}}, []),
    ({"tag": ["raw", "odd"], "limit": 2}, {"tags": {"all": ["raw", "odd"]}, "limit": 2}, [9, 7]),
    ({"any_tag": ["odd", "x"], "pid": "find/*", "limit": 1}, {"tags": {"any": ["odd", "x"]}, "pid": "find/*", "limit": 1}, [9]),
    ({"no_tag": "odd", "pid": "find/*"}, {"tags": {"none": ["odd"]}, "pid": "find/*"}, [8, 6, 4, 2, 0]),
    (
        {"metadata": '{"cruise": "AR78"}', "sort": "pid"},
        {"metadata": {"cruise": "AR78"}, "sort": "pid"},
        [5, 6, 7, 8, 9],
    ),
    (
        {"where": '$.cruise == "AR77" && $.depth >= 3', "sort": "created_at"},
        {"where": '$.cruise == "AR77" && $.depth >= 3', "sort": "created_at"},
        [3, 4],
    ),
    ({"media_type": "image/*"}, {"media_type": ["image/*"]}, [2, 1]),
    ({"size": ["gte:1", "lt:2"]}, {"size": {"gte": 1, "lt": 2}}, [1]),
    ({"sort": "-size", "limit": 3}, {"sort": "-size", "limit": 3}, [2, 1, 9]),
    (
        {"checksum": hashlib.md5(b"x").hexdigest().upper()},
        {"checksum": hashlib.sha256(b"x").hexdigest()},
        [1],
    ),
    ({"status": "ready"}, {"status": ["ready"]}, [2, 1]),
    ({"q": "sketch2 png"}, {"q": "PNG sketch*", "size": {"eq": 2}}, [2]),
    ({"q": "übersicht ar78 me", "limit": 1}, {"q": "blo* ÜBER* AR78", "limit": 1}, [9]),
    ({"owner": "finder", "store": "local", "limit": 1}, {"owner": ["finder"], "store": ["local"], "limit": 1}, [9]),
    ({"created_at": f"lt:{NEXT}", "limit": 1}, {"created_at": {"lt": NEXT}, "limit": 1}, [9]),
    ({"expires_at": f"lt:{NEXT}"}, {"expires_at": {"lt": NEXT}}, []),
]


@pytest.mark.parametrize(("query", "body", "expected"), SAME)
def test_both_faces_find_the_same(
    records: httpx.Client, query: dict[str, Any], body: dict[str, Any], expected: list[int]
) -> None:
    assert numbers(records.get("/media", params=query)) == expected
    assert numbers(records.post("/media/search", json=body)) == expected


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"sort": "colour"}, "search_invalid", "expires_at, size"),
    ({"fields": {"colour": {"eq": 1}}}, "search_invalid", "no declared field 'colour'"),
    ({"identifiers": {"COLOUR": "red"}}, "search_invalid", "there are: CAST"),
    ({"facets": ["colour"]}, "search_invalid", "media_type"),
    ({"where": "$.depth >"}, "search_invalid", "where: "),
    ({"where": "$.depth"}, "search_invalid", "exists($.depth)"),
    ({"where": "$.depth ? (@ > 1)"}, "search_invalid", "is no condition"),
    ({"where": '$.note like_regex "("'}, "search_invalid", "where: "),
    ({"metadata": [1]}, "search_invalid", "JSON object"),
    ({"q": "***"}, "search_invalid", "no word"),
    ({"pid": "*a*b*c*d*e*f*g*h*i*"}, "search_invalid", "more than 8"),
    ({"pid": ""}, "body_invalid", "pid"),
    ({"status": ["deleted"]}, "body_invalid", "status"),
    ({"colour": "red"}, "body_invalid", "colour"),
    ({"limit": 1001}, "body_invalid", "limit"),
    ({"created_at": {"gte": "2026-01-01"}}, "body_invalid", "created_at"),
    ({"cursor": "nonsense"}, "cursor_invalid", "none of ours"),
]


@pytest.mark.parametrize(("body", "code", "said"), WRONG)
def test_what_makes_no_sense_is_refused_with_what_would(
    records: httpx.Client, body: dict[str, Any], code: str, said: str
) -> None:
    answer = records.post("/media/search", json=body)
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert said in answer.json()["detail"]


WRONG_QUERIES = [
    ("size=10", "eq:VALUE"),
    ("size=gte:many", "size"),
    ("identifier=c3", "TYPE:VALUE"),
    ("identifier=A:1&identifier=A:2", "twice"),
    ("field=depth>3", "gte:VALUE"),
    ("metadata={", "not valid JSON"),
    ("metadata=[]", "JSON object"),
    ("checksum=xyz", "checksum"),
    ("sort=a b", "sort"),
]


@pytest.mark.parametrize(("query", "said"), WRONG_QUERIES)
def test_a_parameter_that_makes_no_sense_is_refused(records: httpx.Client, query: str, said: str) -> None:
    answer = records.get(f"/media?{query}")
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]


def test_an_unknown_parameter_is_refused_naming_what_there_is(records: httpx.Client) -> None:
    answer = records.get("/media?colour=red")
    assert (answer.status_code, answer.json()["code"]) == (400, "query_unknown")
    assert "'colour'; it has pid, identifier, tag, " in answer.json()["detail"]


def test_a_cursor_goes_with_its_own_search(records: httpx.Client) -> None:
    first = records.get("/media", params={"tag": "raw", "sort": "pid", "limit": 4}).json()
    rest = records.post("/media/search", json={"tags": {"all": ["raw"]}, "sort": "pid", "cursor": first["next"]})
    assert numbers(rest) == [4, 5, 6, 7, 8, 9], "either face goes on where the other stopped, with pages of any size"
    for other in ({"tag": "raw", "sort": "-pid"}, {"tag": "odd", "sort": "pid"}, {}):
        answer = records.get("/media", params={**other, "cursor": first["next"]})
        assert (answer.status_code, answer.json()["code"]) == (422, "cursor_invalid"), other
    listing = records.get("/media?limit=1").json()["next"]
    assert records.get(f"/media?tag=raw&cursor={listing}").json()["code"] == "cursor_invalid"


def test_counts_and_facets_tell_of_what_the_caller_may_read(server: Server, records: httpx.Client) -> None:
    asked = {"pid": "find/*", "count": True, "facets": ["tags", "status", "media_type", "owner", "store"], "limit": 1}
    mine = records.post("/media/search", json=asked).json()
    assert mine["count"] == {"value": 10, "exact": True}
    assert mine["facets"]["tags"] == [{"value": "raw", "count": 10}, {"value": "odd", "count": 5}]
    assert mine["facets"]["status"] == [{"value": "pending", "count": 8}, {"value": "ready", "count": 2}]
    assert mine["facets"]["media_type"] == [{"value": None, "count": 8}, {"value": "image/png", "count": 2}]
    assert mine["facets"]["owner"] == [{"value": "finder", "count": 10}]
    assert mine["facets"]["store"] == [{"value": "local", "count": 10}]
    with server.client("other") as other:
        theirs = other.post("/media/search", json=asked).json()
    assert theirs["count"] == {"value": 1, "exact": True}
    assert theirs["facets"]["tags"] == [{"value": "odd", "count": 1}, {"value": "raw", "count": 1}]
    with server.client("") as nobody:
        assert nobody.post("/media/search", json=asked).json()["count"] == {"value": 0, "exact": True}
    assert "count" not in records.get("/media").json()
    assert "facets" not in records.get("/media").json()


@pytest.mark.parametrize("status", ["pending", "ready", "expired", "failed", "lost"])
def test_an_administrator_may_ask_for_each_status_alone(admin: httpx.Client, records: httpx.Client, status: str) -> None:
    answer = admin.get("/media", params={"status": status, "count": True})
    assert answer.status_code == 200, answer.text
    assert {item["status"] for item in answer.json()["items"]} <= {status}
    assert answer.json()["count"]["value"] == len(answer.json()["items"])


def test_words_follow_what_changes(records: httpx.Client) -> None:
    def found(q: str) -> list[str]:
        return [item["pid"] for item in records.get("/media", params={"q": q}).json()["items"]]

    records.post("/media", json={"pid": "words/1", "metadata": {"who": "Nansen"}, "tags": ["fram"]})
    assert found("nansen fram words") == ["words/1"]
    records.patch("/media/words/1", json={"metadata": {"who": "Sverdrup"}, "identifiers": {"CAST": "Amundsen-1"}})
    assert (found("nansen"), found("sverdrup amundsen")) == ([], ["words/1"])
    records.patch("/media/words/1", json={"tags": ["maud"], "identifiers": {"CAST": None}})
    assert (found("fram"), found("amundsen"), found("maud")) == ([], [], ["words/1"])
    records.put("/content/words/1?filename=Gjoa.dat", content=b"x")
    assert found("gjoa dat") == ["words/1"]
    records.delete("/media/words/1")
    assert found("maud") == []


def test_expired_records_are_found_by_those_who_may_bring_them_back(server: Server, records: httpx.Client) -> None:
    made = records.post("/media", json={"pid": "gone/1", "access": "internal", "ttl_s": 1})
    assert made.status_code == 201
    with server.client("other") as other:
        deadline = time.monotonic() + 20
        while records.get("/media?pid=gone/1").json()["items"]:
            assert time.monotonic() < deadline
        assert [item["status"] for item in records.get("/media?pid=gone/1&status=expired").json()["items"]] == ["expired"]
        assert other.get("/media?pid=gone/1&status=expired").json()["items"] == []


def test_a_record_named_search_is_a_record_like_any_other(records: httpx.Client) -> None:
    assert records.post("/media", json={"pid": "search"}).status_code == 201
    assert records.get("/media/search").json()["pid"] == "search"
    assert records.patch("/media/search", json={"tags": ["a"]}).json()["tags"] == ["a"]
    assert records.delete("/media/search").status_code == 204
