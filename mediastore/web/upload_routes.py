"""The page where files are uploaded."""

from urllib.parse import urlsplit

from litestar import get
from litestar.response import Response

from mediastore.catalog.identifier_types import IdentifierTypes
from mediastore.http.provided import Provided
from mediastore.placement.destinations import Destinations
from mediastore.transfers.sites import Sites
from mediastore.web.pages import ASSETS_PATH, Pages
from mediastore.web.session import AnyRequest, Visitor


@get("/upload", include_in_schema=False)
async def upload(
    request: AnyRequest,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    destinations: Provided[Destinations],
    identifier_types: Provided[IdentifierTypes],
    sites: Provided[Sites],
) -> Response[str]:
    stores = await destinations.list(caller=visitor.caller)
    site = urlsplit(sites.of(request).api_url)
    return pages.draw(
        "upload.html",
        request=request,
        visitor=visitor,
        reached=sorted({store.origin for store in stores if store.origin is not None}),
        worker=f"{site.scheme}://{site.netloc}{ASSETS_PATH}/upload-digest.js",
        stores=stores,
        types=await identifier_types.list(caller=visitor.caller),
    )
