"""The second phase of every deletion: bytes that were decided to go leave their store, and the row says so."""

import asyncio
from collections.abc import Sequence

import structlog
from msgspec import Struct

from mediastore.clock import Clock
from mediastore.database import Database, DatabaseUnavailable
from mediastore.errors import MediastoreError
from mediastore.placement import objects
from mediastore.placement.objects import Doomed
from mediastore.placement.registry import Registry
from stores.errors import StoreError
from stores.protocol import Store

PAUSES_S = (0.25, 0.5, 1, 2, 4, 8)
"""Between attempts to write down what is gone, while there is no database: what is not written down is removed once more, and
only when whoever claimed it lets go of it."""


class Purged(Struct, frozen=True, kw_only=True):
    """What came of it."""

    gone: int
    failed: int


class Purger:
    def __init__(self, database: Database, *, registry: Registry, clock: Clock) -> None:
        self._database = database
        self._registry = registry
        self._clock = clock
        self._log = structlog.get_logger("mediastore.purge")

    async def purge(self, store_id: int, group: Sequence[Doomed]) -> Purged:
        """Remove the bytes of objects of one store, and note for each that they are gone, or when to try again.

        "Not there" counts as gone. Safe to repeat, and to be done by two at once: a row becomes purged once.
        """
        try:
            problems = await self._remove(await self._registry.get(store_id, even_disabled=True), group)
        except (StoreError, MediastoreError) as error:
            problems = {doomed.key: error.message for doomed in group}
        for pause_s in PAUSES_S:
            try:
                return await self._note(group, problems)
            except DatabaseUnavailable:
                await asyncio.sleep(pause_s)
        return await self._note(group, problems)

    async def _remove(self, store: Store, group: Sequence[Doomed]) -> dict[str, str]:
        """Remove the bytes; returns what went wrong, by key."""
        problems: dict[str, str] = {}
        for doomed in group:
            if doomed.maybe_open and store.features.multipart:
                try:
                    await self._abort(store, doomed)
                except StoreError as error:
                    problems[doomed.key] = error.message
        keys = [doomed.key for doomed in group if doomed.key not in problems]
        answers = await store.delete(keys) if keys else {}
        return problems | {key: error.message for key, error in answers.items() if error is not None}

    async def _abort(self, store: Store, doomed: Doomed) -> None:
        if doomed.upload_id is not None:
            await store.abort_upload(doomed.key, doomed.upload_id)
            return
        async for upload in store.list_uploads(prefix=doomed.key):
            if upload.key == doomed.key:
                await store.abort_upload(upload.key, upload.upload_id)

    async def _note(self, group: Sequence[Doomed], problems: dict[str, str]) -> Purged:
        """Write down what is gone and what is to be tried again, in order of the rows, as everywhere."""
        now = self._clock()
        ordered = sorted(group, key=lambda item: item.id)
        gone = [doomed for doomed in ordered if doomed.key not in problems]
        again = [doomed for doomed in gone if doomed.bytes_until is not None and doomed.bytes_until > now]
        final = [doomed.id for doomed in gone if doomed.bytes_until is None or doomed.bytes_until <= now]
        async with self._database.transaction() as connection:
            for doomed in ordered:
                if doomed.key in problems:
                    await objects.set_purge_failed(connection, doomed.id, reason=problems[doomed.key])
            for doomed in again:
                assert doomed.bytes_until is not None  # noqa: S101 - see above
                await objects.purge_again(connection, doomed.id, at=doomed.bytes_until)
            await objects.set_purged(connection, final)
        return Purged(gone=len(gone), failed=len(problems))
