import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from stores.config import S3Access
from stores.conformance import StoreConformance
from stores.protocol import Store
from stores.s3 import S3Options, S3Store


class TestS3Store(StoreConformance):
    options = S3Options()

    @pytest.fixture
    async def store(self, access: S3Access, bucket: str) -> AsyncIterator[S3Store]:
        store = S3Store(access, bucket, prefix="some/prefix/", options=self.options)
        await store.open()
        yield store
        await store.close()

    async def fill(self, store: Store, keys: Sequence[str]) -> None:
        assert isinstance(store, S3Store)
        bucket = store._opened()
        for start in range(0, len(keys), 50):
            requests = [bucket.request(key) for key in keys[start : start + 50]]
            await asyncio.gather(*(bucket.client.put_object(Body=b"x", **request) for request in requests))


class TestS3StoreOfAServerThatKnowsLess(TestS3Store):
    options = S3Options(checksums=False, conditional_writes=False)
    many = 1050
