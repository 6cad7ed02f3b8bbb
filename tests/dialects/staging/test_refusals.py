"""What is refused, how it is said, and that nothing is left behind."""

import hashlib
from collections.abc import Iterator

import httpx
import pytest

import mediastore.app  # noqa: F401 - so that every error there is has been defined
from mediastore.dialects.staging.refusals import STATUSES
from mediastore.errors import MediastoreError
from stores.errors import StoreError
from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS, of
from tests.dialects.staging.staging import Json, add_staging_store, send
from tests.server import Server, running_server
from tests.test_docs import errors

BELOW = ("mediastore.accounts", "mediastore.catalog", "mediastore.placement", "mediastore.transfers", "mediastore.http")


def test_every_error_that_a_call_can_meet_has_a_status() -> None:
    for kind in (*errors(MediastoreError), *errors(StoreError)):
        if (
            kind.__module__.startswith((*BELOW, "mediastore.database", "mediastore.clock", "stores"))
            and not kind.__subclasses__()
        ):
            assert any(parent in STATUSES for parent in kind.__mro__), kind


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/json", answer.text
    body: Json = answer.json()
    assert body.keys() == {"error", "code"}
    assert body["error"].strip()
    assert "Traceback" not in body["error"]
    return answer.status_code, body["code"]


@pytest.mark.parametrize(
    ("params", "header", "expected"),
    [
        ({}, None, (401, "login_required")),
        ({"token": ""}, None, (401, "credentials_wrong")),
        ({"token": "nonsense"}, None, (401, "credentials_wrong")),
        ({"key": "ms_" + "0" * 32 + "_x"}, None, (401, "credentials_wrong")),
        ({"key": "a-key-of-nobody"}, None, (401, "credentials_wrong")),
        ({"key": "\u202e\r\n\0"}, None, (401, "credentials_wrong")),
        ({}, "Basic YTpi", (401, "credentials_wrong")),
        ({}, "Bearer nonsense", (401, "credentials_wrong")),
        ({"token": "a", "key": "b"}, None, (400, "header_invalid")),
        ({"token": "a"}, "Bearer b", (400, "header_invalid")),
        ({"token": "a", "tokken": "b"}, None, (400, "query_unknown")),
        ({"token": "x" * 20_000}, None, (400, "request_invalid")),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/upload"), ("GET", "/upload"), ("GET", "/upload/x"), ("GET", "/upload/x/data"), ("DELETE", "/upload/x")],
)
def test_who_is_not_known_gets_nowhere(
    server: Server, params: dict[str, str], header: str | None, expected: tuple[int, str], method: str, path: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.request(method, f"{server.url}/staging{path}", params=params, headers=headers)
    assert told(answer) == expected, answer.text
    assert not any(value in answer.text for value in params.values() if len(value) > 3), "what was given is not repeated"
    if answer.status_code == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_readers_do_not_upload(server: Server) -> None:
    with of(server, "rita") as rita:
        assert told(rita.post("/upload", files={"file": ("a", b"x")})) == (403, "not_allowed")
        assert rita.get("/upload").json() == []


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"label": "x" * 1001}, "a.txt", (422, "form_invalid")),
        ({"label": "a\r\nb"}, "a.txt", (422, "form_invalid")),
        ({"label": "a\0b"}, "a.txt", (422, "form_invalid")),
        ({"lable": "a"}, "a.txt", (422, "form_invalid")),
        ({"size": "many"}, "a.txt", (422, "request_invalid")),
        ({"size": "²"}, "a.txt", (422, "request_invalid")),
        ({"size": "2"}, "a.txt", (422, "size_mismatch")),
        ({"size": "9" * 18}, "a.txt", (413, "upload_too_large")),
        ({"sha1": "zz"}, "a.txt", (422, "digest_invalid")),
        ({}, "x" * 300, (422, "request_invalid")),
    ],
    ids=lambda given: str(given)[:30],
)
def test_a_form_that_can_not_be_used_is_refused_and_leaves_nothing(
    ann: httpx.Client, fields: dict[str, str], name: str, expected: tuple[int, str]
) -> None:
    before = ann.get("/upload").json()
    assert told(ann.post("/upload", data=fields, files={"file": (name, b"x")})) == expected
    assert ann.get("/upload").json() == before


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=b"])
def test_what_is_no_form_is_refused(ann: httpx.Client, kind: str) -> None:
    assert told(ann.post("/upload", content=b"{}", headers={"Content-Type": kind})) == (422, "form_invalid")


@pytest.mark.parametrize("id", ["x", "...", "%00", "a%2Fb", "'; --", "*", "é" * 50, "y" * 101])
def test_an_id_that_can_not_be_is_not_there(ann: httpx.Client, id: str) -> None:
    for path in (f"/upload/{id}", f"/upload/{id}/data"):
        answer = ann.get(path)
        assert answer.status_code in {400, 404}, answer.text
        assert "error" in answer.json() or answer.json()["code"] == "path_unknown"


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": "many"}, {"limit": 1001}, {"cursor": "x"}, {"cursor": "y" * 7000}])
def test_a_page_that_can_not_be_is_refused(ann: httpx.Client, query: dict[str, str]) -> None:
    status, _ = told(ann.get("/upload", params=query))
    assert status in {400, 422}


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_h05_a_claim_that_is_wrong_is_refused_with_both_digests(ann: httpx.Client, algorithm: str) -> None:
    claimed, real = (hashlib.new(algorithm, data).hexdigest() for data in (b"evil", b"good"))
    before = ann.get("/upload").json()
    answer = ann.post("/upload", data={algorithm: claimed}, files={"file": ("a", b"good")})
    assert told(answer) == (422, "digest_mismatch")
    assert claimed in answer.text
    assert real in answer.text
    assert ann.get("/upload").json() == before
    assert send(ann, "a", b"good", **{algorithm: real.upper()})[algorithm] == real, "upper case is the same digest"


@pytest.fixture(scope="module")
def bare(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    """A server where nobody has made the store yet, and whose uploads have at most 1 MiB."""
    settings = {**SETTINGS, "MEDIASTORE_MAX_UPLOAD_BYTES": "1048576"}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        yield running


def test_without_its_store_the_refusal_says_what_an_administrator_has_to_do(bare: Server) -> None:
    with httpx.Client(base_url=f"{bare.url}/staging", params={"token": bare.token()}) as admin:
        answer = admin.post("/upload", files={"file": ("a", b"x")})
        assert told(answer) == (503, "store_unknown")
        assert "MEDIASTORE_STAGING_STORE" in answer.json()["error"]
        assert int(answer.headers["retry-after"]) > 0
        assert admin.get("/upload").json() == []


def test_h13_what_does_not_fit_is_refused_and_sums_stay_right(bare: Server) -> None:
    with (
        bare.client() as native,
        httpx.Client(base_url=f"{bare.url}/staging", params={"token": bare.token()}, timeout=60) as admin,
    ):
        add_staging_store(native, quota={"bytes_per_owner": 1000})
        assert told(admin.post("/upload", files={"file": ("a", bytes(1048577))})) == (413, "upload_too_large")
        kept = send(admin, "a", bytes(600))
        assert told(admin.post("/upload", files={"file": ("b", bytes(600))})) == (413, "quota_exceeded")
        early = admin.post("/upload", data={"size": "600"}, files={"file": ("b", bytes(600))})
        assert told(early) == (413, "quota_exceeded")
        assert [report["id"] for report in admin.get("/upload").json()] == [kept["id"]]
        usage = native.get("/stores/staging/usage").json()
        assert (usage["used"], usage["reserved"]["bytes"]) == ({"bytes": 600, "objects": 1}, 0)
        native.patch("/stores/staging", json={"enabled": False})
        assert told(admin.post("/upload", files={"file": ("c", b"x")})) == (503, "store_disabled")
        native.patch("/stores/staging", json={"enabled": True})
