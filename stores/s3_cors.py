"""Whether the rules of a bucket let a page of some origin use it (Cross-Origin Resource Sharing)."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

from stores.errors import ObjectNotFound, StoreError
from stores.s3_bucket import S3Bucket
from stores.s3_errors import translated

_Rule: TypeAlias = Mapping[str, Sequence[str]]


async def look(bucket: S3Bucket, origin: str) -> str | None:
    try:
        with translated():
            answer = await bucket.client.get_bucket_cors(Bucket=bucket.name)
    except ObjectNotFound:
        answer = {}  # no rules were ever set
    except StoreError as error:
        if error.retryable:
            raise
        return (
            f"Whether pages of {origin} may use the bucket {bucket.name!r} can't be told, because its CORS rules can't be read: "
            f"{error.message}"
        )
    lacking = _lacking(answer.get("CORSRules", ()), origin, sent_headers=_sent_headers(bucket))
    if not lacking:
        return None
    return (
        f"Pages of {origin} can't send files straight to the bucket {bucket.name!r}: a CORS rule of it has to have that origin "
        'in AllowedOrigins, PUT, POST and GET in AllowedMethods, "*" in AllowedHeaders and ETag in ExposeHeaders. '
        f"Missing for this origin: {', '.join(lacking)}"
    )


def _lacking(rules: Sequence[Any], origin: str, *, sent_headers: Collection[str]) -> Sequence[str]:
    lacking = [method for method in ("PUT", "POST", "GET") if _first(rules, origin, method) is None]
    put = _first(rules, origin, "PUT")
    if put is not None and _first(rules, origin, "PUT", sent_headers) is None:
        lacking.append(f"the headers {', '.join(sent_headers)}")
    if put is not None and not {"etag", "*"} & {name.lower() for name in put.get("ExposeHeaders", ())}:
        lacking.append("ETag")
    return lacking


def _first(rules: Sequence[_Rule], origin: str, method: str, headers: Collection[str] = ()) -> _Rule | None:
    """The rule that decides on such a request: the first that allows all of it."""
    for rule in rules:
        allowed = rule.get("AllowedHeaders", ())
        if (
            any(_matches(pattern, origin) for pattern in rule.get("AllowedOrigins", ()))
            and method in rule.get("AllowedMethods", ())
            and all(any(_matches(pattern.lower(), header.lower()) for pattern in allowed) for header in headers)
        ):
            return rule
    return None


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text) is not None


def _sent_headers(bucket: S3Bucket) -> Sequence[str]:
    """What a presigned PUT may ask a browser to send, besides what it sends in any case."""
    return (
        "content-type",
        "content-md5",
        *(["if-none-match"] if bucket.conditional_writes else []),
        *(["x-amz-sdk-checksum-algorithm", "x-amz-checksum-sha256"] if bucket.checksums else []),
    )
