"""This dialect's one table: from errors to statuses that BitStore has, each with a sentence as plain text."""

from collections.abc import Mapping
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from mediastore.catalog import errors as catalog
from mediastore.errors import MediastoreError
from mediastore.placement import errors as placement
from mediastore.problem_table import RETRY_AFTER_S, STATUSES, code_of, message_of
from stores.errors import StoreError

SAID: Mapping[int, int] = {408: 400, 412: 409, 413: 403, 415: 400, 416: 400, 422: 400, 424: 409, 429: 403, 507: 503}
"""What stands here for a status of the native API: 400 for whatever is wrong with a request, 403 for whatever is too much."""
OWN: Mapping[type[Exception], int] = {
    placement.StoreNotFound: 503,  # where files go is a setting, and none of the client's choice
    catalog.StoreUnknown: 503,
}
BROKEN = "something went wrong here that is not your fault; tell an administrator the request id"


def status_of(error: Exception) -> int:
    """The nearest class of an error's ancestry decides; 500 for what no request meets."""
    for kind in type(error).__mro__:
        if kind in OWN:
            return OWN[kind]
        if kind in STATUSES:
            return SAID.get(STATUSES[kind], STATUSES[kind])
    return 500


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    """For every error that a handler lets through."""
    scope: Any = request.scope
    request_id: str | None = scope.get("request_id")
    log = structlog.get_logger("mediastore.http")
    if isinstance(error, MediastoreError | StoreError):
        status, sentence = status_of(error), message_of(error)
        if status >= 500:
            log.warning("refused", code=code_of(error), reason=sentence, request_id=request_id, cause=repr(error.__cause__))
    elif isinstance(error, HTTPException) and error.status_code < 500:
        status, sentence = SAID.get(error.status_code, error.status_code), str(error.detail)
    elif isinstance(error, RecursionError):
        status, sentence = 400, "the JSON is nested too deeply"
    else:
        log.error("failed", exc_info=error, request_id=request_id)
        status, sentence = 500, BROKEN
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    return Response(BROKEN if status == 500 else sentence, status_code=status, media_type="text/plain", headers=headers)
