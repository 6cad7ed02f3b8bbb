"""Writing one S3 object: a single request up to one part, a multipart upload beyond."""

import asyncio
import base64
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import google_crc32c

from stores.errors import (
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    PartsInvalid,
    StoreError,
    StoreUnavailable,
    UploadNotFound,
)
from stores.parts import MAX_PARTS, MIN_PART, check_size
from stores.protocol import ObjectInfo, OnUploadId
from stores.s3_bucket import LOOKS_S, S3Bucket
from stores.s3_errors import translated
from stores.s3_parts import PartBuffer, PartPlan

_LOG = logging.getLogger(__name__)

_MARK = "mediastore-write"
"""User metadata naming the write that made an object, so that a lost answer can be told from another's object."""

_MOST_UNDER_WAY = 3


class S3Writer:
    """One part is sent while the next fills, so that a transfer needs the memory of two parts.

    Where the bytes come faster than one connection takes them, more parts are under way at once, as long as the bucket has
    memory to spare for them.
    """

    def __init__(
        self, bucket: S3Bucket, key: str, *, size: int | None, media_type: str | None, on_upload_id: OnUploadId | None
    ) -> None:
        self._bucket = bucket
        self._key = key
        self._plan = PartPlan(size)
        self._media_type = media_type
        self._on_upload_id = on_upload_id
        self._mark = secrets.token_hex(16)
        self._filling = PartBuffer()
        self._filling.begin(self._plan.part_bytes(1))
        self._empty: list[PartBuffer] = []
        self._under_way: dict[asyncio.Task[None], PartBuffer] = {}
        self._spared = 0
        """Parts that are under way beside the one that every transfer may have."""
        self._number = 0
        self._size = 0
        self._checksum = 0
        self._parts: list[dict[str, Any]] = []
        self._beginning: asyncio.Task[str] | None = None
        self._upload_id: str | None = None
        self._ended = False
        """No more bytes are taken."""
        self._closed = False
        self._finished = False

    async def append(self, chunks: Sequence[bytes]) -> None:
        self._refuse_after_end()
        try:
            for chunk in chunks:
                await self._take(chunk)
        except asyncio.CancelledError:
            self._ended = True  # half a chunk was taken
            raise

    async def commit(self) -> ObjectInfo:
        self._refuse_after_end()
        self._ended = True
        if self._beginning is None:
            info = await self._settle(self._put)
        else:
            await self._send_part()
            while self._under_way:
                await self._one_sent()
            info = await self._settle(self._complete)
        self._finished = True
        return info

    async def close(self) -> None:
        """Abort what was not committed. Raises nothing: an upload that can't be aborted is logged, and `list_uploads` has it."""
        self._closed = True
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)
        for task in self._under_way:
            if not task.cancelled():
                task.exception()
        if self._beginning is not None:
            await asyncio.wait([self._beginning])
            self._beginning.exception()
        for buffer in (self._filling, *self._empty, *self._under_way.values()):
            buffer.release()
        while self._spared:
            self._give_back()
        if self._finished or self._upload_id is None:
            return
        try:
            await self._bucket.abort(self._key, self._upload_id)
        except StoreError as error:
            _LOG.warning("A multipart upload stays open at %r: %s", self._key, error.message)

    def _refuse_after_end(self) -> None:
        if self._ended:
            raise StoreUnavailable("This write was committed, or failed to be; begin another", key=self._key)

    async def _take(self, chunk: bytes) -> None:
        self._size = check_size(self._size + len(chunk))
        self._checksum = google_crc32c.extend(self._checksum, chunk)
        start = 0
        while start < len(chunk):
            # Only when more bytes come: exactly one part is sent as a single request.
            if self._filling.full:
                await self._send_part()
            start = self._filling.take(chunk, start=start)

    def _headers(self) -> dict[str, Any]:
        """What makes the object, in one request or in parts."""
        headers: dict[str, Any] = {"Metadata": {_MARK: self._mark}}
        if self._media_type is not None:
            headers["ContentType"] = self._media_type
        return headers

    async def _put(self) -> None:
        request = self._bucket.request(self._key) | self._headers() | self._checksum_of(self._filling) | self._bucket.condition()
        with translated(self._key):
            await self._bucket.client.put_object(Body=self._filling.seal(), **request)

    async def _complete(self) -> None:
        request = self._bucket.request(self._key) | self._bucket.condition()
        with self._begun_here():
            await self._bucket.client.complete_multipart_upload(
                UploadId=self._upload_id, MultipartUpload={"Parts": sorted(self._parts, key=itemgetter("PartNumber"))}, **request
            )

    async def _send_part(self) -> None:
        upload_id = await self._begun()
        if self._closed:
            raise StoreUnavailable("The write was given up before its end", key=self._key)
        number = self._number + 1
        if number > MAX_PARTS:
            raise ObjectTooLarge(f"An S3 object has {MAX_PARTS} parts at most; declare the size before writing", key=self._key)
        while not await self._has_room(number):
            await self._one_sent()
        self._number = number
        self._under_way[asyncio.create_task(self._upload_part(upload_id, number, self._filling))] = self._filling
        self._filling = self._empty.pop() if self._empty else PartBuffer()
        self._filling.begin(self._plan.part_bytes(min(number + 1, MAX_PARTS)))

    async def _has_room(self, number: int) -> bool:
        """Whether one more part may be under way, be it with a part to spare, which is taken then."""
        self._collect()
        while self._spared > len(self._under_way):  # others can use what this transfer is too slow for
            self._give_back()
            if self._empty:
                self._empty.pop().release()
        if self._plan.part_bytes(number) > MIN_PART:
            return not self._under_way
        spare = self._bucket.spare_parts
        if self._spared < len(self._under_way) < _MOST_UNDER_WAY and not spare.locked():
            await spare.acquire()  # at once, as it is not locked
            self._spared += 1
        return len(self._under_way) <= self._spared

    def _give_back(self) -> None:
        self._spared -= 1
        self._bucket.spare_parts.release()

    async def _one_sent(self) -> None:
        """Wait for a part that is under way; raises what went wrong with one, each time."""
        await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        self._collect()

    def _collect(self) -> None:
        for task in [task for task in self._under_way if task.done()]:
            task.result()
            self._empty.append(self._under_way.pop(task))

    async def _begun(self) -> str:
        if self._beginning is None:
            self._beginning = asyncio.create_task(self._begin())
        # Shielded, so that a cancelled caller does not lose the id of an upload that the store has begun.
        return await asyncio.shield(self._beginning)

    async def _begin(self) -> str:
        request = self._bucket.request(self._key) | self._headers()
        if self._bucket.checksums:
            # One checksum of the whole object, where the server knows how, instead of a checksum of checksums.
            request |= {"ChecksumAlgorithm": "CRC32C", "ChecksumType": "FULL_OBJECT"}
        with translated(self._key):
            answer = await self._bucket.client.create_multipart_upload(**request)
        self._upload_id = str(answer["UploadId"])
        if self._on_upload_id is not None:
            await self._on_upload_id(self._upload_id)
        return self._upload_id

    async def _upload_part(self, upload_id: str, number: int, part: PartBuffer) -> None:
        checksum = self._checksum_of(part)
        request = self._bucket.request(self._key) | checksum
        with self._begun_here():
            answer = await self._bucket.client.upload_part(UploadId=upload_id, PartNumber=number, Body=part.seal(), **request)
        checksum.pop("ChecksumAlgorithm", None)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]} | checksum)

    @contextmanager
    def _begun_here(self) -> Iterator[None]:
        """What happens to an upload that was begun here is no fault of the caller's, whose next write can succeed."""
        try:
            with translated(self._key):
                yield
        except (UploadNotFound, PartsInvalid) as error:
            raise StoreUnavailable(error.message, key=self._key) from error

    def _checksum_of(self, part: PartBuffer) -> dict[str, Any]:
        """Parameters that make the server compare what it receives; both, because some look only where the algorithm is named."""
        if not self._bucket.checksums:
            return {}
        encoded = base64.b64encode(part.checksum.to_bytes(4, "big")).decode()
        return {"ChecksumAlgorithm": "CRC32C", "ChecksumCRC32C": encoded}

    async def _settle(self, publish: Callable[[], Awaitable[None]]) -> ObjectInfo:
        """Publish, then look: the answer may have been lost, or be that of a second try, which finds the first one's object."""
        failure: StoreError | None = None
        try:
            await self._bucket.refuse_if_taken(self._key)
            await publish()
        except StoreError as error:
            if not (error.retryable or isinstance(error, ObjectExists)):
                raise
            failure = error
        return await self._verified(failure)

    async def _verified(self, failure: StoreError | None) -> ObjectInfo:
        """The object as the store shows it, if it is this write's; else the failure, or what is wrong with it."""
        for wait_s in LOOKS_S:
            await asyncio.sleep(wait_s)
            try:
                info, metadata = await self._bucket.look(self._key)
            except ObjectNotFound:
                continue
            except StoreError as error:
                raise failure or error from error
            mark = metadata.get(_MARK)
            # A server may keep no metadata: then its word that all went well has to do.
            if mark != self._mark and (mark is not None or failure is not None):
                raise ObjectExists(f"There is an object at {self._key!r} already", key=self._key) from failure
            if info.size == self._size and self._matches(info):
                return info
        raise failure or StoreUnavailable(
            f"The store took {self._size} bytes but does not show an object of these bytes", key=self._key
        )

    def _matches(self, info: ObjectInfo) -> bool:
        return info.checksums.get("crc32c", f"{self._checksum:08x}") == f"{self._checksum:08x}"
