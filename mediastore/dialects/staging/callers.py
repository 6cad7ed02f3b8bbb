"""Who sends a request: `?token=`, `?key=`, or our own `Authorization: Bearer` with either."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

from litestar import Request
from litestar.params import QueryParameter

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.routes import caller_of
from mediastore.accounts.schemas import Caller
from mediastore.http.errors import HeaderInvalid, QueryUnknown

AnyRequest: TypeAlias = Request[Any, Any, Any]
Token = Annotated[str | None, QueryParameter(description="An access token", max_length=16_000)]
Key = Annotated[str | None, QueryParameter(description="An API key", max_length=1000)]
PARAMETERS = frozenset({"token", "key"})
"""Of every call, beside its own."""


def provide_caller(credentials: Credentials) -> Callable[..., Awaitable[Caller]]:
    """The dependency `caller` of this dialect."""
    by_header = caller_of(credentials, foreign_keys=True)

    async def caller(request: AnyRequest, token: Token = None, key: Key = None) -> Caller:
        if token is None and key is None:
            return await by_header(request)
        if None not in (token, key) or "authorization" in request.headers:
            raise HeaderInvalid("say once who you are: by token, by key, or by the header Authorization")
        # What is called a token is never sent elsewhere, as if it were a key.
        identity = await (credentials.identify(token) if token is not None else credentials.identify_key(key or ""))
        scope: Any = request.scope
        return Caller(identity=identity, request_id=scope.get("request_id"), address=scope.get("client_address", ""))

    return caller


async def refuse_unknown_query(request: AnyRequest) -> None:
    """As for the native API, but `token` and `key` belong to every call."""
    parameters = request.route_handler.parsed_fn_signature.parameters
    own = {name for name, parameter in parameters.items() if isinstance(parameter.kwarg_definition, QueryParameter)}
    for name in request.query_params:
        if name not in own | PARAMETERS:
            raise QueryUnknown(f"this call has no query parameter {name[:100]!r}; it has {', '.join(sorted(own | PARAMETERS))}")
