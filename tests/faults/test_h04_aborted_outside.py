"""H04: the multipart upload is gone: somebody else, or a rule of the bucket, has aborted it."""

from collections.abc import Iterator
from typing import Any

import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Caught, Direct, direct_site, reads
from tests.faults.harness import MIB, content, eventually, name
from tests.transfers.sending import send, send_part

SIZE = 5 * MIB + 1
RIGHT = content(SIZE, "right")


@pytest.fixture(scope="module")
def shared(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    environment = {"MEDIASTORE_QUARANTINE_S": "0", "MEDIASTORE_VERIFY_INLINE_BYTES": "0"}
    with direct_site(sites, ministack, proxied=True, environment=environment) as made:
        yield made


@pytest.fixture
def direct(shared: Direct) -> Direct:
    shared.ignore_leftovers()
    return shared


def aborted(direct: Direct, *, sent: int) -> dict[str, Any]:
    """An upload of which so many parts have come before it was aborted."""
    upload = direct.begin(pid=name(), store="bucket", size=SIZE, method="multipart", part_size=5 * MIB)
    for part in upload["parts"][:sent]:
        assert send_part(part, RIGHT).status_code == 200
    row = direct.row(upload)
    direct.bucket.abort(row["key"], row["s3_upload_id"])
    return upload


def assert_says_why(direct: Direct, upload: dict[str, Any]) -> None:
    path = f"/uploads/{upload['id']}"
    shown = direct.admin.get(path).json()
    assert (shown["status"], shown["problem"]["code"], shown["parts"]) == ("open", "upload_not_found", [])
    for answer in (
        direct.admin.post(f"{path}/complete"),
        direct.admin.post(f"{path}/complete", json={"parts": [{"number": 1, "etag": "a"}, {"number": 2, "etag": "b"}]}),
        direct.admin.post(f"{path}/parts", json={"parts": [{"number": 1}]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_not_found"), answer.text
        assert "gone" in answer.json()["detail"]


def assert_can_be_uploaded(direct: Direct, pid: str, *, version: int = 1) -> None:
    again = direct.begin(pid=pid, store="bucket", size=SIZE, method="multipart", part_size=5 * MIB)
    send(again, RIGHT)
    record = direct.complete(again).json()
    assert (record["status"], record["version"]) == ("ready", version)
    assert direct.admin.get(f"/content/{pid}").content == RIGHT


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_h04_it_says_why_can_be_cancelled_and_begun_again(direct: Direct, sent: int) -> None:
    upload = aborted(direct, sent=sent)
    assert_says_why(direct, upload)
    assert send_part(upload["parts"][0], RIGHT).status_code == 404
    for _ in range(2):
        assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    assert direct.admin.get(f"/media/{upload['pid']}").status_code == 404
    assert_can_be_uploaded(direct, upload["pid"])
    direct.settled(later=True)


def test_h04_it_ends_by_itself_and_says_why(direct: Direct) -> None:
    upload = aborted(direct, sent=2)
    direct.expire(upload)
    eventually(lambda: direct.status(upload)["status"] == "failed", what="failed")
    assert direct.status(upload)["problem"]["code"] == "upload_not_found"
    record = direct.admin.get(f"/media/{upload['pid']}").json()
    assert record["status"] == "failed"
    assert "upload_not_found" in record["status_reason"]
    assert direct.complete(upload).json()["code"] == "upload_failed"
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    assert_can_be_uploaded(direct, upload["pid"])
    direct.settled(later=True)


def test_h04_the_record_can_be_deleted_and_keeps_what_it_had(direct: Direct) -> None:
    deleted, kept = aborted(direct, sent=1), name()
    assert direct.admin.delete(f"/media/{deleted['pid']}").status_code == 204
    direct.expire(deleted)
    assert direct.site.put(kept, b"old", params={"store": "bucket"}).status_code == 201
    upload = direct.begin(pid=kept, size=SIZE, method="multipart", part_size=5 * MIB)
    row = direct.row(upload)
    direct.bucket.abort(row["key"], row["s3_upload_id"])
    assert_says_why(direct, upload)
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    record = direct.admin.get(f"/media/{kept}").json()
    assert (record["status"], record["version"]) == ("ready", 1)
    assert direct.admin.get(f"/content/{kept}").content == b"old"
    assert_can_be_uploaded(direct, kept, version=2)
    direct.settled(later=True)


def test_h04_an_object_that_is_taken_away_before_it_is_verified(direct: Direct) -> None:
    upload = direct.begin(pid=name(), store="bucket", size=SIZE, method="multipart", part_size=5 * MIB)
    send(upload, RIGHT)
    caught = Caught(direct, reads, answered=False)
    assert direct.admin.post(f"/uploads/{upload['id']}/complete").status_code == 202
    caught.wait()
    direct.bucket.client.delete_object(Bucket=direct.bucket.name, Key=direct.row(upload)["key"])
    direct.change(upload, "verifying_at = now() - interval '2 days'")
    caught.let_go(drop=False)
    eventually(lambda: direct.status(upload)["status"] == "failed", what="failed")
    assert direct.status(upload)["problem"]["code"] == "object_not_found"
    assert direct.admin.get(f"/media/{upload['pid']}").json()["status"] == "failed"
    assert_can_be_uploaded(direct, upload["pid"])
    direct.settled(later=True)
