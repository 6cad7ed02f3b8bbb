"""The query parameters that a call has, and no others."""

from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter
from litestar.typing import FieldDefinition

from mediastore.http.errors import QueryUnknown, RequestError


async def refuse_unknown_query(request: Request[Any, Any, Any]) -> None:
    """A parameter that is ignored would make the caller believe that it was heeded."""
    if not request.scope["query_string"]:
        return
    known = query_parameters(request.route_handler)
    for name in request.query_params:
        if name not in known:
            there = f"; it has {', '.join(known)}" if known else ""
            raise QueryUnknown(f"this call has no query parameter {name!r}{there}", parameter=name)
        kind = known[name]
        if "null" in request.query_params.getall(name) and not any(each.annotation is str for each in (kind, *kind.inner_types)):
            # Litestar would take the word for no value at all.
            raise RequestError(f"{name}=null is no value; leave {name} out", parameter=name)


@lru_cache(maxsize=1_000)
def query_parameters(handler: BaseRouteHandler) -> dict[str, FieldDefinition]:
    """Those of the handler itself, and of what is made of the query for it."""
    asked = handler.parsed_fn_signature.parameters
    known = dict(asked)
    for name, provide in handler.resolve_dependencies().items():
        if name in asked:
            known |= provide.parsed_fn_signature.parameters
    return {name: kind for name, kind in known.items() if isinstance(kind.kwarg_definition, QueryParameter)}
