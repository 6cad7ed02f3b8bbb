"""The stores that this process has open."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from mediastore.accounts.secrets import Sealer
from mediastore.database import Database, DatabaseError
from mediastore.errors import MediastoreError
from mediastore.placement import queries
from mediastore.placement.endpoints import check_endpoint
from mediastore.placement.errors import EndpointRefused, StoreDisabled, StoreInvalid, StoreNotFound
from mediastore.placement.memory_lease import MemoryLease
from mediastore.placement.queries import StoreRow
from stores.config import S3Access, StoreConfig
from stores.errors import KeyInvalid, ObjectNotFound, StoreError, StoreMisconfigured, StoreUnavailable
from stores.kinds import StoreKind, build
from stores.protocol import Store

HEALTH_KEY = "health/no-such-object"
HEALTH_TIMEOUT_S = 5


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """An open store, and which state of its row it was opened from."""

    revision: int
    enabled: bool
    memory: bool
    store: Store


class Registry:
    """Opens each store once, again when its settings changed, and closes all at the end.

    A store that was replaced stays open until then: transfers may still be under way in it.
    """

    def __init__(
        self,
        database: Database,
        *,
        kinds: Mapping[str, StoreKind],
        sealer: Sealer,
        lease: MemoryLease,
        roots: Sequence[Path],
        allow_private: bool,
    ) -> None:
        self._database = database
        self._kinds = kinds
        self._sealer = sealer
        self._lease = lease
        self._roots = roots
        self._allow_private = allow_private
        self._open: dict[int, Opened] = {}
        self._replaced: list[Store] = []
        self._locks: dict[int, asyncio.Lock] = {}
        self._log = structlog.get_logger("mediastore.placement")

    async def get(self, id: int, *, revision: int | None = None, even_disabled: bool = False) -> Store:
        """The open store. `revision`, where the caller has just read it, saves asking the database.

        Raises `StoreNotFound`, `StoreDisabled`, and whatever keeps the store from opening.
        """
        known = self._open.get(id)
        if known is not None and known.memory and not self._lease.is_home(id):
            known = None  # another process was told that we are gone: what we hold is nobody's
            self._open.pop(id)
        if known is not None and known.revision == revision and (known.enabled or even_disabled):
            return known.store
        async with self._locks.setdefault(id, asyncio.Lock()):
            async with self._database.connection() as connection:
                row = await queries.store_by_id(connection, id)
            if row is None:
                raise StoreNotFound("the store is gone")
            if not row.enabled and not even_disabled:
                raise StoreDisabled(f"the store {row.name} is switched off", store=row.name)
            known = self._open.get(id)
            if known is not None and known.revision == row.revision:
                return known.store
            store = await self.build(row)
            await store.open()
            if known is not None:
                self._replaced.append(known.store)
            self._open[id] = Opened(revision=row.revision, enabled=row.enabled, memory=row.kind == "memory", store=store)
            return store

    async def build(self, row: StoreRow) -> Store:
        """The store as its row describes it, not opened yet. Raises `StoreMisconfigured` and `EndpointRefused`."""
        if row.kind == "memory":
            await self._lease.hold(row)
        if row.kind == "filesystem" and row.path is not None:
            await asyncio.to_thread(self._check_root, row.path)
        return build(await self._config(row), self._kinds)

    def _check_root(self, path: str) -> None:
        """Asked at each opening, because a folder can be replaced by a link since the store was made."""
        if not any(Path(path).resolve().is_relative_to(root) for root in self._roots):
            raise StoreMisconfigured(f"the folder {path} leads out of the allowed roots (MEDIASTORE_FILESYSTEM_ROOTS)")

    def kinds(self) -> tuple[str, ...]:
        """The kinds of stores that can be made here, by name."""
        return tuple(sorted(self._kinds))

    async def check(self, row: StoreRow) -> None:
        """Raise `StoreInvalid` unless the kind is known and takes these settings."""
        try:
            build(await self._config(row), self._kinds)
        except (StoreMisconfigured, KeyInvalid) as error:
            raise StoreInvalid(error.message) from error

    async def health(self) -> dict[str, str]:
        """For each enabled store `ok` or what is wrong, asked of the stores themselves, all at once."""
        async with self._database.connection() as connection:
            rows = [row for row in await queries.stores(connection) if row.enabled]
        answers = await asyncio.gather(*(self._ask(row) for row in rows))
        return dict(zip((row.name for row in rows), answers, strict=True))

    async def close(self) -> None:
        """Close every store that was opened."""
        for store in [*self._replaced, *(opened.store for opened in self._open.values())]:
            await store.close()
        self._open.clear()
        self._replaced.clear()
        await self._lease.release()

    async def _ask(self, row: StoreRow) -> str:
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                store = await self.get(row.id, revision=row.revision)
                await store.head(HEALTH_KEY)
        except ObjectNotFound:
            return "ok"
        except TimeoutError:
            return f"no answer within {HEALTH_TIMEOUT_S} s"
        except DatabaseError:
            raise
        except (StoreError, MediastoreError) as error:
            return error.message
        return "ok"

    async def _config(self, row: StoreRow) -> StoreConfig:
        access = None
        if row.s3_config is not None:
            async with self._database.connection() as connection:
                config = await queries.s3_config_by_id(connection, row.s3_config)
            if config is None:
                raise StoreUnavailable(f"the S3 config of store {row.name} is gone")
            try:
                await check_endpoint(config.endpoint_url, allow_private=self._allow_private)
            except EndpointRefused as error:
                raise StoreUnavailable(f"the store {row.name} can't be opened: {error.message}") from error
            access = S3Access(
                endpoint_url=config.endpoint_url,
                region=config.region,
                addressing_style=config.addressing_style,
                access_key=self._sealer.unseal(config.access_key_sealed) if config.access_key_sealed else None,
                secret_key=self._sealer.unseal(config.secret_key_sealed) if config.secret_key_sealed else None,
            )
        return StoreConfig(
            name=row.name,
            kind=row.kind,
            path=row.path,
            bucket=row.bucket,
            prefix=row.prefix,
            s3=access,
            options=msgspec.json.decode(row.options),
        )
