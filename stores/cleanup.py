"""Tidying up that a cancelled caller can't stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Cleanup:
    """Work that has to be seen through: abort this upload, remove that file."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for the work, which must not raise. A caller that is cancelled meanwhile is let go; the work goes on."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        await asyncio.shield(task)

    async def drain(self) -> None:
        """Wait for all that was left behind by cancelled callers."""
        while self._running:
            await asyncio.wait(self._running)
