"""EDI staging's API over HTTP."""

from typing import Annotated
from urllib.parse import quote

from litestar import Router, delete, get, post
from litestar.di import Provide
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT, HTTP_302_FOUND

from mediastore.accounts.access import require
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import Caller
from mediastore.dialects.faces import speaks
from mediastore.dialects.staging import described
from mediastore.dialects.staging.callers import AnyRequest, provide_caller, refuse_unknown_query
from mediastore.dialects.staging.page import page_routes
from mediastore.dialects.staging.refusals import answer_refusal
from mediastore.dialects.staging.schemas import Link, Refused, Report
from mediastore.dialects.staging.uploads import LATE, StagedUploads
from mediastore.http.cursors import Limit
from mediastore.http.provided import Provided
from mediastore.transfers.answers import Bytes, Sent, lines
from mediastore.transfers.form import Form
from mediastore.transfers.routes import BodyLimits, body_of
from mediastore.transfers.sites import Sites

Id = Annotated[str, PathParameter(description="The id of the upload", max_length=100)]
Cursor = Annotated[str | None, QueryParameter(max_length=6000, description="From the Link header of the page before")]
PRIVATE = {"Cache-Control": "private, no-store"}
CREDENTIALS = dict.fromkeys((400, 401, 403, 503), Refused)
"""How every call can refuse."""


@post(
    "/upload",
    status_code=HTTP_202_ACCEPTED,
    request_max_body_size=None,
    **speaks("staging", refusals={**CREDENTIALS, **dict.fromkeys((408, 409, 413, 422, 507), Refused)}, detail=described.SEND),
    summary="Upload a file by form",
)
async def send(
    request: AnyRequest,
    caller: Provided[Caller],
    staged: Provided[StagedUploads],
    limits: Provided[BodyLimits],
    sites: Provided[Sites],
) -> Response[Report]:
    require(caller.identity, "write", to="upload")
    form = Form(body_of(request, limits), content_type=request.headers.get("content-type", ""), late=LATE)
    report = await staged.receive(form, caller=caller, site=sites.of(request))
    return Response(report, headers={"Location": report.data_url.removesuffix("/data"), **PRIVATE})


@get(
    "/upload",
    **speaks("staging", refusals={**CREDENTIALS, 422: Refused}, detail=described.LIST),
    summary="List your uploads, newest first",
)
async def list_uploads(
    request: AnyRequest,
    caller: Provided[Caller],
    staged: Provided[StagedUploads],
    sites: Provided[Sites],
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response[list[Report]]:
    page = await staged.page(cursor=cursor, limit=limit, caller=caller, site=sites.of(request))
    following = {"Link": f'<?limit={limit}&cursor={quote(page.next)}>; rel="next"'} if page.next else {}
    return Response(page.reports, headers={**PRIVATE, **following})


@get(
    "/upload/{id:str}",
    **speaks("staging", refusals={**CREDENTIALS, 404: Refused}, detail=described.SHOW),
    summary="How an upload is",
)
async def show(
    request: AnyRequest, id: Id, caller: Provided[Caller], staged: Provided[StagedUploads], sites: Provided[Sites]
) -> Response[Report]:
    return Response(await staged.report(id, caller=caller, site=sites.of(request)), headers=PRIVATE)


@get(
    "/upload/{id:str}/data",
    status_code=HTTP_302_FOUND,
    **speaks("staging", refusals={**CREDENTIALS, 404: Refused}, detail=described.DATA),
    summary="Be redirected to the bytes of an upload",
)
async def data(
    request: AnyRequest, id: Id, caller: Provided[Caller], staged: Provided[StagedUploads], sites: Provided[Sites]
) -> Response[None]:
    link = await staged.link(id, caller=caller, site=sites.of(request))
    # The URL that leads here may hold a token, which is not for the one that it leads to.
    headers = {"Location": link.url, "Referrer-Policy": "no-referrer", **PRIVATE}
    return Sent(Bytes(HTTP_302_FOUND, lines(headers), length=0))


@get(
    "/upload/{id:str}/link",
    **speaks("staging", refusals={**CREDENTIALS, 404: Refused}, detail=described.SHOW),
    summary="A URL that gives the bytes of an upload without a log-in, for a while",
)
async def link(
    request: AnyRequest, id: Id, caller: Provided[Caller], staged: Provided[StagedUploads], sites: Provided[Sites]
) -> Response[Link]:
    found = await staged.link(id, caller=caller, site=sites.of(request))
    return Response(Link(url=found.url, expires_at=found.expires_at), headers=PRIVATE)


@delete(
    "/upload/{id:str}",
    status_code=HTTP_204_NO_CONTENT,
    **speaks("staging", refusals={**CREDENTIALS, 404: Refused, 409: Refused}),
    summary="Delete an upload and its bytes",
)
async def remove(id: Id, caller: Provided[Caller], staged: Provided[StagedUploads]) -> None:
    await staged.delete(id, caller=caller)


def router(prefix: str, *, credentials: Credentials, most_bytes: int, ttl_s: int) -> Router:
    """This dialect below `prefix`, with its page."""
    return Router(
        prefix,
        route_handlers=[
            send,
            list_uploads,
            show,
            data,
            link,
            remove,
            *page_routes(prefix, most_bytes=most_bytes, ttl_s=ttl_s),
        ],
        dependencies={"caller": Provide(provide_caller(credentials))},
        exception_handlers={Exception: answer_refusal},
        before_request=refuse_unknown_query,
        tags=["EDI staging"],
    )
