"""The second phase of every deletion: bytes that were decided to go leave their store, and the row says so."""

import asyncio
from collections.abc import Mapping, Sequence

import structlog
from msgspec import Struct

from mediastore.clock import Clock
from mediastore.database import Database, DatabaseUnavailable
from mediastore.errors import MediastoreError
from mediastore.placement import objects
from mediastore.placement.objects import Doomed, Gone
from mediastore.placement.registry import Registry
from stores.errors import StoreError, StoreUnavailable
from stores.protocol import Deletion, Store

PAUSES_S = (0.25, 0.5, 1, 2, 4, 8)
"""Between attempts to write down what is gone, while there is no database: what is not written down is removed once more, and
only when whoever claimed it lets go of it."""
SILENCE = StoreUnavailable("The store did not say whether it deleted the object")
"""What is not mentioned was not deleted, as far as anyone knows."""


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
            answers = await self._remove(await self._registry.get(store_id, even_disabled=True), group)
        except (StoreError, MediastoreError) as error:
            answers = {doomed.key: StoreUnavailable(error.message) for doomed in group}
        done = await self._noted(group, answers)
        if done.failed:
            problem = next((answer.message for answer in answers.values() if isinstance(answer, StoreError)), SILENCE.message)
            self._log.warning("a store did not let go of objects yet", store=store_id, failed=done.failed, reason=problem)
        return done

    async def _remove(self, store: Store, group: Sequence[Doomed]) -> Mapping[str, Deletion]:
        """Remove the bytes; returns what became of each key."""
        answers: dict[str, Deletion] = {}
        for doomed in group:
            if doomed.maybe_open and store.features.multipart:
                try:
                    await self._abort(store, doomed)
                except StoreError as error:
                    answers[doomed.key] = error
        keys = [doomed.key for doomed in group if doomed.key not in answers]
        return answers | dict(await store.delete(keys)) if keys else answers

    async def _abort(self, store: Store, doomed: Doomed) -> None:
        if doomed.upload_id is not None:
            await store.abort_upload(doomed.key, doomed.upload_id)
            return
        async for upload in store.list_uploads(prefix=doomed.key):
            if upload.key == doomed.key:
                await store.abort_upload(upload.key, upload.upload_id)

    async def _noted(self, group: Sequence[Doomed], answers: Mapping[str, Deletion]) -> Purged:
        """Write it down as soon as there is a database."""
        for pause_s in PAUSES_S:
            try:
                return await self._note(group, answers)
            except DatabaseUnavailable:
                await asyncio.sleep(pause_s)
        return await self._note(group, answers)

    async def _note(self, group: Sequence[Doomed], answers: Mapping[str, Deletion]) -> Purged:
        """Write down what is gone and what is to be tried again, in order of the rows, as everywhere."""
        now = self._clock()
        gone: list[Gone] = []
        problems: dict[int, str] = {}
        for doomed in sorted(group, key=lambda item: item.id):
            answer = answers.get(doomed.key, SILENCE)
            if isinstance(answer, StoreError):
                problems[doomed.id] = answer.message
                continue
            late = doomed.bytes_until is not None and doomed.bytes_until > now
            kept_as = answer.how if answer is not None else None
            gone.append(Gone(id=doomed.id, kept_as=kept_as, again_at=doomed.bytes_until if late else None))
        async with self._database.transaction() as connection:
            if problems:
                await objects.set_purge_failed(connection, problems)
            if gone:
                await objects.set_gone(connection, gone)
        return Purged(gone=len(gone), failed=len(problems))
