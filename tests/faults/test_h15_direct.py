"""H15: direct uploads into a store that lies: one bad reading is no verdict, a lasting one is."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Direct, direct_site, reads
from tests.faults.harness import MIB, content, eventually, name
from tests.transfers.sending import send

METHODS = ("put", "post", "multipart")
SMALL, LARGE = content(1000, "small"), content(MIB + 1, "large")
REFUSED = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def shared(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    environment = {"MEDIASTORE_QUARANTINE_S": "0", "MEDIASTORE_VERIFY_INLINE_BYTES": str(MIB)}
    with direct_site(sites, ministack, proxied=True, environment=environment) as made:
        yield made


@pytest.fixture
def direct(shared: Direct) -> Iterator[Direct]:
    shared.ignore_leftovers()
    yield shared
    tell_the_truth(shared)


def lie(direct: Direct, about: Callable[[bytes, bytes], bytes]) -> None:
    """From here on answers of the store are what `about` makes of them."""
    assert direct.proxy is not None
    direct.proxy.lie = about


def tell_the_truth(direct: Direct) -> None:
    assert direct.proxy is not None
    direct.proxy.lie = None


def empty(line: bytes, answer: bytes) -> bytes:
    """Nothing is in any object."""
    if line.startswith(b"HEAD"):
        return re.sub(rb"(?i)content-length: \d+", b"Content-Length: 0", answer)
    if reads(line):
        head = answer.partition(b"\r\n\r\n")[0] if answer.startswith(b"HTTP/") else b""
        return re.sub(rb"(?i)content-length: \d+", b"Content-Length: 0", head) + b"\r\n\r\n" if head else b""
    return answer


class Flipped:
    """The last byte of a reading is another, so many times."""

    def __init__(self, times: int) -> None:
        self._left = times

    def __call__(self, line: bytes, answer: bytes) -> bytes:
        if not reads(line) or not self._left or answer.endswith(b"\r\n\r\n"):
            return answer
        self._left -= 1
        return answer[:-1] + bytes([answer[-1] ^ 1])


def cut_once(direct: Direct) -> threading.Event:
    """The next reading ends ten bytes early, and its connection with it."""
    done = threading.Event()
    left: list[int] = []

    def shorten(line: bytes, answer: bytes) -> bytes:
        if not reads(line) or done.is_set():
            return answer
        if not left:
            head, _, body = answer.partition(b"\r\n\r\n")
            found = re.search(rb"(?i)content-length: (\d+)", head)
            assert found
            left.append(int(found[1]) - len(body))
        else:
            left[0] -= len(answer)
        if left[0] > 0:
            return answer
        done.set()
        direct.proxy.cut = True  # type: ignore[union-attr]  # this scene has one
        return answer[:-10]

    lie(direct, shorten)
    return done


def sent(direct: Direct, method: str, data: bytes, **claims: str) -> dict[str, Any]:
    parts = {"part_size": 5 * MIB} if method == "multipart" else {}
    upload = direct.begin(pid=name(), store="bucket", size=len(data), method=method, checksums=claims, **parts)
    assert {answer.status_code // 100 for answer in send(upload, data)} == {2}
    return upload


def ready(direct: Direct, upload: dict[str, Any], data: bytes) -> None:
    direct.becomes(upload, "completed")
    content = direct.admin.get(f"/media/{upload['pid']}").json()["content"]
    assert content["checksums"]["sha256"]["value"] == hashlib.sha256(data).hexdigest()
    assert direct.admin.get(f"/content/{upload['pid']}").content == data


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_h15_an_object_that_looks_empty_at_first_becomes_ready(direct: Direct, data: bytes) -> None:
    uploads = [sent(direct, method, data) for method in METHODS]
    lie(direct, empty)
    for upload in uploads:
        answer = direct.admin.post(f"/uploads/{upload['id']}/complete")
        while answer.status_code == 503:
            answer = direct.admin.post(f"/uploads/{upload['id']}/complete")
        assert answer.status_code == 202, answer.text
        assert direct.status(upload)["status"] == "verifying"
    tell_the_truth(direct)
    for upload in uploads:
        ready(direct, upload, data)
    direct.settled(later=True)


def test_h15_parts_that_were_put_together_are_not_taken_for_aborted(direct: Direct) -> None:
    """The answer to that was lost, and the store is slow to tell the size of what it made."""
    upload = sent(direct, "multipart", LARGE)
    row, client = direct.row(upload), direct.bucket.client
    place = {"Bucket": direct.bucket.name, "Key": row["key"], "UploadId": row["s3_upload_id"]}
    parts = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in client.list_parts(**place)["Parts"]]
    client.complete_multipart_upload(MultipartUpload={"Parts": parts}, **place)
    lie(direct, empty)
    shown = direct.admin.get(f"/uploads/{upload['id']}").json()
    assert (shown["problem"], [part["received"] for part in shown["parts"]]) == (None, [True])
    assert direct.admin.post(f"/uploads/{upload['id']}/complete").status_code == 202
    tell_the_truth(direct)
    ready(direct, upload, LARGE)
    direct.settled(later=True)


def test_h15_an_object_that_stays_empty_is_not_believed_for_ever(direct: Direct) -> None:
    uploads = [sent(direct, method, SMALL) for method in METHODS]
    lie(direct, empty)
    for upload in uploads:
        while direct.admin.post(f"/uploads/{upload['id']}/complete").status_code == 503:
            pass
    for upload in uploads:
        direct.change(upload, "verifying_at = now() - interval '2 minutes'")
    for upload in uploads:
        direct.becomes(upload, "failed")
        assert direct.status(upload)["problem"]["code"] == "size_mismatch"
        record = direct.admin.get(f"/media/{upload['pid']}").json()
        assert (record["status"], record["version"]) == ("failed", 0)
    tell_the_truth(direct)
    direct.settled(later=True)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_h15_one_bad_reading_is_not_corruption(direct: Direct, data: bytes) -> None:
    for method in METHODS:
        upload = sent(direct, method, data, sha512=hashlib.sha512(data).hexdigest())
        lie(direct, Flipped(1))
        assert direct.complete(upload).json()["status"] == "ready"
        ready(direct, upload, data)
    tell_the_truth(direct)
    direct.settled(later=True)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_h15_bytes_that_stay_wrong_have_failed(direct: Direct, data: bytes) -> None:
    digest = hashlib.sha512(data).hexdigest()
    for method in METHODS:
        upload = sent(direct, method, data, sha512=digest)
        lie(direct, Flipped(10**6))
        direct.complete(upload)
        tell_the_truth(direct)
        problem = direct.status(upload)["problem"]
        assert (problem["code"], problem["claimed"]) == ("digest_mismatch", digest)
        assert problem["computed"] not in {None, digest}
        assert direct.admin.get(f"/media/{upload['pid']}").json()["status"] == "failed"
        assert direct.admin.get(f"/content/{upload['pid']}").status_code == 404
    direct.settled(later=True)


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_h15_a_reading_that_is_cut_short_is_done_again(direct: Direct, data: bytes) -> None:
    uploads = [sent(direct, method, data) for method in METHODS]
    for upload in uploads:
        cut = cut_once(direct)
        answer = direct.admin.post(f"/uploads/{upload['id']}/complete")
        # What is copied is a job's from then on; the others are quick to look at again.
        assert answer.status_code == (503 if data == SMALL and upload["method"] != "post" else 202), answer.text
        assert cut.wait(20)
    for upload in uploads:
        assert direct.admin.post(f"/uploads/{upload['id']}/complete").status_code in {200, 202}
        ready(direct, upload, data)
    direct.settled(later=True)


def test_h15_a_store_that_refuses_for_a_while_is_asked_again(direct: Direct) -> None:
    """Its credentials are being exchanged: that says nothing of the bytes."""
    uploads = [sent(direct, method, LARGE) for method in METHODS]
    refused: list[bytes] = []

    def refuse(line: bytes, answer: bytes) -> bytes:
        if not reads(line):
            return answer
        refused.append(line)
        return REFUSED if answer.startswith(b"HTTP/") else b""

    lie(direct, refuse)
    for upload in uploads:
        assert direct.admin.post(f"/uploads/{upload['id']}/complete").status_code == 202
    eventually(lambda: len(set(refused)) == 3, what="every verifier was refused")
    waiting = (
        "SELECT count(*) FROM pgqueuer WHERE status = 'queued' AND execute_after > now() "
        "AND convert_from(payload, 'utf8')::jsonb ->> 'upload' = ANY ($1)"
    )
    eventually(lambda: direct.site.value(waiting, [upload["id"] for upload in uploads]) == 3, what="they are asked again later")
    assert {direct.status(upload)["status"] for upload in uploads} == {"verifying"}
    tell_the_truth(direct)
    for upload in uploads:
        ready(direct, upload, LARGE)
    direct.settled(later=True)
