"""H11: parts of direct uploads: a valid plan or a clear refusal before any byte, and what is stored is what was sent."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Direct, direct_site
from tests.faults.harness import MIB, content, name
from tests.transfers.sending import send

STORES = ("local", "scratch", "bucket")
METHODS = ("put", "post", "multipart")
GIB = 1024 * MIB


@pytest.fixture(scope="module")
def direct(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    with direct_site(sites, ministack) as made:
        yield made


@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1])
def test_h11_what_comes_back_is_what_was_sent(direct: Direct, size: int) -> None:
    data = content(size, size)
    for store in STORES:
        for method in METHODS:
            parts = {"part_size": 5 * MIB} if method == "multipart" else {}
            upload = direct.begin(pid=name(), store=store, size=size, method=method, **parts)
            sizes = [part["size"] for part in upload["parts"]]
            assert sum(sizes) == size
            assert len(sizes) == (max(1, -(-size // (5 * MIB))) if parts else 1)
            assert {answer.status_code // 100 for answer in send(upload, data)} == {2}
            record = direct.complete(upload).json()
            assert (record["status"], record["content"]["size"]) == ("ready", size)
            assert record["content"]["checksums"]["sha256"]["value"] == hashlib.sha256(data).hexdigest()
            assert direct.admin.get(f"/content/{upload['pid']}").content == data
    direct.settled(later=True)


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"size": 5 * GIB + 1, "method": "put"}, 413, "object_too_large"),
        ({"size": 5 * GIB + 1, "method": "post"}, 413, "object_too_large"),
        ({"size": 5 * 1024 * GIB + 1, "method": "multipart"}, 413, "upload_too_large"),
        ({"size": 10_000 * 5 * MIB + 1, "part_size": 5 * MIB}, 422, "parts_invalid"),
        ({"size": 5 * 1024 * GIB, "part_size": 512 * MIB}, 422, "parts_invalid"),
        ({"size": 10 * MIB, "part_size": 5 * MIB - 1}, 422, "parts_invalid"),
        ({"size": 10 * MIB, "part_size": 5 * GIB + 1}, 422, "parts_invalid"),
        ({"size": 10 * MIB, "part_size": 0}, 422, "body_invalid"),
        ({"size": 10 * MIB, "part_size": -1}, 422, "body_invalid"),
        ({"size": 0.5}, 422, "body_invalid"),
        ({"size": None}, 422, "body_invalid"),
    ],
)
@pytest.mark.parametrize("store", ["local", "bucket"])
def test_h11_what_does_not_fit_is_refused_before_any_byte(
    direct: Direct, store: str, asked: dict[str, Any], status: int, code: str
) -> None:
    pid = name()
    answer = direct.admin.post("/uploads", json={"pid": pid, "store": store, **asked})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert direct.admin.get(f"/media/{pid}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "count", "part_size"),
    [
        ({"size": 5 * GIB + 1}, {"bucket": 321, "local": 81}, {"bucket": 16 * MIB, "local": 64 * MIB}),
        ({"size": 5 * GIB, "method": "put"}, 1, None),
        ({"size": 10_000 * 5 * MIB, "part_size": 5 * MIB}, 10_000, 5 * MIB),
        ({"size": 5 * 1024 * GIB}, 1024, 5 * GIB),
        ({"size": 5 * GIB + 1, "part_size": 5 * GIB}, 2, 5 * GIB),
    ],
)
@pytest.mark.parametrize("store", ["local", "bucket"])
def test_h11_what_fits_is_planned_without_gaps(
    direct: Direct, store: str, asked: dict[str, Any], count: Any, part_size: Any
) -> None:
    """The same wherever they go, but for what the server chooses: fewer parts where each is put on disk by itself."""
    if isinstance(count, dict):
        count, part_size = count[store], part_size[store]
    upload = direct.begin(pid=name(), store=store, **asked)
    parts = upload["parts"]
    assert (len(parts), upload["part_size"]) == (count, part_size)
    assert [part["offset"] for part in parts] == [index * (part_size or 0) for index in range(count)]
    assert sum(part["size"] for part in parts) == asked["size"]
    assert {part["size"] for part in parts[:-1]} <= {part_size}
    told = [part["number"] for part in parts if part["url"]]
    assert told == list(range(1, min(count, 1000) + 1))
    last = direct.admin.post(f"/uploads/{upload['id']}/parts", json={"parts": [{"number": count}]}).json()["parts"]
    assert [(part["number"], bool(part["url"])) for part in last] == [(count, True)]
    for beyond in (count + 1, 10_001, 0):
        answer = direct.admin.post(f"/uploads/{upload['id']}/parts", json={"parts": [{"number": beyond}]})
        assert answer.status_code == 422, answer.text
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204


def test_h11_parts_past_a_thousand_are_listed(direct: Direct) -> None:
    """Of a byte each, sent by hand: so the store lists real parts on two pages, and completing finds that all are too small."""
    count = 1_001
    upload = direct.begin(pid=name(), store="bucket", size=count * 5 * MIB, method="multipart", part_size=5 * MIB)
    row = direct.row(upload)
    place = {"Bucket": direct.bucket.name, "Key": row["key"], "UploadId": row["s3_upload_id"]}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: direct.bucket.client.upload_part(PartNumber=n, Body=b"x", **place), range(2, count + 1)))
    shown = direct.admin.get(f"/uploads/{upload['id']}").json()
    assert [part["number"] for part in shown["parts"] if not part["received"]] == [1]
    early = direct.admin.post(f"/uploads/{upload['id']}/complete")
    assert (early.status_code, early.json()["missing"]) == (409, [1])
    direct.bucket.client.upload_part(PartNumber=1, Body=b"x", **place)
    whole = direct.admin.post(f"/uploads/{upload['id']}/complete")
    assert (whole.status_code, whole.json()["code"]) == (409, "upload_incomplete")
    assert whole.json()["missing"] == list(range(1, 1_001))
    assert "1001" in whole.json()["detail"]
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    direct.settled(later=True)
