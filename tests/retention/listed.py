"""A kind of store that only lists, of as many keys as are wanted: what is measured with it is ours, and no disk's or network's.

A million files would take longer to make than to compare.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Self

from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement.schemas import StoreCreate
from stores.config import StoreConfig
from stores.errors import ObjectNotFound
from stores.protocol import Features, ObjectInfo
from tests.retention.upkeep_scene import Scene

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
            ranged=False,
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
