"""Comparing a store with its rows: time that is linear in its keys, and memory that does not grow with them.

The store only lists, so that what is measured is ours and the database's.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import psutil
import uvloop

from bench.parts import Parts
from bench.rows import Row, say
from bench.transfers import MIB
from bench.watch import Watch
from stores.kinds import load_kinds
from tests.retention.listed import ListedStore, fill
from tests.retention.upkeep_scene import running_scene

FEW, MANY = 100_000, 1_000_000
SHORT_RUNS = 3
"""Before and after the long one each, so that what else this machine does meets both."""
ALLOWED_MIB = 32.0


def per_key(parts: Parts) -> tuple[float, float]:
    """Microseconds a key, of 1,000,000 and of 100,000."""
    value, floor, _ = _measured(parts)
    return value, floor


def growth(parts: Parts) -> tuple[float, float]:
    """MiB that a process which had compared nothing grows while it compares 1,000,000 keys, and what it may."""
    _, _, grown = _measured(parts)
    return grown, ALLOWED_MIB


def _measured(parts: Parts) -> tuple[float, float, float]:
    """In a process of its own, which has done nothing else."""
    home = parts.folder / "reconciling"
    home.mkdir(exist_ok=True)
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_compare, parts.database(), home).result()


def _compare(url: str, home: Path) -> tuple[float, float, float]:
    return uvloop.run(_compared(url, home))


async def _compared(url: str, home: Path) -> tuple[float, float, float]:
    kinds: Any = {**load_kinds(), "listed": ListedStore}
    async with running_scene(url, home, kinds=kinds, local=False) as scene:

        async def took_s(name: str, objects: int) -> float:
            ListedStore.objects = objects
            begun = perf_counter()
            counts = (await scene.reconcile(name)).counted()
            assert (counts.rows, counts.unknown) == (objects, objects // 1000), counts
            return perf_counter() - begun

        for name, objects in (("few", FEW), ("many", MANY)):
            say(f"  {objects:,} rows …")
            await fill(scene, name, objects)
        await scene.sql("ANALYZE stored_object")
        with Watch(psutil.Process()) as watch:
            await took_s("few", FEW)  # with everything loaded
            short = [await took_s("few", FEW) for _ in range(SHORT_RUNS)]
            say(f"  comparing {MANY:,} keys …")
            long = await took_s("many", MANY)
        short += [await took_s("few", FEW) for _ in range(SHORT_RUNS)]
    return long / MANY * 1e6, median(short) / FEW * 1e6, (watch.peak - watch.rest) / MIB


RECONCILE_ROWS: list[Row] = [
    Row(name="reconcile_1m_keys", unit="us/key", target=2, bound="at most", measure=per_key, long=True),
    Row(name="reconcile_1m_memory", unit="MiB", target=1, bound="at most", measure=growth, long=True),
]
