"""Objects in a bucket of Amazon S3 or of a server that speaks its protocol."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec
import s3fs

from stores import s3_cors, s3_delete, s3_multipart, s3_presign
from stores.cleanup import Cleanup
from stores.config import S3Access, StoreConfig
from stores.digests import Algorithm
from stores.errors import (
    FeatureMissing,
    ObjectTruncated,
    RangeInvalid,
    StoreError,
    StoreMisconfigured,
    StoreUnavailable,
)
from stores.keys import is_key
from stores.options import check_fields, read_options
from stores.parts import MAX_OBJECT
from stores.protocol import Deletion, Features, ObjectAcl, ObjectInfo, OnUploadId, OpenUpload, PartInfo, SignedRequest, Writer
from stores.ranges import check_range
from stores.s3_bucket import S3Bucket
from stores.s3_errors import translated
from stores.s3_writer import S3Writer

_PIECE_BYTES = 1024 * 1024
_DELETE_BATCH = 1000
_DELETES_IN_FLIGHT = 3
_CLIENT_CONFIG: Mapping[str, object] = {
    "signature_version": "s3v4",
    "max_pool_connections": 50,
    # A server that says nothing holds a call for less than half a minute: two attempts of these.
    "connect_timeout": 3,
    "read_timeout": 12,
    "retries": {"total_max_attempts": 2, "mode": "standard"},
    # Newer defaults add checksums that servers other than AWS refuse; ours are asked for one by one.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}


class S3Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    checksums: bool = True
    """Send a CRC-32C with each request that carries bytes, for the server to compare; off for servers that refuse it."""
    conditional_writes: bool = True
    """The server knows `If-None-Match: *`; off for those that don't, where two writers of one key can then both succeed."""


class S3Store:
    """Objects below a prefix of a bucket. Belongs to the event loop that opened it."""

    def __init__(self, access: S3Access, bucket: str, *, prefix: str = "", options: S3Options | None = None) -> None:
        self._access = access
        self._name = bucket
        self._prefix = prefix
        self._options = options or S3Options()
        self._bucket: S3Bucket | None = None
        self._opening = asyncio.Lock()
        self._cleanup = Cleanup()

    @classmethod
    def from_config(cls, config: StoreConfig) -> Self:
        check_fields(config, required=("bucket", "s3"))
        access = config.s3 or S3Access()
        if (access.access_key is None) != (access.secret_key is None):
            raise StoreMisconfigured(f"The s3 store {config.name!r} needs `access_key` and `secret_key`, or neither of them")
        return cls(access, config.bucket or "", prefix=config.prefix, options=read_options(config, S3Options))

    @property
    def features(self) -> Features:
        return Features(
            durable=True,
            create_if_absent=self._options.conditional_writes,
            presigned=True,
            local_path=False,
            multipart=True,
            ranged=False,
            nested_keys=True,
            max_object_bytes=MAX_OBJECT,
            max_delete_keys=_DELETE_BATCH,
        )

    async def open(self) -> None:
        async with self._opening:
            if self._bucket is None:
                client = await self._connect()
                bucket = S3Bucket(
                    client,
                    self._name,
                    prefix=self._prefix,
                    checksums=self._options.checksums,
                    conditional_writes=self._options.conditional_writes,
                )
                try:
                    await bucket.check()
                except BaseException:
                    await client.close()
                    raise
                self._bucket = bucket

    async def close(self) -> None:
        await self._cleanup.drain()
        bucket, self._bucket = self._bucket, None
        if bucket is not None:
            await bucket.client.close()

    def write_range(self, key: str, *, offset: int, size: int) -> AbstractAsyncContextManager[Writer]:  # noqa: ARG002 - as the protocol
        raise FeatureMissing("Objects in S3 are written whole, or in parts", key=key)

    @asynccontextmanager
    async def write(
        self, key: str, *, size: int | None = None, media_type: str | None = None, on_upload_id: OnUploadId | None = None
    ) -> AsyncIterator[Writer]:
        bucket = self._opened()
        bucket.request(key)
        writer = S3Writer(bucket, key, size=size, media_type=media_type, on_upload_id=on_upload_id)
        try:
            yield writer
        finally:
            await self._cleanup.run(writer.close())

    async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        bucket = self._opened()
        request = bucket.request(key)
        if start < 0 or (end is not None and end <= start):
            # No HTTP range says this, so the object has to be asked for its size.
            check_range(key, start=start, end=end, size=(await bucket.head(key)).size)
            return
        if start or end is not None:
            request["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        try:
            with translated(key):
                answer = await bucket.client.get_object(**request)
        except RangeInvalid:
            # So S3 also answers for the empty rest behind the last byte.
            check_range(key, start=start, end=end, size=(await bucket.head(key)).size)
            return
        async with answer["Body"] as body:
            remaining = _promised(key, answer, start=start, end=end)
            with translated(key):
                while remaining:
                    piece = await body.read(min(_PIECE_BYTES, remaining))
                    if not piece:
                        raise ObjectTruncated(f"The store ended {key!r} {remaining} bytes early", key=key)
                    remaining -= len(piece)
                    yield piece

    async def head(self, key: str) -> ObjectInfo:
        return await self._opened().head(key)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, Deletion]:
        remaining = iter(dict.fromkeys(keys))
        answers: dict[str, Deletion] = {}
        turns = asyncio.Semaphore(_DELETES_IN_FLIGHT)

        async def delete_in_turn(batch: Sequence[str]) -> None:
            async with turns:
                answers.update(await self._delete_batch(batch))

        async with asyncio.TaskGroup() as group:
            while batch := list(islice(remaining, _DELETE_BATCH)):
                group.create_task(delete_in_turn(batch))
        return answers

    async def list(self, *, prefix: str = "", start_after: str = "") -> AsyncIterator[ObjectInfo]:
        bucket = self._opened()
        page: dict[str, Any] = {"Bucket": bucket.name, "Prefix": bucket.prefix + prefix}
        if start_after:
            page["StartAfter"] = bucket.prefix + start_after
        while True:
            with translated():
                answer = await bucket.client.list_objects_v2(**page)
            for found in answer.get("Contents", ()):
                key = found["Key"][len(bucket.prefix) :]
                if key > start_after and is_key(key, prefix=bucket.prefix):
                    yield ObjectInfo(
                        key=key,
                        size=found["Size"],
                        modified_at=found["LastModified"].astimezone(UTC),
                        etag=found.get("ETag", "").strip('"') or None,
                    )
            if not answer.get("IsTruncated"):
                return
            page["ContinuationToken"] = answer["NextContinuationToken"]

    async def list_uploads(self, *, prefix: str = "") -> AsyncIterator[OpenUpload]:
        bucket = self._opened()
        page: dict[str, Any] = {"Bucket": bucket.name, "Prefix": bucket.prefix + prefix}
        while True:
            with translated():
                answer = await bucket.client.list_multipart_uploads(**page)
            for found in answer.get("Uploads", ()):
                yield OpenUpload(key=found["Key"][len(bucket.prefix) :], upload_id=found["UploadId"])
            marker = {"KeyMarker": answer.get("NextKeyMarker", ""), "UploadIdMarker": answer.get("NextUploadIdMarker", "")}
            # A server that does not go on would be asked for the same page for ever.
            if not answer.get("IsTruncated") or not marker["KeyMarker"] or marker.items() <= page.items():
                return
            page |= marker

    async def abort_upload(self, key: str, upload_id: str) -> None:
        await self._opened().abort(key, upload_id)

    def local_path(self, key: str) -> Path:
        raise FeatureMissing("Objects in S3 are no files of this machine", key=key)

    async def presign_get(self, key: str, *, expires_s: int, filename: str | None = None, media_type: str | None = None) -> str:
        bucket = self._opened()
        return await s3_presign.presign_get(bucket, key, expires_s=expires_s, filename=filename, media_type=media_type)

    async def presign_put(
        self, key: str, *, expires_s: int, size: int | None, media_type: str, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        bucket = self._opened()
        return await s3_presign.presign_put(bucket, key, expires_s=expires_s, size=size, media_type=media_type, digests=digests)

    async def presign_post(
        self,
        key: str,
        *,
        expires_s: int,
        size: int,
        media_type: str,
        digests: Mapping[str, str] = {},
        acl: ObjectAcl | None = None,
    ) -> SignedRequest:
        bucket = self._opened()
        return await s3_presign.presign_post(
            bucket, key, expires_s=expires_s, size=size, media_type=media_type, digests=digests, acl=acl
        )

    async def begin_multipart(self, key: str, *, media_type: str, checksum: Algorithm | None = None) -> str:
        return await s3_multipart.begin(self._opened(), key, media_type=media_type, checksum=checksum)

    async def presign_part(
        self, key: str, upload_id: str, number: int, *, size: int, expires_s: int, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        bucket = self._opened()
        return await s3_presign.presign_part(bucket, key, upload_id, number, size=size, expires_s=expires_s, digests=digests)

    async def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        return await s3_multipart.list_parts(self._opened(), key, upload_id)

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], *, size: int | None = None
    ) -> ObjectInfo:
        return await s3_multipart.complete(self._opened(), key, upload_id, parts, size=size)

    async def cors(self, origin: str) -> str | None:
        return await s3_cors.look(self._opened(), origin)

    def _opened(self) -> S3Bucket:
        if self._bucket is None:
            raise StoreUnavailable("The store is not open")
        return self._bucket

    async def _connect(self) -> Any:
        access = self._access
        region = access.region or ("us-east-1" if access.endpoint_url else None)
        filesystem = s3fs.S3FileSystem(
            asynchronous=True,
            skip_instance_cache=True,
            use_listings_cache=False,
            key=access.access_key,
            secret=access.secret_key,
            endpoint_url=access.endpoint_url,
            client_kwargs={"region_name": region} if region else {},
            config_kwargs={**_CLIENT_CONFIG, "s3": {"addressing_style": access.addressing_style}},
        )
        try:
            with translated():
                client = await filesystem.set_session()
        except ValueError as exc:
            raise StoreMisconfigured("The endpoint of this store is no URL; it has to begin with http:// or https://") from exc
        client.meta.events.register("before-call.s3.DeleteObjects", _add_content_md5)
        for operation in ("PutObject", "UploadPart"):
            client.meta.events.register(f"before-sign.s3.{operation}", _send_at_once)
        return client

    async def _delete_batch(self, keys: Sequence[str]) -> Mapping[str, Deletion]:
        try:
            bucket = self._opened()
        except StoreError as error:
            return dict.fromkeys(keys, error)
        return await s3_delete.delete(bucket, keys)


def _promised(key: str, answer: Mapping[str, Any], *, start: int, end: int | None) -> int:
    """How many bytes the body has to have, after comparing what the server sends with what was asked for."""
    length = int(answer["ContentLength"])
    if not start and end is None:
        return length
    content_range = answer.get("ContentRange", "")  # RFC 9110, section 14.4: `bytes 2-4/5`
    total = content_range.rpartition("/")[2]
    if not total.isdecimal():
        raise StoreUnavailable(f"The store sent another range of {key!r} than was asked for", key=key)
    start, stop = check_range(key, start=start, end=end, size=int(total))
    if not content_range.startswith(f"bytes {start}-") or length != stop - start:
        raise StoreUnavailable(f"The store sent another range of {key!r} than was asked for", key=key)
    return length


def _add_content_md5(params: dict[str, Any], **_: object) -> None:
    """Servers older than the flexible checksums refuse a bulk delete without it, and botocore sends only the newer header."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def _send_at_once(request: Any, **_: object) -> None:
    """Without waiting for `100 Continue` first: it costs a round trip, and a server that never sends it would hold the call."""
    del request.headers["Expect"]  # not an error where it is missing
