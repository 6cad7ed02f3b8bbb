"""Errors as people and programs get them: RFC 9457 `application/problem+json` with a stable `code`."""

from collections.abc import Mapping
from http import HTTPStatus

from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Response
from msgspec import Struct, to_builtins

PROBLEM_TYPE = "application/problem+json"


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong. More members, named in docs/errors.md, may stand beside these."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None = None


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    fields: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> Response[dict[str, object]]:
    """The answer that tells of one error."""
    body = {
        **(fields or {}),
        **to_builtins(
            Problem(
                type=f"urn:mediastore:problem:{code}",
                title=HTTPStatus(status).phrase,
                status=status,
                detail=detail,
                code=code,
                request_id=request_id,
            )
        ),
    }
    return Response(body, status_code=status, media_type=PROBLEM_TYPE, headers=dict(headers or {}))


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """For a handler's OpenAPI entry: the statuses with which it refuses."""
    return {
        status: ResponseSpec(Problem, description=HTTPStatus(status).phrase, media_type=PROBLEM_TYPE, generate_examples=False)
        for status in statuses
    }
