"""Letting go of many: a sweep of what has expired, against deleting the same keys straight on the store."""

import asyncio
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic, perf_counter, sleep

import aiohttp
import asyncpg
import uvloop

from bench.parts import Parts
from bench.rows import Row, interleaved, say
from bench.s3 import BUCKET, STORE, s3_store
from stores.config import S3Access
from stores.filesystem import FilesystemStore
from stores.protocol import Store
from stores.s3 import S3Store

FILES = "bench-sweep"
AMONG, ALONE = "bench-among", "bench-alone"
ROUNDS = 7
SIZE = 100
TIMEOUT_S = 600
POLICY = {"grace_s": 0, "sweep_interval_s": 31_536_000, "max_objects_per_run": 10_000_000, "max_share_per_run": 1.0}
SEED = """
WITH records AS (
    INSERT INTO media (pid, owner, access, store, status, expires_at)
    SELECT $2 || '/' || n, 'admin', 'private', $1, 'pending', now() + make_interval(hours => $5)
    FROM generate_series(1, $3::int) AS n RETURNING id, pid
), stored AS (
    INSERT INTO stored_object (media, store, key, media_type, state, version, size, stored_at)
    SELECT id, $1, lpad(to_hex(id % 256), 2, '0') || '/' || $2 || '-' || id, 'text/plain', 'stored', 1, $4, now() FROM records
    RETURNING id, media, key
), pointed AS (SELECT s.key FROM stored s) SELECT key FROM pointed
"""
POINT = """
UPDATE media m SET current_object = o.id, version = 1, status = 'ready' FROM stored_object o
WHERE o.media = m.id AND m.current_object IS NULL AND o.state = 'stored'
"""
NAMES = count()


def sweep_files(parts: Parts, *, number: int) -> tuple[float, float]:
    """Objects a second on a filesystem store."""
    folder = parts.server.home / "stores" / FILES
    if not folder.exists():
        store = {"name": FILES, "kind": "filesystem", "retention": POLICY}
        parts.admin.post("/stores", json=store).raise_for_status()
    keys = _seed(parts, FILES, number)
    _write(folder, keys)
    value = number / _swept(parts, FILES, number)
    _write(folder, keys)
    floor = number / uvloop.run(_deleted(FilesystemStore(folder), keys))
    return value, floor


def sweep_bucket(parts: Parts, *, number: int) -> tuple[float, float]:
    """Objects a second on an S3 store."""
    url = s3_store(parts, parts.server)
    parts.admin.patch(f"/stores/{STORE}", json={"retention": POLICY}).raise_for_status()
    keys = _seed(parts, STORE, number)
    uvloop.run(_put(url, keys))
    value = number / _swept(parts, STORE, number)
    uvloop.run(_put(url, keys))
    access = S3Access(endpoint_url=url, region="us-east-1", access_key="key", secret_key="secret")
    floor = number / uvloop.run(_deleted(S3Store(access, BUCKET), keys))
    return value, floor


def sweep_among_many(parts: Parts, *, live: int, number: int) -> tuple[float, float]:
    """Milliseconds of a sweep that finds so many expired ones, beside so many that live, and alone."""
    for name in (AMONG, ALONE):
        parts.admin.post("/stores", json={"name": name, "kind": "filesystem", "retention": POLICY}).raise_for_status()
    _seed(parts, AMONG, live, expired=False)

    def swept_ms(store: str) -> float:
        _write(parts.server.home / "stores" / store, _seed(parts, store, number))
        return _swept(parts, store, number) * 1000

    value, floor = interleaved(ROUNDS, partial(swept_ms, AMONG), partial(swept_ms, ALONE))
    return value, floor


def _seed(parts: Parts, store: str, number: int, *, expired: bool = True) -> list[str]:
    async def seed() -> list[str]:
        connection = await asyncpg.connect(parts.database_url)
        id = await connection.fetchval("SELECT id FROM store WHERE name = $1", store)
        hours = -1 if expired else 10_000
        rows = await connection.fetch(SEED, id, f"sweep-{next(NAMES)}", number, SIZE, hours, timeout=TIMEOUT_S)
        await connection.execute(POINT, timeout=TIMEOUT_S)
        await connection.execute("ANALYZE media, stored_object, history", timeout=TIMEOUT_S)
        await connection.close()
        return [row["key"] for row in rows]

    _swept(parts, store, 0)  # the schedule's own comes a year later then
    say(f"  {number:,} records …")
    keys: list[str] = parts.runner.run(seed())
    return keys


def _write(folder: Path, keys: list[str]) -> None:
    for name in {key.partition("/")[0] for key in keys}:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for key in keys:
        (folder / key).write_bytes(b"x" * SIZE)


def _swept(parts: Parts, store: str, number: int) -> float:
    """The seconds until the sweep has ended."""
    begun = perf_counter()
    answer = parts.admin.post(f"/stores/{store}/sweep", timeout=TIMEOUT_S)
    answer.raise_for_status()
    report = answer.json()
    deadline = monotonic() + TIMEOUT_S
    while report["state"] == "running":
        assert monotonic() < deadline, report
        sleep(0.05)
        report = parts.admin.get(f"/stores/{store}/sweeps/{report['id']}").json()
    took_s = perf_counter() - begun
    assert (report["state"], report["removed"], report["bytes_freed"]) == ("done", number, number * SIZE), report
    return took_s


async def _deleted(store: Store, keys: list[str]) -> float:
    await store.open()
    begun = perf_counter()
    for start in range(0, len(keys), 1000):
        answers = await store.delete(keys[start : start + 1000])
        assert not any(answers.values())
    took_s = perf_counter() - begun
    await store.close()
    return took_s


async def _put(url: str, keys: list[str]) -> None:
    turns = asyncio.Semaphore(16)
    async with aiohttp.ClientSession() as session:

        async def put(key: str) -> None:
            async with turns, session.put(f"{url}/{BUCKET}/{key}", data=b"x" * SIZE) as answer:
                assert answer.status == 200, await answer.text()

        await asyncio.gather(*(put(key) for key in keys))


SWEEP_ROWS: list[Row] = [
    Row(name="sweep_100k_files", unit="objects/s", target=0.5, measure=partial(sweep_files, number=100_000)),
    Row(name="sweep_10k_s3", unit="objects/s", target=0.5, measure=partial(sweep_bucket, number=10_000)),
    Row(
        name="sweep_100_of_1m",
        unit="ms",
        target=1.5,
        bound="at most",
        measure=partial(sweep_among_many, live=1_000_000, number=100),
        long=True,
    ),
    Row(name="sweep_100k_s3", unit="objects/s", target=0.5, measure=partial(sweep_bucket, number=100_000), long=True),
]
