"""AMPLIfy's calls about records: each request, and its exact answer."""

from typing import Any

import httpx
import pytest

from tests.database import DatabaseServer
from tests.dialects.amplify.scene import FOLDER, Client, b64, client_of, media
from tests.server import Server, running_server


def pid_of(request: pytest.FixtureRequest, suffix: str = "") -> str:
    return f"{request.node.name.replace('[', '-').replace(']', '')}{suffix}"


@pytest.fixture
def pid(request: pytest.FixtureRequest) -> str:
    return pid_of(request)


def shown(pid: str, **more: Any) -> dict[str, Any]:
    """A record as that system shows it, its numbers left out."""
    empty = {"store_status": "PENDING", "identifiers": {}, "metadata": {}, "tags": []}
    return {"pid": pid, "pid_type": "DEMO", "store_config": FOLDER, **empty, **more}


def without_numbers(record: dict[str, Any]) -> dict[str, Any]:
    store = {name: value for name, value in record["store_config"].items() if name != "pk"}
    return {**{name: value for name, value in record.items() if name != "pk"}, "store_config": store}


def test_hello_and_log_in_are_for_anyone(server: Server) -> None:
    with client_of(server, "") as nobody:
        assert nobody.good("GET", "/hello") == {"msg": "Hello, world!"}
        status, told = nobody.call("POST", "/login", {"username": "admin", "password": "correct horse battery"})
        assert (status, list(told)) == (200, ["token"])
        status, told = nobody.call("POST", "/login", {"username": "admin", "password": "wrong"})
        assert (status, list(told)) == (401, ["error"])
        answer = nobody.http.get("/media/dump")
        assert (answer.status_code, list(answer.json())) == (401, ["detail"])
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert nobody.http.get("/media/dump", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_a_record_is_made_and_read(client: Client, pid: str) -> None:
    given = {"identifiers": {"BIN": "bin_xyz"}, "metadata": {"egg": "nog", "depth": 12.50}, "tags": ["b", "a", "b"]}
    made = client.good("POST", "/media", media(pid, **given))
    expected = shown(pid, **{**given, "tags": ["b", "a"]})
    assert without_numbers(made) == expected
    assert isinstance(made["pk"], int)
    assert client.good("GET", f"/media/{pid}") == made
    assert client.good("POST", "/media/read", [pid, "nowhere", pid]) == [made, made]


def test_none_for_what_is_left_out_is_nothing(client: Client, pid: str) -> None:
    given = {"identifiers": None, "metadata": None, "tags": None, "mark": 7}
    store = {**FOLDER, "pk": 12, "s3_url": None}
    assert without_numbers(client.good("POST", "/media", {**media(pid, **given), "store_config": store})) == shown(pid)


def test_numbers_stay(client: Client, pid: str) -> None:
    pk = client.good("POST", "/media", media(pid))["pk"]
    client.good("PATCH", "/media/update/tags", [{"pid": pid, "tags": ["one"]}])
    client.good("POST", "/upload", {"mediadata": media(pid), "base64": b64(b"x")})
    assert client.good("GET", f"/media/{pid}")["pk"] == pk


def test_a_pid_may_hold_slashes_and_colons(client: Client, pid: str) -> None:
    odd = f"doi:10.1234/{pid}/ü x"
    made = client.good("POST", "/media", media(odd))
    assert client.good("GET", "/media/doi:10.1234%2F" + f"{pid}/ü x") == made
    client.good("POST", "/upload", {"mediadata": media(odd), "base64": b64(b"odd")})
    assert client.good("GET", f"/download/{odd}")["base64"] == b64(b"odd")
    client.good("DELETE", f"/media/{odd}")


def test_an_identifier_of_the_pids_own_type_is_dropped_or_refused(client: Client, pid: str) -> None:
    made = client.good("POST", "/media", media(pid, identifiers={"DEMO": pid, "BIN": "bin"}))
    assert made["identifiers"] == {"BIN": "bin"}
    status, told = client.call("POST", "/media", media(pid + "2", identifiers={"DEMO": "another"}))
    assert status == 422
    assert told["detail"][0]["error"].startswith("duplicate pid_type in identifiers DO NOT MATCH")


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ({"pid_type": "DEMOxxx"}, {"error": "bad pid_type: DEMOxxx"}),
        ({"pid_type": "no such/type"}, {"error": "bad pid_type: no such/type"}),
        ({"identifiers": {"BINxxx": "1"}}, {"error": "bad identifier_type: BINxxx"}),
        (
            {"identifiers": {"BIN": 123}},
            {"msg": "Input should be a valid string", "loc": ["body", "identifiers"], "type": "string_type"},
        ),
        ({"tags": "one"}, {"msg": "Input should be a valid list", "loc": ["body", "tags"], "type": "list_type"}),
        ({"metadata": [1]}, {"msg": "Input should be a valid dictionary", "loc": ["body", "metadata"], "type": "dict_type"}),
        ({"pid": 7}, {"msg": "Input should be a valid string", "loc": ["body", "pid"], "type": "string_type"}),
        (
            {"store_config": {"type": "DictStore"}},
            {"msg": "Field required", "loc": ["body", "store_config", "bucket"], "type": "missing"},
        ),
    ],
)
def test_a_refusal_says_what_is_wrong_in_that_systems_words(client: Client, wrong: Any, detail: Any) -> None:
    assert client.call("POST", "/media", {**media("refused"), **wrong}) == (422, {"detail": [detail]})
    assert client.call("GET", "/media/refused")[0] == 404


@pytest.mark.parametrize(
    "wrong", [{"identifiers": {"BIN": "UPPER"}}, {"pid": "a//b"}, {"pid": ""}, {"tags": ["x" * 201]}, {"metadata": {"a": "\x00"}}]
)
def test_patterns_and_bounds_hold(client: Client, wrong: Any) -> None:
    status, told = client.call("POST", "/media", {**media("refused"), **wrong})
    assert (status, list(told["detail"][0])) == (422, ["error"])


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_a_body_that_is_none_is_a_field_error(client: Client, body: bytes) -> None:
    for path in ("/media", "/media/create", "/login", "/upload", "/media/search"):
        answer = client.http.post(path, content=body)
        if (path, body) == ("/media/create", b"[]"):
            continue
        assert answer.status_code == 422, (path, answer.text)
        assert list(answer.json()["detail"][0]) in (["msg", "loc", "type"], ["error"]), answer.text


def test_a_pid_is_given_out_once(client: Client, pid: str) -> None:
    client.good("POST", "/media", media(pid))
    assert client.call("POST", "/media", media(pid))[0] == 422
    assert client.call("DELETE", f"/media/{pid}") == (204, None)
    assert client.call("GET", f"/media/{pid}")[0] == 404
    assert client.call("DELETE", f"/media/{pid}")[0] == 404
    assert client.call("POST", "/media", media(pid))[0] == 422


def test_many_are_made_found_by_tag_and_deleted(client: Client, pid: str) -> None:
    pids = [f"{pid}-{number}" for number in range(3)]
    wanted = [media(one, tags=["bulk", pid]) for one in pids]
    wanted[2]["tags"] = ["other-" + pid]
    made = client.good("POST", "/media/create", wanted)
    assert [without_numbers(one) for one in made] == [shown(one["pid"], tags=one["tags"]) for one in wanted]
    assert client.good("POST", "/media/search", {"tags": [pid]}) == made[:2]
    assert client.good("POST", "/media/search", {"tags": [pid, "bulk", "other-" + pid]}) == made, "any of them, each once"
    assert client.good("POST", "/media/search", {"tags": []}) == []
    assert [one for one in client.good("GET", "/media/dump") if one["pid"] in pids] == made
    assert client.good("POST", "/media/delete", pids) == {"successes": pids, "failures": []}
    told = client.good("POST", "/media/delete", [pids[0], "nowhere"])
    assert told["successes"] == []
    assert [(one["pid"], sorted(one)) for one in told["failures"]] == [
        (pids[0], ["error", "msg", "pid"]),
        ("nowhere", ["error", "msg", "pid"]),
    ]


def test_of_many_with_a_wrong_one_none_is_made(client: Client, pid: str) -> None:
    status, told = client.call("POST", "/media/create", [media(pid), media(pid + "2", pid_type="NOPE")])
    assert (status, told) == (422, {"detail": [{"error": "bad pid_type: NOPE"}]})
    assert client.call("GET", f"/media/{pid}")[0] == 404
    assert client.good("POST", "/media/create", []) == []


def test_a_record_gets_another_store(client: Client, pid: str) -> None:
    client.good("POST", "/media", media(pid))
    other = {"type": "DictStore", "bucket": "test_bucket", "s3_url": ""}
    assert client.call("PATCH", f"/media/{pid}", {"pid": pid, "pid_type": "DEMO", "store_config": other}) == (204, None)
    store = client.good("GET", f"/media/{pid}")["store_config"]
    assert store == {**other, "pk": store["pk"]}
    first = client.good("POST", "/store", FOLDER)["pk"]
    assert client.call("PATCH", f"/media/{pid}", {"store_config": first}) == (204, None)
    assert client.good("GET", f"/media/{pid}")["store_config"]["pk"] == first
    assert client.call("PATCH", f"/media/{pid}", {"store_config": 4711})[0] == 404
    for refused in ({"new_pid": "another"}, {"pid_type": "BIN"}):
        status, told = client.call("PATCH", f"/media/{pid}", refused)
        assert (status, list(told["detail"][0])) == (422, ["error"])
    assert client.call("PATCH", "/media/nowhere", {"store_config": first})[0] == 404


def test_many_records_get_another_store(client: Client, pid: str) -> None:
    client.good("POST", "/media", media(pid))
    other = {"type": "DictStore", "bucket": "test_bucket", "s3_url": ""}
    told = client.good("PATCH", "/media/update", {"pids": [pid, "nowhere"], "medias": [{"store_config": other}] * 2})
    assert (told["successes"], [one["pid"] for one in told["failures"]]) == ([pid], ["nowhere"])
    status, told = client.call("PATCH", "/media/update", {"pids": [pid], "medias": []})
    assert (status, told["detail"][0]["loc"]) == (422, ["body", "medias"])


def test_tags_are_added_and_replaced_in_their_order(client: Client, pid: str) -> None:
    client.good("POST", "/media", media(pid, tags=["one", "two"]))
    assert client.good("PATCH", "/media/update/tags", [{"pid": pid, "tags": ["two", "three"]}]) == {
        "successes": [pid],
        "failures": [],
    }
    assert client.good("GET", f"/media/{pid}")["tags"] == ["one", "two", "three"]
    told = client.good("PUT", "/media/update/tags", [{"pid": pid, "tags": ["z", "a"]}, {"pid": "nowhere", "tags": []}])
    assert (told["successes"], told["failures"][0]["pid"]) == ([pid], "nowhere")
    assert client.good("GET", f"/media/{pid}")["tags"] == ["z", "a"]


def test_identifiers_are_replaced(client: Client, pid: str) -> None:
    client.good("POST", "/media", media(pid, identifiers={"BIN": "old"}))
    wanted = [{"pid": pid, "identifiers": {"DEMO2": "newvalue", "DEMO": pid}}, {"pid": "nowhere", "identifiers": {}}]
    told = client.good("PUT", "/media/update/identifiers", wanted)
    assert (told["successes"], told["failures"][0]["pid"]) == ([pid], "nowhere")
    assert client.good("GET", f"/media/{pid}")["identifiers"] == {"DEMO2": "newvalue"}
    for wrong, words in (
        ({"DEMO": "another"}, "duplicate pid_type in identifiers DO NOT MATCH"),
        ({"NOPE": "x"}, "bad identifier_type: NOPE"),
        ({"BIN": "UPPER"}, "does not match"),
    ):
        told = client.good("PUT", "/media/update/identifiers", [{"pid": pid, "identifiers": wrong}])
        assert told["successes"] == []
        assert words in told["failures"][0]["msg"]


TREE = {"a": {"r": 1, "s": 2}, "b": {"v": {"x": 5, "y": None}, "w": 8}}


@pytest.mark.parametrize(
    ("method", "item", "after"),
    [
        ("PUT", {"data": {"new": 1}}, {"new": 1}),
        ("PUT", {"keys": [], "data": {"new": 1}}, {"new": 1}),
        ("PUT", {"keys": ["b", "v"], "data": {"z": 7}}, {**TREE, "b": {"v": {"z": 7}, "w": 8}}),
        ("PUT", {"keys": ["b", "v", "x"], "data": [1, 2]}, {**TREE, "b": {"v": {"x": [1, 2], "y": None}, "w": 8}}),
        ("PUT", {"keys": ["c", "d"], "data": {"e": 1}}, {**TREE, "c": {"d": {"e": 1}}}),
        ("PATCH", {"data": {"a": 1, "n": None}}, {**TREE, "a": 1, "n": None}),
        ("PATCH", {"keys": ["b", "v"], "data": {"y": 6, "z": 7}}, {**TREE, "b": {"v": {"x": 5, "y": 6, "z": 7}, "w": 8}}),
        ("DELETE", {"keys": ["b", "w"]}, {**TREE, "b": {"v": {"x": 5, "y": None}}}),
        ("DELETE", {"keys": ["b", "nothing"]}, TREE),
        ("DELETE", {}, {}),
    ],
)
def test_metadata_change_at_their_place(client: Client, pid: str, method: str, item: Any, after: Any) -> None:
    client.good("POST", "/media", media(pid, metadata=TREE))
    assert client.good(method, "/media/update/metadata", [{"pid": pid, **item}]) == {"successes": [pid], "failures": []}
    assert client.good("GET", f"/media/{pid}")["metadata"] == after


@pytest.mark.parametrize(
    ("method", "item"),
    [
        ("PUT", {"data": [1]}),
        ("PUT", {"keys": ["a", "r", "deeper"], "data": {}}),
        ("PATCH", {"keys": ["a"], "data": [1]}),
        ("PATCH", {"keys": ["a", "r"], "data": {"x": 1}}),
    ],
)
def test_a_change_of_metadata_that_can_not_be_fails_alone(client: Client, pid: str, method: str, item: Any) -> None:
    client.good("POST", "/media", media(pid, metadata=TREE))
    client.good("POST", "/media", media(pid + "2"))
    both = [{"pid": pid, **item}, {"pid": pid + "2", "data": {"good": True}}]
    told = client.good(method, "/media/update/metadata", both)
    assert told["successes"] == [pid + "2"]
    assert [sorted(one) for one in told["failures"]] == [["error", "msg", "pid"]]
    assert client.good("GET", f"/media/{pid}")["metadata"] == TREE


def test_h14_a_store_key_points_at_nothing_but_the_records_own_object(server: Server, client: Client, pid: str) -> None:
    client.good("POST", "/upload", {"mediadata": media(pid), "base64": b64(b"mine")})
    client.good("POST", "/upload", {"mediadata": media(pid + "2"), "base64": b64(b"theirs")})
    root = server.home / "stores" / "demobucket"
    files = {path.read_bytes(): str(path.relative_to(root)) for path in root.glob("*/*")}
    for key in (files[b"theirs"], "../../secret", "/etc/passwd", ""):
        told = client.good("PUT", "/media/update/storekeys", [{"pid": pid, "store_key": key}])
        assert (told["successes"], told["failures"][0]["pid"]) == ([], pid)
    told = client.good("PUT", "/media/update/storekeys", [{"pid": pid, "store_key": files[b"mine"]}])
    assert told == {"successes": [pid], "failures": []}
    assert client.good("GET", f"/download/{pid}")["base64"] == b64(b"mine")


def test_h17_lists_are_bounded(client: Client) -> None:
    answer = client.call("POST", "/media/read", ["nowhere"] * 10_001)
    assert answer[0] == 422
    assert client.call("POST", "/media/search", {"tags": ["x"] * 101})[0] == 422
    assert client.call("POST", "/download/urls", ["nowhere"] * 1001)[0] == 422
    assert client.http.post("/media", content=b'{"pid": "' + b"x" * 17 * 1024 * 1024 + b'"}').status_code in {413, 422}


def test_h17_too_many_at_once_are_refused_before_anything_is_done_for_one(client: Client) -> None:
    place = {"type": "FilesystemStore", "bucket": "/never"}
    status, told = client.call("POST", "/media/create", [media(f"many-{n}", store_config=place) for n in range(10_001)])
    assert (status, len(told["detail"])) == (422, 1)
    assert "10001 items are too many" in told["detail"][0]["error"]
    assert place["bucket"] not in [store["bucket"] for store in client.good("GET", "/stores")]


def test_h17_odd_characters_are_no_error_of_the_servers(client: Client) -> None:
    odd = "a\x00b"
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/media", media(odd)),
        ("POST", "/media", media("odd", tags=[odd])),
        ("POST", "/media", media("odd", identifiers={"DEMO2": odd})),
        ("POST", "/media", media("odd", store_config={"type": "DictStore", "bucket": odd * 30})),
        ("POST", "/media/search", {"tags": [odd]}),
        ("POST", "/identifier", {"name": odd}),
        ("POST", "/upload", {"mediadata": media(odd), "base64": "aGVs"}),
        ("POST", "/upload", {"mediadata": media(odd)}),
        ("POST", "/login", {"username": odd, "password": odd}),
    ]
    for call in calls:
        assert client.call(*call)[0] in {200, 401, 404, 422}, call
    for path in ("/media/read", "/media/delete", "/download/urls"):
        assert client.call("POST", path, [odd, "\U0001f600", "x" * 300])[0] == 200, path


def test_the_api_can_lie_at_the_root(database_server: DatabaseServer, template_database: str) -> None:
    settings = {"MEDIASTORE_DIALECTS": "amplify", "MEDIASTORE_AMPLIFY_PREFIX": "/"}
    with database_server.database(template=template_database) as url, running_server(url, settings) as server:
        with client_of(server) as client:
            client.http.base_url = httpx.URL(f"{server.url}/api")
            client.good("POST", "/identifier", {"name": "DEMO"})
            client.good("POST", "/upload", {"mediadata": media("a/b"), "base64": b64(b"root")})
            assert client.good("GET", "/media/a/b")["store_status"] == "READY"
            assert client.good("GET", "/download/a/b")["base64"] == b64(b"root")
        with server.client() as native:
            assert native.get("/media/a/b").status_code == 200
