"""Who visits a page. The log-in is a cookie that no script can read; what changes anything also has to come from a page of ours.

The cookie is an access token. It opens pages, and one call that hands the page's scripts a token of their own: the API itself
takes no cookies, so no page elsewhere can make a browser do anything there.
"""

from typing import Any, TypeAlias
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import Cookie
from msgspec import Struct

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.errors import CredentialsWrong, CredentialTooLong
from mediastore.accounts.schemas import NOBODY, Caller, Identity
from mediastore.http.errors import CrossSite
from mediastore.http.provided import Provided
from mediastore.transfers.sites import Sites

AnyRequest: TypeAlias = Request[Any, Any, Any]
COOKIE = "mediastore_session"
LONGEST_COOKIE = 3800
"""Browsers drop cookies of more than 4096 bytes, name and attributes included, without a word."""


class Visitor(Struct, frozen=True, kw_only=True):
    """Who looks at a page, and whether a log-in of theirs has ended."""

    caller: Caller
    ended: bool = False

    @property
    def identity(self) -> Identity:
        return self.caller.identity


async def provide_visitor(request: AnyRequest, credentials: Provided[Credentials]) -> Visitor:
    """By the cookie alone. A log-in that has ended is nobody's, which the page says."""
    identity, ended = NOBODY, False
    if (token := request.cookies.get(COOKIE)) is not None:
        try:
            identity = await credentials.identify(token)
        except CredentialsWrong:
            ended = True
    scope: Any = request.scope
    caller = Caller(identity=identity, request_id=scope.get("request_id"), address=scope.get("client_address", ""))
    visitor = Visitor(caller=caller, ended=ended)
    request.state.visitor = visitor  # for the page that tells of an error, which no dependency reaches
    return visitor


def from_our_pages(request: AnyRequest, sites: Sites) -> None:
    """Raise `CrossSite` unless a page of this server sent the request, by what browsers say and pages can't make up."""
    said = request.headers.get("sec-fetch-site")
    if said is None:
        origin = request.headers.get("origin")
        url = urlsplit(sites.of(request).api_url)
        said = "same-origin" if origin == f"{url.scheme}://{url.netloc}" else "unknown"
    if said != "same-origin":
        raise CrossSite("this can only be asked by a page of this server; open the page here, and try again")


def cookie_of(token: str, *, request: AnyRequest, sites: Sites) -> Cookie:
    """The cookie for a log-in. It goes when the browser does; the token in it ends by itself before."""
    if len(token) > LONGEST_COOKIE:
        raise CredentialTooLong(
            f"this token has {len(token):,} characters; a browser keeps {LONGEST_COOKIE:,}: log in with a key or password"
        )
    return Cookie(key=COOKIE, value=token, path="/", httponly=True, samesite="lax", secure=secure(request, sites))


def cookie_gone(*, request: AnyRequest, sites: Sites) -> Cookie:
    return Cookie(
        key=COOKIE, value="", path="/", httponly=True, samesite="lax", secure=secure(request, sites), max_age=0, expires=0
    )


def secure(request: AnyRequest, sites: Sites) -> bool:
    return sites.of(request).api_url.startswith("https:")


def way_back(given: str | None) -> str:
    """The page to show after a log-in: one of ours, whatever the link said."""
    if not given or not given.startswith("/") or given.startswith("//") or "\\" in given:
        return "/"
    return given if given.isascii() and given.isprintable() else "/"
