"""Everything that serves requests, commands and jobs, wired in one place."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import structlog
from prometheus_client import CollectorRegistry

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.issuers import load_issuers
from mediastore.accounts.passwords import Passwords
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
from mediastore.catalog.fields import INDEX, MetadataFields
from mediastore.catalog.history import History
from mediastore.catalog.identifier_types import IdentifierTypes
from mediastore.catalog.imports import Imports
from mediastore.catalog.intake import Intake
from mediastore.catalog.resolve import Resolver
from mediastore.catalog.rules import Rules
from mediastore.catalog.search import Search
from mediastore.catalog.service import Catalog
from mediastore.catalog.turns import Turns
from mediastore.clock import Clock, utc_now
from mediastore.database import Database, DatabaseError
from mediastore.dialects.amplify.sharing import sharing_of
from mediastore.dialects.spoken import Dialects
from mediastore.errors import SettingInvalid
from mediastore.events.reads import ReadAudit
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.health import Health
from mediastore.jobs.housekeeping import Housekeeping
from mediastore.jobs.loops import Loop
from mediastore.jobs.metrics import JobMetrics
from mediastore.jobs.queue import JobQueue
from mediastore.jobs.service import Backlog
from mediastore.jobs.work import Job, Schedule
from mediastore.jobs.worker import CONNECTIONS, Worker
from mediastore.placement.destinations import Destinations
from mediastore.placement.diary import Diary
from mediastore.placement.memory_lease import MemoryLease
from mediastore.placement.probe import StoreProbe
from mediastore.placement.quotas import Quotas
from mediastore.placement.registry import Registry
from mediastore.placement.service import Placement
from mediastore.registering.scans import SCAN, Scans
from mediastore.registering.service import REGISTER, Registrations
from mediastore.retention.findings import ADOPT, Findings
from mediastore.retention.fixity import FixityCheck
from mediastore.retention.holds import Holds
from mediastore.retention.lease import Leases
from mediastore.retention.reconciler import Reconciler
from mediastore.retention.schedule import SWEEP, SweepSchedule
from mediastore.retention.sweeper import Sweeper
from mediastore.retention.upkeep import CHECK, RECONCILE, UPKEEP, Upkeep
from mediastore.retention.upkeep_metrics import UpkeepMetrics
from mediastore.settings import Settings
from mediastore.transfers import queries as transfer_queries
from mediastore.transfers.arrivals import Arrivals
from mediastore.transfers.cleanup import Cleanup
from mediastore.transfers.completion import ARRIVED, SETTLE, VERIFY, Completion
from mediastore.transfers.direct import DirectUploads
from mediastore.transfers.downloads import Download, Downloads
from mediastore.transfers.ledger import Ledger
from mediastore.transfers.links import Links
from mediastore.transfers.named_forms import NamedForms
from mediastore.transfers.parts import PartReceiver
from mediastore.transfers.previews import Previews
from mediastore.transfers.purge import Purger
from mediastore.transfers.requests import Requests
from mediastore.transfers.tickets import Tickets
from mediastore.transfers.uploads import Uploads
from stores.kinds import StoreKind, load_kinds

RETRY_START_S = 2
LEASE_CHECK_S = 1
AUDIT_EVERY_S = 1
"""How long reads are counted before they are written down: what a process that is killed takes with it."""


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
            session_ttl_s=settings.session_ttl_s,
            clock=clock,
            common_groups=[group for group in [sharing_of(settings).group] if group is not None],
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
        self.destinations = Destinations(self.database, registry=self.registry, default_store=settings.default_store)
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
        self.diary = Diary(self.database)
        self._ledger = Ledger(self.database, catalog=self.catalog, drafts=drafts, on_doomed=self._clean_soon, clock=clock)
        self.uploads = Uploads(
            self.database, ledger=self._ledger, registry=self.registry, max_bytes=settings.max_upload_bytes, clock=clock
        )
        tickets = Tickets(settings.secret_key, clock=clock)
        requests = Requests(tickets, ttl_s=settings.presigned_url_ttl_s, clock=clock)
        self.completion = Completion(
            self.database,
            ledger=self._ledger,
            registry=self.registry,
            credentials=self.credentials,
            jobs=self.jobs,
            max_bytes=settings.max_upload_bytes,
            idle_s=settings.upload_idle_s,
            grace_s=settings.upload_grace_s,
            inline_bytes=settings.verify_inline_bytes,
            clock=clock,
        )
        self.direct_uploads = DirectUploads(
            self.database,
            ledger=self._ledger,
            completion=self.completion,
            requests=requests,
            tickets=tickets,
            catalog=self.catalog,
            registry=self.registry,
            credentials=self.credentials,
            max_bytes=settings.max_upload_bytes,
            idle_s=settings.upload_idle_s,
            clock=clock,
        )
        self.named_forms = NamedForms(
            self.database,
            ledger=self._ledger,
            requests=requests,
            registry=self.registry,
            max_bytes=settings.max_upload_bytes,
            ttl_s=settings.presigned_url_ttl_s,
            clock=clock,
        )
        self.arrivals = Arrivals(self.database, completion=self.completion, ledger=self._ledger)
        self.part_receiver = PartReceiver(
            self.database,
            ledger=self._ledger,
            completion=self.completion,
            registry=self.registry,
            tickets=tickets,
            max_bytes=settings.max_upload_bytes,
            idle_s=settings.upload_idle_s,
            clock=clock,
        )
        self._reads = ReadAudit(self.database, enabled=settings.audit_access)
        self.downloads = Downloads(
            self.database, catalog=self.catalog, registry=self.registry, on_read=self._note_read, clock=clock
        )
        self.previews = Previews(downloads=self.downloads)
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
        self._speak(tickets, clock=clock)
        self.housekeeping = Housekeeping(self.database, log_ttl_s=settings.job_log_ttl_s)
        self.metrics = CollectorRegistry()
        kinds_of_jobs = [job.name for job in self.job_list()] + [schedule.name for schedule in self.schedule_list()]
        self.backlog = Backlog(self.database, jobs=kinds_of_jobs)
        self.health = Health(
            self.database, registry=self.registry, jobs=JobMetrics(kinds_of_jobs), upkeep=UpkeepMetrics(), metrics=self.metrics
        )
        self._loop(lease)

    def _loop(self, lease: MemoryLease) -> None:
        """Wire what each server does again and again, however many there are."""
        settings = self.settings
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

    def _speak(self, tickets: Tickets, *, clock: Clock) -> None:
        """Wire what other systems' APIs need beside ours: dialects."""
        self.dialects = Dialects(
            self.database,
            self.settings,
            placement=self.placement,
            registry=self.registry,
            catalog=self.catalog,
            batch=self.batch,
            search=self.search,
            credentials=self.credentials,
            uploads=self.uploads,
            direct_uploads=self.direct_uploads,
            named_forms=self.named_forms,
            arrivals=self.arrivals,
            part_receiver=self.part_receiver,
            completion=self.completion,
            downloads=self.downloads,
            links=self.links,
            fixity=self.fixity,
            tickets=tickets,
            jobs=self.jobs,
            clock=clock,
        )

    def job_list(self) -> list[Job]:
        """Every kind of job that workers do."""
        return [
            Job(name=VERIFY, run=self.completion.verify),
            Job(name=SETTLE, run=self.completion.settle),
            Job(name=ARRIVED, run=self.arrivals.complete),
            Job(name=REGISTER, run=self.registrations.register),
            Job(name=SCAN, run=self.scans.run),
            Job(name=SWEEP, run=self.sweep_schedule.sweep),
            Job(name=RECONCILE, run=self.upkeep.reconcile_store),
            Job(name=CHECK, run=self.upkeep.check_fixity),
            Job(name=ADOPT, run=self.findings.adopt),
            Job(name=INDEX, run=self.metadata_fields.index),
            *self.dialects.job_list,
        ]

    def schedule_list(self) -> list[Schedule]:
        """Every kind of job that the clock makes."""
        return [
            Schedule(name="look_for_arrivals", every="* * * * *", run=self.arrivals.look_around),
            Schedule(name="sweep_stores", every="* * * * *", run=self.sweep_schedule.enqueue_due),
            Schedule(name="note_what_stores_hold", every="*/10 * * * *", run=self.diary.note),
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
        self.completion.close()
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
