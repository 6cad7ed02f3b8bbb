"""Slows down those who guess passwords, across all workers.

An attempt is counted before the password is looked at, and attempts of one name from one address come one after the other in a
process: guesses made at the same moment count, and the right password, many times at once, gets in. Three counts run: of a name
from an address, of an address, and of a name from anywhere; the wider ones allow more, so that one guesser can't easily lock out
the person whose name it is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from mediastore.accounts.errors import LoginSlowedDown
from mediastore.accounts.queries import Throttle, clear_throttle, lock_throttle, set_throttle
from mediastore.clock import Clock
from mediastore.database import Database

FORGET_AFTER = timedelta(minutes=15)
LONGEST_WAIT_S = 900


class LoginThrottle:
    def __init__(self, database: Database, *, attempts: int, clock: Clock) -> None:
        self._database = database
        self._attempts = attempts
        self._clock = clock
        self._turns: dict[tuple[str, str], asyncio.Lock] = {}

    @asynccontextmanager
    async def attempt(self, *, name: str, address: str) -> AsyncIterator[None]:
        """One attempt, alone. Counted when it begins, forgotten when the block ends without an exception."""
        lock = self._turns.setdefault((name, address), asyncio.Lock())
        try:
            async with lock:
                await self._count(name=name, address=address)
                yield
                await self._forget(name=name, address=address)
        finally:
            if not lock.locked():
                self._turns.pop((name, address), None)

    async def _count(self, *, name: str, address: str) -> None:
        """Count one attempt. Raises `LoginSlowedDown` while any of the counts says wait."""
        now = self._clock()
        async with self._database.transaction() as connection:
            found = {}
            for key, allowed in sorted(self._keys(name, address).items()):
                found[key] = (await lock_throttle(connection, key, now), allowed)
            wait_s = max((throttle.blocked_until - now).total_seconds() for throttle, _ in found.values())
            if wait_s > 0:
                raise LoginSlowedDown(
                    f"too many failed log-ins; try again in {round(wait_s) or 1} s", retry_after_s=round(wait_s) or 1
                )
            for key, (throttle, allowed) in found.items():
                await set_throttle(connection, key, after_failure(throttle, allowed=allowed, now=now))

    async def _forget(self, *, name: str, address: str) -> None:
        """A log-in succeeded: it and its address start afresh."""
        async with self._database.connection() as connection:
            await clear_throttle(connection, list(self._keys(name, address)), older_than=self._clock() - FORGET_AFTER)

    def _keys(self, name: str, address: str) -> dict[str, int]:
        return {
            f"pair {address} {name}": self._attempts,
            f"address {address}": self._attempts * 10,
            f"name {name}": self._attempts * 20,
        }


def after_failure(throttle: Throttle, *, allowed: int, now: datetime) -> Throttle:
    """One more failure: free up to `allowed`, then a wait that doubles from 4 s to 15 minutes."""
    failures = 1 if throttle.last_failure_at < now - FORGET_AFTER else throttle.failures + 1
    wait_s = min(2 ** min(failures - allowed + 2, 20), LONGEST_WAIT_S) if failures >= allowed else 0
    return Throttle(failures=failures, last_failure_at=now, blocked_until=now + timedelta(seconds=wait_s))
