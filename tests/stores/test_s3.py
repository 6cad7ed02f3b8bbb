import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from stores.config import S3Access
from stores.conformance import StoreConformance
from stores.protocol import Store
from stores.s3 import S3Options, S3Store


@pytest.mark.parametrize("options", [S3Options(), S3Options(checksums=False, conditional_writes=False)], ids=["full", "plain"])
class TestS3Store(StoreConformance):
    @pytest.fixture
    async def store(self, access: S3Access, bucket: str, options: S3Options) -> AsyncIterator[S3Store]:
        store = S3Store(access, bucket, prefix="some/prefix/", options=options)
        await store.open()
        yield store
        await store.close()

    async def fill(self, store: Store, keys: Sequence[str]) -> None:
        assert isinstance(store, S3Store)
        bucket = store._opened()
        for start in range(0, len(keys), 50):
            requests = [bucket.request(key) for key in keys[start : start + 50]]
            await asyncio.gather(*(bucket.client.put_object(Body=b"x", **request) for request in requests))
