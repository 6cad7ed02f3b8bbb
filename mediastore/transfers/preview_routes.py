"""A look at content over HTTP."""

from typing import Annotated, Any

from litestar import Request, get
from litestar.params import QueryParameter

from mediastore.accounts.schemas import Caller
from mediastore.http.paths import tail
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.transfers.previews import Previews
from mediastore.transfers.routes import Version
from mediastore.transfers.schemas import TablePreview

Rows = Annotated[int, QueryParameter(ge=1, le=100, description="How many rows at most")]


@get(
    "/preview/{pid:path}",
    tags=["Content"],
    responses=problems(401, 404, 410, 422, 503),
    summary="The first rows of a Parquet file",
    description="Read under bounds of memory and time, so not of every file: then 422.",
)
async def preview(
    request: Request[Any, Any, Any],
    caller: Provided[Caller],
    previews: Provided[Previews],
    version: Version = None,
    rows: Rows = 50,
) -> TablePreview:
    return await previews.table(tail(request), version=version, rows=rows, caller=caller)
