"""Many keys: bounded memory, and time that grows with their number and no faster.

The store is a kind of its own that only lists, so that what is measured is ours: 100,000 files would take longer to make than to
compare.
"""

import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from typing import Any, Self

from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement.schemas import StoreCreate
from mediastore.retention.upkeep_schemas import Counts
from stores.config import StoreConfig
from stores.errors import ObjectNotFound
from stores.kinds import load_kinds
from stores.protocol import Features, ObjectInfo
from tests.retention.upkeep_scene import Scene, running_scene

MIB = 1024 * 1024
OLD = datetime(2020, 1, 1, tzinfo=UTC)


class ListedStore:
    """Lists `objects` keys of 10 bytes each, and every thousandth key between them that no row names."""

    objects = 0

    @classmethod
    def from_config(cls, _: StoreConfig) -> Self:
        return cls()

    @property
    def features(self) -> Features:
        return Features(
            durable=True,
            create_if_absent=True,
            presigned=False,
            local_path=False,
            multipart=False,
            nested_keys=True,
            max_object_bytes=None,
            max_delete_keys=1000,
        )

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def list(self, *, prefix: str = "", start_after: str = "") -> AsyncIterator[ObjectInfo]:
        assert prefix == ""
        for number in range(1, ListedStore.objects + 1):
            if number % 10_000 and key(number) > start_after:
                yield ObjectInfo(key=key(number), size=10, modified_at=OLD)
            if number % 1000 == 0:
                yield ObjectInfo(key=key(number) + "x", size=7, modified_at=OLD)

    async def head(self, name: str) -> ObjectInfo:
        raise ObjectNotFound("not there", key=name)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, None]:
        return dict.fromkeys(keys)


def key(number: int) -> str:
    return f"00/{number:010}"


async def fill(scene: Scene, name: str, objects: int) -> None:
    """Rows of a store, all versions of one record."""
    await scene.services.placement.add_store(StoreCreate(name=name, kind="listed", bucket=name), actor=NOT_A_PERSON)
    await scene.sql(
        """
        WITH m AS (
            INSERT INTO media (pid, owner, access, store, status)
            SELECT $1, 'admin', 'private', id, 'pending' FROM store WHERE name = $1 RETURNING id, store
        )
        INSERT INTO stored_object (media, version, store, key, size, media_type, state, stored_at, checked_at)
        SELECT m.id, n, m.store, '00/' || lpad(n::text, 10, '0'), 10, '', 'stored', now(), now()
        FROM m, generate_series(1, $2::int) n
        """,
        name,
        objects,
    )


async def used_by(scene: Scene, name: str, objects: int) -> tuple[float, Counts]:
    """Processor seconds, and what was counted."""
    ListedStore.objects = objects
    begun = process_time()
    run = await scene.reconcile(name)
    return process_time() - begun, run.counted()


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
        await used_by(scene, "few", few)  # with everything loaded
        _, counts = await used_by(scene, "few", few)
        assert (counts.listed, counts.rows, counts.absent, counts.unknown) == (10_009, 10_000, 1, 10)
        ten_short = sum([(await used_by(scene, "few", few))[0] for _ in range(10)])
        long, counts = await used_by(scene, "many", many)
        assert (counts.listed, counts.rows, counts.absent, counts.unknown) == (100_090, 100_000, 10, 100)
        assert long < 2 * ten_short, f"{long:.2f} s against {ten_short:.2f} s of processor: not linear"
        little, much = await held_by(scene, "few", few), await held_by(scene, "many", many)
        assert much < 16, f"{much:.1f} MiB: a window, whatever the number of keys"
        assert much < 1.5 * little, f"{much:.1f} MiB against {little:.1f}"
