"""The page where records are found."""

from litestar import get
from litestar.response import Response

from mediastore.catalog.search import Search
from mediastore.catalog.search_schemas import SearchRequest
from mediastore.http.provided import Provided
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor


@get("/", include_in_schema=False)
async def find(
    request: AnyRequest, visitor: Provided[Visitor], pages: Provided[Pages], search: Provided[Search]
) -> Response[str]:
    found = await search.run(SearchRequest(limit=50), caller=visitor.caller)
    return pages.draw("find.html", request=request, visitor=visitor, found=found)
