"""Work that this process repeats for as long as it lives."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog


class Loop:
    """Runs `work` every `interval_s`, and at once when it is woken. An error is logged, and the next turn comes all the same."""

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], *, interval_s: float) -> None:
        self._name = name
        self._work = work
        self._interval_s = interval_s
        self._wake = asyncio.Event()
        self._log = structlog.get_logger("mediastore.jobs")

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - the outermost edge of a loop
                self._log.warning("a turn failed; the next one tries again", loop=self._name, error=repr(error))
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
