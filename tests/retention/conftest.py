"""Services in the test's own process, with many records quickly made, and sweeps that can be stopped at each step."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity
from mediastore.clock import utc_now
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement.schemas import Retention, StoreChange, StoreCreate
from mediastore.retention.schemas import Sweep, SweepRequest
from mediastore.retention.sweeper import Sweeper
from mediastore.services import Services
from mediastore.settings import Settings
from mediastore.transfers.purge import Purger

CALLER = Caller(identity=Identity(name="admin", role="administrator", scopes=ALL_SCOPES), request_id=None, address="")
SIZE = 10

SEED = """
WITH numbers AS (SELECT n, 'r/' || n AS pid FROM generate_series($2::int, $2 + $3::int - 1) AS n
), records AS (
    INSERT INTO media (pid, owner, access, store, status, expires_at, version, tags, metadata)
    SELECT pid, 'admin', 'private', $1, 'pending', now() + make_interval(secs => $4), 0, $5, $6 FROM numbers RETURNING id, pid
), stored AS (
    INSERT INTO stored_object (media, store, key, media_type, state, version, size, stored_at, checksums)
    SELECT id, $1, 'k/' || lpad((id % 256)::text, 3, '0') || '/' || id, 'text/plain', 'stored', 1, $7, now(),
        '{"md5": {"value": "00", "attested_by": "server", "at": "2026-01-01T00:00:00Z"}}' FROM records RETURNING id, media
)
SELECT r.id, s.id AS object FROM records r JOIN stored s ON s.media = r.id
"""
POINT = """
UPDATE media m SET current_object = o.id, version = 1, status = 'ready' FROM stored_object o
WHERE o.media = m.id AND m.current_object IS NULL AND o.state = 'stored'
"""


class Scene:
    """The services of one server, on a store `local`."""

    def __init__(self, services: Services, url: str, home: Path) -> None:
        self.services = services
        self.url = url
        self.home = home
        self.store = 0

    async def policy(self, name: str = "local", **retention: Any) -> None:
        """Set the store's policy; no grace unless asked for."""
        change = StoreChange(retention=Retention(**{"grace_s": 0, **retention}))
        await self.services.placement.change_store(name, change, caller=CALLER)

    async def seed(
        self, number: int, *, expired: bool, first: int = 0, tags: list[str] | None = None, metadata: str = "{}"
    ) -> None:
        """Records with bytes, as quickly as that goes."""
        seconds = -3600.0 if expired else 3600.0
        rows = await self.sql(SEED, self.store, first, number, seconds, tags or [], msgspec.Raw(metadata.encode()), SIZE)
        await self.sql(POINT)
        await asyncio.to_thread(self._write, [row["id"] for row in rows])

    def _write(self, medias: list[int]) -> None:
        root = self.home / "stores" / "local" / "k"
        for folder in {media % 256 for media in medias}:
            (root / f"{folder:03}").mkdir(parents=True, exist_ok=True)
        for media in medias:
            (root / f"{media % 256:03}" / str(media)).write_bytes(b"x" * SIZE)

    def files(self) -> set[int]:
        """The records whose bytes are there."""
        return {int(path.name) for path in (self.home / "stores" / "local" / "k").rglob("*") if path.is_file()}

    async def sweep(self, **asked: Any) -> Sweep:
        return await self.services.sweeper.request("local", SweepRequest(**asked), caller=CALLER, wait_s=300)

    async def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        async with self.services.database.connection() as connection:
            return list(await connection.fetch(statement, *values))

    async def consistent(self) -> None:
        """What is ready has its bytes, what has bytes has a row, receipts and counters add up."""
        rows = await self.sql("SELECT m.id, m.status, o.state FROM media m LEFT JOIN stored_object o ON o.id = m.current_object")
        ready = {row["id"] for row in rows if row["status"] == "ready"}
        assert all(row["state"] == "stored" for row in rows if row["status"] == "ready")
        assert ready == self.files()
        purged = await self.sql("SELECT count(*) AS n, count(receipt) AS receipts FROM stored_object WHERE state = 'purged'")
        assert purged[0]["n"] == purged[0]["receipts"]
        counted = await self.sql("SELECT coalesce(sum(object_count), 0)::int AS n FROM store_usage")
        assert counted[0]["n"] == len(ready)

    def another(self, **options: Any) -> Sweeper:
        """A sweeper of another process, with a purger of its own."""
        services = self.services
        purger = Purger(services.database, registry=services.registry, clock=utc_now)
        return Sweeper(services.database, purger=purger, clock=utc_now, **options)


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(database_url, tmp_path) as scene:
        yield scene


@asynccontextmanager
async def opened(url: str, home: Path) -> AsyncIterator[Scene]:
    services = Services(Settings(database_url=url, secret_key="for tests alone", home=home, query_timeout_s=60))
    await services.accounts.ensure_administrator("correct horse battery")
    await services.placement.add_store(StoreCreate(name="local", kind="filesystem"), actor=NOT_A_PERSON)
    scene = Scene(services, url, home)
    [row] = await scene.sql("SELECT id FROM store WHERE name = 'local'")
    scene.store = row["id"]
    yield scene
    await services.sweeper.close()
    await services.cleanup.close()
    await services.close()
