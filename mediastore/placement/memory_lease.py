"""Memory stores live in one process. The database knows which, and what was lost with the one before."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import asyncpg

from mediastore.database import Database, translated
from mediastore.placement import queries
from mediastore.placement.queries import StoreRow
from stores.errors import StoreUnavailable

LEASE = 1_297_043_533
"""First half of the advisory lock's number; the second is the store's id."""


class MemoryLease:
    """Holds an advisory lock for each memory store on a connection of its own, for as long as this process lives.

    When another process held the store before, whatever it had there is gone: `on_lost` is told, once, before the store is used.
    """

    def __init__(self, database: Database, *, workers: int, on_lost: Callable[[int], Awaitable[None]]) -> None:
        self._database = database
        self._workers = workers
        self._on_lost = on_lost
        self._incarnation = uuid4()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._held: set[int] = set()
        self._taking = asyncio.Lock()

    async def hold(self, row: StoreRow) -> None:
        """Make this process the store's home. Raises `StoreUnavailable` while another one is."""
        if self._workers > 1:
            raise StoreUnavailable(
                f"the memory store {row.name} lives in one process, and this server runs {self._workers} workers; "
                "set MEDIASTORE_WORKERS=1 or use a filesystem store"
            )
        async with self._taking:
            if self._connection is None or self._connection.is_closed():
                self._connection = await self._database.connect()
                self._held.clear()
            if row.id in self._held:
                return
            with translated():
                got = await self._connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LEASE, row.id)
            if not got:
                raise StoreUnavailable(f"the memory store {row.name} lives in another server process on this database")
            async with self._database.transaction() as connection:
                before = await queries.set_incarnation(connection, row.id, self._incarnation)
            if before != self._incarnation:
                await self._on_lost(row.id)
            self._held.add(row.id)

    async def release(self) -> None:
        """Let another process be the home."""
        if self._connection is not None:
            await self._connection.close(timeout=2)
            self._connection = None
            self._held.clear()
