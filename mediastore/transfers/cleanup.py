"""What a crash leaves behind: uploads that show no life any more, and bytes that are to go."""

from collections import defaultdict
from collections.abc import Sequence

import structlog
from msgspec import Struct

from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.placement import objects
from mediastore.placement.objects import Doomed
from mediastore.placement.registry import Registry
from mediastore.transfers import queries
from mediastore.transfers.uploads import Uploads
from stores.errors import StoreError
from stores.protocol import Store

LEASE_S = 600
"""How long one purger keeps others from the objects that it took."""


class Report(Struct, frozen=True, kw_only=True):
    """What one run did."""

    uploads_ended: int = 0
    purged: int = 0
    failed: int = 0


class Cleanup:
    """Safe to run twice and in parallel, on any machine."""

    def __init__(self, database: Database, *, uploads: Uploads, registry: Registry, stale_s: float, clock: Clock) -> None:
        self._database = database
        self._uploads = uploads
        self._registry = registry
        self._stale_s = stale_s
        self._clock = clock
        self._log = structlog.get_logger("mediastore.cleanup")

    async def run_once(self, batch_size: int = 1000) -> Report:
        """End stale uploads, then purge doomed objects, up to `batch_size` of each."""
        ended = await self._end_stale(batch_size)
        purged, failed = await self._purge(batch_size)
        report = Report(uploads_ended=ended, purged=purged, failed=failed)
        if report != Report():
            self._log.info("cleaned up", uploads_ended=ended, purged=purged, failed=failed)
        return report

    async def _end_stale(self, limit: int) -> int:
        async with self._database.connection() as connection:
            stale = await queries.stale_uploads(connection, stale_s=self._stale_s, limit=limit)
        for upload in stale:
            await self._uploads.give_up(upload.id, upload.media, reason="interrupted", withdraw=False)
        return len(stale)

    async def _purge(self, limit: int) -> tuple[int, int]:
        async with self._database.transaction() as connection:
            claimed = await objects.claim_doomed(connection, limit=limit, lease_s=LEASE_S)
        by_store: dict[int, list[Doomed]] = defaultdict(list)
        for doomed in claimed:
            by_store[doomed.store].append(doomed)
        purged = failed = 0
        for store, group in by_store.items():
            gone, left = await self._purge_in(store, group)
            purged, failed = purged + gone, failed + left
        return purged, failed

    async def _purge_in(self, store_id: int, group: Sequence[Doomed]) -> tuple[int, int]:
        try:
            store = await self._registry.get(store_id, even_disabled=True)
        except (StoreError, MediastoreError) as error:
            await self._note(group, {doomed.key: error.message for doomed in group})
            return 0, len(group)
        problems: dict[str, str] = {}
        for doomed in group:
            if doomed.upload_id is not None:
                try:
                    await store.abort_upload(doomed.key, doomed.upload_id)
                except StoreError as error:
                    problems[doomed.key] = error.message
        answers = await self._delete(store, [doomed.key for doomed in group if doomed.key not in problems])
        problems |= answers
        await self._note(group, problems)
        return len(group) - len(problems), len(problems)

    async def _delete(self, store: Store, keys: Sequence[str]) -> dict[str, str]:
        if not keys:
            return {}
        answers = await store.delete(keys)
        return {key: error.message for key, error in answers.items() if error is not None}

    async def _note(self, group: Sequence[Doomed], problems: dict[str, str]) -> None:
        """Write down what is gone and what is to be tried again."""
        async with self._database.transaction() as connection:
            for doomed in sorted(group, key=lambda item: item.id):
                if doomed.key in problems:
                    await objects.set_purge_failed(connection, doomed.id, reason=problems[doomed.key])
                else:
                    await objects.set_purged(connection, doomed.id, receipt={"at": self._clock(), "answer": "gone"})
