"""What a route of another system's API says of itself, for its body and for the OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from mediastore.http.bodies import DETAIL, DIALECT, REFUSALS, Accepts, accepts
from mediastore.openapi_details import Detail
from mediastore.settings import Dialect


def speaks(
    dialect: Dialect,
    *,
    body: type[Any] | None = None,
    refusals: Mapping[int, type[Any] | None] | None = None,
    detail: Detail | None = None,
) -> Accepts:
    """Keyword arguments of a route decorator. With a `body` its handler gets the request's JSON as `asked`.

    `refusals`: the statuses that it refuses with, and the type of their JSON; None for one without a body. `detail`: what
    else the document says of it.
    """
    taken = accepts(body) if body is not None else Accepts(dependencies={}, opt={})
    return Accepts(
        dependencies=taken["dependencies"], opt={**taken["opt"], DIALECT: dialect, REFUSALS: dict(refusals or {}), DETAIL: detail}
    )
