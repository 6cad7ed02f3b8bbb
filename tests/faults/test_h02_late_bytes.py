"""H02: bytes that come after their upload has ended, while their URL is still good."""

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Direct, direct_site
from tests.faults.harness import MIB, content, eventually, name
from tests.transfers.sending import send

METHODS = ("put", "post", "multipart")
SIZE = MIB + 1
LATE, RIGHT = content(SIZE, "late"), content(SIZE, "right")


@pytest.fixture(scope="module")
def direct(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    with direct_site(sites, ministack, environment={"MEDIASTORE_QUARANTINE_S": "0"}) as made:
        yield made


def cancelled(direct: Direct, upload: dict[str, Any]) -> None:
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204


def given_up(direct: Direct, upload: dict[str, Any]) -> None:
    direct.change(upload, "expires_at = now() - interval '2 days', last_activity = now() - interval '3 days'")
    eventually(lambda: direct.status(upload)["status"] == "failed", what="given up")


def record_deleted(direct: Direct, upload: dict[str, Any]) -> None:
    assert direct.admin.delete(f"/media/{upload['pid']}").status_code == 204


@pytest.mark.parametrize("end", [cancelled, given_up, record_deleted])
def test_h02_bytes_after_the_end_are_gone_in_the_end(direct: Direct, end: Any) -> None:
    asked = {"store": "bucket", "size": SIZE, "checksums": {}}
    uploads = [direct.begin(pid=name(), method=method, **asked) for method in METHODS]
    before = direct.there()
    for upload in uploads:
        end(direct, upload)
    for upload in uploads:
        eventually(lambda upload=upload: direct.purged_once(upload), what="purged at once")
        assert {answer.status_code for answer in send(upload, LATE)} <= ({404} if upload["method"] == "multipart" else {200, 204})
    late = direct.there() - before
    assert len(late) == 2
    for upload in uploads:
        assert direct.complete(upload).json()["code"] == "upload_ended"
        if end is record_deleted:
            assert direct.admin.get(f"/media/{upload['pid']}").status_code == 410
            continue
        again = direct.begin(pid=upload["pid"], method=upload["method"], **asked)
        send(again, RIGHT)
        assert direct.complete(again).status_code == 200
        assert direct.admin.get(f"/content/{upload['pid']}").content == RIGHT
    assert late <= direct.there(), "not before no more can come"
    direct.settled(later=True)


def test_h02_whole_bytes_whose_client_went_away_are_adopted(sites: Sites, ministack: S3Access) -> None:
    """Nobody calls complete, and nothing is sent for as long as an upload may be idle."""
    digest = hashlib.sha256(RIGHT).hexdigest()
    asked = {"size": SIZE, "checksums": {"sha256": digest}, "tags": ["late"]}
    with direct_site(sites, ministack, environment={"MEDIASTORE_UPLOAD_IDLE_S": "3", "MEDIASTORE_UPLOAD_GRACE_S": "0"}) as direct:
        uploads = []
        for store in ("bucket", "local"):
            for method in METHODS:
                uploads.append(direct.begin(pid=name(), store=store, method=method, **asked))
                assert {answer.status_code // 100 for answer in send(uploads[-1], RIGHT)} == {2}
        for upload in uploads:
            eventually(lambda upload=upload: direct.status(upload)["status"] == "completed", what=f"{upload} adopted")
            record = direct.admin.get(f"/media/{upload['pid']}").json()
            assert (record["status"], record["version"], record["tags"]) == ("ready", 1, ["late"])
            assert record["content"]["checksums"]["sha256"]["value"] == digest
            assert direct.admin.get(f"/content/{upload['pid']}").content == RIGHT
        direct.settled(later=True)


@pytest.mark.parametrize("method", METHODS)
def test_h02_whole_bytes_of_a_record_that_went_are_not_attached_to_its_successor(direct: Direct, method: str) -> None:
    """The record was withdrawn with its first upload, and the same name made again."""
    pid = name()
    upload = direct.begin(pid=pid, store="bucket", size=SIZE, method=method)
    cancelled(direct, upload)
    assert direct.admin.get(f"/media/{pid}").status_code == 404
    assert direct.admin.post("/media", json={"pid": pid}).status_code == 201
    send(upload, LATE)
    direct.settled(later=True)
    assert direct.admin.get(f"/media/{pid}").json()["status"] == "pending"
    assert direct.complete(upload).json()["code"] == "upload_ended"


def test_h02_no_url_outlives_what_is_written_down(direct: Direct) -> None:
    """Even when the database takes its time between the two."""
    uploads = [direct.begin(pid=name(), store="bucket", size=SIZE, method=method) for method in METHODS]
    ids = [upload["id"] for upload in uploads]
    with (
        ThreadPoolExecutor(len(ids)) as pool,
        direct.site.holding("SELECT FROM upload WHERE id = ANY ($1) FOR UPDATE", ids),
    ):
        asked = [pool.submit(direct.admin.get, f"/uploads/{id}") for id in ids]
        eventually(lambda: direct.site.waiting_for_locks() == len(ids))
        direct.site.value("SELECT pg_sleep(2.1)")
    for upload, answer in zip(uploads, asked, strict=True):
        told = answer.result().json()
        until = direct.row(upload)["urls_until"]
        assert datetime.fromisoformat(told["urls_expire_at"]) == until
        assert max(ends_of(told)) <= until


def ends_of(told: dict[str, Any]) -> list[datetime]:
    """When the URLs of an answer end, as they say themselves."""
    if told["fields"]:
        return [datetime.fromisoformat(json.loads(base64.b64decode(told["fields"]["policy"]))["expiration"])]
    queries = [parse_qs(urlsplit(part["url"]).query) for part in told["parts"]]
    signed = [datetime.strptime(query["X-Amz-Date"][0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) for query in queries]
    return [at + timedelta(seconds=int(query["X-Amz-Expires"][0])) for at, query in zip(signed, queries, strict=True)]
