"""Log in, log out, and the token for a page's own scripts."""

from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from litestar import get, post
from litestar.params import QueryParameter
from litestar.response import Response
from litestar.status_codes import HTTP_200_OK, HTTP_303_SEE_OTHER

from mediastore.accounts.credentials import KEY_PREFIX, Credentials
from mediastore.accounts.errors import CredentialsWrong, CredentialTooLong, LoginRequired, LoginSlowedDown
from mediastore.accounts.schemas import LoginRequest, Token
from mediastore.accounts.service import Accounts
from mediastore.http.errors import BodyInvalid
from mediastore.http.provided import Provided
from mediastore.transfers.sites import Sites
from mediastore.web.pages import Pages
from mediastore.web.session import COOKIE, AnyRequest, Visitor, cookie_gone, cookie_of, from_our_pages, way_back

LONGEST_FORM = 64 * 1024
Next = Annotated[str | None, QueryParameter(max_length=4000)]


@get("/login", include_in_schema=False)
async def login_page(request: AnyRequest, visitor: Provided[Visitor], pages: Provided[Pages], next: Next = None) -> Response[str]:
    return pages.draw("login.html", request=request, visitor=visitor, next=way_back(next), name="", trouble="")


@post("/login", include_in_schema=False, status_code=HTTP_200_OK)
async def log_in(
    request: AnyRequest,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    accounts: Provided[Accounts],
    credentials: Provided[Credentials],
    sites: Provided[Sites],
) -> Response[Any]:
    """By form. A page's own scripts, which log somebody in again where they are, get the token and no other page."""
    from_our_pages(request, sites)
    form = await form_of(request)
    name, password, key = form.get("name", ""), form.get("password", ""), form.get("key", "").strip()
    scripted = "application/json" in request.headers.get("accept", "")
    try:
        token = await _token(name, password, key, accounts=accounts, credentials=credentials, address=visitor.caller.address)
        cookie = cookie_of(token.access_token, request=request, sites=sites)
    except (CredentialsWrong, LoginSlowedDown, CredentialTooLong) as error:
        if scripted:
            raise
        given = {"next": way_back(form.get("next")), "name": name, "trouble": error.message}
        status = 429 if isinstance(error, LoginSlowedDown) else 401
        return pages.draw("login.html", request=request, visitor=visitor, status=status, **given)
    if scripted:
        return Response(token, cookies=[cookie], headers={"Cache-Control": "no-store"})
    return Response(None, status_code=HTTP_303_SEE_OTHER, cookies=[cookie], headers={"Location": way_back(form.get("next"))})


async def _token(name: str, password: str, key: str, *, accounts: Accounts, credentials: Credentials, address: str) -> Token:
    if key.startswith(KEY_PREFIX):
        return await credentials.exchange(key)
    if key:
        return await credentials.renew(key)
    try:
        asked = msgspec.convert({"username": name, "password": password}, LoginRequest)
    except msgspec.ValidationError as error:
        raise CredentialsWrong("write your name and your password, or an API key") from error
    return await accounts.log_in(asked, address=address)


@post("/logout", include_in_schema=False, status_code=HTTP_303_SEE_OTHER)
async def log_out(request: AnyRequest, sites: Provided[Sites]) -> Response[None]:
    from_our_pages(request, sites)
    cookie = cookie_gone(request=request, sites=sites)
    return Response(None, status_code=HTTP_303_SEE_OTHER, cookies=[cookie], headers={"Location": "/"})


@post("/session", include_in_schema=False, status_code=HTTP_200_OK)
async def token_for_scripts(request: AnyRequest, credentials: Provided[Credentials], sites: Provided[Sites]) -> Response[Token]:
    """A token for the page's own scripts; the cookie is renewed with it."""
    from_our_pages(request, sites)
    held = request.cookies.get(COOKIE)
    if held is None:
        raise LoginRequired("log in to do this")
    token = await credentials.renew(held)
    cookie = cookie_of(token.access_token, request=request, sites=sites)
    return Response(token, cookies=[cookie], headers={"Cache-Control": "no-store"})


async def form_of(request: AnyRequest) -> dict[str, str]:
    """The fields of a small form; of one that is there twice, the last. Raises `BodyInvalid`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BodyInvalid("send a form: application/x-www-form-urlencoded")
    body = await request.body()
    if len(body) > LONGEST_FORM:
        raise BodyInvalid(f"the form has {len(body):,} bytes; at most {LONGEST_FORM:,} are read")
    try:
        fields = parse_qs(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=20, errors="strict"
        )
    except ValueError as error:
        raise BodyInvalid("the form can't be read; send it again") from error
    return {name: values[-1] for name, values in fields.items()}
