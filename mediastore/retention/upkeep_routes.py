"""Comparisons, findings and fixity over HTTP."""

from typing import Annotated, Any, TypeAlias

from litestar import Controller, Request, get, post
from litestar.params import PathParameter
from litestar.response import Response
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from mediastore.accounts.schemas import Caller
from mediastore.http.bodies import accepts
from mediastore.http.cursors import Cursor, Limit, opaque, position
from mediastore.http.paths import tail
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.retention.findings import Findings
from mediastore.retention.upkeep import NEWEST, Upkeep
from mediastore.retention.upkeep_schemas import (
    Finding,
    FindingDecision,
    FindingPage,
    FixityShown,
    ReconcileAsk,
    Reconciliation,
    ReconciliationPage,
    UpkeepState,
)

AnyRequest: TypeAlias = Request[Any, Any, Any]
Name = Annotated[str, PathParameter(description="The name it was created with", max_length=63)]
Id = Annotated[int, PathParameter(description="The finding's `id`", ge=1, le=NEWEST)]


class UpkeepController(Controller):
    path = "/stores/{name:str}"
    tags = ("Stores",)

    @post(
        "/reconcile",
        status_code=HTTP_200_OK,
        **accepts(ReconcileAsk, optional=True),
        responses=problems(401, 403, 404, 422),
        summary="Compare what a store holds with its rows",
    )
    async def reconcile(
        self, name: Name, asked: Provided[ReconcileAsk], caller: Provided[Caller], upkeep: Provided[Upkeep]
    ) -> Response[Reconciliation]:
        report = await upkeep.reconcile(name, asked, caller=caller)
        return Response(report, status_code=HTTP_202_ACCEPTED if report.ended_at is None else HTTP_200_OK)

    @get("/upkeep", responses=problems(401, 403, 404), summary="How a store's comparisons and fixity checks fare")
    async def state(self, name: Name, caller: Provided[Caller], upkeep: Provided[Upkeep]) -> UpkeepState:
        return await upkeep.state(name, caller=caller)

    @get("/reconciliations", responses=problems(401, 403, 404, 422), summary="List a store's comparisons, newest first")
    async def reconciliations(
        self, name: Name, caller: Provided[Caller], upkeep: Provided[Upkeep], limit: Limit = 100, cursor: Cursor = None
    ) -> ReconciliationPage:
        items, more = await upkeep.reports(name, cursor=position(cursor), limit=limit, caller=caller)
        return ReconciliationPage(items=items, next=opaque(more))

    @get("/findings", responses=problems(401, 403, 404, 422), summary="List what was found in a store, oldest first")
    async def findings(
        self, name: Name, caller: Provided[Caller], findings: Provided[Findings], limit: Limit = 100, cursor: Cursor = None
    ) -> FindingPage:
        items, more = await findings.page(name, cursor=position(cursor), limit=limit, caller=caller)
        return FindingPage(items=items, next=opaque(more))

    @post(
        "/findings/{id:int}",
        status_code=HTTP_200_OK,
        **accepts(FindingDecision),
        responses=problems(401, 403, 404, 409, 410, 422),
        summary="Decide what becomes of something that was found",
    )
    async def decide(
        self, name: Name, id: Id, asked: Provided[FindingDecision], caller: Provided[Caller], findings: Provided[Findings]
    ) -> Response[Finding]:
        finding, done = await findings.decide(name, id, asked, caller=caller)
        return Response(finding, status_code=HTTP_200_OK if done else HTTP_202_ACCEPTED)


@post(
    "/fixity/{pid:path}",
    status_code=HTTP_200_OK,
    tags=["Content"],
    responses=problems(401, 403, 404, 410),
    summary="Read the content and compare it with its checksums, now",
)
async def check(request: AnyRequest, caller: Provided[Caller], upkeep: Provided[Upkeep]) -> Response[FixityShown]:
    shown, done = await upkeep.check(tail(request), caller=caller)
    return Response(shown, status_code=HTTP_200_OK if done else HTTP_202_ACCEPTED)
