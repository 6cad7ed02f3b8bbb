"""JSON bodies, decoded straight into their structs: exact numbers, one pass, errors that name the place."""

from collections.abc import Awaitable, Callable
from typing import Any, TypedDict, TypeVar

import msgspec
from litestar import Request
from litestar.di import Provide

from mediastore.http.errors import BodyInvalid

Body = TypeVar("Body")
BODY = "body"
"""Key of a handler's `opt` under which the OpenAPI document finds the type of its body."""

OPTIONAL = "body_optional"
"""Key under which it finds whether there has to be one."""

DIALECT = "dialect"
"""Key under which it finds whose API this is a route of, when it is not ours."""

REFUSALS = "refusals"
"""Key under which it finds the types of that route's refusals, by status."""

DETAIL = "detail"
"""Key under which it finds what else there is to say of that route."""


class Accepts(TypedDict):
    dependencies: dict[str, Provide]
    opt: dict[str, Any]


def accepts(kind: type[Any], *, optional: bool = False) -> Accepts:
    """Keyword arguments of a route decorator: its handler gets the request's JSON as `asked`, an instance of `kind`.

    `optional`: no body at all is an empty object.
    """
    opt = {BODY: kind, OPTIONAL: True} if optional else {BODY: kind}
    return {"dependencies": {"asked": Provide(_reader(kind, optional=optional))}, "opt": opt}


def _reader(kind: type[Body], *, optional: bool) -> Callable[[Request[Any, Any, Any]], Awaitable[Body]]:
    decoder = msgspec.json.Decoder(kind)

    async def read_body(request: Request[Any, Any, Any]) -> Body:
        return decoded(await request.body() or (b"{}" if optional else b""), decoder)

    return read_body


def decoded(body: bytes, decoder: "msgspec.json.Decoder[Body]") -> Body:
    """What the body says. Raises `BodyInvalid`, naming the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$").removeprefix(".")
        raise BodyInvalid(f"{field}: {what}" if field else what, field=field) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyInvalid(f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise BodyInvalid("the JSON is nested too deeply") from error
