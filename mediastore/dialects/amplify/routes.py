"""AMPLIfy Mediastore's API over HTTP."""

from litestar import Router, get, post
from litestar.di import Provide
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.routes import ANYONE
from mediastore.accounts.schemas import Caller, LoginRequest
from mediastore.accounts.service import Accounts
from mediastore.dialects.amplify import media_routes, place_routes, transfer_routes, update_routes
from mediastore.dialects.amplify.refusals import answer_error, answer_log_in
from mediastore.dialects.amplify.schemas import AmplifyFailed, AmplifyHello, AmplifyLogin, AmplifyRefusal, AmplifyToken
from mediastore.dialects.amplify.sharing import Sharing
from mediastore.dialects.faces import speaks
from mediastore.http.provided import Provided


@get("/hello", **speaks("amplify"), security=ANYONE, summary="Say hello")
async def hello() -> AmplifyHello:
    return AmplifyHello(msg="Hello, world!")


@post(
    "/login",
    **speaks("amplify", body=AmplifyLogin, refusals={401: AmplifyFailed, 422: AmplifyRefusal, 429: AmplifyFailed}),
    status_code=HTTP_200_OK,
    security=ANYONE,
    exception_handlers={Exception: answer_log_in},
    summary="Log in by name and password",
)
async def log_in(asked: Provided[AmplifyLogin], accounts: Provided[Accounts], caller: Provided[Caller]) -> AmplifyToken:
    token = await accounts.log_in(LoginRequest(username=asked.username, password=asked.password), address=caller.address)
    return AmplifyToken(token=token.access_token)


async def account(caller: Provided[Caller], amplify_sharing: Provided[Sharing]) -> Caller:
    """Who asks, as they act in this API."""
    return amplify_sharing.caller(caller)


def router(prefix: str) -> Router:
    """This dialect below `prefix`."""
    routes = [*media_routes.ROUTES, *update_routes.ROUTES, *place_routes.ROUTES, *transfer_routes.ROUTES]
    return Router(
        f"{prefix}/api",
        route_handlers=[hello, log_in, *routes],
        dependencies={"account": Provide(account)},
        exception_handlers={Exception: answer_error},
        tags=["AMPLIfy"],
    )
