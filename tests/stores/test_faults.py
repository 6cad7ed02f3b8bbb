from collections.abc import AsyncIterator

import pytest

from stores.conformance import StoreConformance
from stores.conformance_steps import get, listed, put
from stores.errors import ObjectNotFound, ObjectTruncated, StoreUnavailable
from stores.faults import Fault, FaultyStore, Operation
from stores.memory import MemoryStore

LOST = StoreUnavailable("no answer")


@pytest.fixture
async def store() -> AsyncIterator[FaultyStore]:
    store = FaultyStore(MemoryStore())
    await store.open()
    yield store
    await store.close()


class TestFaultyStoreWithoutFaults(StoreConformance):
    keeps_bytes_in_memory = True

    @pytest.fixture
    async def store(self, store: FaultyStore) -> FaultyStore:
        return store


async def test_a_commit_can_fail_after_the_object_is_there(store: FaultyStore) -> None:
    store.inject(Fault(operation="commit", error_after=LOST))
    with pytest.raises(StoreUnavailable):
        await put(store, "k", b"abc")
    assert await get(store, "k") == b"abc"


async def test_a_commit_can_fail_before(store: FaultyStore) -> None:
    store.inject(Fault(operation="commit", error=LOST))
    with pytest.raises(StoreUnavailable):
        await put(store, "k", b"abc")
    assert await listed(store) == []
    await put(store, "k", b"abc")


async def test_reads_can_be_cut_and_sizes_lied_about(store: FaultyStore) -> None:
    await put(store, "k", b"abcdef")
    store.inject(Fault(operation="read", read_bytes=2))
    received = []
    with pytest.raises(ObjectTruncated):
        received += [piece async for piece in store.read("k")]
    store.inject(Fault(operation="head", size=0, times=2))
    assert [(await store.head("k")).size for _ in range(3)] == [0, 0, 6]


async def test_everything_can_look_gone_for_ever(store: FaultyStore) -> None:
    await put(store, "k", b"abc")
    for operation in ("head", "read", "list", "delete"):
        store.inject(Fault(operation=operation, not_found=True, times=None))  # type: ignore[arg-type]  # any operation, by its name
    for _ in range(2):
        with pytest.raises(ObjectNotFound):
            await store.head("k")
        with pytest.raises(ObjectNotFound):
            await get(store, "k")
        assert await listed(store) == []
        assert await store.delete(["k"]) == {"k": None}
    assert await get(store.inner, "k") == b"abc"


async def test_some_keys_of_a_delete_can_fail_and_a_whole_answer_be_lost(store: FaultyStore) -> None:
    for key in "abc":
        await put(store, key, b"x")
    store.inject(Fault(operation="delete", failing_keys=frozenset({"b"})))
    answers = await store.delete(["a", "b"])
    assert answers["a"] is None
    assert isinstance(answers["b"], StoreUnavailable)
    store.inject(Fault(operation="delete", error_after=LOST))
    assert await store.delete(["c"]) == {"c": LOST}
    assert await listed(store) == ["b"]


async def test_the_hook_hears_of_every_operation() -> None:
    heard: list[Operation] = []

    async def hear(operation: Operation) -> None:
        heard.append(operation)

    store = FaultyStore(MemoryStore(), on_operation=hear)
    await store.open()
    await put(store, "k", b"x")
    await store.delete(["k"])
    await store.close()
    assert heard == ["open", "write", "append", "commit", "delete"]
