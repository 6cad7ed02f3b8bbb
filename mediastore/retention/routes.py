"""Holds, sweeps, and what will happen to a record, over HTTP."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_202_ACCEPTED

from mediastore.accounts.schemas import Caller
from mediastore.http.bodies import accepts
from mediastore.http.cursors import Cursor, Limit, opaque, position
from mediastore.http.paths import tail
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.retention.holds import Holds
from mediastore.retention.schemas import Hold, HoldCreate, HoldList, Outlook, Sweep, SweepPage, SweepRequest
from mediastore.retention.sweeper import Sweeper

NEWEST = 2**63 - 1
Name = Annotated[str, PathParameter(description="The store's name", max_length=63)]


class HoldController(Controller):
    path = "/holds"
    tags = ("Retention",)

    @post(
        "/{pid:path}",
        **accepts(HoldCreate),
        status_code=HTTP_201_CREATED,
        responses=problems(400, 401, 403, 404, 410, 422),
        summary="Hold a record: nothing removes it while the hold stands",
    )
    async def place(
        self, request: Request[Any, Any, Any], asked: Provided[HoldCreate], caller: Provided[Caller], holds: Provided[Holds]
    ) -> Hold:
        return await holds.place(tail(request), asked, caller=caller)

    @get("/{pid:path}", responses=problems(400, 401, 403, 404, 410), summary="The holds of a record")
    async def list_holds(self, request: Request[Any, Any, Any], caller: Provided[Caller], holds: Provided[Holds]) -> HoldList:
        return HoldList(items=await holds.list_of(tail(request), caller=caller))

    @delete(
        "/{pid:path}",
        responses=problems(400, 401, 403, 404, 410),
        summary="Lift a hold: for whoever placed it, and administrators",
    )
    async def lift(
        self,
        request: Request[Any, Any, Any],
        caller: Provided[Caller],
        holds: Provided[Holds],
        id: Annotated[str | None, QueryParameter(max_length=36, description="Which hold; needed")] = None,
    ) -> None:
        await holds.lift(tail(request), id, caller=caller)


@get(
    "/retention/{pid:path}",
    tags=["Retention"],
    responses=problems(400, 401, 403, 404, 410),
    summary="What will happen to a record, when, and which rule decides",
)
async def retention(request: Request[Any, Any, Any], caller: Provided[Caller], holds: Provided[Holds]) -> Outlook:
    return await holds.outlook(tail(request), caller=caller)


class SweepController(Controller):
    path = "/stores/{name:str}"
    tags = ("Retention",)

    @post(
        "/sweep",
        **accepts(SweepRequest, optional=True),
        status_code=HTTP_200_OK,
        responses=problems(401, 403, 404, 409, 422),
        summary="Remove what has expired, or rehearse it",
        description="200 with the report when it has ended within ten seconds, 202 while it runs. A rehearsal (`dry_run`) lists "
        "what would go; a sweep that is bound to it (`rehearsal`) removes nothing else.",
    )
    async def sweep(
        self, name: Name, asked: Provided[SweepRequest], caller: Provided[Caller], sweeper: Provided[Sweeper]
    ) -> Response[Sweep]:
        report = await sweeper.request(name, asked, caller=caller)
        headers = {"Location": f"/api/v1/stores/{name}/sweeps/{report.id}"}
        return Response(
            paged(report), status_code=HTTP_202_ACCEPTED if report.state == "running" else HTTP_200_OK, headers=headers
        )

    @get("/sweeps", responses=problems(400, 401, 403, 404), summary="Reports of sweeps, newest first")
    async def sweeps(
        self, name: Name, caller: Provided[Caller], sweeper: Provided[Sweeper], cursor: Cursor = None, limit: Limit = 100
    ) -> SweepPage:
        before = position(cursor)
        items, more = await sweeper.reports(name, before=NEWEST if before is None else before, limit=limit, caller=caller)
        return SweepPage(items=items, next=opaque(more))

    @get(
        "/sweeps/{id:int}",
        responses=problems(400, 401, 403, 404),
        summary="The report of a sweep, with the items of a rehearsal",
    )
    async def show_sweep(
        self,
        name: Name,
        id: Annotated[int, PathParameter(ge=1, le=2**53, description="The number of the sweep")],
        caller: Provided[Caller],
        sweeper: Provided[Sweeper],
        cursor: Cursor = None,
    ) -> Sweep:
        return paged(await sweeper.read(name, id, offset=position(cursor) or 0, caller=caller))


def paged(report: Sweep) -> Sweep:
    """With the place where its list goes on as clients carry it."""
    return msgspec.structs.replace(report, next=opaque(None if report.next is None else int(report.next)))
