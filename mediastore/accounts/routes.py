"""Log-in, keys and users over HTTP, and the answer to who is asking."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, delete, get, patch, post
from litestar.params import FromPath, PathParameter
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.access import require
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.errors import CredentialsWrong
from mediastore.accounts.schemas import (
    NOBODY,
    Account,
    AccountChange,
    AccountCreate,
    AccountList,
    Caller,
    Key,
    KeyCreate,
    KeyList,
    LoginRequest,
    Me,
    Token,
    TokenRequest,
)
from mediastore.accounts.service import Accounts
from mediastore.http.bodies import accepts
from mediastore.http.problems import problems
from mediastore.http.provided import Provided

ANYONE: list[dict[str, list[str]]] = [{}]
Name = Annotated[str, PathParameter(description="The user's name", max_length=63)]


def caller_of(
    credentials: Provided[Credentials], *, foreign_keys: bool = False
) -> Callable[[Request[Any, Any, Any]], Awaitable[Caller]]:
    """The dependency `caller`: who sent this request, by `Authorization: Bearer` with a token or API key; nobody without.

    `foreign_keys`: an API key may also be that of an outside service.
    """
    identify = credentials.identify_key if foreign_keys else credentials.identify

    async def provide_caller(request: Request[Any, Any, Any]) -> Caller:
        scope: Any = request.scope
        header = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        identity = NOBODY
        if header is not None:
            scheme, _, credential = header.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer" or not credential.strip():
                raise CredentialsWrong("the Authorization header has to read `Bearer TOKEN`, an access token or an API key")
            identity = await identify(credential.strip())
        return Caller(identity=identity, request_id=scope.get("request_id"), address=scope.get("client_address", ""))

    return provide_caller


class AuthController(Controller):
    path = "/auth"
    tags = ("Access",)

    @post(
        "/login",
        status_code=HTTP_200_OK,
        security=ANYONE,
        **accepts(LoginRequest),
        responses=problems(401, 422, 429),
        summary="Log in by name and password",
    )
    async def log_in(self, asked: Provided[LoginRequest], accounts: Provided[Accounts], caller: Provided[Caller]) -> Token:
        return await accounts.log_in(asked, address=caller.address)

    @post(
        "/token",
        status_code=HTTP_200_OK,
        security=ANYONE,
        **accepts(TokenRequest),
        responses=problems(401, 422),
        summary="Exchange an API key for a token",
    )
    async def exchange(self, asked: Provided[TokenRequest], credentials: Provided[Credentials]) -> Token:
        return await credentials.exchange(asked.key)

    @get("/me", responses=problems(401), summary="Who am I, and what may this token do")
    async def me(self, caller: Provided[Caller]) -> Me:
        require(caller.identity, "read", to="see who you are")
        identity = caller.identity
        return Me(
            name=identity.name, role=identity.role, groups=identity.groups, scopes=identity.scopes, full_name=identity.full_name
        )

    @get("/keys", responses=problems(401), summary="List my API keys")
    async def keys(self, caller: Provided[Caller], credentials: Provided[Credentials]) -> KeyList:
        return KeyList(items=await credentials.keys(caller=caller))

    @post("/keys", **accepts(KeyCreate), responses=problems(401, 403, 422), summary="Create an API key, shown this once")
    async def create_key(self, asked: Provided[KeyCreate], caller: Provided[Caller], credentials: Provided[Credentials]) -> Key:
        return await credentials.create_key(asked, caller=caller)

    @delete("/keys/{id:str}", responses=problems(401, 404), summary="Revoke an API key")
    async def revoke_key(self, id: FromPath[UUID], caller: Provided[Caller], credentials: Provided[Credentials]) -> None:
        await credentials.revoke(id, caller=caller)


class UserController(Controller):
    path = "/users"
    tags = ("Users",)

    @get(responses=problems(401, 403), summary="List users")
    async def list_users(self, caller: Provided[Caller], accounts: Provided[Accounts]) -> AccountList:
        return AccountList(items=await accounts.users(caller=caller))

    @post(**accepts(AccountCreate), responses=problems(401, 403, 409, 422), summary="Create a user")
    async def create(self, asked: Provided[AccountCreate], caller: Provided[Caller], accounts: Provided[Accounts]) -> Account:
        return await accounts.create(asked, caller=caller)

    @get("/{name:str}", responses=problems(401, 403, 404), summary="Read a user")
    async def read(self, name: Name, caller: Provided[Caller], accounts: Provided[Accounts]) -> Account:
        return await accounts.read(name, caller=caller)

    @patch(
        "/{name:str}",
        **accepts(AccountChange),
        responses=problems(401, 403, 404, 409, 422),
        summary="Change a user, or one's own password",
    )
    async def change(
        self, name: Name, asked: Provided[AccountChange], caller: Provided[Caller], accounts: Provided[Accounts]
    ) -> Account:
        return await accounts.change(name, asked, caller=caller)

    @delete("/{name:str}", responses=problems(401, 403, 404, 409), summary="Delete a user; the name is never given out again")
    async def remove(self, name: Name, caller: Provided[Caller], accounts: Provided[Accounts]) -> None:
        await accounts.delete(name, caller=caller)
