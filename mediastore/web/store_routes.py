"""Pages about stores, for administrators: what they hold, how they are, and what may be changed."""

from typing import Annotated, Any, get_args

from litestar import get
from litestar.params import PathParameter
from litestar.response import Response

from mediastore.http.provided import Provided
from mediastore.placement.quotas import Quotas
from mediastore.placement.schemas import Algorithm
from mediastore.placement.service import Placement
from mediastore.retention.sweeper import Sweeper
from mediastore.web.amounts import UNITS, in_units
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor

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
    request: AnyRequest, name: Name, visitor: Provided[Visitor], pages: Provided[Pages], placement: Provided[Placement]
) -> Response[str]:
    store = await placement.read_store(name, caller=visitor.caller)
    return pages.draw("store.html", request=request, visitor=visitor, store=store, **FORM)
