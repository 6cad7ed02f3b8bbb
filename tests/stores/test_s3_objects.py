"""What is S3's own: parts, checksums, bulk deletion, pages, buckets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.config import S3Access
from stores.conformance import MIB
from stores.conformance_steps import get, listed, open_uploads, put, resident_bytes, some_bytes
from stores.errors import FeatureMissing, ObjectNotFound, ObjectTooLarge, StoreAccessDenied, StoreMisconfigured, StoreUnavailable
from stores.parts import MAX_OBJECT, MAX_PART, MAX_PARTS, MIN_PART
from stores.protocol import Writer
from stores.s3 import S3Store
from stores.s3_bucket import SPARE_PARTS, _object_info
from stores.s3_parts import PartPlan


@pytest.fixture
async def store(access: S3Access, bucket: str) -> AsyncIterator[S3Store]:
    store = S3Store(access, bucket, prefix="p/")
    await store.open()
    yield store
    await store.close()


@given(st.one_of(st.integers(0, MAX_OBJECT), st.sampled_from([MAX_OBJECT, 5 * 1024 * MIB + 1, 50_000 * MIB, 50_000 * MIB + 1])))
def test_h11_every_size_has_a_plan_that_fits_and_of_equal_parts_where_small_ones_do(size: int) -> None:
    plan = PartPlan(size)
    parts = [plan.part_bytes(number) for number in range(1, MAX_PARTS + 1)]
    assert sum(parts) >= size
    assert all(MIN_PART <= part <= MAX_PART for part in parts)
    if size <= MIN_PART * MAX_PARTS:
        assert set(parts[: -(-size // MIN_PART)]) <= {MIN_PART}


@given(st.one_of(st.none(), st.integers(0, 40 * 1024 * MIB)))
def test_h11_what_grows_beyond_its_plan_still_fits(size: int | None) -> None:
    plan = PartPlan(size)
    parts = [plan.part_bytes(number) for number in range(1, MAX_PARTS + 1)]
    assert all(MIN_PART <= part <= MAX_PART for part in parts)
    assert parts == sorted(parts)
    if size is None:
        assert parts[900] == MIN_PART
        assert sum(parts) >= MAX_OBJECT


def test_h11_more_than_an_s3_object_can_have_is_refused_before_any_byte() -> None:
    with pytest.raises(ObjectTooLarge):
        PartPlan(MAX_OBJECT + 1)


def answer(**fields: object) -> dict[str, Any]:
    return {"ContentLength": 3, "LastModified": datetime.now(UTC), "ETag": '"d41d8cd98f00b204e9800998ecf8427e"'} | fields


def test_h05_an_etag_is_no_digest() -> None:
    info = _object_info("k", answer())
    assert info.etag == "d41d8cd98f00b204e9800998ecf8427e"
    assert info.checksums == {}


def test_h05_checksums_of_checksums_are_no_digests() -> None:
    whole = answer(ChecksumCRC32C="yZRlqg==", ChecksumType="FULL_OBJECT", ETag='"abc-3"')
    assert _object_info("k", whole).checksums == {"crc32c": "c99465aa"}
    assert _object_info("k", answer(ChecksumSHA1="2jmj7l5rSw0yVb/vlWAYkK/YBwk=")).checksums.keys() == {"sha1"}
    for composite in (
        answer(ChecksumCRC32C="yZRlqg==", ChecksumType="COMPOSITE", ETag='"abc-3"'),
        answer(ChecksumCRC32C="yZRlqg==-3", ETag='"abc-3"'),
        answer(ChecksumCRC32C="yZRlqg==-3", ChecksumType="FULL_OBJECT"),
        answer(ChecksumCRC32C="yZRlqg==", ETag='"abc-3"'),
    ):
        assert _object_info("k", composite).checksums == {}


async def test_h15_a_size_that_is_shown_late_is_waited_for(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = store._opened().client
    head_object, sizes = client.head_object, [0, 0]

    async def late(**request: Any) -> Any:
        return await head_object(**request) | ({"ContentLength": sizes.pop()} if sizes else {})

    monkeypatch.setattr(client, "head_object", late)
    await put(store, "k", b"abc")
    assert sizes == []


async def test_h15_a_size_that_stays_wrong_is_an_error(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = store._opened().client
    head_object = client.head_object

    async def lie(**request: Any) -> Any:
        return await head_object(**request) | {"ContentLength": 2}

    monkeypatch.setattr(client, "head_object", lie)
    monkeypatch.setattr("stores.s3_writer.LOOKS_S", (0.0, 0.0))
    with pytest.raises(StoreUnavailable, match="3 bytes"):
        await put(store, "k", b"abc")


async def test_a_bulk_deletion_tells_each_key_apart(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def answer_some(**_: object) -> dict[str, Any]:
        return {
            "Deleted": [{"Key": "p/a"}],
            "Errors": [
                {"Key": "p/b", "Code": "AccessDenied"},
                {"Key": "p/c", "Code": "NoSuchKey"},
                {"Key": "p/d", "Code": "SlowDown"},
            ],
        }

    monkeypatch.setattr(store._opened().client, "delete_objects", answer_some)
    answers = await store.delete(["a", "b", "c", "d", "silent"])
    assert {key: type(error) for key, error in answers.items()} == {
        "a": type(None),
        "b": StoreAccessDenied,
        "c": type(None),
        "d": StoreUnavailable,
        "silent": StoreUnavailable,
    }


async def test_a_bulk_deletion_bears_the_digests_that_old_and_new_servers_need(store: S3Store) -> None:
    headers: dict[str, str] = {}
    store._opened().client.meta.events.register(
        "before-send.s3.DeleteObjects", lambda request, **_: headers.update(request.headers)
    )
    await store.delete(["k"])
    assert {"content-md5", "x-amz-checksum-crc32"} <= {name.lower() for name in headers}


async def test_h10_open_uploads_are_found_past_one_page(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {
        "": {
            "Uploads": [{"Key": "p/a", "UploadId": "1"}],
            "IsTruncated": True,
            "NextKeyMarker": "p/a",
            "NextUploadIdMarker": "1",
        },
        "1": {
            "Uploads": [{"Key": "p/a", "UploadId": "2"}],
            "IsTruncated": True,
            "NextKeyMarker": "p/a",
            "NextUploadIdMarker": "2",
        },
        "2": {"Uploads": [], "IsTruncated": True, "NextKeyMarker": "p/a", "NextUploadIdMarker": "2"},  # a server that is stuck
    }

    async def page(**request: Any) -> Any:
        return pages[request.get("UploadIdMarker", "")]

    monkeypatch.setattr(store._opened().client, "list_multipart_uploads", page)
    assert await open_uploads(store) == [("a", "1"), ("a", "2")]


async def test_h09_a_bucket_that_is_gone_is_an_error_and_no_deletion(store: S3Store, access: S3Access) -> None:
    await store._opened().client.delete_bucket(Bucket=store._opened().name)
    with pytest.raises(StoreMisconfigured):
        await store.head("k")
    with pytest.raises(StoreMisconfigured):
        await listed(store)
    assert isinstance((await store.delete(["k"]))["k"], StoreMisconfigured)
    missing = S3Store(access, "no-such-bucket")
    with pytest.raises(StoreMisconfigured):
        await missing.open()


async def test_objects_outside_the_prefix_are_out_of_sight(store: S3Store, access: S3Access) -> None:
    outer = S3Store(access, store._opened().name)
    await outer.open()
    await put(outer, "q", b"x")
    await put(outer, "p/k", b"x")
    assert await listed(store) == ["k"]
    with pytest.raises(ObjectNotFound):
        await store.head("q")
    await store.delete(["q"])
    assert await listed(outer) == ["p/k", "q"]
    await outer.close()


async def test_memory_of_many_transfers_at_once_stays_bounded(store: S3Store) -> None:
    piece = some_bytes(MIB)

    async def transfer(number: int) -> None:
        nonlocal peak
        async with store.write(f"{number}") as writer:
            for _ in range(32):
                await writer.append([piece])
                peak = max(peak, resident_bytes())
            await writer.commit()

    await put(store, "warm", piece * 6)
    before = peak = resident_bytes()
    await asyncio.gather(*(transfer(number) for number in range(8)))
    assert peak - before < 8 * 12 * MIB + SPARE_PARTS * MIN_PART


class Slowed:
    """Part uploads as they are, each a moment later, the earlier the longer: they end in another order than they began."""

    def __init__(self, store: S3Store, *, fails: int | None = None, hangs: int | None = None) -> None:
        self._upload_part = store._opened().client.upload_part
        self._fails = fails
        self._hangs = hangs
        self.ended: list[int] = []
        self._under_way = self.most = 0
        self.several = asyncio.Event()

    async def __call__(self, *, PartNumber: int, **request: Any) -> Any:  # noqa: N803 - as S3 names it
        self._under_way += 1
        self.most = max(self.most, self._under_way)
        if self._under_way > 1:
            self.several.set()
        try:
            await asyncio.sleep(2 if PartNumber == self._hangs else max(0.05, 0.4 - 0.1 * PartNumber))
            self.ended.append(PartNumber)
            if PartNumber == self._fails:
                raise TimeoutError
            return await self._upload_part(PartNumber=PartNumber, **request)
        finally:
            self._under_way -= 1


async def appended(writer: Writer, pieces: Sequence[bytes]) -> None:
    for piece in pieces:
        await writer.append([piece])


def spare_parts(store: S3Store) -> int:
    return store._opened().spare_parts._value


async def test_parts_go_at_once_where_bytes_come_fast(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    slowed = Slowed(store)
    monkeypatch.setattr(store._opened().client, "upload_part", slowed)
    await put(store, "k", some_bytes(33 * MIB))
    assert slowed.most == 3
    assert await get(store, "k") == some_bytes(33 * MIB)
    assert spare_parts(store) == SPARE_PARTS


async def test_parts_of_many_transfers_share_what_memory_is_spare(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    slowed = Slowed(store)
    monkeypatch.setattr(store._opened().client, "upload_part", slowed)
    await asyncio.gather(*(put(store, f"{number}", some_bytes(22 * MIB, seed=number)) for number in range(6)))
    assert 6 < slowed.most <= 6 + SPARE_PARTS
    for number in range(6):
        assert await get(store, f"{number}") == some_bytes(22 * MIB, seed=number)
    assert spare_parts(store) == SPARE_PARTS


async def test_a_part_that_takes_long_holds_no_other_up(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    slowed = Slowed(store, hangs=2)
    monkeypatch.setattr(store._opened().client, "upload_part", slowed)
    await put(store, "k", some_bytes(33 * MIB))
    assert slowed.ended[-1] == 2
    assert await get(store, "k") == some_bytes(33 * MIB)


async def test_a_transfer_that_became_slow_leaves_what_is_spare_to_others(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._opened().client, "upload_part", Slowed(store))
    async with store.write("k") as writer:
        await appended(writer, [some_bytes(MIB)] * 16)
        assert spare_parts(store) == SPARE_PARTS - 2
        for _ in range(11):
            await asyncio.sleep(0.2)
            await writer.append([some_bytes(MIB)])
        assert spare_parts(store) == SPARE_PARTS
        await writer.commit()
    assert await get(store, "k") == some_bytes(MIB) * 27


async def test_a_write_that_was_cancelled_within_takes_no_more(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store._opened().client, "upload_part", Slowed(store, hangs=1))
    async with store.write("k") as writer:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(appended(writer, [some_bytes(MIB)] * 100), 0.5)
        with pytest.raises(StoreUnavailable):
            await writer.append([b"more"])
        with pytest.raises(StoreUnavailable):
            await writer.commit()
    assert await listed(store) == []
    assert await open_uploads(store) == []


@pytest.mark.parametrize("fails", [1, 2, 4])
async def test_h11_a_part_that_fails_beside_others_leaves_nothing(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    monkeypatch.setattr(store._opened().client, "upload_part", Slowed(store, fails=fails))
    with pytest.raises(StoreUnavailable):
        await put(store, "k", some_bytes(33 * MIB))
    assert await listed(store) == []
    assert await open_uploads(store) == []
    assert spare_parts(store) == SPARE_PARTS


async def test_h11_a_transfer_that_is_cancelled_with_parts_under_way_leaves_nothing(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    slowed = Slowed(store)
    monkeypatch.setattr(store._opened().client, "upload_part", slowed)
    transfer = asyncio.create_task(put(store, "k", some_bytes(33 * MIB)))
    await slowed.several.wait()
    assert spare_parts(store) < SPARE_PARTS
    transfer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await transfer
    assert await listed(store) == []
    assert await open_uploads(store) == []
    assert spare_parts(store) == SPARE_PARTS


async def test_a_presigned_url_lives_a_week_at_most(store: S3Store) -> None:
    for expires_s in (0, -1, 7 * 24 * 3600 + 1):
        with pytest.raises(FeatureMissing):
            await store.presign_get("k", expires_s=expires_s)
