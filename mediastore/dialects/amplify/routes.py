"""AMPLIfy Mediastore's API over HTTP."""

from litestar import Router, get

from mediastore.dialects.amplify.schemas import Hello
from mediastore.dialects.faces import speaks


@get("/hello", **speaks("amplify"), summary="Say hello")
async def hello() -> Hello:
    return Hello(msg="Hello, world!")


def router(prefix: str) -> Router:
    """This dialect below `prefix`."""
    return Router(f"{prefix}/api", route_handlers=[hello], tags=["AMPLIfy"])
