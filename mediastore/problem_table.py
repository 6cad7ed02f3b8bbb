"""The native API's one table: from errors to HTTP. docs/errors.md lists what it says; a test keeps the two together."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from mediastore import database
from mediastore.accounts import errors as accounts
from mediastore.catalog import errors as catalog
from mediastore.clock import MomentInvalid
from mediastore.errors import MediastoreError, SettingInvalid
from mediastore.http import errors as http
from mediastore.http.problems import problem
from mediastore.jobs import errors as jobs
from mediastore.placement import errors as placement
from mediastore.registering import errors as registering
from mediastore.retention import errors as retention
from mediastore.retention import upkeep_errors as upkeep
from mediastore.transfers import errors as transfers
from stores import errors as stores

RETRY_AFTER_S = 5

STATUSES: dict[type[Exception], int] = {
    http.RequestError: 422,
    http.PathInvalid: 400,
    http.HeaderInvalid: 400,
    http.QueryUnknown: 400,
    http.RangeNotSatisfiable: 416,
    http.PreconditionFailed: 412,
    http.BodyStalled: 408,
    http.BodyCut: 400,
    http.CrossSite: 403,
    database.DatabaseError: 503,
    database.DatabaseUnavailable: 503,
    database.SchemaOutdated: 503,
    database.QueryTooSlow: 503,
    database.ValueRefused: 422,
    database.ConstraintViolated: 409,
    SettingInvalid: 503,
    MomentInvalid: 422,
    accounts.CredentialsWrong: 401,
    accounts.LoginRequired: 401,
    accounts.LoginSlowedDown: 429,
    accounts.NotAllowed: 403,
    accounts.AccountNotFound: 404,
    accounts.AccountExists: 409,
    accounts.LastAdministrator: 409,
    accounts.KeyInvalid: 422,
    accounts.KeyNotFound: 404,
    accounts.CredentialTooLong: 422,
    accounts.IssuerUnavailable: 503,
    jobs.JobNotFound: 404,
    jobs.JobRunning: 409,
    jobs.JobDuplicate: 409,
    placement.StoreNotFound: 404,
    placement.StoreExists: 409,
    placement.StoreInvalid: 422,
    placement.StoreOverlaps: 409,
    placement.StoreInUse: 409,
    placement.StoreDisabled: 409,
    placement.QuotaExceeded: 413,
    placement.AllowanceExceeded: 413,
    placement.S3ConfigNotFound: 404,
    placement.S3ConfigExists: 409,
    placement.S3ConfigInUse: 409,
    placement.EndpointRefused: 422,
    catalog.RecordNotFound: 404,
    catalog.RecordGone: 410,
    catalog.RecordHeld: 409,
    catalog.RecordInvalid: 422,
    catalog.PidTaken: 409,
    catalog.IdentifierTaken: 409,
    catalog.RevisionMismatch: 412,
    catalog.RevisionNotFound: 404,
    catalog.BatchUndone: 424,
    catalog.AnswerTooLarge: 413,
    catalog.ImportStopped: 422,
    catalog.IdentifierTypeNotFound: 404,
    catalog.IdentifierTypeExists: 409,
    catalog.IdentifierTypeInvalid: 422,
    catalog.IdentifierTypeInUse: 409,
    catalog.SearchInvalid: 422,
    catalog.SearchTooSlow: 422,
    catalog.SearchBusy: 503,
    catalog.MetadataFieldNotFound: 404,
    catalog.MetadataFieldExists: 409,
    catalog.MetadataFieldInvalid: 422,
    transfers.DigestMismatch: 422,
    transfers.DigestInvalid: 422,
    transfers.SizeMismatch: 422,
    transfers.UploadTooLarge: 413,
    transfers.UploadStalled: 408,
    transfers.UploadCut: 400,
    transfers.UploadInterrupted: 409,
    transfers.UploadUnknown: 404,
    transfers.UploadEnded: 409,
    transfers.UploadFailed: 409,
    transfers.UploadExpired: 410,
    transfers.UploadIncomplete: 409,
    transfers.PartBusy: 409,
    transfers.TicketWrong: 403,
    transfers.UploadUnverified: 503,
    transfers.FormInvalid: 422,
    transfers.EncodingRefused: 415,
    transfers.ContentMissing: 404,
    transfers.ContentLost: 410,
    transfers.ContentUnavailable: 503,
    transfers.VersionNotFound: 404,
    transfers.BytesChanged: 409,
    transfers.PreviewFailed: 422,
    transfers.PreviewBusy: 503,
    transfers.DirectUnavailable: 409,
    registering.NothingThere: 404,
    registering.ObjectUnreadable: 409,
    registering.KeyNamed: 409,
    registering.PatternInvalid: 422,
    registering.RegistrationNotFound: 404,
    registering.RegistrationEnded: 409,
    registering.ScanNotFound: 404,
    registering.ScanEnded: 409,
    retention.HoldInvalid: 422,
    retention.HoldNotFound: 404,
    retention.SweepNotFound: 404,
    retention.SweepRunning: 409,
    retention.SweepBraked: 409,
    retention.RehearsalInvalid: 422,
    upkeep.UpkeepBusy: 409,
    upkeep.LeaseLost: 409,
    upkeep.StoreDoubtful: 409,
    upkeep.FindingNotFound: 404,
    upkeep.FindingDecided: 409,
    upkeep.AdoptionFailed: 409,
    stores.StoreError: 503,
    stores.KeyInvalid: 422,
    stores.DigestInvalid: 422,
    stores.ObjectTooLarge: 413,
    stores.StoreFull: 507,
    stores.FeatureMissing: 409,
    stores.UploadNotFound: 409,
    stores.PartsInvalid: 422,
}
"""The nearest class of an error's ancestry decides."""

OTHERS: dict[int, tuple[str, str]] = {
    400: ("request_invalid", "the request can't be read"),
    404: ("path_unknown", "there is nothing at this path; /docs lists what there is"),
    405: ("method_not_allowed", "this path does not know this method; /docs lists what there is"),
    413: ("body_too_large", "the body is longer than this call allows; MEDIASTORE_MAX_JSON_BYTES is the limit"),
    415: ("media_type_unsupported", "send JSON, with Content-Type: application/json"),
}
"""Errors of the framework, by status: their code and a sentence."""


def describe(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status of an error of ours and the problem that tells of it."""
    status = status_of(error)
    response = problem(status, code_of(error), message_of(error), fields=getattr(error, "fields", None))
    return status, response.content


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """For every error that a handler lets through."""
    scope: Any = request.scope
    request_id: str | None = scope.get("request_id")
    if isinstance(error, MediastoreError | stores.StoreError):
        status = status_of(error)
        if status >= 500:
            structlog.get_logger("mediastore.http").warning(
                "refused", code=code_of(error), reason=message_of(error), request_id=request_id, cause=repr(error.__cause__)
            )
        return problem(
            status,
            code_of(error),
            message_of(error),
            fields=getattr(error, "fields", None),
            headers=_headers(error, status),
            request_id=request_id,
        )
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _foreign(error, request_id)
    if isinstance(error, RecursionError):
        return problem(422, "request_invalid", "the JSON is nested too deeply", request_id=request_id)
    structlog.get_logger("mediastore.http").error("failed", exc_info=error, request_id=request_id)
    detail = "something went wrong here that is not your fault; tell an administrator the request id"
    return problem(500, "internal_error", detail, request_id=request_id)


def status_of(error: Exception) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def code_of(error: Any) -> str:
    code: str = error.code
    return code


def message_of(error: Any) -> str:
    message: str = error.message
    return message


def _headers(error: Any, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if status in {429, 503}:
        headers["Retry-After"] = str(getattr(error, "fields", {}).get("retry_after_s", RETRY_AFTER_S))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mediastore"'
    if isinstance(error, http.RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.fields['size']}"
    return headers


def _foreign(error: HTTPException, request_id: str | None) -> Response[Any]:
    status = error.status_code
    code, detail = OTHERS.get(status, ("request_invalid", str(error.detail)))
    fields: dict[str, Any] = {}
    if isinstance(error, ValidationException):
        status = 422
        found = error.extra if isinstance(error.extra, list) else []
        errors = [{"field": item.get("key", ""), "message": item.get("message", "")} for item in found if isinstance(item, dict)]
        code, detail = "request_invalid", _sentence(error, errors)
        fields = {"errors": errors} if errors else {}
    elif status == 400:
        detail = str(error.detail) or detail
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return problem(status, code, detail, fields=fields, headers=headers, request_id=request_id)


def _sentence(error: ValidationException, errors: list[dict[str, str]]) -> str:
    told = "; ".join(f"{item['field']}: {item['message']}" if item["field"] else item["message"] for item in errors)
    return told or str(error.detail)
