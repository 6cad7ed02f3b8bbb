"""What a crash leaves behind: uploads that show no life any more, and bytes that are to go."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

import structlog
from msgspec import Struct

from mediastore.database import Database
from mediastore.placement import objects
from mediastore.placement.objects import Doomed
from mediastore.transfers import part_queries, queries
from mediastore.transfers.completion import SETTLE, VERIFY, Completion
from mediastore.transfers.ledger import Ledger
from mediastore.transfers.purge import Purger

PATIENCE_S = 5
"""How long a run waits for stores; what takes longer goes on behind it."""
FORGOTTEN_S = 300
"""After so long without a sign of life a verification is enqueued again; while its job is there, that changes nothing."""
LEASE_S = 120
"""How long one purger keeps others from the objects that it took."""


class Report(Struct, frozen=True, kw_only=True):
    """What one run did."""

    uploads_ended: int = 0
    parts_ended: int = 0
    purged: int = 0
    failed: int = 0


class Cleanup:
    """Safe to run twice and in parallel, on any machine."""

    def __init__(
        self,
        database: Database,
        *,
        ledger: Ledger,
        completion: Completion,
        purger: Purger,
        stale_s: float,
        grace_s: float,
        quarantine_s: float,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._completion = completion
        self._purger = purger
        self._stale_s = stale_s
        self._grace_s = grace_s
        self._quarantine_s = quarantine_s
        self._log = structlog.get_logger("mediastore.cleanup")
        self._purging: dict[int, asyncio.Task[tuple[int, int]]] = {}

    async def run_once(self, batch_size: int = 1000) -> Report:
        """End what came to a stop, have silent uploads looked after, then purge doomed objects, up to `batch_size` of each."""
        ended = await self._end_stale(batch_size)
        async with self._database.transaction() as connection:
            parts = await part_queries.doom_stale_parts(connection, stale_s=self._stale_s, limit=batch_size)
            await objects.end_quarantine(connection, after_s=self._quarantine_s, limit=batch_size)
        await self._look_after_silent(batch_size)
        purged, failed = await self._purge(batch_size)
        report = Report(uploads_ended=ended, parts_ended=parts, purged=purged, failed=failed)
        if report != Report():
            self._log.info("cleaned up", uploads_ended=ended, parts_ended=parts, purged=purged, failed=failed)
        return report

    async def close(self) -> None:
        """Leave what stores have not answered yet to the next run, here or elsewhere."""
        for task in self._purging.values():
            task.cancel()
        await asyncio.gather(*self._purging.values(), return_exceptions=True)

    async def _end_stale(self, limit: int) -> int:
        async with self._database.connection() as connection:
            stale = await queries.stale_uploads(connection, stale_s=self._stale_s, limit=limit)
        for upload in stale:
            await self._ledger.give_up(upload.id, upload.media, reason="interrupted", withdraw=False)
        return len(stale)

    async def _look_after_silent(self, limit: int) -> None:
        """Direct uploads past their time are settled by a job, and so are those whose verification got lost."""
        async with self._database.transaction() as connection:
            silent = await queries.silent_uploads(connection, grace_s=self._grace_s, verifying_s=FORGOTTEN_S, limit=limit)
            for upload in sorted(silent, key=lambda item: item.id):  # as everywhere, so that nobody waits in a circle
                job = SETTLE if upload.state == "open" else VERIFY
                await self._completion.enqueue(connection, job, upload.id, memory=upload.store_kind == "memory")

    async def _purge(self, limit: int) -> tuple[int, int]:
        """Purge in every store at once. A store that does not answer is left behind, and asked again when it has."""
        busy = [store for store, task in self._purging.items() if not task.done()]
        async with self._database.transaction() as connection:
            claimed = await objects.claim_doomed(connection, limit=limit, lease_s=LEASE_S, but=busy)
        by_store: dict[int, list[Doomed]] = defaultdict(list)
        for doomed in claimed:
            by_store[doomed.store].append(doomed)
        tasks = {store: asyncio.create_task(self._purge_in(store, group)) for store, group in by_store.items()}
        self._purging |= tasks
        if not tasks:
            return 0, 0
        done, _ = await asyncio.wait(tasks.values(), timeout=PATIENCE_S)
        results = [task.result() for task in done]
        return sum(gone for gone, _ in results), sum(left for _, left in results)

    async def _purge_in(self, store_id: int, group: Sequence[Doomed]) -> tuple[int, int]:
        done = await self._purger.purge(store_id, group)
        return done.gone, done.failed
