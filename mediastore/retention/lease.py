"""One process at a time for one kind of work in one store, however many servers there are."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, TypeAlias

from msgspec import Struct

from mediastore.database import Connection, Database, DatabaseError
from mediastore.retention.upkeep_errors import LeaseLost, UpkeepBusy

Task: TypeAlias = Literal["reconcile", "fixity"]
HELD_S = 60
"""How long a process may be silent before another takes its work over."""

TAKE = """
INSERT INTO upkeep AS u (store, task, token, held_until) VALUES ($1, $2, 1, now() + make_interval(secs => $3))
ON CONFLICT ON CONSTRAINT upkeep_pkey DO UPDATE SET token = u.token + 1, held_until = excluded.held_until
WHERE u.held_until IS NULL OR u.held_until <= now()
RETURNING u.token
"""
RENEW = """
UPDATE upkeep SET held_until = now() + make_interval(secs => $4) WHERE store = $1 AND task = $2 AND token = $3 RETURNING true
"""
RELEASE = "UPDATE upkeep SET held_until = NULL WHERE store = $1 AND task = $2 AND token = $3"
# Shared, so that whoever takes over waits for the transaction in which this was asked.
FENCE = "SELECT true FROM upkeep WHERE store = $1 AND task = $2 AND token = $3 FOR SHARE"


class Lease(Struct, frozen=True, kw_only=True):
    """The right to write about a store. Its token is the highest that was given out, as long as nobody has taken over."""

    store: int
    task: Task
    token: int

    async def check(self, connection: Connection) -> None:
        """To be asked first in every transaction that writes. Raises `LeaseLost`."""
        if not await connection.fetchval(FENCE, self.store, self.task, self.token):
            raise LeaseLost("another process has taken this work over")


class Leases:
    def __init__(self, database: Database, *, held_s: float = HELD_S) -> None:
        self._database = database
        self._held_s = held_s

    @asynccontextmanager
    async def held(self, store: int, task: Task) -> AsyncIterator[Lease]:
        """Hold the lease for the length of the block, with signs of life. Raises `UpkeepBusy` while another process has it."""
        async with self._database.connection() as connection:
            token = await connection.fetchval(TAKE, store, task, self._held_s)
        if token is None:
            raise UpkeepBusy("another process is at this work in this store; it ends by itself, or is taken over in a minute")
        lease = Lease(store=store, task=task, token=token)
        renewing = asyncio.create_task(self._renew(lease))
        try:
            yield lease
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            with suppress(DatabaseError):
                async with self._database.connection() as connection:
                    await connection.execute(RELEASE, store, task, token)

    async def _renew(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._held_s / 4)
            with suppress(DatabaseError):
                async with self._database.connection() as connection:
                    if not await connection.fetchval(RENEW, lease.store, lease.task, lease.token, self._held_s):
                        return
