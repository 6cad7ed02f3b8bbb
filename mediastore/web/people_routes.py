"""The page of who may log in."""

from litestar import get
from litestar.response import Response

from mediastore.accounts.service import Accounts
from mediastore.http.provided import Provided
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor


@get("/people", include_in_schema=False)
async def people(
    request: AnyRequest, visitor: Provided[Visitor], pages: Provided[Pages], accounts: Provided[Accounts]
) -> Response[str]:
    found = await accounts.users(caller=visitor.caller)
    return pages.draw("people.html", request=request, visitor=visitor, people=found)
