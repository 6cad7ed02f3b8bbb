"""What the S3 store and its writers share: the client, the bucket, and reading what the server says of an object."""

import asyncio
import base64
import binascii
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from stores.digests import ALGORITHMS
from stores.errors import ObjectExists, ObjectNotFound, StoreError, StoreMisconfigured
from stores.keys import check_key
from stores.protocol import ObjectInfo
from stores.s3_errors import translated

LOOKS_S = (0.0, 0.1, 0.4, 1.5)
"""Waits before each look at a committed object, because some stores show it late or with an old size at first."""

SPARE_PARTS = 4
"""Of 5 MiB each, for all transfers of a store together: a few that are alone gain much by them, many do not need them."""


class S3Bucket:
    """One bucket, below one prefix, by one aiobotocore client."""

    def __init__(self, client: Any, name: str, *, prefix: str, checksums: bool, conditional_writes: bool) -> None:
        self.client = client
        self.name = name
        self.prefix = prefix
        self.checksums = checksums
        self.conditional_writes = conditional_writes
        self.spare_parts = asyncio.Semaphore(SPARE_PARTS)
        """Counts the parts that may be in memory beside the two of each transfer."""

    def request(self, key: str) -> dict[str, Any]:
        """The parameters that every request for this object has. Raises `KeyInvalid`."""
        return {"Bucket": self.name, "Key": self.prefix + check_key(key, prefix=self.prefix)}

    def condition(self) -> dict[str, Any]:
        """The parameter that makes the server refuse a second object at a key."""
        return {"IfNoneMatch": "*"} if self.conditional_writes else {}

    async def refuse_if_taken(self, key: str) -> None:
        """Raises `ObjectExists`, where the server can't do so itself when the object is made; a racing writer is not seen."""
        if self.conditional_writes:
            return
        try:
            await self.head(key)
        except ObjectNotFound:
            return
        raise ObjectExists(f"There is an object at {key!r} already", key=key)

    async def check(self) -> None:
        """Raises `StoreMisconfigured` where there is no such bucket, and what else keeps it from being reached."""
        try:
            with translated():
                await self.client.head_bucket(Bucket=self.name)
        except ObjectNotFound as exc:
            raise StoreMisconfigured(f"The bucket {self.name!r} does not exist") from exc

    async def look(self, key: str) -> tuple[ObjectInfo, Mapping[str, str]]:
        """The object and its user metadata, asked afresh."""
        request = self.request(key)
        try:
            with translated(key):
                answer = await self.client.head_object(ChecksumMode="ENABLED", **request)
        except ObjectNotFound:
            # A HEAD has no body to say whether the object is missing or its whole bucket, which is no deletion.
            await self.raise_if_missing()
            raise
        return _object_info(key, answer), answer.get("Metadata", {})

    async def head(self, key: str) -> ObjectInfo:
        info, _ = await self.look(key)
        return info

    async def abort(self, key: str, upload_id: str) -> None:
        """Abort the multipart upload; one that is gone is not an error."""
        request = self.request(key)
        try:
            with translated(key):
                await self.client.abort_multipart_upload(UploadId=upload_id, **request)
        except StoreError as error:
            if code_of(error) != "NoSuchUpload":
                raise

    async def raise_if_missing(self) -> None:
        """Raises `StoreMisconfigured` where the server says that there is no such bucket."""
        try:
            await self.check()
        except StoreMisconfigured:
            raise
        except StoreError:
            return  # who may not look at the bucket may still read its objects


def code_of(error: StoreError) -> str:
    """The server's own code, of an error made from its answer; else nothing."""
    response = getattr(error.__cause__, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def _object_info(key: str, answer: Mapping[str, Any]) -> ObjectInfo:
    etag = str(answer.get("ETag", "")).strip('"')
    return ObjectInfo(
        key=key,
        size=answer["ContentLength"],
        modified_at=answer["LastModified"].astimezone(UTC),
        etag=etag or None,
        media_type=answer.get("ContentType"),
        checksums=_whole_checksums(answer, etag),
    )


def _whole_checksums(answer: Mapping[str, Any], etag: str) -> Mapping[str, str]:
    """Checksums of the object's bytes, in hex.

    A multipart object can have a checksum of its parts' checksums instead (COMPOSITE). Servers that do not say which it is, are
    believed for objects sent in one request only, whose ETag has no `-N`.
    """
    kind = answer.get("ChecksumType")
    if kind == "COMPOSITE" or (kind is None and "-" in etag):
        return {}
    return checksums_in_hex(answer)


def checksums_in_hex(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """Checksums as the server writes them, in hex by algorithm; those of checksums, which end in `-N`, are left out."""
    found: dict[str, str] = {}
    for algorithm in ALGORITHMS:
        value = str(answer.get(f"Checksum{algorithm.upper()}", ""))
        if value and "-" not in value:
            try:
                found[algorithm] = base64.b64decode(value, validate=True).hex()
            except binascii.Error:
                continue
    return found
