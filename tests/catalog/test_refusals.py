"""What is not understood is refused, with a sentence that helps."""

import httpx
import pytest

from tests.server import Server

RECORD = {"pid": "refused"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"titel": "x"}, ["titel"]),
        ({"status": "ready"}, ["status"]),
        ({"owner": "me"}, ["owner"]),
        ({"access": "secret"}, ["access"]),
        ({"tags": "a"}, ["tags"]),
        ({"readers": [1]}, ["readers"]),
        ({"identifiers": []}, ["identifiers"]),
        ({"public_at": "2026-01-01"}, ["public_at"]),
        ({"metadata": []}, ["metadata"]),
        ({"store": 1}, ["store"]),
    ],
    ids=str,
)
def test_a_field_that_does_not_fit_is_named(admin: httpx.Client, body: dict[str, object], words: list[str]) -> None:
    answer = admin.post("/media", json={**RECORD, **body})
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    for word in words:
        assert word in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [{"pid": "x"}, {"pid_type": "X"}, {"status": "ready"}, {"revision": 3}, {"version": 1}, {"titel": 1}], ids=str
)
def test_a_change_of_what_can_not_be_changed_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    admin.post("/media", json={"pid": "unchanged"})
    answer = admin.patch("/media/unchanged", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid")
    assert next(iter(body)) in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/media?colour=red"),
        ("GET", "/media?limit=1&tags=a"),
        ("GET", "/media/refused?version=1"),
        ("PATCH", "/media/refused?force=true"),
        ("DELETE", "/media/refused?force=true"),
        ("POST", "/media?dry_run=true"),
        ("PUT", "/content/refused?tags=a"),
        ("GET", "/content/refused?verison=1"),
        ("GET", "/content/refused?"),
        ("GET", "/history/refused?after=1"),
        ("GET", "/stores?all=1"),
        ("POST", "/auth/login?remember=1"),
    ],
)
def test_a_query_parameter_that_is_not_known_is_refused_by_name(admin: httpx.Client, method: str, path: str) -> None:
    name = path.partition("?")[2].rpartition("&")[2].partition("=")[0]
    answer = admin.request(method, path, json={} if method in {"POST", "PATCH"} else None)
    if not name:
        assert answer.status_code in {200, 404}, "an empty query is none"
        return
    assert (answer.status_code, answer.json()["code"], answer.json()["parameter"]) == (400, "query_unknown", name)


@pytest.mark.parametrize(
    "path",
    [
        "/media?caller=admin",
        "/media?catalog=1",
        "/media/refused?request=1",
        "/media/refused?if_none_match=1",
        "/content/refused?downloads=1",
        "/users/admin?accounts=1",
        "/users/admin?name=admin",
    ],
)
def test_words_of_the_code_are_no_query_parameters(admin: httpx.Client, path: str) -> None:
    admin.post("/media", json=RECORD)
    answer = admin.get(path)
    assert (answer.status_code, answer.json().get("code")) == (400, "query_unknown"), answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff", b'{"pid": "a"} {}', b"\xef\xbb\xbf{}", '{"pid": "a"}'.encode("utf-16")]
)
def test_a_body_that_is_no_json_object_is_refused(admin: httpx.Client, body: bytes) -> None:
    answer = admin.post("/media", content=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "body_invalid"), answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_problems_have_the_form_of_rfc_9457(admin: httpx.Client) -> None:
    problem = admin.get("/media/never-was")
    assert problem.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "request_id"} <= set(problem.json())
    assert problem.json()["status"] == problem.status_code == 404
    assert problem.json()["type"] == "urn:mediastore:problem:record_not_found"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nothing"), ("GET", "/media2/x"), ("GET", "/users/a/b"), ("PUT", "/media/x"), ("POST", "/media/x")],
)
def test_paths_and_methods_that_are_not_there(admin: httpx.Client, method: str, path: str) -> None:
    answer = admin.request(method, path)
    assert answer.status_code in {404, 405}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] in {"path_unknown", "method_not_allowed"}


def test_an_error_of_the_server_shows_no_inside(server: Server, admin: httpx.Client) -> None:
    """None of the requests of these tests may have been the server's fault."""
    assert '"failed"' not in server.log.read_text()
    assert "Traceback" not in server.log.read_text()
