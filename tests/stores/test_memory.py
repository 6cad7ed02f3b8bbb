from collections.abc import AsyncIterator

import pytest

from stores.conformance import StoreConformance
from stores.memory import MemoryStore


class TestMemoryStore(StoreConformance):
    keeps_bytes_in_memory = True

    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(prefix="some/prefix/")
        await store.open()
        yield store
        await store.close()
