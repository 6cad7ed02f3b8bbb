"""BitStore's API over HTTP."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.di import Provide
from litestar.params import QueryParameter
from litestar.response import Response
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT, HTTP_302_FOUND

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.routes import ANYONE, caller_of
from mediastore.accounts.schemas import Caller
from mediastore.dialects.bitstore.refusals import answer_error
from mediastore.dialects.bitstore.schemas import AuthorizeAsked, Authorized, Info, Presigned
from mediastore.dialects.bitstore.service import FILES, Bitstore, Here
from mediastore.dialects.faces import speaks
from mediastore.http.errors import RequestError
from mediastore.http.paths import tail
from mediastore.http.provided import Provided
from mediastore.transfers.form import Form
from mediastore.transfers.routes import BodyLimits, body_of
from mediastore.transfers.sites import API, Sites

AnyRequest: TypeAlias = Request[Any, Any, Any]
PRIVATE = {"Cache-Control": "private, no-store"}
TOKEN = "The token goes as `?jwt=`, in the header `Auth-Token`, or in `Authorization` as everywhere here."  # noqa: S105 - a sentence


def refuses(*statuses: int) -> dict[int, None]:
    """For the OpenAPI document: refusals are sentences, as plain text."""
    return dict.fromkeys((*statuses, 503))


@post(
    "/authorize",
    status_code=HTTP_200_OK,
    **speaks("bitstore", body=AuthorizeAsked, refusals=refuses(400, 401, 403)),
    summary="Get a form for each file of a dataset",
    description=TOKEN,
)
async def authorize(
    request: AnyRequest,
    asked: Provided[AuthorizeAsked],
    caller: Provided[Caller],
    bitstore: Provided[Bitstore],
    here: Provided[Callable[[AnyRequest], Here]],
) -> Response[Authorized]:
    filedata = await bitstore.authorize(asked, caller=caller, here=here(request))
    return Response(Authorized(filedata=filedata), headers=PRIVATE)


@post(
    "/",
    status_code=HTTP_200_OK,
    **speaks("bitstore", body=AuthorizeAsked, refusals=refuses(400, 401, 403)),
    summary="Get a form for each file, as older clients ask for it",
    description=TOKEN,
)
async def authorize_at_root(
    request: AnyRequest,
    asked: Provided[AuthorizeAsked],
    caller: Provided[Caller],
    bitstore: Provided[Bitstore],
    here: Provided[Callable[[AnyRequest], Here]],
) -> Response[Authorized]:
    filedata = await bitstore.authorize(asked, caller=caller, here=here(request))
    return Response(Authorized(filedata=filedata), headers=PRIVATE)


@get(
    "/info",
    **speaks("bitstore", refusals=refuses(401)),
    summary="How the URLs of my files begin",
    description=TOKEN,
)
async def info(
    request: AnyRequest,
    caller: Provided[Caller],
    bitstore: Provided[Bitstore],
    here: Provided[Callable[[AnyRequest], Here]],
) -> Response[Info]:
    return Response(Info(prefixes=await bitstore.prefixes(caller=caller, here=here(request))), headers=PRIVATE)


@get(
    "/presign",
    security=[{"bearer": []}, {}],
    **speaks("bitstore", refusals=refuses(400, 401, 404, 410)),
    summary="A URL that a file can be read by",
    description=TOKEN,
)
async def presign(
    request: AnyRequest,
    caller: Provided[Caller],
    bitstore: Provided[Bitstore],
    here: Provided[Callable[[AnyRequest], Here]],
    url: Annotated[str, QueryParameter(description="`upload_url`, a slash and the `key` of its form", max_length=8000)],
    ownerid: Annotated[str | None, QueryParameter(description="Whose file it is", max_length=200)] = None,
) -> Response[Presigned]:
    found = await bitstore.presign(url, ownerid=ownerid, caller=caller, here=here(request))
    return Response(Presigned(url=found), headers=PRIVATE)


@post(
    FILES,
    status_code=HTTP_204_NO_CONTENT,
    security=ANYONE,
    request_max_body_size=None,
    **speaks("bitstore", refusals=refuses(400, 403, 404, 409, 410)),
    summary="Send a file by its form, where no store takes it directly",
)
async def send(request: AnyRequest, bitstore: Provided[Bitstore], limits: Provided[BodyLimits]) -> None:
    form = Form(body_of(request, limits), content_type=request.headers.get("content-type", ""))
    fields = await form.fields()
    try:
        upload = UUID(fields.get("upload", ""))
    except ValueError as error:
        raise RequestError("the fields of upload_query go before the file") from error
    await bitstore.receive(upload, form.content(), token=fields.get("token", ""))


@get(
    f"{FILES}/{{name:path}}",
    status_code=HTTP_302_FOUND,
    security=[{"bearer": []}, {}],
    **speaks("bitstore", refusals=refuses(400, 401, 404, 410)),
    summary="Where the bytes of a file are",
)
async def file(
    request: AnyRequest,
    caller: Provided[Caller],
    bitstore: Provided[Bitstore],
    here: Provided[Callable[[AnyRequest], Here]],
) -> Response[None]:
    url = await bitstore.locate(tail(request), caller=caller, here=here(request))
    return Response(None, status_code=HTTP_302_FOUND, headers={"Location": url, **PRIVATE})


def router(prefix: str, credentials: Credentials) -> Router:
    """This dialect below `prefix`."""

    def provide_here(sites: Provided[Sites]) -> Callable[[AnyRequest], Here]:
        def here(request: AnyRequest) -> Here:
            site = sites.of(request)
            return Here(site=site, url=site.api_url.removesuffix(API) + prefix.rstrip("/"))

        return here

    return Router(
        prefix,
        route_handlers=[authorize, authorize_at_root, info, presign, send, file],
        dependencies={"caller": Provide(caller_by_token(credentials)), "here": Provide(provide_here, sync_to_thread=False)},
        exception_handlers={Exception: answer_error},
        before_request=take_any_query,
        tags=["BitStore"],
    )


def caller_by_token(credentials: Credentials) -> Callable[[AnyRequest], Awaitable[Caller]]:
    """The dependency `caller`: who sent this request, by BitStore's ways to say it or by ours."""
    by_header = caller_of(credentials)

    async def provide_caller(request: AnyRequest) -> Caller:
        token = request.headers.get("auth-token") or request.query_params.get("jwt")
        if not token:
            return await by_header(request)
        scope: Any = request.scope
        identity = await credentials.identify(token.strip())
        return Caller(identity=identity, request_id=scope.get("request_id"), address=scope.get("client_address", ""))

    return provide_caller


async def take_any_query(_: AnyRequest) -> None:
    """BitStore leaves parameters alone that it does not know."""
