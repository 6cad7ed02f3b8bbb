"""Pages about stores, for administrators: what they hold, how they are, and what may be changed."""

from typing import Annotated, Any, get_args

from litestar import get
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response

from mediastore.http.provided import Provided
from mediastore.placement.diary import Diary
from mediastore.placement.quotas import Quotas
from mediastore.placement.schemas import Algorithm
from mediastore.placement.service import Placement
from mediastore.retention.findings import Findings
from mediastore.retention.sweeper import Sweeper
from mediastore.retention.upkeep import NEWEST, Upkeep
from mediastore.web.amounts import UNITS, in_units
from mediastore.web.charts import CHARTS_PATH
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor

FINDINGS = 100
REPORTS = 10
"""How many of each a page shows."""
Name = Annotated[str, PathParameter(max_length=63)]
FORM: dict[str, Any] = {"units": UNITS, "in_units": in_units, "algorithms": get_args(Algorithm)}
"""What the forms about stores need."""


@get("/stores", include_in_schema=False)
async def stores_page(
    request: AnyRequest,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    placement: Provided[Placement],
    quotas: Provided[Quotas],
    sweeper: Provided[Sweeper],
) -> Response[str]:
    held = await quotas.totals(caller=visitor.caller)  # refuses who may not see them
    return pages.draw(
        "stores.html",
        request=request,
        visitor=visitor,
        held=held,
        stores=await placement.list_stores(caller=visitor.caller),
        swept=await sweeper.latest(caller=visitor.caller),
        configs=await placement.list_s3_configs(caller=visitor.caller),
        kinds=placement.kinds(),
        **FORM,
    )


@get("/stores/{name:str}", include_in_schema=False)
async def store_page(
    request: AnyRequest,
    name: Name,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    placement: Provided[Placement],
    quotas: Provided[Quotas],
    diary: Provided[Diary],
    sweeper: Provided[Sweeper],
    upkeep: Provided[Upkeep],
    findings: Provided[Findings],
    days: Annotated[int, QueryParameter(ge=1, le=3660)] = 90,
    finding: Annotated[int, QueryParameter(ge=0, le=NEWEST)] = 0,
) -> Response[str]:
    """`finding`: the one behind which the list of findings begins."""
    caller = visitor.caller
    store = await placement.read_store(name, caller=caller)
    found, more = await findings.page(name, cursor=finding, limit=FINDINGS, caller=caller)
    return pages.draw(
        "store.html",
        request=request,
        visitor=visitor,
        store=store,
        usage=await quotas.usage(name, caller=caller),
        growth=await diary.growth(name, days=days, caller=caller),
        days=days,
        sweeps=(await sweeper.reports(name, before=NEWEST, limit=REPORTS, caller=caller))[0],
        upkeep=await upkeep.state(name, caller=caller),
        comparisons=(await upkeep.reports(name, cursor=None, limit=REPORTS, caller=caller))[0],
        findings=found,
        more_findings=more,
        configs=await placement.list_s3_configs(caller=caller),
        charts=CHARTS_PATH,
        **FORM,
    )


@get("/stores/{name:str}/sweeps/{id:int}", include_in_schema=False)
async def sweep_page(
    request: AnyRequest,
    name: Name,
    id: Annotated[int, PathParameter(ge=1, le=2**53)],
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    sweeper: Provided[Sweeper],
    after: Annotated[int, QueryParameter(ge=0, le=2**53)] = 0,
) -> Response[str]:
    """`after`: how many items stand on the pages before."""
    report = await sweeper.read(name, id, offset=after, caller=visitor.caller)
    return pages.draw("sweep.html", request=request, visitor=visitor, sweep=report, after=after)
