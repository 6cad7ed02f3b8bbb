"""Try a store out: write, read, check and delete one small object."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import TypeVar

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.placement import objects, queries
from mediastore.placement.errors import StoreNotFound
from mediastore.placement.objects import Gone
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from mediastore.placement.schemas import Probe, ProbeStep, StepName
from stores.errors import ObjectNotFound, StoreError
from stores.protocol import Store

SIZE = 4096
"""Bytes of the probe's object."""
Result = TypeVar("Result")
LEASE_S = 300
"""How long the clean-up leaves the probe's object alone."""
HIDES = (
    "the bucket keeps what is deleted as an old version ({how}), and frees nothing by it: give it a lifecycle rule for old "
    "versions (NoncurrentVersionExpiration), which ends them after some days"
)


class StoreProbe:
    def __init__(self, database: Database, *, registry: Registry, origins: Sequence[str]) -> None:
        self._database = database
        self._registry = registry
        self._origins = origins

    async def run(self, name: str, *, caller: Caller) -> Probe:
        require(caller.identity, "admin", to="probe stores")
        return await self.probe(name)

    async def probe(self, name: str) -> Probe:
        """Each step with what went wrong; the first that fails ends it. Raises only for a store that is not there."""
        async with self._database.connection() as connection:
            row = await queries.store_by_name(connection, name)
        if row is None:
            raise StoreNotFound(f"there is no store {name!r}", store=name)
        steps: list[ProbeStep] = []
        store = await _step(steps, "open", lambda: self._registry.get(row.id, even_disabled=True))
        if store is not None:
            await self._exercise(row, store, steps)
            if store.features.presigned and self._origins:
                await _step(steps, "cors", lambda: self._check_cors(store))
        features = {} if store is None else {field: getattr(store.features, field) for field in store.features.__struct_fields__}
        return Probe(store=name, ok=all(step.ok for step in steps), steps=steps, features=features)

    async def _check_cors(self, store: Store) -> bool:
        """Whether pages of our origins may send to the store by themselves; raises what has to be set."""
        for origin in self._origins:
            if wrong := await store.cors(origin):
                raise StoreError(wrong)
        return True

    async def _exercise(self, row: StoreRow, store: Store, steps: list[ProbeStep]) -> None:
        key, content = objects.new_key(), secrets.token_bytes(SIZE)
        async with self._database.transaction() as connection:
            # The clean-up's from the start: a probe that is killed leaves nothing.
            object = await objects.insert_object(
                connection, media=None, store=row.id, key=key, media_type="application/octet-stream", filename=None
            )
            await objects.doom(connection, object, reason="probe", wait_s=LEASE_S)

        trial = Trial(store, key, content)
        fine = True
        names: tuple[StepName, ...] = ("write", "head", "read", "list")
        for name in names:
            fine = fine and await _step(steps, name, getattr(trial, name)) is not None
        if await _step(steps, "delete", trial.delete) is not None and await _step(steps, "gone", trial.gone):
            async with self._database.transaction() as connection:
                await objects.set_gone(connection, [Gone(id=object)])


class Trial:
    """The life of one small object. Each step raises what is wrong."""

    def __init__(self, store: Store, key: str, content: bytes) -> None:
        self._store = store
        self._key = key
        self._content = content

    async def write(self) -> bool:
        async with self._store.write(self._key, size=len(self._content)) as writer:
            await writer.append([self._content])
            await writer.commit()
        return True

    async def head(self) -> bool:
        info = await self._store.head(self._key)
        if info.size != len(self._content):
            raise StoreError(f"the store says {info.size} bytes where {len(self._content)} were written")
        return True

    async def read(self) -> bool:
        if b"".join([piece async for piece in self._store.read(self._key)]) != self._content:
            raise StoreError("the store gave back other bytes than were written")
        return True

    async def list(self) -> bool:
        if self._key not in [info.key async for info in self._store.list(prefix=self._key)]:
            raise StoreError("the store does not list what was written")
        return True

    async def delete(self) -> str:
        """What is worth knowing about how this store deletes."""
        answer = (await self._store.delete([self._key]))[self._key]
        if isinstance(answer, StoreError):
            raise answer
        return "" if answer is None else HIDES.format(how=answer.how)

    async def gone(self) -> bool:
        try:
            await self._store.head(self._key)
        except ObjectNotFound:
            return True
        raise StoreError("the object is still there after it was deleted")


async def _step(steps: list[ProbeStep], name: StepName, action: Callable[[], Awaitable[Result]]) -> Result | None:
    begun = perf_counter()
    try:
        result = await action()
    except (StoreError, MediastoreError) as error:
        steps.append(ProbeStep(step=name, ok=False, ms=_ms(begun), detail=error.message))
        return None
    steps.append(ProbeStep(step=name, ok=True, ms=_ms(begun), detail=result if isinstance(result, str) else ""))
    return result


def _ms(begun: float) -> float:
    return round((perf_counter() - begun) * 1000, 1)
