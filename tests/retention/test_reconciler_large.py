"""Many keys: bounded memory, and time that grows with their number and no faster."""

import tracemalloc
from pathlib import Path
from time import process_time
from typing import Any

from mediastore.retention.upkeep_schemas import Counts
from stores.kinds import load_kinds
from tests.retention.listed import ListedStore, fill
from tests.retention.upkeep_scene import Scene, running_scene

MIB = 1024 * 1024


async def used_by(scene: Scene, name: str, objects: int, *, rounds: int = 3) -> tuple[float, Counts]:
    """Processor seconds of the quickest round, and what was counted: whatever else happens on a machine makes it only slower."""
    ListedStore.objects = objects
    took = []
    for _ in range(rounds):
        begun = process_time()
        run = await scene.reconcile(name)
        took.append(process_time() - begun)
    return min(took), run.counted()


async def held_by(scene: Scene, name: str, objects: int) -> float:
    """MiB that were held at once, at most."""
    ListedStore.objects = objects
    tracemalloc.start()
    try:
        await scene.reconcile(name)
        return tracemalloc.get_traced_memory()[1] / MIB
    finally:
        tracemalloc.stop()


async def test_a_hundred_thousand_keys_take_ten_times_as_long_as_ten_thousand_and_no_more_memory(
    database_url: str, tmp_path: Path
) -> None:
    kinds: Any = {**load_kinds(), "listed": ListedStore}
    async with running_scene(database_url, tmp_path, kinds=kinds, local=False) as scene:
        few, many = 10_000, 100_000
        for name, objects in (("few", few), ("many", many)):
            await fill(scene, name, objects)
            if name == "few":
                await scene.sql("ANALYZE stored_object")  # so that the planner knows nothing of the other one
        short, counts = await used_by(scene, "few", few, rounds=10)
        assert (counts.listed, counts.rows, counts.absent, counts.unknown) == (10_009, 10_000, 1, 10)
        long, counts = await used_by(scene, "many", many)
        assert (counts.listed, counts.rows, counts.absent, counts.unknown) == (100_090, 100_000, 10, 100)
        assert long < 30 * short, f"{long:.3f} s against {short:.3f} s of processor: not linear"
        little, much = await held_by(scene, "few", few), await held_by(scene, "many", many)
        assert much < 16, f"{much:.1f} MiB: a window, whatever the number of keys"
        assert much < 1.5 * little, f"{much:.1f} MiB against {little:.1f}"
