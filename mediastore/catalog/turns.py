"""Costly questions to the database, so many at a time: they leave connections for everybody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mediastore.catalog.errors import SearchBusy


class Turns:
    """`at_once` go on, and the others wait for up to `wait_s`."""

    def __init__(self, *, at_once: int = 5, wait_s: float = 5) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._wait_s = wait_s

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """For the length of the block. Raises `SearchBusy`."""
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError as error:
            raise SearchBusy("too many searches are under way at this moment; try again") from error
        try:
            yield
        finally:
            self._free.release()
