"""What can go wrong in a store.

    StoreError                 code, store-neutral message, retryable
    ├── KeyInvalid             the key can't name an object
    ├── DigestInvalid          a text is no digest of its algorithm, or the algorithm is unknown
    ├── ObjectNotFound         there is no object at the key
    ├── ObjectExists           an object is there already, and objects are never overwritten
    ├── ObjectTooLarge         more bytes than the store can hold in one object
    ├── ObjectTruncated        the store ended a read before the bytes it had promised
    ├── RangeInvalid           the range lies outside the object
    ├── UploadNotFound         the multipart upload is gone, and no object came of it
    ├── PartsInvalid           parts are missing, too small, too many, or others than were named
    ├── FeatureMissing         the store can't do this at all; see its features
    ├── StoreMisconfigured     bucket or folder missing, or it lies outside its allowed place
    ├── StoreAccessDenied      the store refused the credentials or what they may do
    ├── StoreFull              no space or quota left
    └── StoreUnavailable       no answer, a time-out or a failure of the store itself; retryable

Foreign errors (botocore, aiohttp, OSError) are translated into these where they enter, with the cause attached.
"""

from typing import ClassVar


class StoreError(Exception):
    """Base of all errors of a store. The message never holds a secret."""

    code: ClassVar[str] = "store_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.key = key


class KeyInvalid(StoreError):
    code = "store_key_invalid"


class DigestInvalid(StoreError):
    code = "digest_invalid"


class ObjectNotFound(StoreError):
    code = "object_not_found"


class ObjectExists(StoreError):
    code = "object_exists"


class ObjectTooLarge(StoreError):
    code = "object_too_large"


class ObjectTruncated(StoreError):
    code = "object_truncated"
    retryable = True


class RangeInvalid(StoreError):
    code = "range_invalid"


class UploadNotFound(StoreError):
    code = "upload_not_found"


class PartsInvalid(StoreError):
    code = "parts_invalid"


class FeatureMissing(StoreError):
    code = "feature_missing"


class StoreMisconfigured(StoreError):
    code = "store_misconfigured"


class StoreAccessDenied(StoreError):
    code = "store_access_denied"


class StoreFull(StoreError):
    code = "store_full"
    retryable = True


class StoreUnavailable(StoreError):
    code = "store_unavailable"
    retryable = True
