"""The one place where the parts are put together."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import structlog
from litestar import Litestar, Request, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.params import QueryParameter
from litestar.static_files import create_static_files_router
from prometheus_client import CollectorRegistry

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.issuers import load_issuers
from mediastore.accounts.passwords import Passwords
from mediastore.accounts.routes import AuthController, UserController, caller_of
from mediastore.accounts.schemas import Caller
from mediastore.accounts.secrets import Sealer
from mediastore.accounts.service import Accounts
from mediastore.accounts.throttle import LoginThrottle
from mediastore.accounts.tokens import Tokens
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.batch import Batch
from mediastore.catalog.bulk import Bulk
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.exports import Exports
from mediastore.catalog.field_routes import MetadataFieldController
from mediastore.catalog.fields import INDEX, MetadataFields
from mediastore.catalog.history import History
from mediastore.catalog.history_routes import EventController, history, resolve, revisions
from mediastore.catalog.identifier_types import IdentifierTypes
from mediastore.catalog.imports import Imports
from mediastore.catalog.intake import Intake
from mediastore.catalog.interchange_routes import InterchangeController, LineLimits
from mediastore.catalog.resolve import Resolver
from mediastore.catalog.routes import IdentifierTypeController, MediaController, versions
from mediastore.catalog.rules import Rules
from mediastore.catalog.search import Search
from mediastore.catalog.search_routes import SearchController
from mediastore.catalog.service import Catalog
from mediastore.catalog.turns import Turns
from mediastore.clock import Clock, utc_now
from mediastore.database import Database, DatabaseError
from mediastore.errors import SettingInvalid
from mediastore.events.reads import ReadAudit
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.health import Health, live, metrics, ready
from mediastore.http.errors import QueryUnknown, RequestError
from mediastore.http.observe import Observed
from mediastore.http.provided import Provided
from mediastore.jobs.housekeeping import Housekeeping
from mediastore.jobs.loops import Loop
from mediastore.jobs.metrics import JobMetrics
from mediastore.jobs.queue import JobQueue
from mediastore.jobs.routes import JobController
from mediastore.jobs.service import Backlog
from mediastore.jobs.work import Job, Schedule
from mediastore.jobs.worker import CONNECTIONS, Worker
from mediastore.logging import access_log
from mediastore.openapi import ASSETS, ASSETS_PATH, openapi_config
from mediastore.placement.memory_lease import MemoryLease
from mediastore.placement.probe import StoreProbe
from mediastore.placement.quotas import Quotas
from mediastore.placement.registry import Registry
from mediastore.placement.routes import S3ConfigController, StoreController
from mediastore.placement.service import Placement
from mediastore.problem_table import answer_error, describe
from mediastore.registering.routes import RegistrationController
from mediastore.registering.scans import SCAN, Scans
from mediastore.registering.service import REGISTER, Registrations
from mediastore.retention.findings import ADOPT, Findings
from mediastore.retention.fixity import FixityCheck
from mediastore.retention.holds import Holds
from mediastore.retention.lease import Leases
from mediastore.retention.reconciler import Reconciler
from mediastore.retention.routes import HoldController, SweepController, retention
from mediastore.retention.schedule import SWEEP, SweepSchedule
from mediastore.retention.sweeper import Sweeper
from mediastore.retention.upkeep import CHECK, RECONCILE, UPKEEP, Upkeep
from mediastore.retention.upkeep_metrics import UpkeepMetrics
from mediastore.retention.upkeep_routes import UpkeepController, check
from mediastore.settings import Settings
from mediastore.transfers import queries as transfer_queries
from mediastore.transfers.cleanup import Cleanup
from mediastore.transfers.completion import SETTLE, VERIFY, Completion
from mediastore.transfers.direct import DirectUploads
from mediastore.transfers.downloads import Download, Downloads
from mediastore.transfers.ledger import Ledger
from mediastore.transfers.links import Links
from mediastore.transfers.parts import PartReceiver
from mediastore.transfers.purge import Purger
from mediastore.transfers.requests import Requests
from mediastore.transfers.routes import BodyLimits, ContentController, download
from mediastore.transfers.sites import Sites
from mediastore.transfers.tickets import Tickets
from mediastore.transfers.upload_routes import UploadController
from mediastore.transfers.uploads import Uploads
from stores.kinds import StoreKind, load_kinds

RETRY_START_S = 2
LEASE_CHECK_S = 1
AUDIT_EVERY_S = 1
"""How long reads are counted before they are written down: what a process that is killed takes with it."""
CONTENT = b"/api/v1/content/"
DOWNLOAD = "/api/v1/content/{pid}"
"""The route of downloads as Litestar writes it."""


class Services:
    """Everything that requests, commands and jobs are served by, wired once. `in_server`: memory stores may live here."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = utc_now,
        kinds: Mapping[str, StoreKind] | None = None,
        in_server: bool = True,
    ) -> None:
        if settings.secret_key is None or settings.database_url is None:
            raise SettingInvalid("MEDIASTORE_SECRET_KEY and MEDIASTORE_DATABASE_URL are needed; `mediastore serve` brings both")
        self.settings = settings
        self._url = settings.database_url
        self.database = Database(
            self._url,
            pool_size=settings.database_pool_size,
            wait_s=settings.database_wait_s,
            query_timeout_s=settings.query_timeout_s,
        )
        self._log = structlog.get_logger("mediastore")
        self.jobs = JobQueue()
        sealer = Sealer(settings.secret_key)
        tokens = Tokens(settings.secret_key, ttl_s=settings.token_ttl_s, clock=clock)
        self.credentials = Credentials(
            self.database,
            tokens=tokens,
            issuers=load_issuers(settings.issuers_file),
            cache_s=settings.identity_cache_s,
            clock=clock,
        )
        self.accounts = Accounts(
            self.database,
            passwords=Passwords(),
            tokens=tokens,
            throttle=LoginThrottle(self.database, attempts=settings.login_attempts, clock=clock),
            on_change=self.credentials.forget,
        )
        lease = MemoryLease(self.database, workers=settings.workers, on_lost=self._memory_lost, in_server=in_server)
        self.registry = Registry(
            self.database,
            kinds=load_kinds() if kinds is None else kinds,
            sealer=sealer,
            lease=lease,
            roots=settings.roots,
            allow_private=settings.allow_private_endpoints,
        )
        self.rules = Rules(self.database, cache_s=settings.identity_cache_s)
        self.placement = Placement(
            self.database,
            registry=self.registry,
            sealer=sealer,
            roots=settings.roots,
            allow_private=settings.allow_private_endpoints,
            workers=settings.workers,
            on_change=self.rules.forget,
            clock=clock,
        )
        self.probe = StoreProbe(self.database, registry=self.registry, origins=settings.cors_origins)
        self.identifier_types = IdentifierTypes(self.database, rules=self.rules)
        drafts = Drafts(self.rules, default_store=settings.default_store, max_metadata_depth=settings.max_metadata_depth)
        self.catalog = Catalog(
            self.database, drafts=drafts, pid_prefix=settings.pid_prefix, on_doomed=self._clean_soon, clock=clock
        )
        self.resolver = Resolver(self.database, clock=clock)
        self.batch = Batch(
            self.database,
            bulk=Bulk(catalog=self.catalog, drafts=drafts, clock=clock),
            catalog=self.catalog,
            drafts=drafts,
            max_items=settings.max_batch_items,
            max_answer_bytes=settings.max_answer_bytes,
        )
        self.imports = Imports(
            Intake(self.database, catalog=self.catalog, drafts=drafts, pid_prefix=settings.pid_prefix, clock=clock),
            credentials=self.credentials,
        )
        self._find(settings, clock=clock)
        self.quotas = Quotas(self.database)
        self._ledger = Ledger(self.database, catalog=self.catalog, drafts=drafts, on_doomed=self._clean_soon, clock=clock)
        self.uploads = Uploads(
            self.database, ledger=self._ledger, registry=self.registry, max_bytes=settings.max_upload_bytes, clock=clock
        )
        tickets = Tickets(settings.secret_key, clock=clock)
        self.completion = Completion(
            self.database,
            ledger=self._ledger,
            registry=self.registry,
            credentials=self.credentials,
            jobs=self.jobs,
            idle_s=settings.upload_idle_s,
            grace_s=settings.upload_grace_s,
            inline_bytes=settings.verify_inline_bytes,
            clock=clock,
        )
        self.direct_uploads = DirectUploads(
            self.database,
            ledger=self._ledger,
            completion=self.completion,
            requests=Requests(tickets, ttl_s=settings.presigned_url_ttl_s, clock=clock),
            tickets=tickets,
            catalog=self.catalog,
            registry=self.registry,
            credentials=self.credentials,
            max_bytes=settings.max_upload_bytes,
            idle_s=settings.upload_idle_s,
            clock=clock,
        )
        self.part_receiver = PartReceiver(
            self.database,
            ledger=self._ledger,
            registry=self.registry,
            tickets=tickets,
            idle_s=settings.upload_idle_s,
            clock=clock,
        )
        self._reads = ReadAudit(self.database, enabled=settings.audit_access)
        self.downloads = Downloads(
            self.database, catalog=self.catalog, registry=self.registry, on_read=self._note_read, clock=clock
        )
        self.links = Links(
            self.database,
            downloads=self.downloads,
            registry=self.registry,
            tickets=tickets,
            credentials=self.credentials,
            ttl_s=settings.presigned_url_ttl_s,
            audit=settings.audit_access,
            clock=clock,
        )
        purger = Purger(self.database, registry=self.registry, clock=clock)
        self.cleanup = Cleanup(
            self.database,
            ledger=self._ledger,
            completion=self.completion,
            purger=purger,
            stale_s=settings.upload_stale_s,
            grace_s=settings.upload_grace_s,
            quarantine_s=settings.quarantine_s,
        )
        self._register(drafts, clock=clock)
        self._keep(purger, clock=clock)
        self.housekeeping = Housekeeping(self.database, log_ttl_s=settings.job_log_ttl_s)
        self.metrics = CollectorRegistry()
        kinds_of_jobs = [job.name for job in self.job_list()] + [schedule.name for schedule in self.schedule_list()]
        self.backlog = Backlog(self.database, jobs=kinds_of_jobs)
        self.health = Health(
            self.database, registry=self.registry, jobs=JobMetrics(kinds_of_jobs), upkeep=UpkeepMetrics(), metrics=self.metrics
        )
        self._cleaning = Loop("cleanup", self.cleanup.run_once, interval_s=settings.cleanup_interval_s)
        self._living = Loop("uploads", self._show_life, interval_s=settings.upload_stale_s / 4)
        self._leasing = Loop("memory leases", lease.keep, interval_s=LEASE_CHECK_S)
        self._auditing = Loop("reads", self._reads.flush, interval_s=AUDIT_EVERY_S)
        self._starting = Loop(
            "memory stores", self.open_memory_stores, interval_s=max(RETRY_START_S, settings.cleanup_interval_s)
        )

    def _register(self, drafts: Drafts, *, clock: Clock) -> None:
        """Wire what makes records of objects that exist: registering."""
        self.registrations = Registrations(
            self.database,
            placement=self.placement,
            catalog=self.catalog,
            drafts=drafts,
            ledger=self._ledger,
            registry=self.registry,
            credentials=self.credentials,
            jobs=self.jobs,
            inline_bytes=self.settings.verify_inline_bytes,
            clock=clock,
        )
        self.scans = Scans(
            self.database,
            placement=self.placement,
            registrations=self.registrations,
            registry=self.registry,
            credentials=self.credentials,
            jobs=self.jobs,
            clock=clock,
        )

    def _find(self, settings: Settings, *, clock: Clock) -> None:
        """Wire what goes through many records: searches, exports, the history of everything."""
        turns = Turns(at_once=max(1, settings.database_pool_size // 2), wait_s=settings.database_wait_s)
        search_timeout_s = min(settings.search_timeout_s, settings.query_timeout_s)
        self.search = Search(
            self.database,
            timeout_s=search_timeout_s,
            count_timeout_s=settings.count_timeout_s,
            turns=turns,
            clock=clock,
        )
        self.history = History(self.database, turns=turns, timeout_s=search_timeout_s, clock=clock)
        self.exports = Exports(self.database, search=self.search, credentials=self.credentials, clock=clock)
        self.metadata_fields = MetadataFields(self.database, jobs=self.jobs)

    def _keep(self, purger: Purger, *, clock: Clock) -> None:
        """Wire what looks after bytes for as long as they lie: retention."""
        self.holds = Holds(self.database, catalog=self.catalog, clock=clock)
        self.sweeper = Sweeper(self.database, purger=purger, clock=clock, lease_s=self.settings.sweep_lease_s)
        self.sweep_schedule = SweepSchedule(self.database, sweeper=self.sweeper, jobs=self.jobs)
        leases = Leases(self.database)
        self.reconciler = Reconciler(
            self.database, registry=self.registry, leases=leases, on_doomed=self._clean_soon, clock=clock
        )
        self.fixity = FixityCheck(self.database, registry=self.registry, leases=leases, clock=clock)
        self.upkeep = Upkeep(
            self.database,
            placement=self.placement,
            catalog=self.catalog,
            reconciler=self.reconciler,
            fixity=self.fixity,
            jobs=self.jobs,
            clock=clock,
        )
        self.findings = Findings(
            self.database,
            placement=self.placement,
            catalog=self.catalog,
            registry=self.registry,
            jobs=self.jobs,
            clock=clock,
        )

    def job_list(self) -> list[Job]:
        """Every kind of job that workers do."""
        return [
            Job(name=VERIFY, run=self.completion.verify),
            Job(name=SETTLE, run=self.completion.settle),
            Job(name=REGISTER, run=self.registrations.register),
            Job(name=SCAN, run=self.scans.run),
            Job(name=SWEEP, run=self.sweep_schedule.sweep),
            Job(name=RECONCILE, run=self.upkeep.reconcile_store),
            Job(name=CHECK, run=self.upkeep.check_fixity),
            Job(name=ADOPT, run=self.findings.adopt),
            Job(name=INDEX, run=self.metadata_fields.index),
        ]

    def schedule_list(self) -> list[Schedule]:
        """Every kind of job that the clock makes."""
        return [
            Schedule(name="sweep_stores", every="* * * * *", run=self.sweep_schedule.enqueue_due),
            Schedule(name="forget_job_log", every="17 * * * *", run=self.housekeeping.run),
            Schedule(name="look_after_registrations", every="*/5 * * * *", run=self.scans.look_after),
            Schedule(name=UPKEEP, every="* * * * *", run=self.upkeep.enqueue_due),
        ]

    def worker(self, *, shared: bool = True, local: bool = False) -> Worker:
        """One that does these jobs: those that any worker may do, and those that only a server may."""
        return Worker(
            Database(
                self._url,
                pool_size=CONNECTIONS,
                wait_s=self.settings.database_wait_s,
                query_timeout_s=self.settings.query_timeout_s,
            ),
            jobs=self.job_list(),
            schedules=self.schedule_list(),
            queue=self.jobs,
            concurrency=self.settings.worker_concurrency,
            grace_s=self.settings.worker_grace_s,
            lost_s=self.settings.worker_lost_s,
            shared=shared,
            local=local,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Services"]:
        """Open for the length of the block, with the loops of a server and its worker. A database that is away is waited for,
        not needed.
        """
        loops = (self._starting, self._cleaning, self._living, self._leasing, self._auditing)
        tasks = [asyncio.create_task(loop.run()) for loop in loops]
        stop, working = asyncio.Event(), list[asyncio.Task[None]]()
        if self.settings.worker_inside or self.settings.workers == 1:
            # With workers elsewhere, this server still is the only one who can do the jobs on what its memory holds.
            worker = self.worker(shared=self.settings.worker_inside, local=True)
            working.append(asyncio.create_task(worker.run(stop)))
        try:
            yield self
        finally:
            stop.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*working, *tasks, return_exceptions=True)
            await self.sweeper.close()
            await self.cleanup.close()
            with suppress(DatabaseError):
                await self._reads.flush()
            await self.close()

    async def close(self) -> None:
        """Let go of stores and connections."""
        await self.registry.close()
        await self.database.close()

    async def open_memory_stores(self) -> None:
        """Make this process the home of the memory stores that have none, so that what was lost is known at once."""
        await self.placement.open_memory_stores()

    async def _show_life(self) -> None:
        await self.uploads.show_life()
        await self.part_receiver.show_life()

    async def _memory_lost(self, store: int) -> None:
        async with self.database.transaction() as connection:
            reason = "it was in the memory of a server process that has ended"
            records = await catalog_queries.set_lost(connection, store, reason=reason, actor=NOT_A_PERSON)
            uploads = await transfer_queries.uploads_in(connection, store)
        for upload in uploads:
            await self._ledger.give_up(upload.id, upload.media, reason="lost", withdraw=False)
        if records:
            self._log.warning("records were lost with the memory of an earlier process", store=store, records=records)

    def _note_read(self, download: Download, caller: Caller) -> None:
        reader = caller.identity.name
        if self._reads.note(pid=download.pid, media=download.media, version=download.version, actor=reader):
            self._auditing.wake()

    def _clean_soon(self) -> None:
        self._cleaning.wake()


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
        "links": services.links,
        "quotas": services.quotas,
        "holds": services.holds,
        "sweeper": services.sweeper,
        "registrations": services.registrations,
        "scans": services.scans,
        "upkeep": services.upkeep,
        "findings": services.findings,
        "sites": Sites(settings.public_url),
        "describe": describe,
        "limits": BodyLimits(idle_timeout_s=settings.body_idle_timeout_s),
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
            UploadController,
            HoldController,
            SweepController,
            EventController,
            history,
            revisions,
            resolve,
            versions,
            retention,
            check,
        ],
    )
    assets = create_static_files_router(ASSETS_PATH, directories=[ASSETS], include_in_schema=False)
    app = Litestar(
        route_handlers=[api, live, ready, metrics, assets],
        dependencies={
            "caller": Provide(caller_of(services.credentials)),
            "health": Provide(lambda: services.health, sync_to_thread=False),
            **{name: Provide(_constant(value), sync_to_thread=False) for name, value in provided.items()},
        },
        exception_handlers={Exception: answer_error},
        cors_config=cors(settings.cors_origins),
        before_request=refuse_unknown_query,
        lifespan=[lifespan],
        openapi_config=openapi_config(),
        request_max_body_size=settings.max_json_bytes,
        debug=False,
        logging_config=None,
    )
    return Application(app, services, settings)


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


async def refuse_unknown_query(request: Request[Any, Any, Any]) -> None:
    """A parameter that is ignored would make the caller believe that it was heeded."""
    if not request.scope["query_string"]:
        return
    parameters = request.route_handler.parsed_fn_signature.parameters
    known = [name for name, parameter in parameters.items() if isinstance(parameter.kwarg_definition, QueryParameter)]
    for name in request.query_params:
        if name not in known:
            there = f"; it has {', '.join(known)}" if known else ""
            raise QueryUnknown(f"this call has no query parameter {name!r}{there}", parameter=name)
        kind = parameters[name]
        if "null" in request.query_params.getall(name) and not any(each.annotation is str for each in (kind, *kind.inner_types)):
            # Litestar would take the word for no value at all.
            raise RequestError(f"{name}=null is no value; leave {name} out", parameter=name)


def _constant(value: Any) -> Any:
    # Asks for the caller, which it does not need, to come after it: what Litestar could resolve at the same time, it does resolve
    # in a task group, which costs a request more than all the rest of the resolving.
    def provide(caller: Provided[Caller]) -> Any:  # noqa: ARG001 - see above
        return value

    return provide
