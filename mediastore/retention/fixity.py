"""Reads stored objects and compares them with their checksums: oldest comparison first, and never faster than a store allows."""

from datetime import datetime, timedelta
from time import monotonic

import structlog
from msgspec import Struct

from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.placement import queries as placement
from mediastore.placement.errors import PlacementError
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from mediastore.placement.schemas import Upkeep
from mediastore.retention import fixity_queries as queries
from mediastore.retention import reconcile_queries
from mediastore.retention.absences import ASKS
from mediastore.retention.fixity_queries import CheckRow
from mediastore.retention.lease import Lease, Leases
from mediastore.retention.reading import ByteRate, Reading, read_back
from mediastore.retention.work import is_elsewhere
from stores.errors import StoreError
from stores.protocol import Store

SLICE_S = 50
"""How long a run goes on with further objects; the next one goes on from there."""
BATCH, OUT_OF_TURN = 80, 20
AGAIN_AFTER = timedelta(days=1)
"""When an object that is not as it should be is read again, in case that somebody has mended it."""
ERROR_AGAIN_AFTER = timedelta(hours=1)
ENOUGH_ERRORS = 3
"""After so many in a row the fault is the store's, and the other objects wait."""
HEADROOM, MOST_AHEAD = 1.5, 0.9
"""Comparing begins so much ahead of the period's end that all of it can be read in time, at the rate that is allowed."""


class Report(Struct, frozen=True, kw_only=True):
    """What one run did."""

    ok: int = 0
    missing: int = 0
    mismatch: int = 0
    error: int = 0
    bytes_read: int = 0


class FixityCheck:
    def __init__(self, database: Database, *, registry: Registry, leases: Leases, clock: Clock) -> None:
        self._database = database
        self._registry = registry
        self._leases = leases
        self._clock = clock
        self._log = structlog.get_logger("mediastore.fixity")

    async def run(self, store: int, *, slice_s: float = SLICE_S) -> Report:
        """Read what is due of a store, for about `slice_s`. Raises `UpkeepBusy` while another process is at it.

        A store that does not answer ends it: what it says then is said of no object but the three that were tried.
        """
        async with self._leases.held(store, "fixity") as lease:
            async with self._database.connection() as connection:
                row = await placement.store_by_id(connection, store)
            if row is None or not row.enabled:
                return Report()
            try:
                opened = await self._registry.get(store, revision=row.revision)
            except (StoreError, PlacementError) as error:
                if is_elsewhere(row, error):
                    raise
                self._log.info("a store can't be read", store=row.name, reason=error.message)
                return Report()
            return await self._read_due(row, opened, lease, slice_s=slice_s)

    async def is_due(self, row: StoreRow) -> bool:
        return bool(await self._due(row, limit=1))

    async def check_object(self, object: int) -> Reading | None:
        """Read one object now, without waiting for its turn or for the rate; None where it is not stored."""
        async with self._database.connection() as connection:
            item = await queries.stored_by_id(connection, object)
            row = None if item is None else await placement.store_by_id(connection, item.store)
        if item is None or row is None:
            return None
        try:
            store = await self._registry.get(row.id, revision=row.revision)
        except (StoreError, PlacementError) as error:
            if is_elsewhere(row, error):
                raise
            reading = Reading(result="error", detail=f"the store can't be opened ({error.code})")
            await self._note(row, item, reading, began_at=self._clock(), lease=None)
            return reading
        return await self._check(row, store, item, rate=None, lease=None)

    async def _read_due(self, row: StoreRow, store: Store, lease: Lease, *, slice_s: float) -> Report:
        rate = ByteRate(row.care().fixity_bytes_per_s)
        until, errors = monotonic() + slice_s, 0
        counted = {"ok": 0, "missing": 0, "mismatch": 0, "error": 0}
        bytes_read = 0
        while monotonic() < until and errors < ENOUGH_ERRORS and (batch := await self._due(row)):
            for item in batch:
                reading = await self._check(row, store, item, rate=rate, lease=lease)
                counted[reading.result] += 1
                bytes_read += reading.read
                errors = errors + 1 if reading.result == "error" else 0
                if monotonic() >= until or errors >= ENOUGH_ERRORS:
                    break
        report = Report(**counted, bytes_read=bytes_read)
        if report != Report():
            self._log.info("read stored objects", store=row.name, **counted, bytes=bytes_read)
        return report

    async def _due(self, row: StoreRow, *, limit: int = BATCH) -> list[CheckRow]:
        policy, now = row.care(), self._clock()
        async with self._database.connection() as connection:
            first = await queries.due_out_of_turn(connection, row.id, at=now, limit=min(limit, OUT_OF_TURN))
            if not policy.fixity_period_s:
                return first
            size = await queries.byte_count(connection, row.id)
            before = now - timedelta(seconds=age_s(policy, size))
            known = {item.id for item in first}
            return first + [
                item for item in await queries.due(connection, row.id, before=before, limit=limit) if item.id not in known
            ]

    async def _check(self, row: StoreRow, store: Store, item: CheckRow, *, rate: ByteRate | None, lease: Lease | None) -> Reading:
        began_at = self._clock()
        reading = await read_back(store, item.key, size=item.size, checksums=item.checksums, rate=rate)
        await self._note(row, item, reading, began_at=began_at, lease=lease)
        return reading

    async def _note(self, row: StoreRow, item: CheckRow, reading: Reading, *, began_at: datetime, lease: Lease | None) -> None:
        now = self._clock()
        async with self._database.transaction() as connection:
            if lease is not None:
                await lease.check(connection)
            await queries.note_result(
                connection,
                item.id,
                result=reading.result,
                detail=reading.detail,
                began_at=began_at,
                at=now,
                recheck_at=again_at(reading, now),
            )
            if reading.result == "missing":
                # The reconciler asks for it, several times, before that is believed.
                known = await reconcile_queries.note_absent(connection, row.id, [item.id], revision=row.revision, at=now)
                next_at = now + timedelta(seconds=row.care().missing_period_s / (ASKS - 1))
                if known:
                    await reconcile_queries.note_first_asked(connection, item.id, at=now, next_at=next_at)
            await queries.count_read(connection, row.id, objects=1, size=reading.read)
        if reading.result != "ok":
            self._log.warning(
                "an object is not as it was", store=row.name, key=item.key, fixity=reading.result, detail=reading.detail
            )


def age_s(policy: Upkeep, size: int) -> float:
    """How old a comparison may become before the next one is due, where the store holds so many bytes."""
    needed_s = HEADROOM * size / policy.fixity_bytes_per_s
    return policy.fixity_period_s - min(needed_s, MOST_AHEAD * policy.fixity_period_s)


def again_at(reading: Reading, now: datetime) -> datetime | None:
    match reading.result:
        case "ok":
            return None
        case "error":
            return now + ERROR_AGAIN_AFTER
        case _:
            return now + AGAIN_AFTER
