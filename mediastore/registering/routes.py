"""Registrations and scans over HTTP."""

from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response
from litestar.status_codes import HTTP_201_CREATED, HTTP_202_ACCEPTED

from mediastore.accounts.schemas import Caller
from mediastore.catalog.routes import location
from mediastore.catalog.schemas import Media, MediaCreate
from mediastore.http.bodies import accepts
from mediastore.http.cursors import Cursor, Limit, opaque, position
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.registering.scans import Scans
from mediastore.registering.schemas import (
    Registration,
    RegistrationAsk,
    RegistrationPage,
    RegistrationStatus,
    Scan,
    ScanAsk,
    ScanPage,
)
from mediastore.registering.service import NEWEST, Registrations
from mediastore.transfers.declared import About, about_record

AnyRequest: TypeAlias = Request[Any, Any, Any]
Name = Annotated[str, PathParameter(description="The name it was created with", max_length=63)]
Id = Annotated[int, PathParameter(description="Its `id`", ge=1, le=NEWEST)]
OfScan = Annotated[int | None, QueryParameter(description="Only those of this scan", ge=1, le=NEWEST)]
OfStatus = Annotated[RegistrationStatus | None, QueryParameter(description="Only those that wait, are done, or have failed")]


class RegistrationController(Controller):
    path = "/stores/{name:str}"
    tags = ("Stores",)

    @post(
        "/registrations",
        **accepts(RegistrationAsk),
        status_code=HTTP_201_CREATED,
        responses=problems(401, 403, 404, 409, 410, 413, 422, 503),
        summary="Make an object that is there already the content of a record",
        description="The bytes stay where they are, are read to their end, and belong to the record from then on: whoever else "
        "writes at the key breaks it, and deleting the record deletes the object.",
    )
    async def register(
        self,
        request: AnyRequest,
        name: Name,
        asked: Provided[RegistrationAsk],
        caller: Provided[Caller],
        registrations: Provided[Registrations],
    ) -> Response[Media]:
        made = await registrations.begin(name, asked, await _about(request), caller=caller)
        if isinstance(made, Media):
            return Response(made, headers={"Location": location(made.pid)})
        at = f"/api/v1/stores/{name}/registrations/{made.id}"
        waiting: Any = Response(made, status_code=HTTP_202_ACCEPTED, headers={"Location": at})
        return waiting  # type: ignore[no-any-return]  # the document says which status has which body

    @get("/registrations", responses=problems(401, 403, 404, 422), summary="List registrations in a store, newest first")
    async def registrations(
        self,
        name: Name,
        caller: Provided[Caller],
        registrations: Provided[Registrations],
        scan: OfScan = None,
        status: OfStatus = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> RegistrationPage:
        items, more = await registrations.page(
            name, scan=scan, status=status, cursor=position(cursor), limit=limit, caller=caller
        )
        return RegistrationPage(items=items, next=opaque(more))

    @get("/registrations/{id:int}", responses=problems(401, 403, 404), summary="How far a registration is")
    async def registration(
        self, name: Name, id: Id, caller: Provided[Caller], registrations: Provided[Registrations]
    ) -> Registration:
        return await registrations.show(name, id, caller=caller)

    @delete(
        "/registrations/{id:int}",
        responses=problems(401, 403, 404, 409),
        summary="Cancel a registration that waits; the object stays",
    )
    async def cancel_registration(
        self, name: Name, id: Id, caller: Provided[Caller], registrations: Provided[Registrations]
    ) -> None:
        await registrations.cancel(name, id, caller=caller)

    @post(
        "/scans",
        **accepts(ScanAsk),
        status_code=HTTP_202_ACCEPTED,
        responses=problems(401, 403, 404, 422),
        summary="Make records of all objects that no row names",
        description="A job registers each object whose key begins with the prefix, under a PID made of its key.",
    )
    async def scan(
        self, request: AnyRequest, name: Name, asked: Provided[ScanAsk], caller: Provided[Caller], scans: Provided[Scans]
    ) -> Response[Scan]:
        begun = await scans.begin(name, asked, await _about(request), caller=caller)
        return Response(begun, headers={"Location": f"/api/v1/stores/{name}/scans/{begun.id}"})

    @get("/scans", responses=problems(401, 403, 404, 422), summary="List a store's scans, newest first")
    async def scans(
        self, name: Name, caller: Provided[Caller], scans: Provided[Scans], limit: Limit = 100, cursor: Cursor = None
    ) -> ScanPage:
        items, more = await scans.page(name, cursor=position(cursor), limit=limit, caller=caller)
        return ScanPage(items=items, next=opaque(more))

    @get("/scans/{id:int}", responses=problems(401, 403, 404), summary="How far a scan is, and what went wrong")
    async def scan_report(self, name: Name, id: Id, caller: Provided[Caller], scans: Provided[Scans]) -> Scan:
        return await scans.show(name, id, caller=caller)

    @delete("/scans/{id:int}", responses=problems(401, 403, 404, 409), summary="Stop a scan; what it registered stays")
    async def stop_scan(self, name: Name, id: Id, caller: Provided[Caller], scans: Provided[Scans]) -> None:
        await scans.stop(name, id, caller=caller)


async def _about(request: AnyRequest) -> About:
    """What was given counts, not what it came to: an empty list of tags takes away those of a record that is there."""
    given = msgspec.json.decode(await request.body(), type=dict[str, msgspec.Raw])
    fields = {name: value for name, value in given.items() if name in MediaCreate.__struct_fields__ and name != "pid"}
    return about_record(msgspec.json.encode(fields))
