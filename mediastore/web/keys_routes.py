"""The page of one's own API keys and password."""

from litestar import get
from litestar.response import Response

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.service import Accounts
from mediastore.clock import utc_now
from mediastore.http.provided import Provided
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor


@get("/keys", include_in_schema=False)
async def keys(
    request: AnyRequest,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    credentials: Provided[Credentials],
    accounts: Provided[Accounts],
) -> Response[str]:
    found = await credentials.keys(caller=visitor.caller)
    account = await accounts.read(visitor.identity.name, caller=visitor.caller)
    return pages.draw("keys.html", request=request, visitor=visitor, keys=found, account=account, now=utc_now())
