"""Where a person's uploads can go, and which hosts their browser has to reach for it."""

import asyncio
from urllib.parse import urlsplit

from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.placement import queries
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from stores.errors import StoreError

PATIENCE_S = 3
"""For a store that is not open yet. Whoever asks has a page to draw."""


class Destination(Struct, frozen=True, kw_only=True):
    """A store that takes uploads. Nothing of its settings is told but what every upload to it tells."""

    name: str
    usual: bool
    """Whether records go there that name no store."""
    origin: str | None = None
    """Scheme, host and port to which clients send by themselves; null where that is this server, or it could not be found out."""


class Destinations:
    def __init__(self, database: Database, *, registry: Registry, default_store: str) -> None:
        self._database = database
        self._registry = registry
        self._default_store = default_store

    async def list(self, *, caller: Caller) -> list[Destination]:
        """The stores that are switched on, the usual one first. One that is away is told without its origin."""
        require(caller.identity, "write", to="upload")
        async with self._database.connection() as connection:
            rows = [row for row in await queries.stores(connection) if row.enabled]
        origins = await asyncio.gather(*(self._origin(row) for row in rows))
        found = [
            Destination(name=row.name, usual=row.name == self._default_store, origin=origin)
            for row, origin in zip(rows, origins, strict=True)
        ]
        return sorted(found, key=lambda each: (not each.usual, each.name))

    async def _origin(self, row: StoreRow) -> str | None:
        """As the store itself signs URLs: it knows whether its bucket is part of the host."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                store = await self._registry.get(row.id, revision=row.revision)
                if not store.features.presigned:
                    return None
                url = urlsplit(await store.presign_get("origin", expires_s=60))
        except (TimeoutError, StoreError, MediastoreError):
            return None
        return f"{url.scheme}://{url.netloc}"
