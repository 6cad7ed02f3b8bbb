"""The page of identifier types."""

from litestar import get
from litestar.response import Response

from mediastore.catalog.identifier_types import IdentifierTypes
from mediastore.http.provided import Provided
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor


@get("/identifier-types", include_in_schema=False)
async def identifier_types_page(
    request: AnyRequest, visitor: Provided[Visitor], pages: Provided[Pages], identifier_types: Provided[IdentifierTypes]
) -> Response[str]:
    found = await identifier_types.list(caller=visitor.caller)
    return pages.draw("identifier-types.html", request=request, visitor=visitor, types=found)
