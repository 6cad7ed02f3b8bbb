"""Direct uploads over HTTP: begun, watched, sent in parts where the store is behind this server, completed, cancelled."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, delete, get, post, put
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED

from mediastore.accounts.routes import ANYONE
from mediastore.accounts.schemas import Caller
from mediastore.catalog.routes import location
from mediastore.catalog.schemas import Media, MediaCreate
from mediastore.http.bodies import accepts
from mediastore.http.cursors import Cursor, Limit
from mediastore.http.errors import RequestError
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.transfers.declared import about_record
from mediastore.transfers.direct import Asker, DirectUploads
from mediastore.transfers.form import Form
from mediastore.transfers.parts import PartReceiver
from mediastore.transfers.routes import BodyLimits, body_of, declared_by, precondition_of
from mediastore.transfers.schemas import PartsAsked, Upload, UploadBegin, UploadComplete, UploadPage
from mediastore.transfers.sites import Sites

Id = Annotated[UUID, PathParameter(description="The id of the upload")]
Token = Annotated[
    str | None, QueryParameter(description="The upload's own token; stands for a log-in in this upload's calls", max_length=200)
]
PartToken = Annotated[str, QueryParameter(description="From the part's URL", max_length=200)]
PartDigests = Annotated[str, QueryParameter(description="From the part's URL, where digests were asked for", max_length=500)]
CHECK_AGAIN_S = 2


class UploadController(Controller):
    path = "/uploads"
    tags = ("Direct uploads",)

    @post(
        **accepts(UploadBegin),
        status_code=HTTP_201_CREATED,
        responses=problems(400, 401, 403, 404, 409, 410, 412, 413, 422, 503),
        summary="Begin an upload that goes straight to the store",
        description="The answer holds everything that a plain HTTP client needs. Send the bytes to `url`, or each part to its "
        "own, with the headers given; then complete the upload. It is the same for stores that only this server reaches.",
    )
    async def begin(
        self,
        request: Request[Any, Any, Any],
        asked: Provided[UploadBegin],
        caller: Provided[Caller],
        direct_uploads: Provided[DirectUploads],
        sites: Provided[Sites],
    ) -> Response[Upload]:
        # What was given counts, not what it came to: an empty list of tags takes away those of a record that is there.
        given = msgspec.json.decode(await request.body(), type=dict[str, msgspec.Raw])
        fields = {name: value for name, value in given.items() if name in MediaCreate.__struct_fields__ and name != "pid"}
        about = about_record(msgspec.json.encode(fields))
        asker = Asker(caller=caller, token=None, site=sites.of(request))
        upload = await direct_uploads.begin(asked, about, asker=asker, precondition=precondition_of(request))
        return Response(upload, headers={"Location": f"{sites.of(request).api_url}/uploads/{upload.id}", **PRIVATE})

    @get(responses=problems(400, 401, 403), summary="List uploads: your own, or everybody's for administrators")
    async def list_uploads(
        self,
        request: Request[Any, Any, Any],
        caller: Provided[Caller],
        direct_uploads: Provided[DirectUploads],
        sites: Provided[Sites],
        cursor: Cursor = None,
        limit: Limit = 100,
    ) -> UploadPage:
        asker = Asker(caller=caller, token=None, site=sites.of(request))
        items, more = await direct_uploads.page(before=position_of(cursor), limit=limit, asker=asker)
        return UploadPage(items=items, next=None if more is None else str(more))

    @get(
        "/{id:uuid}",
        responses=problems(400, 401, 403, 404, 409, 503),
        summary="How far an upload is, with fresh URLs for what is missing",
    )
    async def show(
        self,
        request: Request[Any, Any, Any],
        id: Id,
        caller: Provided[Caller],
        direct_uploads: Provided[DirectUploads],
        sites: Provided[Sites],
        token: Token = None,
    ) -> Response[Upload]:
        upload = await direct_uploads.show(id, asker=Asker(caller=caller, token=token, site=sites.of(request)))
        return Response(upload, headers=PRIVATE)

    @post(
        "/{id:uuid}/parts",
        **accepts(PartsAsked),
        status_code=HTTP_200_OK,
        responses=problems(400, 401, 403, 404, 409, 422, 503),
        summary="Fresh URLs for named parts",
    )
    async def fresh_parts(
        self,
        request: Request[Any, Any, Any],
        id: Id,
        asked: Provided[PartsAsked],
        caller: Provided[Caller],
        direct_uploads: Provided[DirectUploads],
        sites: Provided[Sites],
        token: Token = None,
    ) -> Response[Upload]:
        asker = Asker(caller=caller, token=token, site=sites.of(request))
        return Response(await direct_uploads.fresh_parts(id, asked.parts, asker=asker), headers=PRIVATE)

    @post(
        "/{id:uuid}/complete",
        **accepts(UploadComplete, optional=True),
        status_code=HTTP_200_OK,
        responses=problems(400, 401, 403, 404, 409, 410, 422, 503),
        summary="Complete an upload: the record, or 202 while its bytes are verified",
    )
    async def complete(
        self,
        request: Request[Any, Any, Any],
        id: Id,
        asked: Provided[UploadComplete],
        caller: Provided[Caller],
        direct_uploads: Provided[DirectUploads],
        sites: Provided[Sites],
        token: Token = None,
    ) -> Response[Any]:
        site = sites.of(request)
        done = await direct_uploads.complete(id, asked, asker=Asker(caller=caller, token=token, site=site))
        if isinstance(done, Media):
            return Response(done, headers={"Location": location(done.pid)})
        status_url = f"{site.api_url}/uploads/{id}"
        return Response(
            done, status_code=HTTP_202_ACCEPTED, headers={"Location": status_url, "Retry-After": str(CHECK_AGAIN_S), **PRIVATE}
        )

    @delete("/{id:uuid}", responses=problems(400, 401, 403, 404, 409, 503), summary="Cancel an upload; what was sent goes")
    async def cancel(
        self,
        request: Request[Any, Any, Any],
        id: Id,
        caller: Provided[Caller],
        direct_uploads: Provided[DirectUploads],
        sites: Provided[Sites],
        token: Token = None,
    ) -> None:
        await direct_uploads.cancel(id, asker=Asker(caller=caller, token=token, site=sites.of(request)))

    @put(
        "/{id:uuid}/parts/{number:int}",
        status_code=HTTP_200_OK,
        security=ANYONE,
        request_max_body_size=None,
        responses=problems(400, 403, 404, 408, 409, 410, 413, 422, 503),
        summary="Send one part, by the URL that the upload gave for it",
        description="For stores that clients reach only through this server. In any order, at once, and again.",
    )
    async def send_part(
        self,
        request: Request[Any, Any, Any],
        id: Id,
        number: Annotated[int, PathParameter(ge=1, le=10_000, description="Counted from 1")],
        part_receiver: Provided[PartReceiver],
        limits: Provided[BodyLimits],
        token: PartToken,
        digests: PartDigests = "",
    ) -> Response[None]:
        declared = declared_by(request, filename=None)
        etag = await part_receiver.receive(
            id,
            number,
            body_of(request, limits),
            token=token,
            signed_digests=digests,
            size=declared.size,
            digests=declared.digests,
        )
        return Response(None, headers={"ETag": f'"{etag}"'})

    @post(
        "/{id:uuid}/form",
        status_code=HTTP_200_OK,
        security=ANYONE,
        request_max_body_size=None,
        responses=problems(400, 403, 404, 408, 409, 410, 413, 422, 503),
        summary="Send the whole content by form, with the fields that the upload gave",
    )
    async def send_form(
        self, request: Request[Any, Any, Any], id: Id, part_receiver: Provided[PartReceiver], limits: Provided[BodyLimits]
    ) -> Response[None]:
        form = Form(body_of(request, limits), content_type=request.headers.get("content-type", ""))
        fields = await form.fields()
        token = fields.pop("token", "")
        if fields:
            raise RequestError(f"the form has the field token, then the file; {', '.join(sorted(fields))} has no meaning here")
        etag = await part_receiver.receive(id, 1, form.content(), token=token, size=None, digests={})
        return Response(None, headers={"ETag": f'"{etag}"'})


def position_of(cursor: str | None) -> UUID | None:
    try:
        return None if cursor is None else UUID(cursor)
    except ValueError as error:
        raise RequestError(f"the cursor {cursor!r} is none of ours; send `next` of the page before, unchanged") from error


PRIVATE = {"Cache-Control": "private, no-store"}
