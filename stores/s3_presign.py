"""Requests that clients send to S3 by themselves: what they may send is signed, so the server refuses anything else."""

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stores.digests import parse_digest
from stores.disposition import attachment
from stores.errors import FeatureMissing, KeyInvalid, PartsInvalid
from stores.parts import MAX_PART, MAX_PARTS, MAX_SINGLE, check_size
from stores.protocol import ObjectAcl, SignedRequest
from stores.s3_bucket import S3Bucket
from stores.s3_errors import translated

_MAX_EXPIRES_S = 7 * 24 * 3600  # of signature version 4
_MEDIA_TYPE = re.compile(r"[!-~]+(?: [!-~]+)*")  # what signing and sending leave as it is
_CHECKSUMS = ("sha256", "sha1", "crc32c")
"""Those that S3 compares, the strongest first: of one object it takes one at most."""
_HEADERS = {
    "ContentLength": "Content-Length",
    "ContentType": "Content-Type",
    "ContentMD5": "Content-MD5",
    "IfNoneMatch": "If-None-Match",
    "ChecksumAlgorithm": "x-amz-sdk-checksum-algorithm",
    "ChecksumSHA256": "x-amz-checksum-sha256",
    "ChecksumSHA1": "x-amz-checksum-sha1",
    "ChecksumCRC32C": "x-amz-checksum-crc32c",
}
"""The parameters of requests to sign, as the headers that they become."""


async def presign_get(bucket: S3Bucket, key: str, *, expires_s: int, filename: str | None, media_type: str | None) -> str:
    parameters: dict[str, Any] = {}
    if filename is not None:
        parameters["ResponseContentDisposition"] = attachment(filename)
    if media_type is not None:
        parameters["ResponseContentType"] = media_type
    return await _url(bucket, "get_object", key, parameters, expires_s=expires_s)


async def presign_put(
    bucket: S3Bucket, key: str, *, expires_s: int, size: int | None, media_type: str, digests: Mapping[str, str]
) -> SignedRequest:
    if size is None:
        return await _put(bucket, "put_object", key, {}, expires_s=expires_s)
    check_size(size, limit=MAX_SINGLE)
    content = {"ContentLength": size, "ContentType": check_media_type(media_type)}
    signed = content | _comparable(bucket, digests) | bucket.condition()
    return await _put(bucket, "put_object", key, signed, expires_s=expires_s)


async def presign_part(
    bucket: S3Bucket, key: str, upload_id: str, number: int, *, size: int, expires_s: int, digests: Mapping[str, str]
) -> SignedRequest:
    if not 1 <= number <= MAX_PARTS:
        raise PartsInvalid(f"Parts are numbered from 1 to {MAX_PARTS}, so there is no part {number}", key=key)
    if not 0 <= size <= MAX_PART:
        raise PartsInvalid(f"A part has {MAX_PART} bytes at most, not {size}", key=key)
    signed = {"ContentLength": size} | _comparable(bucket, digests)
    place = {"UploadId": upload_id, "PartNumber": number}
    return await _put(bucket, "upload_part", key, signed, expires_s=expires_s, place=place)


async def presign_post(
    bucket: S3Bucket,
    key: str,
    *,
    expires_s: int,
    size: int,
    media_type: str,
    digests: Mapping[str, str],
    acl: ObjectAcl | None = None,
) -> SignedRequest:
    check_size(size, limit=MAX_SINGLE)
    _check_expiry(key, expires_s)
    request = bucket.request(key)
    if "${filename}" in request["Key"] or "${filename}" in media_type:
        raise KeyInvalid("The store would put the name of a file for `${filename}` in a form", key=key)
    comparable = _comparable(bucket, digests)
    names = _HEADERS | {"ChecksumAlgorithm": "x-amz-checksum-algorithm"}
    pinned = {"Content-Type": check_media_type(media_type)} | {names[name]: value for name, value in comparable.items()}
    if acl is not None:
        pinned["acl"] = acl
    with translated(key):
        answer = await bucket.client.generate_presigned_post(
            **request,
            Fields=pinned,
            Conditions=[*({name: value} for name, value in pinned.items()), ["content-length-range", size, size]],
            ExpiresIn=expires_s,
        )
    # Servers may look at fields only behind the key.
    return SignedRequest(method="POST", url=answer["url"], fields={"key": request["Key"]} | answer["fields"])


def choose_checksum(bucket: S3Bucket, algorithm: str | None) -> str | None:
    """The algorithm, where the server can compare checksums by it."""
    return algorithm if bucket.checksums and algorithm in _CHECKSUMS else None


def check_media_type(media_type: str) -> str:
    """The media type, unchanged; raises `FeatureMissing` for one that no header can carry as it is."""
    if not _MEDIA_TYPE.fullmatch(media_type):
        raise FeatureMissing(f"The media type {media_type[:80]!r} can't be signed: it has to be printable ASCII, like text/csv")
    return media_type


def _comparable(bucket: S3Bucket, digests: Mapping[str, str]) -> dict[str, Any]:
    """The parameters that make the server compare digests with what it receives. Each names its algorithm too, because some
    servers look only then."""
    parameters: dict[str, Any] = {}
    if "md5" in digests:
        parameters["ContentMD5"] = _base64("md5", digests["md5"])
    for algorithm in filter(digests.__contains__, _CHECKSUMS):
        if bucket.checksums:
            parameters["ChecksumAlgorithm"] = algorithm.upper()
            parameters[f"Checksum{algorithm.upper()}"] = _base64(algorithm, digests[algorithm])
            break
    return parameters


async def _put(
    bucket: S3Bucket, call: str, key: str, signed: Mapping[str, Any], *, expires_s: int, place: Mapping[str, Any] | None = None
) -> SignedRequest:
    url = await _url(bucket, call, key, {**signed, **(place or {})}, expires_s=expires_s)
    headers = {_HEADERS[name]: str(value) for name, value in signed.items()}
    covered = parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";")
    # botocore takes what it thinks it has added itself, as a form's media type, for nobody's wish.
    if loose := [name for name in headers if name.lower() not in covered]:
        raise FeatureMissing(f"{', '.join(loose)} can't be signed with this value", key=key)
    return SignedRequest(method="PUT", url=url, headers=headers)


async def _url(bucket: S3Bucket, call: str, key: str, parameters: Mapping[str, Any], *, expires_s: int) -> str:
    _check_expiry(key, expires_s)
    request = bucket.request(key)
    with translated(key):
        return str(await bucket.client.generate_presigned_url(call, Params={**request, **parameters}, ExpiresIn=expires_s))


def _check_expiry(key: str, expires_s: int) -> None:
    if not 1 <= expires_s <= _MAX_EXPIRES_S:
        raise FeatureMissing(f"A presigned URL lives 1 to {_MAX_EXPIRES_S} seconds, not {expires_s}", key=key)


def _base64(algorithm: str, digest: str) -> str:
    return base64.b64encode(bytes.fromhex(parse_digest(algorithm, digest))).decode()
