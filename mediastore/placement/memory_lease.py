"""Memory stores live in one process. The database knows which, and what was lost with the one before."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from uuid import uuid4

import asyncpg

from mediastore.database import Database, translated
from mediastore.placement import queries
from mediastore.placement.queries import StoreRow
from stores.errors import StoreUnavailable

LEASE = 1_297_043_533
"""First half of the advisory lock's number; the second is the store's id."""
GRACE_S = 15
"""How long the lock has to be free before another process may take a store over: the locks of all go when the database restarts,
and the living take theirs again within seconds."""


class MemoryLease:
    """Holds an advisory lock for each memory store on a connection of its own, for as long as this process lives.

    When another process held the store before, whatever it had there is gone: `on_lost` is told, once, before the store is used.
    """

    def __init__(
        self, database: Database, *, workers: int, on_lost: Callable[[int], Awaitable[None]], in_server: bool = True
    ) -> None:
        self._database = database
        self._workers = workers
        self._in_server = in_server
        self._on_lost = on_lost
        self._incarnation = uuid4()
        self._begun = monotonic()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._held: set[int] = set()
        self._seen_taken: set[int] = set()
        self._free_since: dict[int, float] = {}
        self._taking = asyncio.Lock()

    async def hold(self, row: StoreRow) -> None:
        """Make this process the store's home. Raises `StoreUnavailable` while another one is, or may be."""
        if self._workers > 1:
            raise StoreUnavailable(
                f"the memory store {row.name} lives in one process, and this server runs {self._workers} workers; "
                "set MEDIASTORE_WORKERS=1 or use a filesystem store"
            )
        if not self._in_server:
            raise StoreUnavailable(f"the memory store {row.name} lives in a server process, and this is a worker alone")
        async with self._taking:
            await self._connected()
            if row.id in self._held:
                return
            async with self._database.connection() as connection:
                home = await queries.incarnation(connection, row.id)
            if home not in {None, self._incarnation} and not await self._is_abandoned(row):
                raise StoreUnavailable(f"the memory store {row.name} lives in another server process on this database")
            await self._take(row)

    def is_home(self, store: int) -> bool:
        """Whether this process still is the store's home."""
        return store in self._held

    async def keep(self) -> None:
        """Take the locks again that went with their connection, before anybody else may."""
        async with self._taking:
            if self._held:
                await self._connected()

    async def release(self) -> None:
        """Let another process be the home."""
        if self._connection is not None:
            await self._connection.close(timeout=2)
            self._connection = None
            self._held.clear()

    async def _connected(self) -> None:
        if self._connection is not None and not self._connection.is_closed():
            return
        self._connection = await self._database.connect()
        for store in list(self._held):
            if not await self._lock(store):  # another process was told that we are gone
                self._held.discard(store)

    async def _is_abandoned(self, row: StoreRow) -> bool:
        """Whether nobody holds the lock: at our start that is enough, later it has to stay so for a while."""
        assert self._connection is not None  # noqa: S101 - see _connected
        with translated():
            taken = await self._connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objid = $2)", LEASE, row.id
            )
        if taken:
            self._seen_taken.add(row.id)
            self._free_since.pop(row.id, None)
            return False
        since = self._free_since.setdefault(row.id, monotonic())
        at_start = row.id not in self._seen_taken and monotonic() - self._begun < GRACE_S
        return at_start or monotonic() - since > GRACE_S

    async def _take(self, row: StoreRow) -> None:
        if not await self._lock(row.id):
            raise StoreUnavailable(f"the memory store {row.name} lives in another server process on this database")
        async with self._database.transaction() as connection:
            before = await queries.set_incarnation(connection, row.id, self._incarnation)
        if before != self._incarnation:
            await self._on_lost(row.id)
        self._held.add(row.id)

    async def _lock(self, store: int) -> bool:
        assert self._connection is not None  # noqa: S101 - see _connected
        with translated():
            return bool(await self._connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LEASE, store))
