"""Uploads that end before their bytes do: whatever was there before stays, whatever came is gone, the retry works."""

import time
from collections.abc import Callable

import pytest

from tests.faults.harness import MIB, Site, Upload, content, eventually, name

CUTS: dict[str, Callable[[Upload], None]] = {"reset": Upload.reset, "half-close": Upload.half_close}
PLACES = {
    "local": (200 * MIB, (1 * MIB, 49 * MIB, 51 * MIB, 199 * MIB)),
    "scratch": (60 * MIB, (1 * MIB, 59 * MIB)),
    "bucket": (21 * MIB, (1 * MIB, 6 * MIB, 10 * MIB, 20 * MIB)),
}


def cut_upload(site: Site, pid: str, *, store: str, size: int | None, at: int, cut: Callable[[Upload], None]) -> None:
    """Begin an upload of `size` bytes, None for a chunked one without end, and end it at `at`."""
    upload = site.upload(pid, size, query=f"?store={store}")
    block, sent = content(MIB, "cut"), 0
    while sent < at:
        upload.send(block)
        sent += len(block)
    eventually(lambda: site.upload_states(pid)[-1:] == ["open"])
    cut(upload)


def assert_pending(site: Site, pid: str) -> None:
    shown = site.admin.get(f"/media/{pid}")
    assert shown.status_code == 200
    assert (shown.json()["status"], shown.json()["version"], shown.json()["content"]) == ("pending", 0, None)
    answer = site.admin.get(f"/content/{pid}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "content_missing"


def assert_final(site: Site, pid: str) -> None:
    eventually(lambda: set(site.upload_states(pid)) <= {"failed", "completed"}, what="the upload ends")
    eventually(lambda: set(site.states(pid)) <= {"purged", "stored"}, what="the object is purged")
    site.settle()


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("store", PLACES)
def test_h01_a_new_upload_cut_short_leaves_a_pending_record_and_no_bytes(site: Site, store: str, how: str) -> None:
    size, points = PLACES[store]
    pid = name()
    for at in points:
        cut_upload(site, pid, store=store, size=size, at=at, cut=CUTS[how])
        eventually(lambda: site.upload_states(pid)[-1] == "failed")
        assert_pending(site, pid)
    assert_final(site, pid)
    assert site.upload_states(pid) == ["failed"] * len(points)
    data = content(size, pid)
    retried = site.put(pid, data)
    assert retried.status_code == 200, retried.text
    assert retried.json()["version"] == 1
    assert site.admin.get(f"/content/{pid}").content == data
    site.settle()


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("store", PLACES)
def test_h01_an_upload_cut_short_leaves_the_old_version(site: Site, store: str, how: str) -> None:
    pid, old = name(), content(7 * MIB, "old")
    made = site.put(pid, old, params={"store": store})
    assert made.status_code == 201
    size, points = PLACES[store]
    cut_upload(site, pid, store=store, size=size, at=points[-2], cut=CUTS[how])
    assert_final(site, pid)
    assert site.admin.get(f"/media/{pid}").json() == made.json()
    answer = site.admin.get(f"/content/{pid}")
    assert answer.content == old
    assert answer.headers["etag"] == made.headers["etag"]
    assert site.put(pid, b"new").json()["version"] == 2


@pytest.mark.parametrize("how", CUTS)
@pytest.mark.parametrize("store", PLACES)
def test_h01_a_chunked_body_without_an_end_is_no_content(site: Site, store: str, how: str) -> None:
    pid = name()
    cut_upload(site, pid, store=store, size=None, at=6 * MIB, cut=CUTS[how])
    assert_final(site, pid)
    assert_pending(site, pid)
    assert site.put(pid, b"whole").status_code == 200


@pytest.mark.parametrize("store", PLACES)
def test_h01_a_body_that_stalls_is_refused_and_withdrawn(site: Site, store: str) -> None:
    """Declared longer than what comes, with the connection left open."""
    pid = name()
    answer = site.upload(pid, 7 * MIB, query=f"?store={store}").send(content(6 * MIB)).answer()
    assert answer.status == 408, answer.body
    assert answer.json()["code"] == "upload_stalled"
    assert site.admin.get(f"/media/{pid}").status_code == 404
    site.settle()
    assert site.put(pid, b"whole").status_code == 201


def test_h01_bytes_beyond_the_declared_length_are_not_content(site: Site) -> None:
    pid = name()
    answer = site.upload(pid, 4).send(b"fourmore").answer()
    assert answer.status == 201, answer.body
    assert answer.json()["content"]["size"] == 4
    assert site.admin.get(f"/content/{pid}").content == b"four"


@pytest.mark.parametrize("how", CUTS)
def test_h01_a_form_cut_inside_its_file_is_no_content(site: Site, how: str) -> None:
    pid = name()
    head = (
        f'--b\r\nContent-Disposition: form-data; name="pid"\r\n\r\n{pid}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    ).encode()
    upload = Upload(
        site, pid, length=100 * MIB, headers={"Content-Type": "multipart/form-data; boundary=b"}, target="POST /api/v1/content"
    )
    upload.send(head).send(content(3 * MIB))
    eventually(lambda: site.upload_states(pid) == ["open"])
    CUTS[how](upload)
    assert_final(site, pid)
    assert_pending(site, pid)


def test_h01_a_form_that_ends_inside_its_file_is_refused(site: Site) -> None:
    pid = name()
    body = (
        f'--b\r\nContent-Disposition: form-data; name="pid"\r\n\r\n{pid}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    ).encode() + content(3 * MIB)
    answer = site.raw("POST", "/api/v1/content", headers=[("Content-Type", "multipart/form-data; boundary=b")], body=body)
    assert answer.status == 422, answer.body
    assert answer.json()["code"] == "form_invalid"
    assert site.admin.get(f"/media/{pid}").status_code == 404
    site.settle()


def test_h01_a_disconnect_is_not_the_servers_failure(site: Site) -> None:
    """A client that goes away is told of in the log, without a stack trace or a word of an internal error."""
    begin = site.server.log.stat().st_size
    pid = name()
    cut_upload(site, pid, store="local", size=5 * MIB, at=1 * MIB, cut=Upload.reset)
    eventually(lambda: site.upload_states(pid) == ["failed"])
    time.sleep(0.3)
    log = site.server.log.read_bytes()[begin:].decode()
    assert "Traceback" not in log
