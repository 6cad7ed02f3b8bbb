"""This dialect's one table: from errors to its statuses and its body, `{"error": sentence, "code": word}`."""

from collections.abc import Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import ValidationException

from mediastore import problem_table
from mediastore.catalog import errors as catalog
from mediastore.dialects.staging.schemas import Refused
from mediastore.errors import MediastoreError
from mediastore.http.errors import QueryUnknown
from mediastore.placement import errors as placement
from stores.errors import StoreError

STATUSES: Mapping[type[Exception], int] = {
    **problem_table.STATUSES,
    QueryUnknown: 400,
    # What has gone is as little there as what never was.
    catalog.RecordGone: 404,
    # No request can put this right.
    catalog.StoreUnknown: 503,
    placement.StoreDisabled: 503,
}
"""The nearest class of an error's ancestry decides."""

SENTENCES: Mapping[type[Exception], str] = {
    catalog.StoreUnknown: "this server has no place for uploads yet: an administrator has to create the store that "
    "MEDIASTORE_STAGING_STORE names",
    placement.StoreDisabled: "uploads are switched off for now: an administrator has disabled their store",
}
"""Where the error's own sentence is about something that users of this dialect don't know."""


def answer_refusal(request: Request[Any, Any, Any], error: Exception) -> Response[Refused]:
    """For every error that a handler of this dialect lets through."""
    if isinstance(error, MediastoreError | StoreError):
        return _of_ours(request, error)
    native = problem_table.answer_error(request, error)
    status, sentence, code = native.status_code or 500, native.content["detail"], native.content["code"]
    if isinstance(error, ValidationException):
        # The framework's own sentence repeats the URL, in which a token may stand.
        told = [f"{item['field']}: {item['message']}" for item in native.content.get("errors", [])]
        status, sentence = 400, "; ".join(told) or "a parameter of this call has a value that can't be"
    return refused(status, code, sentence)


def _of_ours(request: Request[Any, Any, Any], error: MediastoreError | StoreError) -> Response[Refused]:
    ancestry = type(error).__mro__
    status = next(STATUSES[kind] for kind in ancestry if kind in STATUSES)
    sentence = next((SENTENCES[kind] for kind in ancestry if kind in SENTENCES), error.message)
    headers = {}
    if status >= 500:
        scope: Any = request.scope
        structlog.get_logger("mediastore.http").warning(
            "refused", code=error.code, reason=error.message, request_id=scope.get("request_id"), cause=repr(error.__cause__)
        )
    if status in {429, 503}:
        fields: Mapping[str, object] = getattr(error, "fields", {})
        headers["Retry-After"] = str(fields.get("retry_after_s", problem_table.RETRY_AFTER_S))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="mediastore"'
    return refused(status, error.code, sentence, headers=headers)


def refused(status: int, code: str, sentence: str, *, headers: Mapping[str, str] | None = None) -> Response[Refused]:
    return Response(Refused(error=sentence, code=code), status_code=status, headers=dict(headers or {}))
