"""Blocking work in threads, a step ahead of who waits for it: how stores on blocking calls read and write."""

import asyncio
from collections.abc import AsyncIterator, Generator, Sequence
from concurrent.futures import Executor
from typing import Literal, Protocol, TypeAlias, TypeVar

from stores.errors import StoreUnavailable
from stores.protocol import Chunks, ObjectInfo

Item = TypeVar("Item")

_GROUP_BYTES = 1024 * 1024
_End: TypeAlias = Literal["end"]
_END: _End = "end"


async def read_ahead(executor: Executor, items: Generator[Item, None, None]) -> AsyncIterator[Item]:
    """What the generator yields, drawn in threads, one item ahead.

    The generator is closed in the end, also when the reader stops early or is cancelled; never while a thread is inside it.
    """
    loop = asyncio.get_running_loop()

    def draw() -> tuple[Item] | _End:
        for item in items:
            return (item,)
        return _END

    upcoming = loop.run_in_executor(executor, draw)
    try:
        # Shielded, because a cancelled future says that it is done while its thread still runs.
        while (drawn := await asyncio.shield(upcoming)) != _END:
            upcoming = loop.run_in_executor(executor, draw)
            yield drawn[0]
    finally:
        upcoming.add_done_callback(lambda future: _close(items, future))


def _close(items: Generator[Item, None, None], future: "asyncio.Future[tuple[Item] | _End]") -> None:
    if not future.cancelled():
        future.exception()  # who stopped early does not ask for it
    items.close()


class Draft(Protocol):
    """An object that is being written by blocking calls, one at a time. Raises `StoreError`s."""

    def write(self, chunks: Chunks) -> None:
        """Add bytes at the end."""

    def publish(self) -> ObjectInfo:
        """Make the object readable in one step."""

    def give_up(self) -> None:
        """Called while another call may be running: a `publish` that has not come to its one step must not take it."""

    def discard(self) -> None:
        """Let go of everything that is not published. Raises nothing; safe to call twice."""


class WriteBehind:
    """A `Writer` over a draft: one group of about 1 MiB is written in a thread while the next comes in."""

    def __init__(self, draft: Draft, executor: Executor, *, key: str) -> None:
        self._draft = draft
        self._executor = executor
        self._key = key
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._running: asyncio.Future[object] | None = None
        self._committing = False
        self._finished = False

    async def append(self, chunks: Sequence[bytes]) -> None:
        self._refuse_after_commit()
        self._waiting += chunks
        self._waiting_bytes += sum(map(len, chunks))
        if self._waiting_bytes >= _GROUP_BYTES:
            await self._settle()
            group, self._waiting, self._waiting_bytes = self._waiting, [], 0
            self._running = asyncio.get_running_loop().run_in_executor(self._executor, self._draft.write, group)

    async def commit(self) -> ObjectInfo:
        self._refuse_after_commit()
        self._committing = True
        await self._settle()
        published = asyncio.get_running_loop().run_in_executor(self._executor, self._write_and_publish)
        self._running = published  # type: ignore[assignment]  # only waited for
        info = await asyncio.shield(published)
        self._finished = True
        return info

    async def close(self) -> None:
        """Remove what was not committed, once the thread inside the draft has come out. Raises nothing."""
        if self._finished:
            return
        self._draft.give_up()
        if self._running is not None:
            await asyncio.wait([self._running])
            self._running.exception()
        await asyncio.get_running_loop().run_in_executor(self._executor, self._draft.discard)

    async def _settle(self) -> None:
        if self._running is not None:
            await asyncio.shield(self._running)

    def _write_and_publish(self) -> ObjectInfo:
        if self._waiting:
            self._draft.write(self._waiting)
        try:
            return self._draft.publish()
        finally:
            self._waiting = []

    def _refuse_after_commit(self) -> None:
        if self._committing:
            raise StoreUnavailable("This write was committed, or failed to be; begin another", key=self._key)
