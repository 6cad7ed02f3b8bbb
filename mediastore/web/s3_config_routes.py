"""The page of S3 configs: endpoints and keys that several stores share."""

from litestar import get
from litestar.response import Response

from mediastore.http.provided import Provided
from mediastore.placement.service import Placement
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor


@get("/s3-configs", include_in_schema=False)
async def s3_configs_page(
    request: AnyRequest, visitor: Provided[Visitor], pages: Provided[Pages], placement: Provided[Placement]
) -> Response[str]:
    configs = await placement.list_s3_configs(caller=visitor.caller)
    stores = await placement.list_stores(caller=visitor.caller)
    users = {config.name: [store.name for store in stores if store.s3_config_name == config.name] for config in configs}
    return pages.draw("s3_configs.html", request=request, visitor=visitor, configs=configs, users=users)
