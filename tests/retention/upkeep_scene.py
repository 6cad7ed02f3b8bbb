"""The services of a server whose clock can be put ahead, with a store, and what people do to it behind the server's back."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg

from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity
from mediastore.catalog.schemas import Media
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement.schemas import S3ConfigCreate, StoreChange, StoreCreate, Upkeep
from mediastore.retention import reconcile_queries as queries
from mediastore.retention.reconcile_queries import RunRow
from mediastore.services import Services
from mediastore.settings import Settings
from mediastore.transfers.declared import Declared, about_record, always
from stores.config import S3Access
from stores.kinds import StoreKind
from stores.protocol import Store
from stores.s3 import S3Store

CALLER = Caller(identity=Identity(name="admin", role="administrator", scopes=ALL_SCOPES), request_id=None, address="")
DAY_S, HOUR_S = 86_400, 3600


class MovableClock:
    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


class Scene:
    def __init__(self, services: Services, clock: MovableClock, folder: Path) -> None:
        self.services = services
        self.clock = clock
        self.folder = folder
        """Of the store `local`."""

    async def store(self, name: str = "local") -> int:
        [row] = await self.sql("SELECT id FROM store WHERE name = $1", name)
        return int(row["id"])

    async def opened(self, name: str = "local") -> Store:
        return await self.services.registry.get(await self.store(name))

    async def policy(self, name: str = "local", **upkeep: Any) -> None:
        await self.services.placement.change_store(name, StoreChange(upkeep=Upkeep(**upkeep)), caller=CALLER)

    async def put(self, pid: str, content: bytes = b"bytes", *, store: str = "local") -> Media:
        async def body() -> AsyncIterator[bytes]:
            yield content

        declared = Declared(size=len(content), media_type="text/plain", filename=None, digests={})
        about = about_record(f'{{"store": "{store}"}}'.encode())
        received = await self.services.uploads.receive(
            pid, body(), declared=declared, about=about, precondition=always, caller=CALLER
        )
        return received.media

    async def write(self, key: str, content: bytes = b"nobody's", *, store: str = "local") -> None:
        """Bytes that no row names."""
        async with (await self.opened(store)).write(key) as writer:
            await writer.append([content])
            await writer.commit()

    async def remove(self, *keys: str, store: str = "local") -> None:
        """Bytes go, and nobody tells the database."""
        answers = await (await self.opened(store)).delete(keys)
        assert set(answers.values()) <= {None}

    async def keys(self, store: str = "local") -> list[str]:
        return [info.key async for info in (await self.opened(store)).list()]

    async def key_of(self, pid: str) -> str:
        [row] = await self.sql("SELECT o.key FROM stored_object o JOIN media m ON m.current_object = o.id WHERE m.pid = $1", pid)
        return str(row["key"])

    async def status(self, pid: str) -> str:
        return (await self.services.catalog.read(pid, caller=CALLER)).status

    async def history(self, pid: str) -> list[str]:
        events, _ = await self.services.history.of_record(pid, reads=False, after=0, limit=100, caller=CALLER)
        return [event.action for event in events]

    async def reconcile(self, name: str = "local", **asked: Any) -> RunRow:
        store = await self.store(name)
        async with self.services.database.connection() as connection:
            await queries.ask_for_run(connection, store, asked_by="admin", **asked)
        ended = await self.services.reconciler.run(store)
        assert ended is not None
        assert ended.ended_at is not None
        return ended

    async def ask_again(self, name: str = "local") -> None:
        assert await self.services.reconciler.run(await self.store(name)) is None

    async def problem(self, name: str = "local") -> str | None:
        rows = await self.sql("SELECT problem FROM upkeep WHERE store = $1 AND task = 'reconcile'", await self.store(name))
        return rows[0]["problem"] if rows else None

    async def findings(self) -> list[asyncpg.Record]:
        return await self.sql("SELECT * FROM finding ORDER BY key, upload_id")

    async def clean(self) -> None:
        await self.services.cleanup.run_once()

    async def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        async with self.services.database.connection() as connection:
            return list(await connection.fetch(statement, *values))

    def age(self, key: str, days: float = 2) -> None:
        """Make a file of the store `local` older, as its file system says."""
        then = datetime.now(UTC).timestamp() - days * DAY_S
        os.utime(self.folder / key, (then, then))


@asynccontextmanager
async def running_scene(
    url: str, home: Path, *, kinds: Mapping[str, StoreKind] | None = None, local: bool = True
) -> AsyncIterator[Scene]:
    clock = MovableClock()
    settings = Settings(database_url=url, secret_key="for tests alone", home=home, allow_private_endpoints=True)
    services = Services(settings, clock=clock, kinds=kinds)
    await services.accounts.ensure_administrator("correct horse battery")
    if local:
        await services.placement.add_store(
            StoreCreate(name="local", kind="filesystem", checksums=("sha256",)), actor=NOT_A_PERSON
        )
    try:
        yield Scene(services, clock, home / "stores" / "local")
    finally:
        await services.cleanup.close()
        await services.close()


async def add_bucket(scene: Scene, access: S3Access, bucket: str, *, name: str = "bucket") -> None:
    """The store of this name in an S3 bucket, which is made."""
    await make_bucket(access, bucket)
    config = S3ConfigCreate(
        name=f"{name}-config",
        endpoint_url=access.endpoint_url,
        region=access.region,
        access_key=access.access_key,
        secret_key=access.secret_key,
    )
    await scene.services.placement.add_s3_config(config, actor=NOT_A_PERSON)
    store = StoreCreate(name=name, kind="s3", bucket=bucket, s3_config=config.name, checksums=("sha256",))
    await scene.services.placement.add_store(store, actor=NOT_A_PERSON)


async def make_bucket(access: S3Access, bucket: str) -> None:
    client = await S3Store(access, bucket)._connect()
    try:
        await client.create_bucket(Bucket=bucket)
    finally:
        await client.close()
