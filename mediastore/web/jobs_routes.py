"""The page of jobs that are not done."""

from litestar import get
from litestar.response import Response

from mediastore.clock import utc_now
from mediastore.http.cursors import Cursor, opaque, position
from mediastore.http.provided import Provided
from mediastore.jobs.routes import Kind, Status
from mediastore.jobs.service import Backlog
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor

SHOWN = 50


@get("/jobs", include_in_schema=False)
async def jobs(
    request: AnyRequest,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    backlog: Provided[Backlog],
    status: Status = None,
    job: Kind = None,
    cursor: Cursor = None,
) -> Response[str]:
    found, more, counts = await backlog.page(
        status=status, job=job or None, cursor=position(cursor), limit=SHOWN, caller=visitor.caller
    )
    return pages.draw(
        "jobs.html",
        request=request,
        visitor=visitor,
        jobs=found,
        next=opaque(more),
        counts=counts,
        chosen=status or "",
        kind=job or "",
        paged=cursor is not None,
        now=utc_now(),
    )
