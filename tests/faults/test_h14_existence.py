"""What one may not read is not there; what one may not decide one does not decide; where bytes lie is nobody's business."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.faults.conftest import Sites
from tests.faults.harness import Site, eventually, name
from tests.server import add_user


@pytest.fixture(scope="module")
def people(sites: Sites) -> Iterator[Site]:
    with sites() as made:
        for user, role in (("owen", "editor"), ("mallory", "editor"), ("rita", "reader"), ("walt", "editor")):
            add_user(made.admin, user, role, groups=("lab",) if user == "walt" else ())
        yield made


@pytest.fixture(scope="module")
def clients(people: Site) -> Iterator[dict[str, httpx.Client]]:
    made = {user: people.server.client(user) for user in ("owen", "mallory", "rita", "walt")}
    made["nobody"] = people.server.client("")
    made["admin"] = people.admin
    yield made
    for user, client in made.items():
        if user != "admin":
            client.close()


def told(answer: httpx.Response, pid: str) -> tuple[int, Any, dict[str, str]]:
    """An answer without what differs from request to request."""
    body: Any = answer.text
    if answer.text and answer.headers.get("content-type", "").endswith("json"):
        body = {key: str(value).replace(pid, "PID") for key, value in answer.json().items() if key != "request_id"}
    own = {"date", "x-request-id", "content-length"}
    return answer.status_code, body, {key: value for key, value in answer.headers.items() if key not in own}


REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "GET media": ("GET", "/media/{}", {}),
    "GET media with If-None-Match": ("GET", "/media/{}", {"headers": {"If-None-Match": '"1"'}}),
    "HEAD media": ("HEAD", "/media/{}", {}),
    "PATCH media": ("PATCH", "/media/{}", {"json": {"tags": ["x"]}}),
    "PATCH owner": ("PATCH", "/media/{}", {"json": {"owner": "mallory"}}),
    "PATCH identifiers": ("PATCH", "/media/{}", {"json": {"identifiers": {"NONE": "x"}}}),
    "PATCH to a wrong store": ("PATCH", "/media/{}", {"json": {"store": "nowhere"}}),
    "PATCH with If-Match": ("PATCH", "/media/{}", {"json": {"tags": ["x"]}, "headers": {"If-Match": '"99"'}}),
    "DELETE media": ("DELETE", "/media/{}", {}),
    "DELETE with If-Match": ("DELETE", "/media/{}", {"headers": {"If-Match": '"99"'}}),
    "GET content": ("GET", "/content/{}", {}),
    "GET a version": ("GET", "/content/{}?version=1", {}),
    "GET a version that is not": ("GET", "/content/{}?version=7", {}),
    "GET direct": ("GET", "/content/{}?direct=true", {}),
    "GET a range": ("GET", "/content/{}", {"headers": {"Range": "bytes=0-0"}}),
    "GET content with If-None-Match": ("GET", "/content/{}", {"headers": {"If-None-Match": "*"}}),
    "HEAD content": ("HEAD", "/content/{}", {}),
    "versions": ("GET", "/versions/{}", {}),
    "history": ("GET", "/history/{}", {}),
}
"""All but PUT of content and POST of a record: who makes a name learns that it is taken."""


@pytest.mark.parametrize("user", ["mallory", "rita", "nobody"])
@pytest.mark.parametrize("state", ["ready", "pending", "expired", "deleted", "in a bucket"])
def test_h14_a_private_record_and_a_missing_one_look_the_same(
    people: Site, clients: dict[str, httpx.Client], state: str, user: str
) -> None:
    pid, missing = name("pid"), name("pid")
    store = "bucket" if state == "in a bucket" else "local"
    assert clients["owen"].post("/media", json={"pid": pid, "store": store}).status_code == 201
    if state != "pending":
        assert clients["owen"].put(f"/content/{pid}", content=b"secret").status_code == 200
    if state == "expired":
        people.rows("UPDATE media SET expires_at = now() - interval '1 minute' WHERE pid = $1", pid)
    if state == "deleted":
        assert clients["owen"].delete(f"/media/{pid}").status_code == 204
    for label, (method, path, options) in REQUESTS.items():
        there = clients[user].request(method, path.format(pid), follow_redirects=False, **options)
        not_there = clients[user].request(method, path.format(missing), follow_redirects=False, **options)
        assert told(there, pid) == told(not_there, missing), label
        assert there.status_code in {401, 403, 404} or label == "HEAD media", label
    for op in ({"op": "read"}, {"op": "update", "tags": ["x"]}, {"op": "delete"}):
        items = [{**op, "pid": pid}, {**op, "pid": missing}]
        there, not_there = clients[user].post("/media/batch", json={"items": items}).json()["items"]
        assert str(there).replace(pid, "PID") == str(not_there).replace(missing, "PID"), op
    assert pid not in clients[user].get("/media?limit=1000").text


def test_h14_access_withdrawn_is_felt_at_once(people: Site, clients: dict[str, httpx.Client]) -> None:
    pid = name()
    clients["owen"].put(f"/content/{pid}", content=b"x")
    settings = [
        ({"readers": ["mallory"]}, {"readers": []}),
        ({"writers": ["mallory"]}, {"writers": None}),
        ({"access": "internal"}, {"access": "private"}),
        ({"access": "public"}, {"access": "private"}),
        ({"public_at": "2020-01-01T00:00:00Z"}, {"public_at": None}),
        ({"public_at": "2020-01-01T00:00:00Z"}, {"public_at": "2100-01-01T00:00:00Z"}),
    ]
    for given, withdrawn in settings:
        assert clients["owen"].patch(f"/media/{pid}", json=given).status_code == 200
        etag = clients["mallory"].get(f"/content/{pid}").headers["etag"]
        assert clients["owen"].patch(f"/media/{pid}", json=withdrawn).status_code == 200
        begun = time.monotonic()
        for path in (f"/media/{pid}", f"/content/{pid}", f"/versions/{pid}", f"/history/{pid}"):
            assert clients["mallory"].get(path).status_code == 404, withdrawn
        conditional = clients["mallory"].get(f"/content/{pid}", headers={"If-None-Match": etag})
        assert conditional.status_code == 404
        assert time.monotonic() - begun < 5


def test_h14_membership_withdrawn_is_felt_soon_on_every_server(
    people: Site, clients: dict[str, httpx.Client], sites: Sites
) -> None:
    pid = name()
    clients["owen"].put(f"/content/{pid}", content=b"x")
    clients["owen"].patch(f"/media/{pid}", json={"readers": ["group:lab"]})
    assert clients["walt"].get(f"/content/{pid}").status_code == 200
    # As another server of this database would do it.
    people.rows("DELETE FROM group_member WHERE group_name = 'lab'")
    eventually(lambda: clients["walt"].get(f"/content/{pid}").status_code == 404, within_s=1.5)
    people.admin.patch("/users/walt", json={"groups": ["lab"]})


def test_h14_a_user_switched_off_while_logged_in_is_out_at_once(people: Site) -> None:
    add_user(people.admin, "gone", "editor")
    with people.server.client("gone") as client:
        assert client.get("/auth/me").status_code == 200
        people.admin.patch("/users/gone", json={"disabled": True})
        assert client.get("/auth/me").status_code == 401
        assert client.put(f"/content/{name()}", content=b"x").status_code == 401


@pytest.mark.parametrize("field", ["owner", "readers", "writers", "access", "public_at"])
def test_h14_a_writer_does_not_decide_who_sees_a_record(people: Site, clients: dict[str, httpx.Client], field: str) -> None:
    pid = name()
    clients["owen"].post("/media", json={"pid": pid, "writers": ["mallory"]})
    clients["owen"].put(f"/content/{pid}", content=b"old")
    assert clients["mallory"].patch(f"/media/{pid}", json={"tags": ["may"]}).status_code == 200
    before = clients["owen"].get(f"/media/{pid}").json()
    value: Any = {
        "owner": "mallory", "readers": ["rita"], "writers": ["mallory", "rita"], "access": "public",
        "public_at": "2020-01-01T00:00:00Z",
    }[field]  # fmt: skip
    for given in (value, None):
        answer = clients["mallory"].patch(f"/media/{pid}", json={field: given})
        assert answer.status_code in {403, 422}, answer.text
    update = {"op": "update", "pid": pid, field: value}
    assert clients["mallory"].post("/media/batch", json={"items": [update]}).json()["items"][0]["status"] == 403
    text = ",".join(value) if isinstance(value, list) else value
    form = clients["mallory"].post("/content", data={"pid": pid, field: text}, files={"file": ("a", b"new")})
    assert form.status_code in {403, 422}, form.text
    if field == "access":
        assert clients["mallory"].put(f"/content/{pid}?access=public", content=b"new").status_code == 403
    assert clients["owen"].get(f"/media/{pid}").json() == before
    assert clients["owen"].get(f"/content/{pid}").content == b"old"
    assert clients["mallory"].delete(f"/media/{pid}").status_code == 403


@pytest.mark.parametrize("field", ["owner", "current_object", "status", "version", "key", "store_key", "revision"])
def test_h14_nobody_sets_what_the_server_decides(people: Site, clients: dict[str, httpx.Client], field: str) -> None:
    pid = name()
    assert clients["owen"].post("/media", json={"pid": pid, field: "admin"}).status_code == 422
    clients["owen"].post("/media", json={"pid": pid})
    if field != "owner":
        assert clients["owen"].patch(f"/media/{pid}", json={field: "1"}).status_code == 422
    form = clients["owen"].post("/content", data={"pid": pid, field: "admin"}, files={"file": ("a", b"x")})
    assert form.status_code == 422, form.text
    assert clients["owen"].put(f"/content/{pid}?{field}=admin", content=b"x").status_code == 400


def test_h14_store_keys_are_in_no_answer_and_no_log(people: Site, clients: dict[str, httpx.Client]) -> None:
    answers = []
    for store in ("local", "scratch", "bucket"):
        pid = name()
        answers.append(clients["owen"].put(f"/content/{pid}", content=b"x", params={"store": store}))
        answers.append(clients["owen"].put(f"/content/{pid}", content=b"y"))
        for client in (clients["owen"], people.admin):
            answers += [
                client.get(path.format(pid)) for path in ("/media/{}", "/content/{}", "/versions/{}", "/history/{}", "/media")
            ]
            answers.append(client.head(f"/content/{pid}"))
        answers.append(clients["owen"].put(f"/content/{pid}", content=b"z", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}))
    keys = [row["key"] for row in people.rows("SELECT key FROM stored_object")]
    assert len(keys) >= 6
    shown = "".join(f"{answer.headers} {answer.text}" for answer in answers) + people.server.log.read_text()
    assert [key for key in keys if key in shown or key.rpartition("/")[2] in shown] == []
