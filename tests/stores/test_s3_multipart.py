"""Uploads whose parts clients send: many parts, lost answers, and servers that answer as they like."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import google_crc32c
import pytest
from botocore.exceptions import ClientError

from stores.config import S3Access
from stores.conformance_direct import send_parts
from stores.conformance_steps import MIB, get, open_uploads, put, send, some_bytes
from stores.errors import (
    FeatureMissing,
    ObjectExists,
    PartsInvalid,
    StoreAccessDenied,
    StoreError,
    StoreUnavailable,
    UploadNotFound,
)
from stores.faults import Fault, FaultyStore
from stores.s3 import S3Options, S3Store
from tests.stores.test_s3_network import Losses, store_behind

TEXT = "text/csv"
SIZES = (5 * MIB, 7)
CONTENT = some_bytes(sum(SIZES))


@pytest.fixture
async def store(access: S3Access, bucket: str) -> AsyncIterator[S3Store]:
    store = S3Store(access, bucket, prefix="p/")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks twice, not for seconds, at what became of an upload."""
    monkeypatch.setattr("stores.s3_multipart.LOOKS_S", (0.0, 0.0))


async def begun(store: S3Store, sizes: Sequence[int] = SIZES) -> tuple[str, list[tuple[int, str]]]:
    """An upload whose parts are all there."""
    upload_id = await store.begin_multipart("k", media_type=TEXT)
    return upload_id, [*(await send_parts(store, "k", upload_id, CONTENT, sizes)).items()]


async def test_h11_more_than_1000_parts_are_listed_to_the_last(store: S3Store) -> None:
    upload_id = await store.begin_multipart("k", media_type=TEXT)
    bucket = store._opened()

    async def send_part(number: int) -> str:
        answer = await bucket.client.upload_part(
            UploadId=upload_id, PartNumber=number, Body=b"x" * (number % 7), **bucket.request("k")
        )
        return str(answer["ETag"]).strip('"')

    etags: list[str] = []
    for start in range(1, 1006, 40):
        etags += await asyncio.gather(*(send_part(number) for number in range(start, min(start + 40, 1006))))
    there = await store.list_parts("k", upload_id)
    assert [(part.number, part.size, part.etag) for part in there] == [
        (number, number % 7, etag) for number, etag in enumerate(etags, start=1)
    ]
    with pytest.raises(PartsInvalid, match=r"part 1, 2, 3, .* and 994 more"):
        await store.complete_multipart("k", upload_id, [(part.number, part.etag) for part in there])


async def test_h11_a_listing_that_does_not_go_on_ends(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def page(**request: Any) -> Any:
        asked.append(request.get("PartNumberMarker", 0))
        part = {"PartNumber": 1, "Size": 3, "ETag": '"e"'}
        return {"Parts": [part], "IsTruncated": True, "NextPartNumberMarker": 1}

    monkeypatch.setattr(store._opened().client, "list_parts", page)
    await store.list_parts("k", "id")
    assert asked == [0, 1]


@pytest.mark.parametrize("times", [1, 2])
async def test_h07_a_completion_whose_answer_is_lost_finds_its_object(access: S3Access, bucket: str, times: int) -> None:
    async with store_behind(Losses("POST", "uploadId=", times=times), access, bucket) as store:
        upload_id, parts = await begun(store)
        info = await store.complete_multipart("k", upload_id, parts)
        assert (info.key, info.size) == ("k", len(CONTENT))
        assert await store.complete_multipart("k", upload_id, parts) == info
        assert await open_uploads(store) == []


async def test_h07_a_completion_repeated_after_a_crash_finds_its_object(store: S3Store) -> None:
    faulty = FaultyStore(store, [Fault(operation="complete_multipart", error_after=StoreUnavailable("lost"))])
    upload_id, parts = await begun(store)
    with pytest.raises(StoreUnavailable):
        await faulty.complete_multipart("k", upload_id, parts, size=len(CONTENT))
    assert (await faulty.complete_multipart("k", upload_id, parts, size=len(CONTENT))).size == len(CONTENT)
    for other in (len(CONTENT) - 1, len(CONTENT) + 1):
        with pytest.raises(ObjectExists):
            await faulty.complete_multipart("k", upload_id, parts, size=other)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("code", "status"),
    [("InternalError", 500), ("NoSuchUpload", 404), ("InvalidPart", 400), ("PreconditionFailed", 412), ("OperationAborted", 409)],
)
@pytest.mark.parametrize("done", ["completed", "aborted", "nothing", "taken"])
async def test_h04_whatever_a_server_answers_the_key_and_the_upload_tell(
    store: S3Store, monkeypatch: pytest.MonkeyPatch, code: str, status: int, done: str
) -> None:
    upload_id, parts = await begun(store, (7,))
    client = store._opened().client
    complete = client.complete_multipart_upload

    async def answer_wrongly(**request: Any) -> None:
        if done == "completed":
            await complete(**request)
        elif done == "aborted":
            await store.abort_upload("k", upload_id)
        elif done == "taken":
            await put(store, "k", bytes(7))
        raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "CompleteMultipartUpload")

    monkeypatch.setattr(client, "complete_multipart_upload", answer_wrongly)
    if done == "completed":
        assert (await store.complete_multipart("k", upload_id, parts)).size == 7
        return
    with pytest.raises(StoreError) as raised:
        await store.complete_multipart("k", upload_id, parts)
    if done == "nothing":
        monkeypatch.setattr(client, "complete_multipart_upload", complete)
        await store.complete_multipart("k", upload_id, parts)
    elif done == "aborted":
        assert isinstance(raised.value, UploadNotFound)
    else:
        assert isinstance(raised.value, PartsInvalid if code == "InvalidPart" else ObjectExists)
        assert await get(store, "k") == bytes(7)


async def test_an_error_that_says_nothing_of_the_upload_passes_at_once(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, "ListParts")

    monkeypatch.setattr(store._opened().client, "list_parts", refuse)
    with pytest.raises(StoreAccessDenied):
        await store.complete_multipart("k", "id", [(1, "etag")])


async def test_h15_an_object_that_is_shown_late_is_waited_for(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id, parts = await begun(store)
    client = store._opened().client
    head_object, sizes = client.head_object, [0, 0]

    async def late(**request: Any) -> Any:
        return await head_object(**request) | ({"ContentLength": sizes.pop()} if sizes else {})

    monkeypatch.setattr(client, "head_object", late)
    assert (await store.complete_multipart("k", upload_id, parts)).size == len(CONTENT)
    assert sizes == []


@pytest.mark.usefixtures("impatient")
async def test_h15_a_size_that_stays_wrong_is_an_error(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id, parts = await begun(store)
    client = store._opened().client
    head_object = client.head_object

    async def lie(**request: Any) -> Any:
        return await head_object(**request) | {"ContentLength": 2}

    monkeypatch.setattr(client, "head_object", lie)
    with pytest.raises(StoreUnavailable, match="does not show"):
        await store.complete_multipart("k", upload_id, parts)


@pytest.mark.parametrize(
    "options", [S3Options(), S3Options(checksums=False, conditional_writes=False)], ids=["knows", "knows-less"]
)
async def test_a_key_that_is_taken_stays_as_it_is(access: S3Access, bucket: str, options: S3Options) -> None:
    store = S3Store(access, bucket, options=options)
    await store.open()
    upload_id, parts = await begun(store)
    # As large, so that only the upload, which is still open, shows that it is another's.
    await put(store, "k", CONTENT[::-1])
    with pytest.raises(ObjectExists):
        await store.complete_multipart("k", upload_id, parts)
    assert await get(store, "k") == CONTENT[::-1]
    assert await open_uploads(store) == [("k", upload_id)]
    await store.close()


async def test_parts_with_checksums_make_an_object_whose_crc32c_is_attested(store: S3Store) -> None:
    upload_id = await store.begin_multipart("k", media_type=TEXT, checksum="crc32c")
    parts: list[tuple[int, str]] = []
    for number, part in enumerate((CONTENT[: SIZES[0]], CONTENT[SIZES[0] :]), start=1):
        digests = {"crc32c": f"{google_crc32c.value(part):08x}", "md5": hashlib.md5(part).hexdigest()}
        request = await store.presign_part("k", upload_id, number, size=len(part), expires_s=60, digests=digests)
        assert {
            "Content-Length",
            "Content-MD5",
            "x-amz-sdk-checksum-algorithm",
            "x-amz-checksum-crc32c",
        } == request.headers.keys()
        parts.append((number, (await send(request, part)).etag))
    info = await store.complete_multipart("k", upload_id, parts)
    assert info.checksums == {"crc32c": f"{google_crc32c.value(CONTENT):08x}"}


async def test_a_checksum_that_s3_does_not_know_is_left_out(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = store._opened().client
    begin: Callable[..., Awaitable[Any]] = client.create_multipart_upload
    asked: list[dict[str, Any]] = []

    async def listen(**request: Any) -> Any:
        asked.append(request)
        return await begin(**request)

    monkeypatch.setattr(client, "create_multipart_upload", listen)
    for checksum in ("sha512", "md5", None):
        await store.begin_multipart("k", media_type=TEXT, checksum=checksum)  # type: ignore[arg-type]  # the wrong ones too
    await store.begin_multipart("k", media_type=TEXT, checksum="sha256")
    assert [request.get("ChecksumAlgorithm") for request in asked] == [None, None, None, "SHA256"]
    assert {request["ContentType"] for request in asked} == {TEXT}
    with pytest.raises(FeatureMissing):
        await store.begin_multipart("k", media_type="a\nb")
