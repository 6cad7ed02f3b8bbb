"""Lines in: each line its own result, nothing twice, and nothing believed that was only said."""

import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from msgspec import Raw

from mediastore.catalog.merge import equal_json
from mediastore.http.ndjson import Splitter
from tests.server import Server, add_user

Json = dict[str, Any]


def ndjson(*records: Json) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def sent(client: httpx.Client, body: Any, **query: Any) -> tuple[Json, list[Json]]:
    """The counts, and what is told of lines."""
    answer = client.post("/media/import", params=query, content=body)
    assert answer.status_code == 200, answer.text
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert "done" in told[-1], told[-1]
    return told[-1]["done"], [each for each in told[:-1] if "line" in each]


def counts(**given: int) -> Json:
    return {"lines": 0, "created": 0, "updated": 0, "unchanged": 0, "skipped": 0, "failed": 0, **given}


def test_lines_become_records(admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "IMPORTED", "pattern": "[0-9]+", "unique": True})
    record = {
        "pid": "in/1",
        "identifiers": {"IMPORTED": "1"},
        "metadata": {"depth": 12.5},
        "tags": ["raw"],
        "access": "internal",
        "readers": ["alice"],
    }
    done, told = sent(admin, ndjson(record, {"pid": "in/2"}))
    assert (done, told) == (counts(lines=2, created=2), [])
    media = admin.get("/media/in/1").json()
    assert {name: media[name] for name in record} == record
    assert (media["status"], media["owner"], media["store"]) == ("pending", "admin", "local")
    event = admin.get("/history/in/1").json()["items"][0]
    assert (event["action"], event["actor"]) == ("created", "admin")


def test_each_bad_line_is_told_of_and_the_others_go_on(admin: httpx.Client) -> None:
    body = b"\n".join(
        [
            b'\xef\xbb\xbf{"pid": "bad/bom"}',
            b"",
            b'{"pid": "bad/cut", "metad',
            b"  \r",
            b'{"pid": "bad/crlf"}\r',
            b'{"pid": "bad/\xff"}',
            b'\xef\xbb\xbf{"pid": "bad/late-bom"}',
            b'{"pid": "/bad"}',
            b'{"pid": "bad/unknown", "titel": 1}',
            b"[]",
            b'{"pid": "bad/store", "store": "never"}',
            b'{"metadata": {}}',
            b'{"pid": "bad/deep", "metadata": ' + b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"}",
            b'{"pid": "bad/nul", "metadata": {"a": "\\u0000"}}',
            b'{"pid": "bad/tag", "tags": ["\\u0000"]}',
            b'{"pid": "bad/last"}',
        ]
    )
    done, told = sent(admin, body)
    assert done == counts(lines=16, created=3, failed=11)
    assert [each["line"] for each in told] == [3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
    assert {each["status"] for each in told} == {422}
    assert [each.get("pid") for each in told[3:5]] == ["/bad", None]
    assert "titel" in told[4]["problem"]["detail"]
    assert told[6]["problem"]["code"] == "store_unknown"
    assert "import_id" in told[7]["problem"]["detail"]
    for pid in ("bom", "crlf", "last"):
        assert admin.get(f"/media/bad/{pid}").status_code == 200


def test_the_same_lines_again_make_nothing_twice(admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "AGAIN", "pattern": "[0-9]+", "unique": True})
    lines = [
        {"pid": "again/1", "metadata": {"a": 1e-7, "b": [1e22, -0.0, 100.0], "c": True}, "tags": ["x", "x"], "ttl_s": 1000},
        {"pid": "again/2", "identifiers": {"AGAIN": "2"}, "public_at": "2036-01-01T00:00:00+02:00", "access": "public"},
        {"pid": "again/3", "pid_type": "AGAIN"} | {"pid": "3"},
        {"metadata": {"n": 1}},
        {"metadata": {"n": 2}},
    ]
    for existing in ("error", "skip", "error", "update"):
        done, told = sent(admin, ndjson(*lines), existing=existing, import_id="once")
        assert told == []
        if existing == "update":
            assert done == counts(lines=5, updated=1, unchanged=4), "a time to live begins anew"
    assert done["failed"] == 0
    assert admin.get("/media/again/2").json()["revision"] == 1
    listed = [item for item in admin.get("/media?limit=1000").json()["items"] if item["metadata"] in ({"n": 1}, {"n": 2})]
    assert len(listed) == 2
    done, _ = sent(admin, ndjson(*lines[3:]), import_id="once", first_line=4)
    assert done == counts(lines=2, unchanged=2), "lines keep their numbers in a part of a file"
    done, _ = sent(admin, ndjson(*lines[3:]), import_id="twice", first_line=4)
    assert done == counts(lines=2, created=2)


@pytest.mark.parametrize("existing", ["error", "update"])
def test_another_file_under_the_same_import_id_loses_no_line_and_overwrites_none(admin: httpx.Client, existing: str) -> None:
    first, other = {"metadata": {"of": "first", "mode": existing}}, {"metadata": {"of": "other", "mode": existing}}
    id = f"daily {existing}"
    assert sent(admin, ndjson(first), existing=existing, import_id=id)[0] == counts(lines=1, created=1)
    done, [told] = sent(admin, ndjson(other), existing=existing, import_id=id)
    assert done == counts(lines=1, failed=1)
    assert (told["problem"]["code"], told["problem"]["differs"]) == ("pid_taken", ["metadata"])
    assert "import_id" in told["problem"]["detail"]
    found = admin.post("/media/search", json={"metadata": {"mode": existing}}).json()["items"]
    assert [item["metadata"]["of"] for item in found] == ["first"]


def test_what_is_there_already_is_an_error_skipped_or_updated(admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "THERE", "pattern": ".+", "unique": False})
    admin.post("/identifier-types", json={"name": "OTHER", "pattern": ".+", "unique": False})
    first = {"pid": "there/1", "metadata": {"a": 1, "b": 2}, "tags": ["t"], "identifiers": {"THERE": "x", "OTHER": "y"}}
    sent(admin, ndjson(first))
    line = ndjson({"pid": "there/1", "metadata": {"a": 3}, "identifiers": {"THERE": "z"}, "access": "public"})
    done, told = sent(admin, line)
    assert done == counts(lines=1, failed=1)
    assert (told[0]["status"], told[0]["problem"]["code"]) == (409, "pid_taken")
    assert told[0]["problem"]["differs"] == ["access", "identifiers", "metadata"]
    assert sent(admin, line, existing="skip")[0] == counts(lines=1, skipped=1)
    assert admin.get("/media/there/1").json()["revision"] == 1
    assert sent(admin, line, existing="update")[0] == counts(lines=1, updated=1)
    media = admin.get("/media/there/1").json()
    assert (media["metadata"], media["identifiers"], media["tags"], media["access"]) == (
        {"a": 3},
        {"THERE": "z"},
        ["t"],
        "public",
    )
    event = admin.get("/history/there/1").json()["items"][1]
    assert event["changes"]["metadata"] == {"before": {"a": 1, "b": 2}, "after": {"a": 3}}
    assert sent(admin, line, existing="update")[0] == counts(lines=1, unchanged=1)
    admin.delete("/media/there/1")
    for existing in ("error", "skip", "update"):
        assert sent(admin, line, existing=existing)[1][0]["problem"]["code"] == "pid_taken"


def test_of_lines_with_one_pid_the_first_is_the_record(admin: httpx.Client) -> None:
    lines = [{"pid": "dup", "metadata": {"n": n}} for n in (1, 2, 1, 3)]
    done, told = sent(admin, ndjson(*lines))
    assert done == counts(lines=4, created=1, unchanged=1, failed=2)
    assert [each["line"] for each in told] == [2, 4]
    assert sent(admin, ndjson(*lines), existing="update")[0] == counts(lines=4, updated=3, unchanged=1)
    assert admin.get("/media/dup").json()["metadata"] == {"n": 3}
    assert admin.get("/media/dup").json()["revision"] == 4


def test_lines_that_only_the_database_refuses_do_not_take_others_along(admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "SOLE", "pattern": ".+", "unique": True})
    lines = [{"pid": f"sole/{n}", "identifiers": {"SOLE": str(n % 700)}} for n in range(1400)]
    done, told = sent(admin, ndjson(*lines))
    assert done == counts(lines=1400, created=700, failed=700)
    assert [each["line"] for each in told] == list(range(701, 1401))
    assert {each["problem"]["code"] for each in told} == {"identifier_taken"}


def test_h13_imports_of_the_same_at_once_make_each_record_once(server: Server, admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "RACE", "pattern": ".+", "unique": True})
    lines = [{"pid": f"race/{n}", "metadata": {"n": n}, "identifiers": {"RACE": str(n)}} for n in range(4000)]
    bodies = [ndjson(*lines), ndjson(*reversed(lines)), ndjson(*lines), ndjson(*reversed(lines))]

    def one(body: bytes) -> tuple[Json, list[Json]]:
        with server.client() as client:
            return sent(client, body)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(one, bodies))
    assert [told for _, told in found] == [[]] * 4
    assert sum(done["created"] for done, _ in found) == 4000
    assert sum(done["unchanged"] for done, _ in found) == 12_000
    assert sent(admin, bodies[0])[0]["unchanged"] == 4000


def test_only_administrators_bring_records_of_others(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "importer")
    add_user(admin, "import-reader", "reader")
    with server.client("importer") as editor:
        done, told = sent(editor, ndjson({"pid": "own/1", "owner": "importer"}, {"pid": "own/2", "owner": "admin"}))
        assert done == counts(lines=2, created=1, failed=1)
        assert told[0]["status"] == 403
        assert sent(admin, ndjson({"pid": "own/3", "owner": "importer"}))[0]["created"] == 1
        assert editor.get("/media/own/3").json()["owner"] == "importer"
        assert admin.get("/history/own/3").json()["items"][0]["actor"] == "admin"
        # A record that one may not read is only said to be there, in every way of asking.
        admin.post("/media", json={"pid": "own/hidden", "metadata": {"a": 1}})
        for existing in ("error", "skip", "update"):
            _, told = sent(editor, ndjson({"pid": "own/hidden", "metadata": {"a": 1}}), existing=existing)
            assert (told[0]["status"], told[0]["problem"]["code"]) == (409, "pid_taken")
            assert "differs" not in told[0]["problem"]
        admin.post("/media", json={"pid": "own/readable", "access": "internal"})
        _, told = sent(editor, ndjson({"pid": "own/readable", "tags": ["mine"]}), existing="update")
        assert told[0]["status"] == 403
    with server.client("import-reader") as reader, server.client("") as nobody:
        assert reader.post("/media/import", content=ndjson({"pid": "own/no"})).status_code == 403
        assert nobody.post("/media/import", content=ndjson({"pid": "own/no"})).status_code == 401


def test_an_account_that_is_switched_off_imports_no_more(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "leaver")

    def lines() -> Any:
        yield ndjson(*({"pid": f"leaver/{n}"} for n in range(1000)))
        time.sleep(1.5)
        admin.patch("/users/leaver", json={"disabled": True}).raise_for_status()
        yield ndjson(*({"pid": f"leaver/{n}"} for n in range(1000, 2000)))

    with server.client("leaver") as client:
        told = [json.loads(line) for line in client.post("/media/import", content=lines()).text.splitlines()]
    assert told[-1]["stopped"] == counts(lines=1000, created=1000)
    assert told[-1]["problem"]["code"] == "credentials_wrong"
    assert admin.get("/media/leaver/1000").status_code == 404


def test_what_an_export_claims_is_kept_as_a_claim(admin: httpx.Client) -> None:
    admin.put("/content/claim/source", content=b"x" * 10).raise_for_status()
    line = admin.get("/media/claim/source").json() | {"pid": "claim/copy"}
    assert sent(admin, ndjson(line))[0]["created"] == 1
    media = admin.get("/media/claim/copy").json()
    assert (media["status"], media["content"], media["version"], media["revision"]) == ("pending", None, 0, 1)
    event = admin.get("/history/claim/copy").json()["items"][0]
    assert event["changes"]["imported"]["after"]["content"] == line["content"]
    assert admin.get("/content/claim/copy").status_code == 404
    assert sent(admin, ndjson(line))[0]["unchanged"] == 1


def test_a_store_can_be_named_for_all(admin: httpx.Client) -> None:
    line = ndjson({"pid": "all/here", "store": "elsewhere"})
    assert sent(admin, line, store="scratch")[0]["created"] == 1
    assert admin.get("/media/all/here").json()["store"] == "scratch"
    assert sent(admin, line, store="scratch")[0]["unchanged"] == 1


@pytest.mark.parametrize(
    ("query", "status"), [({"existing": "maybe"}, 422), ({"first_line": 0}, 422), ({"unknown": 1}, 400), ({"import_id": ""}, 200)]
)
def test_parameters_are_checked(admin: httpx.Client, query: Json, status: int) -> None:
    assert admin.post("/media/import", params=query, content=b"").status_code == status


def test_a_long_line_fails_alone_and_is_not_held(server: Server, admin: httpx.Client) -> None:
    def body() -> Any:
        yield b'{"pid": "long/1"}\n{"pid": "long/2", "metadata": {"x": "'
        for _ in range(40):
            yield b"y" * 1024 * 1024
        yield b'"}}\n{"pid": "long/3"}'

    done, told = sent(admin, body())
    assert done == counts(lines=3, created=2, failed=1)
    assert (told[0]["line"], told[0]["status"]) == (2, 422)


def test_many_failures_do_not_make_anybody_wait(admin: httpx.Client) -> None:
    """The client sends everything before it reads: 20 MB of answers wait for it."""
    body = b'{"pid": "/", "tags": []}\n' * 90_000
    done, told = sent(admin, body)
    assert done["failed"] == len(told) == 90_000
    answer = admin.post("/media/import", content=b"?\n" * 200_000)
    last = json.loads(answer.text.splitlines()[-1])
    assert last["problem"]["code"] == "import_stopped"
    assert 100_000 < last["stopped"]["failed"] < 102_000


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_cut_short_leaves_its_whole_lines(server: Server, admin: httpx.Client, chunked: bool) -> None:
    token = server.token()
    host = urlsplit(server.url)
    p = f"cut/{chunked}"
    text = ndjson(*({"pid": f"{p}/{n}"} for n in range(2500))) + b'{"pid": "' + p.encode() + b'/half"'
    with socket.create_connection((host.hostname or "", host.port or 0)) as connection:
        length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(text) + 1}"
        head = f"POST /api/v1/media/import HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{length}\r\n\r\n"
        connection.sendall(head.encode() + (b"%x\r\n%b\r\n" % (len(text), text) if chunked else text))
        time.sleep(1)
    deadline = time.monotonic() + 20
    while admin.get(f"/media/{p}/2499").status_code == 404 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert admin.get(f"/media/{p}/2499").status_code == 200
    assert admin.get(f"/media/{p}/half").status_code == 404
    done, told = sent(admin, text + b"}")
    assert told == []
    assert done["created"] + done["unchanged"] == 2501


def test_an_import_that_takes_long_tells_how_far_it_is(admin: httpx.Client) -> None:
    def slowly() -> Any:
        for group in range(4):
            yield ndjson(*({"pid": f"slow/{group}/{n}"} for n in range(1000)))
            time.sleep(0.8)

    answer = admin.post("/media/import", content=slowly())
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert told[-1]["done"]["created"] == 4000
    assert [each for each in told if "progress" in each]


def test_words_of_the_api_are_pids_too(admin: httpx.Client) -> None:
    for word in ("import", "export"):
        assert admin.get(f"/media/{word}").status_code == 404
        assert sent(admin, ndjson({"pid": word}))[0]["created"] == 1
        assert admin.get(f"/media/{word}").json()["pid"] == word
        assert admin.patch(f"/media/{word}", json={"tags": ["x"]}).json()["revision"] == 2
        assert admin.delete(f"/media/{word}").status_code == 204


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_lines_are_the_same_however_they_come(size: int) -> None:
    text = b"\xef\xbb\xbfone\r\n\n" + b"x" * 11 + b"\ntwo\n" + b"y" * 10 + b"\nlast"
    splitter = Splitter(longest=10)
    found = [line for at in range(0, len(text), size) for line in splitter.feed(text[at : at + size])] + splitter.end()
    assert [line.number for line in found] == [1, 2, 3, 4, 5, 6]
    assert [line.text for line in found] == [b"one", b"", None, b"two", b"y" * 10, b"last"]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("1e2", "100", True),
        ("100.0", "100", True),
        ("-0.0", "0", True),
        ("1E-7", "0.0000001", True),
        ("true", "1", False),
        ("false", "0", False),
        ("[1, {}]", "[1.0, {}]", True),
        ('{"a": 1, "b": null}', '{"b": null, "a": 1}', True),
        ('{"a": null}', "{}", False),
        ("[1]", "[1, 2]", False),
        ("null", "false", False),
        ("{}", "[]", False),
        ('"1"', "1", False),
    ],
)
def test_json_is_equal_when_postgresql_says_so(one: str, other: str, equal: bool) -> None:
    assert equal_json(Raw(one.encode()), Raw(other.encode())) is equal
    assert equal_json(Raw(other.encode()), Raw(one.encode())) is equal
