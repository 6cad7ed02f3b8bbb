import inspect
from collections.abc import Iterator

import aiohttp
import botocore.exceptions
import botocore.session
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from stores.errors import (
    FeatureMissing,
    KeyInvalid,
    ObjectExists,
    ObjectNotFound,
    PartsInvalid,
    RangeInvalid,
    StoreAccessDenied,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreUnavailable,
    UploadNotFound,
)
from stores.s3_errors import FOREIGN, from_code, from_exception, translated

KINDS = set(StoreError.__subclasses__())


def subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for derived in kind.__subclasses__():
        yield from subclasses(derived)


def client_error(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "SECRET"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutObject")  # type: ignore[arg-type]  # as it comes over the wire


@pytest.mark.parametrize("root", FOREIGN)
def test_every_error_of_the_libraries_has_a_meaning(root: type[Exception]) -> None:
    if root is ClientError:
        return
    for kind in subclasses(root):
        exc = kind.__new__(kind)
        exc.args = ("SECRET",)
        error = from_exception(exc)
        assert type(error) in KINDS, kind
        assert "SECRET" not in error.message


def test_every_error_class_of_botocore_is_caught() -> None:
    # Warnings aside, and what speaks of the library's own definition of services.
    aside = (Warning, botocore.exceptions.UndefinedModelAttributeError)
    for _, kind in inspect.getmembers(botocore.exceptions, inspect.isclass):
        if kind.__module__ == "botocore.exceptions" and issubclass(kind, Exception) and not issubclass(kind, aside):
            assert issubclass(kind, FOREIGN), kind


def test_every_code_that_the_s3_model_knows_and_every_status_has_a_meaning() -> None:
    model = botocore.session.get_session().get_service_model("s3")
    codes = [shape.name for shape in model.error_shapes]
    assert "NoSuchKey" in codes
    for code in [*codes, "SomethingNew", ""]:
        for status in range(300, 600):
            error = from_exception(client_error(code, status), key="k")
            assert type(error) in KINDS
            assert error.key == "k"
            assert "SECRET" not in error.message


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchKey", 404, ObjectNotFound),
        ("404", 404, ObjectNotFound),
        ("NoSuchBucket", 404, StoreMisconfigured),
        ("NoSuchUpload", 404, UploadNotFound),
        ("InvalidPart", 400, PartsInvalid),
        ("EntityTooSmall", 400, PartsInvalid),
        ("AccessDenied", 403, StoreAccessDenied),
        ("403", 403, StoreAccessDenied),
        ("InvalidAccessKeyId", 403, StoreAccessDenied),
        ("SignatureDoesNotMatch", 403, StoreAccessDenied),
        ("PreconditionFailed", 412, ObjectExists),
        ("ConditionalRequestConflict", 409, StoreUnavailable),
        ("InvalidRange", 416, RangeInvalid),
        ("SlowDown", 503, StoreUnavailable),
        ("SomethingNew", 503, StoreUnavailable),
        ("InternalError", 500, StoreUnavailable),
        ("InternalError", 200, StoreUnavailable),
        ("BadDigest", 400, StoreUnavailable),
        ("RequestTimeout", 400, StoreUnavailable),
        ("QuotaExceeded", 403, StoreFull),
        ("KeyTooLongError", 400, KeyInvalid),
        ("NotImplemented", 501, FeatureMissing),
        ("PermanentRedirect", 301, StoreMisconfigured),
        ("AuthorizationHeaderMalformed", 400, StoreMisconfigured),
    ],
)
def test_answers_mean_what_they_say(code: str, status: int, kind: type[StoreError]) -> None:
    assert type(from_exception(client_error(code, status))) is kind
    assert from_exception(client_error(code, status)).retryable is kind.retryable


@pytest.mark.parametrize("code", ["SlowDown", "InternalError", "ServiceUnavailable"])
def test_a_code_alone_as_in_a_bulk_deletion_is_enough(code: str) -> None:
    assert from_code(code).retryable


@pytest.mark.parametrize(
    "exc",
    [
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"),
        botocore.exceptions.ConnectTimeoutError(endpoint_url="http://x"),
        botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"),
        botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"),
        botocore.exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        botocore.exceptions.ResponseStreamingError(error="x"),
        aiohttp.ClientPayloadError(),
        aiohttp.ServerDisconnectedError(),
        TimeoutError(),
        ConnectionResetError(),
    ],
)
def test_what_networks_do_is_worth_another_try(exc: Exception) -> None:
    with pytest.raises(StoreError) as raised, translated("k"):
        raise exc
    assert raised.value.retryable
    assert raised.value.__cause__ is exc


def test_errors_of_stores_pass_the_translation_unchanged() -> None:
    error = ObjectNotFound("k")
    with pytest.raises(ObjectNotFound) as raised, translated():
        raise error
    assert raised.value is error
    assert BotoCoreError in FOREIGN
