"""H12: the server dies at any step of a direct upload, its job gets lost or is done twice: it ends in bounded time, by itself."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Caught, Direct, begins, completes, direct_site, reads, writes
from tests.faults.harness import MIB, Upload, content, eventually, name
from tests.transfers.sending import send, send_part

METHODS = ("put", "post", "multipart")
SIZE = 5 * MIB + 1
RIGHT = content(SIZE, "right")
QUICK = {
    "MEDIASTORE_WORKER_LOST_S": "2",
    "MEDIASTORE_QUARANTINE_S": "0",
    "MEDIASTORE_VERIFY_INLINE_BYTES": "0",
}


@pytest.fixture(scope="module")
def shared(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    with direct_site(sites, ministack, proxied=True, environment=QUICK) as made:
        yield made


@pytest.fixture
def direct(shared: Direct) -> Iterator[Direct]:
    shared.ignore_leftovers()
    yield shared
    assert shared.proxy is not None
    shared.proxy.on_request = shared.proxy.on_answer = None
    if shared.site.server.process is None:
        shared.site.server.start()


def in_background(direct: Direct, path: str, **options: Any) -> threading.Thread:
    """A client whose server dies."""

    def run() -> None:
        with suppress(httpx.HTTPError), httpx.Client(base_url=direct.admin.base_url, headers=direct.admin.headers) as client:
            client.post(path, timeout=60, **options)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def sent(direct: Direct, method: str, *, store: str = "bucket", data: bytes = RIGHT) -> dict[str, Any]:
    """An upload whose bytes are all there."""
    parts = {"part_size": 5 * MIB} if method == "multipart" else {}
    upload = direct.begin(pid=name(), store=store, size=len(data), method=method, **parts)
    assert {answer.status_code // 100 for answer in send(upload, data)} == {2}
    if store == "local":  # a part that came twice lies by itself, so all are copied together, by a job
        assert send_part(upload["parts"][0], data).status_code == 200
    return upload


def accepted(direct: Direct, upload: dict[str, Any]) -> None:
    """A job verifies it."""
    assert direct.admin.post(f"/uploads/{upload['id']}/complete").status_code == 202


def whole(direct: Direct, upload: dict[str, Any], data: bytes = RIGHT) -> None:
    """It became the one version of its record."""
    direct.becomes(upload, "completed")
    assert direct.admin.get(f"/content/{upload['pid']}").content == data
    assert [item["version"] for item in direct.admin.get(f"/versions/{upload['pid']}").json()["items"]] == [1]


def test_h12_killed_as_the_store_is_told_of_the_upload(direct: Direct) -> None:
    """Its id was never written down: its owner can end it, and else it ends by itself; both leave no multipart upload open."""
    pids = [name(), name()]
    asked = {"store": "bucket", "size": SIZE, "method": "multipart"}
    caught = Caught(direct, begins, answered=True)
    clients = [in_background(direct, "/uploads", json={"pid": pid, **asked}) for pid in pids]
    caught.kill(2)
    for client in clients:
        client.join(10)
    assert len(direct.bucket.uploads()) == 2
    first, second = (next(item for item in direct.admin.get("/uploads").json()["items"] if item["pid"] == pid) for pid in pids)
    assert direct.row(first)["s3_upload_id"] is None
    shown = direct.admin.get(f"/uploads/{first['id']}").json()
    assert (shown["status"], shown["parts"]) == ("open", [])
    answer = direct.complete(first)
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_ended")
    assert "begin again" in answer.json()["detail"]
    assert direct.admin.delete(f"/uploads/{first['id']}").status_code == 204
    assert direct.admin.get(f"/media/{pids[0]}").status_code == 404
    direct.expire(second)
    eventually(lambda: direct.status(second)["status"] == "failed")
    direct.settled()
    for pid in pids:
        again = direct.begin(pid=pid, **asked)
        send(again, RIGHT)
        assert direct.complete(again).json()["version"] == 1
    direct.settled(later=True)


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_h12_killed_as_the_store_puts_the_parts_together(direct: Direct, answered: bool) -> None:
    uploads = [sent(direct, "multipart"), sent(direct, "multipart")]
    caught = Caught(direct, completes, answered=answered)
    clients = [in_background(direct, f"/uploads/{upload['id']}/complete") for upload in uploads]
    caught.kill(2)
    for client in clients:
        client.join(10)
    assert len(direct.bucket.uploads()) == (0 if answered else 2)
    shown = direct.admin.get(f"/uploads/{uploads[0]['id']}")
    assert shown.status_code == 200, shown.text
    assert [(part["received"], part["url"]) for part in shown.json()["parts"]] == [(True, None), (True, None)]
    assert direct.complete(uploads[0]).json()["status"] == "ready"
    if answered:
        direct.expire(uploads[1])
    else:  # its parts came just now, so that it would live on for a day
        assert direct.complete(uploads[1]).json()["status"] == "ready"
    for upload in uploads:
        whole(direct, upload)
    direct.settled(later=True)


def test_h12_killed_as_a_part_comes(direct: Direct) -> None:
    upload = direct.begin(pid=name(), store="local", size=SIZE, method="multipart", part_size=5 * MIB)
    part = upload["parts"][0]
    target = part["url"].partition("/api/v1")[2]
    raw = Upload(direct.site, "", length=part["size"], target=f"PUT /api/v1{target}")
    raw.send(RIGHT[: 3 * MIB])
    eventually(lambda: direct.site.value("SELECT count(*) FROM upload_part WHERE received_at IS NULL") == 1)
    direct.site.server.kill()
    raw.socket.close()
    direct.site.server.start()
    shown = direct.admin.get(f"/uploads/{upload['id']}").json()
    assert [part["received"] for part in shown["parts"]] == [False, False]
    assert [answer.status_code for answer in send(shown, RIGHT)] == [200, 200]
    places = direct.site.rows("SELECT in_place FROM upload_part WHERE received_at IS NOT NULL ORDER BY number")
    assert [row["in_place"] for row in places] == [False, True], "who died may be slow alone: its place is left to it"
    assert direct.complete(upload).json()["status"] == "ready"
    whole(direct, upload)
    eventually(lambda: direct.site.value("SELECT count(*) FROM upload_part") == 0, what="the dead part is forgotten")
    direct.settled()


def test_h12_killed_as_a_job_verifies_and_some_jobs_are_lost(direct: Direct) -> None:
    """What the worker had in its hands is done again; what nobody has any more is written down again."""
    uploads = [sent(direct, method) for method in METHODS]
    lost = [sent(direct, "multipart"), sent(direct, "multipart", store="local")]
    caught = Caught(direct, reads, answered=True)
    for upload in (*uploads, *lost):
        accepted(direct, upload)
    caught.wait(4)
    direct.site.server.kill()
    caught.let_go(drop=True)
    ids = [upload["id"] for upload in lost]
    direct.site.rows("DELETE FROM pgqueuer WHERE convert_from(payload, 'utf8')::jsonb ->> 'upload' = ANY ($1)", ids)
    direct.site.rows("UPDATE upload SET last_activity = now() - interval '6 minutes' WHERE state = 'verifying'")
    direct.site.server.start()
    for upload in (*uploads, *lost):
        whole(direct, upload)
    eventually(direct.no_jobs)
    direct.settled(later=True)


def test_h12_two_verifiers_of_one_upload_make_one_version(direct: Direct) -> None:
    uploads = [sent(direct, method) for method in METHODS]
    caught = Caught(direct, reads, answered=True)
    for upload in uploads:
        accepted(direct, upload)
    caught.wait(3)
    direct.site.rows(
        "INSERT INTO pgqueuer (priority, status, entrypoint, payload) "
        "SELECT 0, 'queued', entrypoint, payload FROM pgqueuer WHERE entrypoint = 'verify_upload' AND status = 'picked'"
    )
    caught.wait(3)
    caught.let_go(drop=False)
    eventually(direct.no_jobs, what="both are done")
    for upload in uploads:
        whole(direct, upload)
    direct.settled(later=True)


def test_h12_the_owner_can_always_cancel(direct: Direct) -> None:
    """Also what is verified at this moment; what the verifier then does comes to nothing."""
    uploads = [*(sent(direct, method) for method in METHODS), sent(direct, "multipart", store="local")]
    caught = Caught(direct, reads, answered=True)
    for upload in uploads:
        accepted(direct, upload)
    caught.wait(3)
    for upload in uploads[:3]:
        assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    assert direct.admin.delete(f"/uploads/{uploads[3]['id']}").status_code in {204, 409}
    caught.let_go(drop=False)
    eventually(direct.no_jobs)
    for upload in uploads[:3]:
        assert direct.admin.get(f"/media/{upload['pid']}").status_code == 404
    direct.settled(later=True)


def test_h12_what_a_verifier_wrote_after_the_end_is_gone(direct: Direct) -> None:
    """It copies a form's bytes; the upload is cancelled and its key purged; then the bytes come, and the server dies."""
    upload = sent(direct, "post", data=b"x" * 1000)
    caught = Caught(direct, writes, answered=False)
    accepted(direct, upload)
    caught.wait()
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    key = direct.row(upload)["key"]
    eventually(lambda: direct.purged_once(upload), what="purged at once")
    direct.site.server.kill()
    caught.let_go(drop=False)
    eventually(lambda: key in direct.bucket.objects(), what="the bytes have come after all")
    direct.site.server.start()
    direct.settled(later=True)
