"""One comparison of a store's listing with its rows.

Rows and listing are read at different moments, while others write. What looks wrong in a window is asked anew before it counts:
its row as it is by then, and where something is done upon it, the object itself.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from datetime import timedelta

from msgspec import Struct

from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement import objects
from mediastore.retention import finding_queries
from mediastore.retention import reconcile_queries as queries
from mediastore.retention.asking import ask
from mediastore.retention.reading import ByteRate, read_back
from mediastore.retention.reconcile_queries import ObjectRow, RunRow
from mediastore.retention.upkeep_errors import StoreDoubtful
from mediastore.retention.upkeep_schemas import Counts
from mediastore.retention.windows import Window, windows
from mediastore.retention.work import Work
from stores.protocol import ObjectInfo

AHEAD = timedelta(hours=1)
"""How far the clock of a store may be ahead of ours before what it says of an object's age is not believed."""


class Seen(Struct, frozen=True, kw_only=True):
    """What of a window is not as it should be."""

    unknown: list[ObjectInfo]
    """Listed, and no row names it."""
    absent: list[int]
    """Objects that should be there and are not listed."""
    differing: list[ObjectInfo]
    """Listed with another size than was verified."""
    late: list[str]
    """Keys that were purged."""
    back: list[ObjectRow]
    """Objects that were missing."""


def compared(window: Window) -> Seen:
    """Rows in other states than these are left to those who move them on."""
    rows = {row.key: row for row in window.rows}
    seen = Seen(unknown=[], absent=[], differing=[], late=[], back=[])
    for info in window.listed:
        row = rows.pop(info.key, None)
        if row is None:
            seen.unknown.append(info)
        elif row.state == "stored" and row.size != info.size:
            seen.differing.append(info)
        elif row.state == "missing":
            seen.back.append(row)
        elif row.state == "purged":
            seen.late.append(row.key)
    seen.absent.extend(row.id for row in rows.values() if row.state == "stored")
    return seen


class Comparison:
    """Counts what it sees and does in `counts`, which are kept with how far it has come."""

    def __init__(self, database: Database, *, work: Work, run: RunRow, on_doomed: Callable[[], None], clock: Clock) -> None:
        self._database = database
        self._work = work
        self._run = run
        self._on_doomed = on_doomed
        self._clock = clock
        self._rate = ByteRate(work.policy.fixity_bytes_per_s)
        self.counts: Counts = run.counted()

    async def walk(self) -> None:
        """Go through all keys of both sides, from where the comparison has come to. Raises `StoreDoubtful`."""

        async def rows_after(after: str, limit: int) -> Sequence[ObjectRow]:
            async with self._database.transaction() as connection:
                return await queries.rows_after(connection, self._work.row.id, after, limit)

        async with aclosing(windows(self._work.store, rows_after, after=self._run.after_key)) as found:
            async for window in found:
                await self._settle(window)
                last = [window.until, *(row.key for row in window.rows[-1:]), *(info.key for info in window.listed[-1:])]
                await self._note_progress(max(key for key in [*last, ""] if key is not None))

    async def _note_progress(self, key: str) -> None:
        async with self._database.transaction() as connection:
            await self._work.lease.check(connection)
            if key:
                await queries.note_progress(connection, self._run.id, after_key=key, counts=self.counts)

    async def _settle(self, window: Window) -> None:
        seen = compared(window)
        self.counts.listed += len(window.listed)
        self.counts.bytes_listed += sum(info.size for info in window.listed)
        self.counts.rows += len(window.rows)
        if seen.absent:
            await self._settle_absent(seen.absent)
        if seen.unknown:
            await self._settle_unknown(seen.unknown)
        if seen.differing:
            await self._settle_differing(seen.differing)
        if seen.late:
            await self._settle_late(seen.late)
        for row in seen.back:
            await self._settle_back(row)

    async def _settle_absent(self, absent: list[int]) -> None:
        work = self._work
        async with self._database.transaction() as connection:
            await work.lease.check(connection)
            self.counts.absent += await queries.note_absent(
                connection, work.row.id, absent, revision=work.row.revision, at=self._clock()
            )
        if not self._run.believe_missing and work.too_many(self.counts.absent):
            none = self.counts.listed == 0
            raise StoreDoubtful(
                f"the store does not list {self.counts.absent} or more of the {work.expected} objects that should be there"
                + (", and nothing else" if none else ""),
                stopped_by="nothing_found" if none else "too_many_missing",
            )

    async def _settle_unknown(self, unknown: list[ObjectInfo]) -> None:
        now = self._clock()
        oldest = now - timedelta(seconds=self._work.policy.unknown_grace_s)
        young = {info.key for info in unknown if oldest < info.modified_at <= now + AHEAD}
        self.counts.young += len(young)
        old = [info for info in unknown if info.key not in young]
        if not old:
            return
        async with self._database.transaction() as connection:
            await self._work.lease.check(connection)
            # Every row is older than its bytes, so that one which is not there by now never was.
            known = await queries.rows_at(connection, self._work.row.id, [info.key for info in old])
            found = [finding_queries.listed_as(info, "bytes that no row names") for info in old if info.key not in known]
            await finding_queries.note_findings(connection, self._work.row.id, "unknown_object", found, run=self._run.id, at=now)
        self.counts.unknown += len(found)

    async def _settle_differing(self, differing: list[ObjectInfo]) -> None:
        answers = await ask(self._work.store, [info.key for info in differing])
        there = {key: info for key, info in answers.items() if info is not None}
        now = self._clock()
        async with self._database.transaction() as connection:
            await self._work.lease.check(connection)
            rows = await queries.rows_at(connection, self._work.row.id, list(there))
            wrong = [row for row in rows.values() if row.state == "stored" and row.size != there[row.key].size]
            found = [
                finding_queries.listed_as(there[row.key], f"{there[row.key].size} bytes where {row.size} were verified")
                for row in wrong
            ]
            await finding_queries.note_findings(connection, self._work.row.id, "size_differs", found, run=self._run.id, at=now)
            await queries.check_first(connection, [row.id for row in wrong], at=now)
        self.counts.differing += len(wrong)

    async def _settle_late(self, keys: list[str]) -> None:
        there = [key for key, info in (await ask(self._work.store, keys)).items() if info is not None]
        async with self._database.transaction() as connection:
            await self._work.lease.check(connection)
            for key in there:
                await objects.doom_again(connection, store=self._work.row.id, key=key, reason="bytes came after the purge")
        self.counts.late += len(there)
        if there:
            self._on_doomed()

    async def _settle_back(self, row: ObjectRow) -> None:
        """An object that was missing is listed: it counts as stored when its bytes are those that were verified."""
        work = self._work
        async with self._database.connection() as connection:
            missing = await queries.missing_by_id(connection, row.id)
        if missing is None:
            return
        reading = await read_back(work.store, missing.key, size=missing.size, checksums=missing.checksums, rate=self._rate)
        now = self._clock()
        async with self._database.transaction() as connection:
            await work.lease.check(connection)
            if reading.result == "ok":
                self.counts.found += await queries.set_found(connection, row.id, actor=NOT_A_PERSON, at=now)
            elif reading.result == "mismatch":
                detail = f"missing before, and back with other bytes: {reading.detail}"
                found = [(row.key, "", None, detail)]
                await finding_queries.note_findings(connection, work.row.id, "content_differs", found, run=self._run.id, at=now)
                self.counts.differing += 1
