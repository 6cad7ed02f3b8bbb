"""What S3 servers and the client libraries say, as `StoreError`s: the one table.

Codes: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, with those that Ceph, MinIO and Garage add.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointProviderError,
    HTTPClientError,
    IncompleteReadError,
    NoAuthTokenError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ResponseStreamingError,
    SSLError,
    TokenRetrievalError,
    ValidationError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from stores.errors import (
    FeatureMissing,
    KeyInvalid,
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    ObjectTruncated,
    PartsInvalid,
    RangeInvalid,
    StoreAccessDenied,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreUnavailable,
    UploadNotFound,
)

FOREIGN: tuple[type[Exception], ...] = (
    ClientError,
    BotoCoreError,
    ResponseParserError,
    aiohttp.ClientError,
    TimeoutError,
    OSError,
)
"""What a call to the client can raise."""


class _Meaning(NamedTuple):
    error: type[StoreError]
    text: str


_DENIED = _Meaning(StoreAccessDenied, "The store refused these credentials or what they may do")
_MISCONFIGURED = _Meaning(
    StoreMisconfigured, "The store does not take requests like this; look at its endpoint, region and options"
)
_UNAVAILABLE = _Meaning(StoreUnavailable, "The store is failing or overloaded")
_CORRUPTED = _Meaning(StoreUnavailable, "The bytes were damaged on their way to the store")
_FULL = _Meaning(StoreFull, "The store has no space or quota left")
_NO_BUCKET = _Meaning(StoreMisconfigured, "The bucket does not exist")
_EXISTS = _Meaning(ObjectExists, "There is an object at this key already")
_MISSING = _Meaning(ObjectNotFound, "There is no object at this key")
_TOO_LARGE = _Meaning(ObjectTooLarge, "The store can't hold so many bytes in one object")
_NO_FEATURE = _Meaning(FeatureMissing, "The store can't do this")
_OUTSIDE = _Meaning(RangeInvalid, "The range lies outside the object")
_BAD_KEY = _Meaning(KeyInvalid, "The store does not take this key")
_UPLOAD_GONE = _Meaning(
    UploadNotFound, "The multipart upload is gone: it was completed, or aborted by someone or a rule of the bucket"
)
_BAD_PARTS = _Meaning(PartsInvalid, "The store does not have these parts, or can't put them together")
_SMALL_PARTS = _Meaning(PartsInvalid, "A part other than the last is smaller than the store takes")
_CONFLICT = _Meaning(StoreUnavailable, "Another request for this key was under way")

_BY_CODE: Mapping[str, _Meaning] = {
    "NoSuchKey": _MISSING,
    "NoSuchVersion": _MISSING,
    "NoSuchBucket": _NO_BUCKET,
    "NoSuchUpload": _UPLOAD_GONE,
    "InvalidPart": _BAD_PARTS,
    "InvalidPartOrder": _BAD_PARTS,
    "EntityTooSmall": _SMALL_PARTS,
    "PreconditionFailed": _EXISTS,
    "ConditionalRequestConflict": _CONFLICT,
    "OperationAborted": _CONFLICT,
    "InvalidRange": _OUTSIDE,
    "EntityTooLarge": _TOO_LARGE,
    "KeyTooLongError": _BAD_KEY,
    "KeyTooLong": _BAD_KEY,
    "InvalidURI": _BAD_KEY,
    "XMinioInvalidObjectName": _BAD_KEY,
    "XMinioParentIsObject": _BAD_KEY,
    "XMinioObjectExistsAsDirectory": _BAD_KEY,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AccountProblem": _DENIED,
    "ExpiredToken": _DENIED,
    "InvalidAccessKeyId": _DENIED,
    "InvalidObjectState": _Meaning(StoreAccessDenied, "The object is archived and has to be restored first"),
    "InvalidSecurity": _DENIED,
    "InvalidToken": _DENIED,
    "NotSignedUp": _DENIED,
    "RequestTimeTooSkewed": _Meaning(StoreAccessDenied, "This machine's clock differs too much from the store's"),
    "SignatureDoesNotMatch": _DENIED,
    "TokenRefreshRequired": _DENIED,
    "QuotaExceeded": _FULL,
    "InsufficientCapacity": _FULL,
    "XMinioStorageFull": _FULL,
    "XMinioAdminBucketQuotaExceeded": _FULL,
    "BadDigest": _CORRUPTED,
    "IncompleteBody": _CORRUPTED,
    "InvalidDigest": _CORRUPTED,
    "XAmzContentChecksumMismatch": _CORRUPTED,
    "XAmzContentSHA256Mismatch": _CORRUPTED,
    "InternalError": _UNAVAILABLE,
    "RequestTimeout": _UNAVAILABLE,
    "RequestLimitExceeded": _UNAVAILABLE,
    "ServiceUnavailable": _UNAVAILABLE,
    "SlowDown": _UNAVAILABLE,
    "Throttling": _UNAVAILABLE,
    "ThrottlingException": _UNAVAILABLE,
    "TooManyRequests": _UNAVAILABLE,
    "MethodNotAllowed": _NO_FEATURE,
    "NotImplemented": _NO_FEATURE,
}

_BY_STATUS: Mapping[int, _Meaning] = {
    401: _DENIED,
    403: _DENIED,
    404: _MISSING,
    405: _NO_FEATURE,
    408: _UNAVAILABLE,
    409: _CONFLICT,
    412: _EXISTS,
    413: _TOO_LARGE,
    416: _OUTSIDE,
    425: _UNAVAILABLE,
    429: _UNAVAILABLE,
    501: _NO_FEATURE,
    507: _FULL,
}

# Most specific first: many of these derive from one another.
_BY_CLASS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], _Meaning], ...] = (
    (
        (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, NoAuthTokenError, TokenRetrievalError),
        _Meaning(StoreAccessDenied, "This machine has no credentials for the store"),
    ),
    (IncompleteReadError, _Meaning(ObjectTruncated, "The store ended its answer early")),
    (ResponseStreamingError, _Meaning(ObjectTruncated, "The connection broke during the store's answer")),
    (aiohttp.ClientPayloadError, _Meaning(ObjectTruncated, "The store ended its answer early")),
    (ParamValidationError, _BAD_KEY),
    ((ValidationError, EndpointProviderError, aiohttp.InvalidURL), _MISCONFIGURED),
    (SSLError, _Meaning(StoreUnavailable, "No trusted connection to the store could be made")),
    (
        (BotoConnectionError, HTTPClientError, aiohttp.ClientError, TimeoutError, OSError),
        _Meaning(StoreUnavailable, "The store did not answer"),
    ),
    (ResponseParserError, _Meaning(StoreUnavailable, "The store's answer was not S3's")),
    (BotoCoreError, _MISCONFIGURED),
)


def from_code(code: str, *, status: int = 0, key: str | None = None) -> StoreError:
    """The error for what an S3 server answered: by its code, else by its status, else a failure of the store."""
    status = int(code) if code.isdecimal() and not status else status
    meaning = _BY_CODE.get(code) or _BY_STATUS.get(status) or (_MISCONFIGURED if 300 <= status < 500 else _UNAVAILABLE)
    # Not the server's own message, which may quote what was signed.
    return meaning.error(f"{meaning.text} ({code[:60] or 'no code'}, status {status})", key=key)


def from_exception(exc: Exception, *, key: str | None = None) -> StoreError:
    """The error for anything in `FOREIGN`."""
    if isinstance(exc, ClientError):
        status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return from_code(str(exc.response.get("Error", {}).get("Code", "")), status=status, key=key)
    for classes, meaning in _BY_CLASS:
        if isinstance(exc, classes):
            return meaning.error(f"{meaning.text} ({type(exc).__name__})", key=key)
    return StoreUnavailable(f"The store failed ({type(exc).__name__})", key=key)


@contextmanager
def translated(key: str | None = None) -> Iterator[None]:
    """Lets `StoreError`s pass and turns everything in `FOREIGN` into one."""
    try:
        yield
    except FOREIGN as exc:
        raise from_exception(exc, key=key) from exc
