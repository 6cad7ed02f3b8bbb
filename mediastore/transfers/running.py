"""Digests of content whose parts come to their places in one object, reckoned while further parts come.

A memory of this process, and nothing that must be there: what it does not know is read when the upload is completed.
"""

import asyncio
from uuid import UUID

import structlog

from mediastore.errors import MediastoreError
from mediastore.transfers.queries import UploadRow
from mediastore.transfers.requests import plan_of
from mediastore.transfers.streaming import grouped
from stores.digests import Digester
from stores.errors import StoreError
from stores.protocol import Store

MOST = 256
"""Uploads of which this process knows digests; the one begun first is forgotten for one more."""


class RunningDigests:
    def __init__(self) -> None:
        self._known: dict[UUID, _Running] = {}
        self._log = structlog.get_logger("mediastore.transfers")

    def came(self, upload: UploadRow, store: Store, number: int) -> None:
        """A part is in its place, durably: what stands there from the beginning without a gap is read and reckoned."""
        running = self._known.get(upload.id)
        if running is None:
            while len(self._known) >= MOST:
                self.forget(next(iter(self._known)))
            running = self._known[upload.id] = _Running(upload)
        running.there.add(number)
        if running.task is None or running.task.done():
            running.task = asyncio.create_task(self._advance(running, store))

    def left(self, upload: UploadRow) -> int:
        """Bytes of its content that are still to be read."""
        running = self._known.get(upload.id)
        lost = (
            running is None
            or not set(upload.algorithms) <= set(running.algorithms)
            or (running.broken and (running.task is None or running.task.done()))
        )
        return (upload.size or 0) - (0 if running is None or lost else running.position)

    async def catch_up(self, upload: UploadRow, *, within_s: float) -> None:
        """Wait until all that has come is reckoned, but no longer than that."""
        running = self._known.get(upload.id)
        if running is not None and running.task is not None:
            await asyncio.wait([running.task], timeout=within_s)

    async def finished(self, upload: UploadRow, store: Store) -> dict[str, str]:
        """Lower-case hex by algorithm, of the whole object: what was not read yet is read now. It is forgotten with that."""
        running = self._known.pop(upload.id, None)
        if running is not None and running.task is not None:
            await asyncio.wait([running.task])
        if running is None or running.broken or not set(upload.algorithms) <= set(running.algorithms):
            running = _Running(upload)
        await running.read_on(store, None)
        digests = await running.digester.digests()
        return {algorithm: digests[algorithm] for algorithm in upload.algorithms}

    def close(self) -> None:
        """Forget all."""
        for upload in list(self._known):
            self.forget(upload)

    def forget(self, upload: UUID) -> None:
        running = self._known.pop(upload, None)
        if running is not None and running.task is not None:
            running.task.cancel()

    async def _advance(self, running: "_Running", store: Store) -> None:
        while running.next in running.there and not running.broken:
            offset, size = running.plan.span(running.next)
            try:
                await running.read_on(store, offset + size)
            except (StoreError, MediastoreError) as error:
                self._log.info("digest not reckoned ahead", upload=str(running.upload), reason=error.message)
                return
            running.there.discard(running.next)
            running.next += 1


class _Running:
    def __init__(self, upload: UploadRow) -> None:
        assert upload.landing_key is not None  # noqa: S101 - parts have places in it alone
        self.upload = upload.id
        self.key = upload.landing_key
        self.plan = plan_of(upload)
        self.algorithms = upload.algorithms
        self.digester = Digester(upload.algorithms)
        self.there: set[int] = set()
        self.next = 1
        self.position = 0
        """As far as it was read, bytes."""
        self.broken = False
        """Whether a reading ended half-way, so that nobody knows any more what the digests are of."""
        self.task: asyncio.Task[None] | None = None

    async def read_on(self, store: Store, end: int | None) -> None:
        """Reckon the bytes up to `end`, or to the end of the object."""
        self.broken = True
        async for group in grouped(store.read(self.key, start=self.position, end=end)):
            await self.digester.update(group)
        self.position = self.digester.size
        self.broken = False
