"""The query parameters that a call has, and no others."""

from typing import Any

from litestar import Request
from litestar.params import QueryParameter

from mediastore.http.errors import QueryUnknown, RequestError


async def refuse_unknown_query(request: Request[Any, Any, Any]) -> None:
    """A parameter that is ignored would make the caller believe that it was heeded."""
    if not request.scope["query_string"]:
        return
    parameters = request.route_handler.parsed_fn_signature.parameters
    known = [name for name, parameter in parameters.items() if isinstance(parameter.kwarg_definition, QueryParameter)]
    for name in request.query_params:
        if name not in known:
            there = f"; it has {', '.join(known)}" if known else ""
            raise QueryUnknown(f"this call has no query parameter {name!r}{there}", parameter=name)
        kind = parameters[name]
        if "null" in request.query_params.getall(name) and not any(each.annotation is str for each in (kind, *kind.inner_types)):
            # Litestar would take the word for no value at all.
            raise RequestError(f"{name}=null is no value; leave {name} out", parameter=name)
