"""The server as an ASGI application: its routes, and what each request passes through."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from litestar import Litestar, Request, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.static_files import create_static_files_router

from mediastore.accounts.routes import AuthController, UserController, caller_of
from mediastore.accounts.schemas import Caller
from mediastore.catalog.field_routes import MetadataFieldController
from mediastore.catalog.history_routes import EventController, history, resolve, revisions
from mediastore.catalog.interchange_routes import InterchangeController, LineLimits
from mediastore.catalog.routes import IdentifierTypeController, MediaController, try_patterns, versions
from mediastore.catalog.search_routes import SearchController
from mediastore.dialects.amplify import routes as amplify
from mediastore.dialects.bitstore import routes as bitstore
from mediastore.dialects.staging import routes as staging
from mediastore.health import live, metrics, ready
from mediastore.http.observe import Observed
from mediastore.http.parameters import refuse_unknown_query
from mediastore.http.provided import Provided
from mediastore.jobs.routes import JobController
from mediastore.logging import access_log
from mediastore.openapi import ASSETS, ASSETS_PATH, openapi_config
from mediastore.placement.routes import S3ConfigController, StoreController
from mediastore.problem_table import answer_error, describe
from mediastore.registering.routes import RegistrationController
from mediastore.retention.routes import HoldController, SweepController, retention
from mediastore.retention.upkeep_routes import UpkeepController, check
from mediastore.services import Services
from mediastore.settings import Settings
from mediastore.transfers.preview_routes import preview
from mediastore.transfers.routes import BodyLimits, ContentController, download
from mediastore.transfers.sites import Sites
from mediastore.transfers.upload_routes import UploadController
from mediastore.web.pages import Pages
from mediastore.web.refusals import PageRefusals
from mediastore.web.routes import console

CONTENT = b"/api/v1/content/"
DOWNLOAD = "/api/v1/content/{pid}"
"""The route of downloads as Litestar writes it."""


def create_app(settings: Settings, *, services: Services | None = None) -> "Application":
    """The server as an ASGI application."""
    services = services or Services(settings)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(services.running())
            yield

    provided = {
        "accounts": services.accounts,
        "credentials": services.credentials,
        "backlog": services.backlog,
        "placement": services.placement,
        "destinations": services.destinations,
        "store_probe": services.probe,
        "identifier_types": services.identifier_types,
        "catalog": services.catalog,
        "batch": services.batch,
        "record_history": services.history,
        "resolver": services.resolver,
        "imports": services.imports,
        "exports": services.exports,
        "search": services.search,
        "metadata_fields": services.metadata_fields,
        "uploads": services.uploads,
        "direct_uploads": services.direct_uploads,
        "part_receiver": services.part_receiver,
        "downloads": services.downloads,
        "previews": services.previews,
        "links": services.links,
        "quotas": services.quotas,
        "diary": services.diary,
        "holds": services.holds,
        "sweeper": services.sweeper,
        "registrations": services.registrations,
        "scans": services.scans,
        "upkeep": services.upkeep,
        "findings": services.findings,
        **services.dialects.provided,
        "sites": Sites(settings.public_url),
        "describe": describe,
        "limits": BodyLimits(idle_timeout_s=settings.body_idle_timeout_s, max_content_bytes=settings.max_upload_bytes),
        "line_limits": LineLimits(longest=settings.max_json_bytes, idle_timeout_s=settings.body_idle_timeout_s),
    }
    api = Router(
        "/api/v1",
        route_handlers=[
            AuthController,
            UserController,
            IdentifierTypeController,
            S3ConfigController,
            StoreController,
            RegistrationController,
            UpkeepController,
            JobController,
            MediaController,
            InterchangeController,
            SearchController,
            MetadataFieldController,
            ContentController,
            preview,
            UploadController,
            HoldController,
            SweepController,
            EventController,
            history,
            revisions,
            resolve,
            try_patterns,
            versions,
            retention,
            check,
        ],
    )
    pages = Pages()
    refusals = PageRefusals(pages)
    assets = create_static_files_router(ASSETS_PATH, directories=[ASSETS], include_in_schema=False)
    app = Litestar(
        route_handlers=[
            api,
            live,
            ready,
            metrics,
            assets,
            *dialects(settings, services),
            *(console(pages, refusals) if has_console(settings) else []),
        ],
        dependencies={
            "caller": Provide(caller_of(services.credentials)),
            "health": Provide(lambda: services.health, sync_to_thread=False),
            **{name: Provide(_constant(value), sync_to_thread=False) for name, value in provided.items()},
        },
        exception_handlers={Exception: refusals if has_console(settings) else answer_error},
        cors_config=cors(settings.cors_origins),
        before_request=refuse_unknown_query,
        lifespan=[lifespan],
        openapi_config=openapi_config(settings.dialects),
        request_max_body_size=settings.max_json_bytes,
        debug=False,
        logging_config=None,
    )
    return Application(app, services, settings)


def dialects(settings: Settings, services: Services) -> list[Router]:
    """The APIs of other systems that are switched on."""
    made = {
        "amplify": amplify.router(settings.amplify_prefix),
        "bitstore": bitstore.router(settings.bitstore_prefix, services.credentials),
        "staging": staging.router(
            settings.staging_prefix,
            credentials=services.credentials,
            most_bytes=settings.max_upload_bytes,
            ttl_s=settings.staging_ttl_s,
        ),
    }
    return [made[name] for name in dict.fromkeys(settings.dialects)]


def has_console(settings: Settings) -> bool:
    """Whether the console is at the root: unless it is switched off, or a dialect is there."""
    prefixes = {
        "amplify": settings.amplify_prefix,
        "bitstore": settings.bitstore_prefix,
        "staging": settings.staging_prefix,
    }
    return settings.console and all(prefixes[name] != "/" for name in settings.dialects)


def cors(origins: Sequence[str]) -> CORSConfig | None:
    """What pages of these origins may do here. They bring their token with each call: no cookies, so no credentials."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=["ETag", "Location", "Content-Range", "Content-Disposition", "Repr-Digest", "Retry-After", "X-Request-ID"],
        max_age=600,
    )


class Application:
    """Litestar inside the layer that sees every request, also those that no route takes; beside it, plain downloads."""

    def __init__(self, litestar: Litestar, services: Services, settings: Settings) -> None:
        self.litestar = litestar
        self.services = services
        self._caller = caller_of(services.credentials)
        self._cors = bool(settings.cors_origins)
        self._observed = Observed(
            self._answer,
            registry=services.metrics,
            access_log=access_log(settings),
            trusted_proxies=settings.proxy_networks,
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._observed(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        plain = is_plain_download(scope) and not (self._cors and any(name == b"origin" for name, _ in scope["headers"]))
        answer: Any = await self._download(scope) if plain else self.litestar
        await answer(scope, receive, send)

    async def _download(self, scope: Any) -> Any:
        """What Litestar would answer, by the same handler, but without its routing and resolving: a quarter of the work."""
        request: Request[Any, Any, Any] = Request(scope)
        scope["path_template"] = DOWNLOAD
        try:
            return await download(request, await self._caller(request), self.services.downloads)
        except Exception as error:  # noqa: BLE001 - the outermost edge of this request
            return answer_error(request, error).to_asgi_response(None, request)


def is_plain_download(scope: Any) -> bool:
    """Whether this is a GET or HEAD of content without parameters, its path written as in the OpenAPI document."""
    return (
        scope["type"] == "http"
        and scope["method"] in {"GET", "HEAD"}
        and not scope["query_string"]
        and scope["raw_path"].startswith(CONTENT)
        and scope["raw_path"].strip(b"/") != CONTENT.strip(b"/")
    )


def _constant(value: Any) -> Any:
    # Asks for the caller, which it does not need, to come after it: what Litestar could resolve at the same time, it does resolve
    # in a task group, which costs a request more than all the rest of the resolving.
    def provide(caller: Provided[Caller]) -> Any:  # noqa: ARG001 - see above
        return value

    return provide
