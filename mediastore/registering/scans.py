"""A run over a store's listing that registers every object which no row names.

A page of the listing at a time: its objects are written down, then read and published, then how far it has come is committed.
What a crash interrupts is taken up with the same page, whose registrations are found by their keys: none is made twice.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from datetime import timedelta

import msgspec
import structlog
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.errors import CredentialsWrong, NotAllowed
from mediastore.accounts.schemas import Caller
from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from mediastore.placement import queries as placement
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from mediastore.placement.service import Placement
from mediastore.registering import queries, scan_queries
from mediastore.registering.errors import KeyNamed, ScanEnded, ScanNotFound
from mediastore.registering.pid_patterns import PidPattern
from mediastore.registering.scan_queries import ScanRow
from mediastore.registering.schemas import Scan, ScanAsk, ScanStatus
from mediastore.registering.service import AGAIN_S, KEPT, NEWEST, Registrations, Wanted, passes
from mediastore.transfers.declared import About, about_record, checked_type
from mediastore.transfers.ledger import told
from stores.errors import StoreError
from stores.keys import check_key
from stores.protocol import ObjectInfo, Store

SCAN = "scan_store"
PAGE = 100
"""Objects between two commits of how far a scan has come."""
READ_AT_ONCE = 4
PROBLEMS = 10
"""That a scan shows itself."""


class ScanJob(Struct, frozen=True, kw_only=True):
    """What the job is told."""

    scan: int


class Page(Struct, frozen=True, kw_only=True):
    """Some objects of the listing, sorted out."""

    unnamed: list[ObjectInfo]
    waiting: list[int]
    """Registrations that the scan has made of them before it was interrupted."""
    named: int
    young: int


class Scans:
    def __init__(
        self,
        database: Database,
        *,
        placement: Placement,
        registrations: Registrations,
        registry: Registry,
        credentials: Credentials,
        jobs: JobQueue,
        clock: Clock,
    ) -> None:
        self._database = database
        self._placement = placement
        self._registrations = registrations
        self._registry = registry
        self._credentials = credentials
        self._jobs = jobs
        self._clock = clock
        self._log = structlog.get_logger("mediastore.registering")

    async def begin(self, name: str, asked: ScanAsk, about: About, *, caller: Caller) -> Scan:
        """Write down a scan; a job carries it out. Raises `PatternInvalid` and `KeyInvalid` (of a prefix)."""
        require(caller.identity, "admin", to="register what lies in stores")
        PidPattern(asked.pid_pattern, prefix=asked.prefix)
        async with self._database.transaction() as connection:
            row = await self._placement.found(connection, name)
            if asked.prefix:  # some key has to begin with it
                check_key(asked.prefix + "x", prefix=row.prefix)
            id = await scan_queries.insert_scan(
                connection,
                store=row.id,
                prefix=asked.prefix,
                pid_pattern=asked.pid_pattern,
                about=about.given,
                media_type=checked_type(asked.media_type) if asked.media_type else None,
                min_age_s=asked.min_age_s,
                caller=caller.identity.name,
            )
            await self._jobs.enqueue(connection, SCAN, ScanJob(scan=id), dedupe_key=f"{SCAN} {id}", local=row.kind == "memory")
        return await self._shown(await self._row(id))

    async def run(self, payload: bytes) -> None:
        """The job. Safe to run twice and at once: who finds that another has brought the scan further lets it."""
        id = msgspec.json.decode(payload, type=ScanJob).scan
        async with self._database.connection() as connection:
            scan = await scan_queries.scan_by_id(connection, id)
            row = None if scan is None else await placement.store_by_id(connection, scan.store)
        if scan is None or scan.state != "running":
            return
        if row is None:
            await self._end(scan, reason="the store was deleted")
            return
        try:
            await self._walk(scan, row, await self._caller(scan))
        except (CredentialsWrong, NotAllowed) as error:
            await self._end(scan, reason=error.message)
        except (StoreError, MediastoreError) as error:
            raise RetryLater(error.message, delay_s=AGAIN_S) from error

    async def _caller(self, scan: ScanRow) -> Caller:
        """Who began it, with the rights that they have now."""
        identity = await self._credentials.identity_of(scan.caller)
        require(identity, "admin", to="register what lies in stores")
        return Caller(identity=identity, request_id=None, address="")

    async def _walk(self, scan: ScanRow, row: StoreRow, caller: Caller) -> None:
        store = await self._registry.get(row.id, revision=row.revision)
        after = scan.after_key
        async with aclosing(_pages(store, scan)) as pages:
            async for listed in pages:
                page = await self._sort_out(scan, listed)
                begun, named = await self._write_down(scan, row, page.unnamed, caller=caller)
                await self._settle([*page.waiting, *begun])
                async with self._database.connection() as connection:
                    if not await scan_queries.advance(
                        connection,
                        scan.id,
                        after=after,
                        to=listed[-1].key,
                        listed=len(listed),
                        named=page.named + named,
                        young=page.young,
                    ):
                        return
                after = listed[-1].key
        await self._end(scan)

    async def _sort_out(self, scan: ScanRow, listed: Sequence[ObjectInfo]) -> Page:
        oldest = self._clock() - timedelta(seconds=scan.min_age_s)
        keys = [info.key for info in listed]
        async with self._database.connection() as connection:
            # In this order: what another run of this scan names in between is named, and not forgotten.
            ours = await queries.of_scan(connection, scan.id, keys)
            named = await queries.named(connection, scan.store, keys) - ours.keys()
        others = [info for info in listed if info.key not in ours and info.key not in named]
        unnamed = [info for info in others if info.modified_at <= oldest]
        return Page(
            unnamed=unnamed,
            waiting=[id for id, state in ours.values() if state == "waiting"],
            named=len(named),
            young=len(others) - len(unnamed),
        )

    async def _write_down(
        self, scan: ScanRow, row: StoreRow, unnamed: Sequence[ObjectInfo], *, caller: Caller
    ) -> tuple[list[int], int]:
        """Registrations of these objects, and how many of them got a name at the same moment."""
        pattern = PidPattern(scan.pid_pattern, prefix=scan.prefix)
        about = about_record(bytes(scan.about))
        begun: list[int] = []
        named = 0
        for info in unnamed:
            wanted = Wanted(
                key=info.key,
                pid=pattern.pid(info.key),
                size=info.size,
                media_type=scan.media_type or "",
                filename=info.key.rpartition("/")[2],
                about=about,
                scan=scan.id,
            )
            try:
                begun.append(await self._registrations.write_down(row, wanted, caller=caller))
            except KeyNamed:
                named += 1
            except (StoreError, MediastoreError) as error:
                if passes(error):
                    raise
                await self._note_failed(scan, wanted, error)
        return begun, named

    async def _note_failed(self, scan: ScanRow, wanted: Wanted, error: MediastoreError | StoreError) -> None:
        async with self._database.connection() as connection:
            await queries.insert_failed(
                connection,
                store=scan.store,
                key=wanted.key,
                scan=scan.id,
                pid=wanted.pid,
                size=wanted.size,
                problem=told(error),
                caller=scan.caller,
                at=self._clock(),
            )

    async def _settle(self, registrations: Sequence[int]) -> None:
        """Read and publish them, some at once. Raises what has to be waited for, once all others are settled."""
        seats = asyncio.Semaphore(READ_AT_ONCE)

        async def settle(id: int) -> None:
            async with seats:
                await self._registrations.settle(id)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_kept(settle(id))) for id in registrations]
        for task in tasks:
            if (error := task.result()) is not None:
                raise error

    async def _end(self, scan: ScanRow, *, reason: str | None = None) -> None:
        async with self._database.connection() as connection:
            state: ScanStatus = "done" if reason is None else "stopped"
            await scan_queries.end_scan(connection, scan.id, state=state, at=self._clock(), reason=reason)
        self._log.info("scanned", store=scan.store_name, scan=scan.id, reason=reason)

    # What people ask for.

    async def page(self, name: str, *, cursor: int | None, limit: int, caller: Caller) -> tuple[list[Scan], int | None]:
        """The scans of a store, newest first, and the cursor of the next page."""
        require(caller.identity, "admin", to="see how stores are scanned")
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            before = NEWEST if cursor is None else cursor
            rows = await scan_queries.scans_before(connection, row.id, before=before, limit=limit + 1)
        return [await self._shown(item) for item in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None

    async def show(self, name: str, id: int, *, caller: Caller) -> Scan:
        require(caller.identity, "admin", to="see how stores are scanned")
        return await self._shown(await self._found(name, id))

    async def stop(self, name: str, id: int, *, caller: Caller) -> None:
        """Register no more. What was registered stays, what is being read is finished. Raises `ScanEnded`."""
        require(caller.identity, "admin", to="stop scans")
        scan = await self._found(name, id)
        async with self._database.connection() as connection:
            reason = f"{caller.identity.name} stopped it"
            if not await scan_queries.end_scan(connection, scan.id, state="stopped", at=self._clock(), reason=reason):
                raise ScanEnded(f"the scan {id} has ended already", scan=id)

    async def _found(self, name: str, id: int) -> ScanRow:
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            scan = await scan_queries.scan_by_id(connection, id)
        if scan is None or scan.store != row.id:
            raise ScanNotFound(f"there is no scan {id} of the store {name}", scan=id)
        return scan

    async def _row(self, id: int) -> ScanRow:
        async with self._database.connection() as connection:
            scan = await scan_queries.scan_by_id(connection, id)
        assert scan is not None  # noqa: S101 - it was written down a moment ago, and is kept for long
        return scan

    async def _shown(self, scan: ScanRow) -> Scan:
        problems = []
        if scan.failed:
            async with self._database.connection() as connection:
                problems = await queries.problems_of(connection, scan.id, limit=PROBLEMS)
        return scan.shown([row.shown() for row in problems])

    # What the clock does.

    async def look_after(self) -> None:
        """Have a job made for every scan and registration that should have ended; forget what ended long ago."""
        await self._registrations.look_after()
        async with self._database.transaction() as connection:
            for scan in await scan_queries.running(connection):
                await self._jobs.enqueue(
                    connection, SCAN, ScanJob(scan=scan.id), dedupe_key=f"{SCAN} {scan.id}", local=scan.memory
                )
            await scan_queries.forget_ended(connection, self._clock() - KEPT)


async def _pages(store: Store, scan: ScanRow) -> AsyncGenerator[list[ObjectInfo], None]:
    listing = store.list(prefix=scan.prefix, start_after=scan.after_key)
    page: list[ObjectInfo] = []
    try:
        async for info in listing:
            page.append(info)
            if len(page) == PAGE:
                yield page
                page = []
        if page:
            yield page
    finally:
        if isinstance(listing, AsyncGenerator):
            await listing.aclose()


async def _kept(work: Awaitable[None]) -> MediastoreError | StoreError | None:
    """The error of ours that it raised."""
    try:
        await work
    except (StoreError, MediastoreError) as error:
        return error
    return None
