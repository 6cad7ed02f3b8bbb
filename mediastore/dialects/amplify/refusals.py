"""From errors to AMPLIfy's statuses and bodies: the one table of this dialect.

Its clients take 200 and 204 for success and nothing else. A refusal is 422 with sentences or fields, a failed transfer 401.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from mediastore import database
from mediastore.accounts import errors as accounts
from mediastore.catalog import errors as catalog
from mediastore.clock import MomentInvalid
from mediastore.dialects.amplify.schemas import AmplifyFailed, AmplifyFailure, AmplifyFault, AmplifyRefusal
from mediastore.errors import MediastoreError, SettingInvalid
from mediastore.http import errors as http
from mediastore.http.paths import tail
from mediastore.jobs import errors as jobs
from mediastore.placement import errors as placement
from mediastore.registering import errors as registering
from mediastore.retention import errors as retention
from mediastore.retention import upkeep_errors as upkeep
from mediastore.transfers import errors as transfers
from mediastore.transfers.ledger import told
from stores import errors as stores

RETRY_AFTER_S = 5

STATUSES: Mapping[type[Exception], int] = MappingProxyType(
    {
        http.RequestError: 422,
        database.DatabaseError: 503,
        database.ValueRefused: 422,
        database.ConstraintViolated: 422,
        SettingInvalid: 503,
        MomentInvalid: 422,
        accounts.AccountError: 422,
        accounts.CredentialsWrong: 401,
        accounts.LoginRequired: 401,
        accounts.LoginSlowedDown: 429,
        accounts.NotAllowed: 403,
        accounts.AccountNotFound: 404,
        accounts.KeyNotFound: 404,
        accounts.IssuerUnavailable: 503,
        jobs.JobError: 422,
        placement.PlacementError: 422,
        placement.StoreNotFound: 404,
        placement.S3ConfigNotFound: 404,
        catalog.CatalogError: 422,
        catalog.RecordNotFound: 404,
        catalog.RecordGone: 404,
        catalog.IdentifierTypeNotFound: 404,
        catalog.SearchBusy: 503,
        transfers.TransferError: 401,
        registering.RegisteringError: 422,
        retention.RetentionError: 422,
        upkeep.UpkeepError: 422,
        stores.StoreError: 422,
    }
)
"""The nearest class of an error's ancestry decides."""

FAILED_TRANSFER = (
    accounts.CredentialsWrong,
    accounts.LoginRequired,
    placement.QuotaExceeded,
    placement.StoreDisabled,
    stores.StoreError,
    transfers.TransferError,
)
"""What is a failed transfer where bytes are sent or asked for, and so the 401 of those calls."""
EXPECTED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "str": ("string_type", "Input should be a valid string"),
        "int": ("int_type", "Input should be a valid integer"),
        "array": ("list_type", "Input should be a valid list"),
        "object": ("dict_type", "Input should be a valid dictionary"),
    }
)
_WRONG_TYPE = re.compile(r"Expected `(\w+)(?: \| null)?`, got ")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_STEPS = re.compile(r"\[(\d+)\]|([^.\[\]]+)|\[\.\.\.\]")


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """For every error that a handler of this dialect lets through."""
    if isinstance(error, http.BodyInvalid):
        return Response(AmplifyRefusal(detail=[field_fault(error)]), status_code=422)
    if isinstance(error, MediastoreError | stores.StoreError):
        return Response(refusal(error), status_code=status_of(request, error), headers=_headers(error))
    if isinstance(error, ValidationException):
        found = [item for item in error.extra or () if isinstance(item, dict)]
        faults = [AmplifyFault(msg=item["message"], loc=["path", item["key"]], type="value_error") for item in found]
        return Response(AmplifyRefusal(detail=faults), status_code=422)
    if isinstance(error, HTTPException) and error.status_code < 500:
        headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
        return Response(_said(str(error.detail)), status_code=error.status_code, headers=headers)
    if isinstance(error, RecursionError):
        return Response(_said("the JSON is nested too deeply"), status_code=422)
    request_id = request.scope.get("request_id")
    structlog.get_logger("mediastore.amplify").error("failed", exc_info=error, request_id=request_id)
    return Response(_said(f"something went wrong here; tell an administrator the request id {request_id}"), status_code=500)


def answer_log_in(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    if isinstance(error, accounts.CredentialsWrong | accounts.LoginSlowedDown):
        return Response(AmplifyFailed(error=words(error)), status_code=status_of(request, error), headers=_headers(error))
    return answer_error(request, error)


def answer_upload(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A transfer that failed is told in its own way; what is wrong with the record is refused like anywhere."""
    broken = isinstance(error, http.BodyInvalid) and error.fields.get("field") == "base64"
    if isinstance(error, MediastoreError | stores.StoreError) and (broken or isinstance(error, FAILED_TRANSFER)):
        return Response(AmplifyFailed(error=words(error)), status_code=401, headers=_headers(error))
    return answer_error(request, error)


def answer_download(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    if isinstance(error, FAILED_TRANSFER):
        return Response(failure(tail(request), error), status_code=401, headers=_headers(error))
    return answer_error(request, error)


def status_of(request: Request[Any, Any, Any], error: Exception) -> int:
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if status >= 500:
        structlog.get_logger("mediastore.amplify").warning(
            "refused", reason=str(error), request_id=request.scope.get("request_id"), cause=repr(error.__cause__)
        )
    return status


def refusal(*errors: MediastoreError | stores.StoreError) -> AmplifyRefusal:
    return AmplifyRefusal(detail=[AmplifyFault(error=words(error)) for error in errors])


def failure(pid: str | None, error: MediastoreError | stores.StoreError) -> AmplifyFailure:
    """One item of many that failed."""
    return AmplifyFailure(pid=pid or "", error=error.code, msg=words(error))


def words(error: MediastoreError | stores.StoreError) -> str:
    """The sentence, in that system's own words where its clients may look for them."""
    fields: Mapping[str, Any] = getattr(error, "fields", {})
    match error, fields:
        case catalog.RecordInvalid(), {"identifier_type": name, "field": field}:
            return f"bad {'pid_type' if field == 'pid_type' else 'identifier_type'}: {name}"
        case catalog.RecordInvalid(), {"identifier": _, "value": _} if "contradicts" in error.message:
            return f"duplicate pid_type in identifiers DO NOT MATCH: {error.message}"
    return str(told(error)["detail"])


def field_fault(error: http.BodyInvalid) -> AmplifyFault:
    """What is wrong with a field, as that system's framework says it."""
    field = str(error.fields.get("field") or "")
    what = error.message.removeprefix(f"{field}: ")
    loc: list[str | int] = ["body"]
    loc += [int(number) if number else name for number, name in _STEPS.findall(field) if number or name]
    if missing := _MISSING.match(what):
        return AmplifyFault(msg="Field required", loc=[*loc, missing[1]], type="missing")
    if (wrong := _WRONG_TYPE.match(what)) and wrong[1] in EXPECTED:
        kind, sentence = EXPECTED[wrong[1]]
        return AmplifyFault(msg=sentence, loc=loc, type=kind)
    return AmplifyFault(msg=what, loc=loc, type="value_error" if field else "json_invalid")


def _said(sentence: str) -> AmplifyRefusal:
    return AmplifyRefusal(detail=[AmplifyFault(error=sentence)])


def _headers(error: MediastoreError | stores.StoreError) -> dict[str, str]:
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    if status in {429, 503}:
        return {"Retry-After": str(getattr(error, "fields", {}).get("retry_after_s", RETRY_AFTER_S))}
    if isinstance(error, accounts.CredentialsWrong | accounts.LoginRequired):
        return {"WWW-Authenticate": 'Bearer realm="mediastore"'}
    return {}
