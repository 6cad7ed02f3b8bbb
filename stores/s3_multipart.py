"""Multipart uploads whose parts clients send by themselves: begun, listed and completed here."""

import asyncio
import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stores.errors import ObjectExists, ObjectNotFound, PartsInvalid, StoreError, StoreUnavailable, UploadNotFound
from stores.parts import MAX_PARTS, MIN_PART
from stores.protocol import ObjectInfo, PartInfo
from stores.s3_bucket import LOOKS_S, S3Bucket, checksums_in_hex
from stores.s3_errors import translated
from stores.s3_presign import check_media_type, choose_checksum

_NAMED = 10
"""How many parts a message names."""


async def begin(bucket: S3Bucket, key: str, *, media_type: str, checksum: str | None) -> str:
    request = bucket.request(key) | {"ContentType": check_media_type(media_type)}
    if algorithm := choose_checksum(bucket, checksum):
        request["ChecksumAlgorithm"] = algorithm.upper()
        if algorithm == "crc32c":  # the one whose checksum of the whole follows from those of the parts
            request["ChecksumType"] = "FULL_OBJECT"
    with translated(key):
        answer = await bucket.client.create_multipart_upload(**request)
    return str(answer["UploadId"])


async def list_parts(bucket: S3Bucket, key: str, upload_id: str) -> Sequence[PartInfo]:
    found: list[PartInfo] = []
    page = bucket.request(key) | {"UploadId": upload_id}
    while True:
        with translated(key):
            answer = await bucket.client.list_parts(**page)
        found += map(_part_info, answer.get("Parts", ()))
        marker = int(answer.get("NextPartNumberMarker") or 0)
        # A server that does not go on would be asked for the same page for ever.
        if not answer.get("IsTruncated") or marker <= page.get("PartNumberMarker", 0):
            return found
        page["PartNumberMarker"] = marker


async def complete(
    bucket: S3Bucket, key: str, upload_id: str, parts: Sequence[tuple[int, str]], *, size: int | None
) -> ObjectInfo:
    wanted = _in_order(key, parts)
    failure: StoreError | None = None
    try:
        there = await list_parts(bucket, key, upload_id)
        chosen = _chosen(key, wanted, there, size=size)
        size = sum(part.size for part in chosen)
        await bucket.refuse_if_taken(key)
        await _publish(bucket, key, upload_id, chosen)
    except StoreError as error:
        # What servers answer to a second completion, or to one of an aborted upload, differs; the key shows what is true.
        if not (error.retryable or isinstance(error, ObjectExists | UploadNotFound | PartsInvalid)):
            raise
        failure = error
    return await _Outcome(bucket, key, upload_id, wanted, size).look(failure)


class _Outcome:
    """What has become of an upload that was to be completed, whatever the server answered."""

    def __init__(self, bucket: S3Bucket, key: str, upload_id: str, wanted: Mapping[int, str], size: int | None) -> None:
        self._bucket = bucket
        self._key = key
        self._upload_id = upload_id
        self._wanted = wanted
        self._size = size

    async def look(self, failure: StoreError | None) -> ObjectInfo:
        """The object that these parts have become; else the failure, or what is wrong."""
        other: ObjectInfo | None = None
        for wait_s in (0.0,) if isinstance(failure, PartsInvalid) else LOOKS_S:
            await asyncio.sleep(wait_s)
            try:
                info = await self._bucket.head(self._key)
            except ObjectNotFound:
                continue
            except StoreError as error:
                raise failure or error from error
            if await self._is_ours(info, failure):
                return info
            other = info
        if failure is None:
            raise StoreUnavailable("The store completed the upload but does not show an object of these parts", key=self._key)
        if other is not None and not isinstance(failure, PartsInvalid):
            raise ObjectExists(f"There is another object at {self._key!r} already", key=self._key) from failure
        if not (isinstance(failure, UploadNotFound) or await self._is_open()):
            raise UploadNotFound("The multipart upload is gone, and no object came of it", key=self._key) from failure
        raise failure

    async def _is_ours(self, info: ObjectInfo, failure: StoreError | None) -> bool:
        if self._size not in {None, info.size}:
            return False
        if failure is None or info.etag == _assembled_etag(self._wanted):
            return True
        count = re.search(r"-(\d+)$", info.etag or "")
        if count is not None and int(count[1]) != len(self._wanted):
            return False
        # An upload that is still open has become nothing, so the object is another's.
        return not await self._is_open()

    async def _is_open(self) -> bool:
        try:
            with translated(self._key):
                await self._bucket.client.list_parts(UploadId=self._upload_id, MaxParts=1, **self._bucket.request(self._key))
        except UploadNotFound:
            return False
        return True


async def _publish(bucket: S3Bucket, key: str, upload_id: str, chosen: Sequence[PartInfo]) -> None:
    # An upload with checksums is refused without those of its parts.
    listed = [
        {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
        | {f"Checksum{name.upper()}": base64.b64encode(bytes.fromhex(value)).decode() for name, value in part.checksums.items()}
        for part in chosen
    ]
    request = bucket.request(key) | bucket.condition()
    with translated(key):
        await bucket.client.complete_multipart_upload(UploadId=upload_id, MultipartUpload={"Parts": listed}, **request)


def _in_order(key: str, parts: Sequence[tuple[int, str]]) -> Mapping[int, str]:
    """The etags by number, ascending."""
    etags = {number: etag.strip('"') for number, etag in sorted(parts)}
    if not etags:
        raise PartsInvalid("An object is made of one part at least", key=key)
    if len(etags) < len(parts):
        raise PartsInvalid("A part is named twice", key=key)
    if wrong := [number for number in etags if not 1 <= number <= MAX_PARTS]:
        raise PartsInvalid(f"Parts are numbered from 1 to {MAX_PARTS}, so there is no part {_few(wrong)}", key=key)
    return etags


def _chosen(key: str, wanted: Mapping[int, str], there: Sequence[PartInfo], *, size: int | None) -> Sequence[PartInfo]:
    """The parts to put together. Raises `PartsInvalid` where the store would refuse them, and says which."""
    by_number = {part.number: part for part in there}
    if missing := [number for number in wanted if number not in by_number]:
        raise PartsInvalid(f"The store has not received part {_few(missing)}", key=key)
    chosen = [by_number[number] for number in wanted]
    if others := [part.number for part in chosen if part.etag != wanted[part.number]]:
        raise PartsInvalid(f"The store has another part {_few(others)} than the one with this etag; send it again", key=key)
    if small := [part.number for part in chosen[:-1] if part.size < MIN_PART]:
        raise PartsInvalid(f"Each part but the last has {MIN_PART} bytes at least; smaller is part {_few(small)}", key=key)
    total = sum(part.size for part in chosen)
    if size not in {None, total}:
        raise PartsInvalid(f"The parts have {total} bytes together, not {size}", key=key)
    return chosen


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_NAMED]))
    return shown if len(numbers) <= _NAMED else f"{shown} and {len(numbers) - _NAMED} more"


def _part_info(found: Mapping[str, Any]) -> PartInfo:
    return PartInfo(
        number=found["PartNumber"],
        size=found["Size"],
        etag=str(found.get("ETag", "")).strip('"'),
        checksums=checksums_in_hex(found),
        modified_at=found.get("LastModified"),
    )


def _assembled_etag(wanted: Mapping[int, str]) -> str | None:
    """The etag that most servers give to an object of these parts: a token to know it by, and no digest of its bytes."""
    try:
        joined = b"".join(map(bytes.fromhex, wanted.values()))
    except ValueError:
        return None
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(wanted)}"
