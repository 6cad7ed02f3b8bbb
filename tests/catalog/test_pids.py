"""PIDs: which there are, how they travel in paths, and that none is given out twice."""

import json
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.catalog.errors import PidInvalid
from mediastore.catalog.pids import LONGEST, check_pid, mint
from tests.server import Server, add_user

RIGHT = [
    "a",
    "IFCB101_D20240101T000000",
    "doi:10.1234/abcd",
    "ark:/12345/x",
    "hdl:10013/epic.1",
    "urn:nbn:de:101:1-2",
    "a/b/c",
    "a b",
    "...",
    "a/.../b",
    ".a",
    "a.",
    "batch",
    "search",
    "x" * 255,
    "日" * 255,
    "𝄞" * 255,
    "Ünïcödé/ß",
    "e\u0301",
    "%2F",
    "100%",
    "a%20b",
    "a?b",
    "?",
    "a#b",
    "a+b",
    "a&b=c",
    "a;b,c",
    'it\'s "quoted"',
    "back\\slash",
    "{braces}",
    "<tag>",
    "a|b^c`d~e",
    "[x]",
    "@:!$*()",
    "{pid:path}",
    "api/v1/media/x",
]
WRONG = [
    "x" * 256,
    "/a",
    "a/",
    "/",
    "a//b",
    ".",
    "..",
    "a/./b",
    "../a",
    "a/..",
    "./a",
    " a",
    "a ",
    "a\tb",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\u0080b",
    "a\u200bb",
    "a\u202eb",
    "a\u00a0b",
    "a\u2028b",
    "\ufeffa",
    "a\ue000",
    "http://example.org/a",
]


@pytest.mark.parametrize("pid", RIGHT)
def test_what_a_pid_may_be(pid: str) -> None:
    assert check_pid(pid) == pid


@pytest.mark.parametrize("pid", ["", *WRONG])
def test_what_a_pid_may_not_be(pid: str) -> None:
    with pytest.raises(PidInvalid) as caught:
        check_pid(pid)
    assert caught.value.message.isprintable(), "the message itself is safe to show"


@given(st.text(max_size=300))
def test_the_rules_of_a_pid(pid: str) -> None:
    segments = pid.split("/")
    right = 1 <= len(pid) <= LONGEST and pid.isprintable() and pid == pid.strip() and not {"", ".", ".."} & set(segments)
    try:
        assert check_pid(pid) == pid
        assert right
    except PidInvalid:
        assert not right


def test_minted_pids_differ_are_right_and_sort_by_age() -> None:
    minted = [mint("lab/") for _ in range(500)]
    assert len(set(minted)) == 500
    assert [check_pid(pid) for pid in minted] == sorted(minted)
    assert all(pid.startswith("lab/") for pid in minted)


def path(pid: str) -> str:
    """As a careful client writes it: slashes as they are, all else that is odd percent-encoded."""
    return quote(pid, safe="/")


def strict_path(pid: str) -> str:
    """As another writes it: slashes encoded, too."""
    return quote(pid, safe="")


@pytest.mark.parametrize("pid", RIGHT)
def test_a_pid_goes_through_every_path_and_back(admin: httpx.Client, pid: str) -> None:
    made = admin.post("/media", json={"pid": pid})
    assert made.status_code == 201, made.text
    assert made.json()["pid"] == pid
    location = made.headers["location"]
    assert location.startswith("/api/v1/media/")
    assert httpx.get(str(admin.base_url.join(location)), headers=admin.headers).json()["pid"] == pid, "Location leads there"
    for written in (path(pid), strict_path(pid)):
        assert admin.get(f"/media/{written}").json().get("pid") == pid
        assert admin.get(f"/versions/{written}").json() == {"items": []}
        assert admin.get(f"/history/{written}").json()["items"][0]["subject"] == pid
    put = admin.put(f"/content/{path(pid)}", content=b"bytes")
    assert put.status_code == 200, put.text
    assert put.json()["pid"] == pid
    assert admin.get(f"/content/{strict_path(pid)}").content == b"bytes"
    assert admin.patch(f"/media/{path(pid)}", json={"tags": ["t"]}).json()["pid"] == pid
    assert admin.delete(f"/media/{strict_path(pid)}").status_code == 204
    assert admin.get(f"/media/{path(pid)}").status_code == 410


@pytest.mark.parametrize("pid", WRONG)
def test_a_wrong_pid_is_refused_wherever_it_is_given(admin: httpx.Client, pid: str) -> None:
    assert admin.post("/media", json={"pid": pid}).status_code == 422
    for method, kind in (("GET", "media"), ("PUT", "content")):
        status, body = raw(admin, method, f"/api/v1/{kind}/{strict_path(pid)}")
        assert status in {404, 405, 422} or b'"next"' in body, body
    batch = admin.post("/media/batch", json={"items": [{"op": "create", "pid": pid}]}).json()["items"]
    assert batch[0]["status"] == 422


def raw(client: httpx.Client, method: str, target: str) -> tuple[int, bytes]:
    """Status and body of a request whose path goes out as it is written: httpx would tidy it up."""
    connection = HTTPConnection(client.base_url.host, client.base_url.port or 80, timeout=60)
    try:
        connection.request(method, target, headers={"Authorization": client.headers["Authorization"]})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("tail", ["%FF", "%ED%A0%80", "a%C3"])
def test_a_path_that_is_no_text_is_refused(admin: httpx.Client, tail: str) -> None:
    for method, kind in (("GET", "media"), ("PATCH", "media"), ("DELETE", "media"), ("GET", "content"), ("GET", "history")):
        status, body = raw(admin, method, f"/api/v1/{kind}/{tail}")
        assert status in {400, 404, 422}, body


@pytest.mark.parametrize(
    "written", ["slash/", "/slash", "a//slash", "%2Fslash", "slash%2F", "a%2F%2Fslash", "./slash", "a/../slash"]
)
def test_a_path_is_not_tidied_up_into_the_name_of_another_record(admin: httpx.Client, written: str) -> None:
    for pid in ("slash", "a/slash"):
        admin.post("/media", json={"pid": pid})
    status, body = raw(admin, "GET", f"/api/v1/media/{written}")
    assert status in {404, 422}, body


@pytest.mark.parametrize(
    "fixed", ["/api/v1/%6dedia/", "/api/v1//media/", "//api/v1/media/", "/%61pi/v1/media/", "/api/./v1/media/"]
)
def test_a_route_written_otherwise_leads_to_the_same_record_or_to_none(admin: httpx.Client, fixed: str) -> None:
    for pid in ("other-route", "a/other-route", "ia/other-route", "edia/other-route"):
        admin.post("/media", json={"pid": pid})
    status, body = raw(admin, "GET", f"{fixed}other-route")
    assert status in {200, 400, 404, 422}, body
    if status == 200:
        assert json.loads(body)["pid"] == "other-route"


def test_batch_is_a_pid_like_any_other(admin: httpx.Client) -> None:
    assert admin.put("/content/batch/part", content=b"x").status_code == 201
    assert admin.get("/media/batch/part").json()["pid"] == "batch/part"
    # The record of that very name was made and deleted by another test, or is made here.
    admin.post("/media", json={"pid": "batch"})
    assert admin.get("/media/batch").status_code in {200, 410}
    assert admin.get("/media/b%61tch").status_code == admin.get("/media/batch").status_code


def test_names_that_differ_in_case_or_composition_are_two(admin: httpx.Client) -> None:
    for pid in ("Case", "case", "\u00e9", "E\u0301"):
        assert admin.post("/media", json={"pid": f"form/{pid}"}).status_code == 201


def test_a_record_without_a_pid_gets_one(admin: httpx.Client) -> None:
    first, second = (admin.post("/media", json={}).json()["pid"] for _ in range(2))
    assert first != second
    assert admin.get(f"/media/{first}").status_code == 200


def test_a_pid_is_given_out_once_also_after_deletion(server: Server, admin: httpx.Client) -> None:
    assert admin.post("/media", json={"pid": "taken"}).status_code == 201
    again = admin.post("/media", json={"pid": "taken"})
    assert (again.status_code, again.json()["code"]) == (409, "pid_taken")
    assert admin.delete("/media/taken").status_code == 204
    assert admin.post("/media", json={"pid": "taken"}).status_code == 409
    assert admin.put("/content/taken", content=b"x").status_code == 410
    add_user(admin, "pid-other")
    with server.client("pid-other") as other:
        assert other.post("/media", json={"pid": "taken"}).status_code == 409
        assert other.put("/content/taken", content=b"x").status_code in {404, 409}


def test_of_many_who_want_one_pid_at_once_one_gets_it(admin: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(
            answer.status_code for answer in pool.map(lambda _: admin.post("/media", json={"pid": "race"}), range(8))
        )
    assert statuses == [201] + [409] * 7


@pytest.mark.parametrize("body", [{"pid": ""}, {"pid": 1}, {"pid": ["a"]}, {"pid": "x" * 256}])
def test_what_is_not_even_a_text_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    answer = admin.post("/media", json=body)
    assert answer.status_code == 422
    assert "pid" in answer.json()["detail"]


def test_a_lone_surrogate_is_refused(admin: httpx.Client) -> None:
    answer = admin.post("/media", content=rb'{"pid": "a\ud800"}')
    assert answer.status_code == 422, answer.text
