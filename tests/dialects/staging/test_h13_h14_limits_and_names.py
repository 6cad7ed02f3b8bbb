"""Many at once against a quota, odd names, and what is served never runs in a browser."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS
from tests.dialects.staging.staging import add_staging_store, send
from tests.faults.harness import eventually
from tests.server import Server, running_server


@pytest.fixture(scope="module")
def narrow(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    with database_server.database(template=template_database) as url, running_server(url, SETTINGS) as running:
        with running.client() as admin:
            add_staging_store(admin, quota={"bytes": 100_000})
        yield running


@pytest.mark.parametrize("declared", [True, False], ids=["with their size", "without"])
def test_h13_of_many_uploads_at_once_as_many_get_in_as_fit(narrow: Server, declared: bool) -> None:
    token = narrow.token()
    fields = {"size": "60000"} if declared else {}

    def upload(_: int) -> tuple[int, str]:
        files = {"file": ("a", bytes(60_000))}
        answer = httpx.post(f"{narrow.url}/staging/upload", params={"token": token}, data=fields, files=files, timeout=120)
        return answer.status_code, answer.json().get("code", "")

    with ThreadPoolExecutor(25) as threads:
        outcomes = Counter(threads.map(upload, range(50)))
    assert outcomes == {(202, ""): 1, (413, "quota_exceeded"): 49}
    with (
        narrow.client() as native,
        httpx.Client(base_url=f"{narrow.url}/staging", params={"token": token}, timeout=60) as admin,
    ):
        [kept] = admin.get("/upload").json()
        usage = native.get("/stores/staging/usage").json()
        assert (usage["used"], usage["reserved"]["bytes"]) == ({"bytes": 60_000, "objects": 1}, 0)
        admin.delete(f"/upload/{kept['id']}")
        eventually(lambda: native.get("/stores/staging/usage").json()["used"] == {"bytes": 0, "objects": 0})


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.xml", "application/xml"),
        ("a.js", "text/javascript"),
        ('a"; filename=evil.exe', "text/plain"),
        ("\u202egpj.exe", "application/octet-stream"),
        ("%0d%0aSet-Cookie: x=y", "text/plain"),
        ("../../etc/passwd", "text/plain"),
        ("…/été 1.csv", "text/csv"),
    ],
)
def test_h14_whatever_the_name_and_type_nothing_runs_and_no_header_is_made(ann: httpx.Client, name: str, kind: str) -> None:
    answer = ann.post("/upload", files={"file": (name, b"<script>alert(1)</script>", kind)})
    assert answer.status_code == 202, answer.text
    got = httpx.get(ann.get(f"/upload/{answer.json()['id']}/data").headers["location"])
    header = got.headers["content-disposition"]
    assert got.status_code == 200
    assert "set-cookie" not in got.headers
    assert header.startswith("attachment") or kind in {"text/plain", "text/csv"}
    assert "sandbox" in got.headers["content-security-policy"]
    assert got.headers["x-content-type-options"] == "nosniff"
    assert header.isascii()
    assert header.count('"') in {0, 2}
    assert "\u202e" not in header
    assert "%E2%80%AE" not in header
    assert "/" not in header.partition("filename")[2].replace("UTF-8''", "")


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\x7f\x1f"])
def test_h14_a_name_with_control_characters_does_not_come_in(ann: httpx.Client, name: str) -> None:
    form = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nx\r\n--b--\r\n'
    answer = ann.post("/upload", content=form.encode(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.status_code == 422, answer.text


def test_h17_a_form_without_end_in_its_fields_is_cut_off(ann: httpx.Client) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="label"\r\n\r\n'

    def endless() -> Iterator[bytes]:
        yield head
        for _ in range(64):
            yield b"x" * 65_536

    answer = ann.post("/upload", content=endless(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert (answer.status_code, answer.json()["code"]) == (422, "form_invalid")


def test_what_its_owner_made_of_the_record_does_no_harm(server: Server, ann: httpx.Client) -> None:
    report = send(ann, "a.bin", b"x", "kept")
    with server.client("ann") as native:
        changed = {"metadata": {"staging": {"label": 7}, "mine": 1}}
        assert native.patch(f"/media/{report['pid']}", json=changed).status_code == 200
        assert ann.get("/upload").status_code == 200
        assert ann.get(f"/upload/{report['id']}").status_code in {200, 404}
        assert native.patch(f"/media/{report['pid']}", json={"metadata": {"staging": {"label": "new"}}}).status_code == 200
        assert ann.get(f"/upload/{report['id']}").json()["label"] == "new"


def test_h14_a_record_that_is_handed_on_can_not_pass_for_an_upload_that_was_there(
    server: Server, ann: httpx.Client, bob: httpx.Client
) -> None:
    real = send(ann, "real.bin", b"real")
    ids = (real["id"], "../../api/v1/media/another", "x", real["id"].upper())
    with server.client("bob") as native:
        for number, id in enumerate(ids):
            about = {"staging": {"id": id, "label": "fake", "filename": "fake.bin", "kind": "upload"}}
            pid = f"fake-{number}-{real['id']}"
            assert native.post("/media", json={"pid": pid, "metadata": about}).status_code == 201
            assert native.put(f"/content/{pid}", content=b"fake").status_code == 200
            assert native.patch(f"/media/{pid}", json={"owner": "ann"}).status_code == 200
    assert ann.get(f"/upload/{real['id']}").json() == real
    assert httpx.get(ann.get(f"/upload/{real['id']}/data").headers["location"]).content == b"real"
    assert {report["id"] for report in ann.get("/upload").json() if report["label"] == "fake"} <= {real["id"]}
    assert bob.get(f"/upload/{real['id']}").status_code == 404
    assert ann.delete(f"/upload/{real['id']}").status_code == 204
    with server.client("ann") as native:
        assert native.get(f"/media/{real['pid']}").status_code == 410, "the right one"
