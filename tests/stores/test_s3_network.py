"""What becomes of S3 transfers when answers are lost on the way."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest

from stores.config import S3Access
from stores.conformance import MIB
from stores.conformance_steps import get, listed, open_uploads, put, some_bytes
from stores.errors import ObjectExists, ObjectTruncated, StoreMisconfigured, StoreUnavailable
from stores.s3 import _CLIENT_CONFIG, S3Store
from tests.stores.proxy import lossy_proxy


class Losses:
    """Loses the answers to the first so many requests that begin like this and hold that."""

    def __init__(self, method: str, holding: str, *, times: int, bytes_through: int = 0) -> None:
        self._method, self._holding, self._times, self._bytes = method, holding, times, bytes_through

    def __call__(self, line: str) -> int | None:
        if line.startswith(self._method + " ") and self._holding in line and self._times > 0:
            self._times -= 1
            return self._bytes
        return None


@asynccontextmanager
async def store_behind(verdict: Callable[[str], int | None], access: S3Access, bucket: str) -> AsyncIterator[S3Store]:
    async with lossy_proxy(int((access.endpoint_url or "").rpartition(":")[2]), verdict) as port:
        store = S3Store(msgspec.structs.replace(access, endpoint_url=f"http://127.0.0.1:{port}"), bucket)
        await store.open()
        try:
            yield store
        finally:
            await store.close()


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("size", "method", "holding"), [(100, "PUT", "/k"), (11 * MIB, "POST", "uploadId=")])
async def test_h07_a_commit_whose_answer_is_lost_finds_its_object(
    access: S3Access, bucket: str, times: int, size: int, method: str, holding: str
) -> None:
    async with store_behind(Losses(method, holding, times=times), access, bucket) as store:
        await put(store, "k", some_bytes(size))
        assert await get(store, "k") == some_bytes(size)
        assert await open_uploads(store) == []


@pytest.mark.parametrize(("size", "method", "holding"), [(100, "PUT", "/k"), (11 * MIB, "POST", "uploadId=")])
async def test_a_lost_answer_does_not_make_anothers_object_ours(
    access: S3Access, bucket: str, size: int, method: str, holding: str
) -> None:
    async with store_behind(Losses(method, holding, times=2), access, bucket) as store:
        other = S3Store(access, bucket)
        await other.open()
        await put(other, "k", some_bytes(size, seed=2))
        with pytest.raises(ObjectExists):
            await put(store, "k", some_bytes(size))
        assert await get(store, "k") == some_bytes(size, seed=2)
        assert await open_uploads(store) == []
        await other.close()


async def test_a_commit_that_never_arrived_fails_and_leaves_nothing(access: S3Access, bucket: str) -> None:
    async with store_behind(lambda _: None, access, bucket) as store:

        async def refuse(**_: object) -> None:
            raise TimeoutError

        with pytest.MonkeyPatch.context() as patched:
            # A network that loses the request itself, which a proxy of whole requests can't be.
            patched.setattr(store._opened().client, "complete_multipart_upload", refuse)
            with pytest.raises(StoreUnavailable):
                await put(store, "k", some_bytes(11 * MIB))
        assert await listed(store) == []
        assert await open_uploads(store) == []


async def test_h15_an_answer_that_is_cut_is_truncated(access: S3Access, bucket: str) -> None:
    async with store_behind(Losses("GET", "/k", times=1, bytes_through=2 * MIB), access, bucket) as store:
        await put(store, "k", some_bytes(4 * MIB))
        with pytest.raises(ObjectTruncated) as raised:
            await get(store, "k")
        assert raised.value.retryable
        assert await get(store, "k") == some_bytes(4 * MIB)


async def test_a_server_that_is_not_there_is_unavailable(access: S3Access, bucket: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    store = S3Store(msgspec.structs.replace(access, endpoint_url=f"http://127.0.0.1:{port}"), bucket)
    with pytest.raises(StoreUnavailable) as raised:
        await store.open()
    assert raised.value.retryable


async def test_an_endpoint_that_is_no_url_is_misconfigured(access: S3Access) -> None:
    store = S3Store(msgspec.structs.replace(access, endpoint_url="no url"), "bucket")
    with pytest.raises(StoreMisconfigured):
        await store.open()


async def test_a_silent_server_holds_a_call_for_less_than_half_a_minute(
    access: S3Access, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_s, read_s, attempts = (_CLIENT_CONFIG["connect_timeout"], _CLIENT_CONFIG["read_timeout"], _CLIENT_CONFIG["retries"])
    assert (connect_s + read_s) * attempts["total_max_attempts"] <= 30  # type: ignore[operator,index]  # numbers, as we gave them
    monkeypatch.setattr("stores.s3._CLIENT_CONFIG", {**_CLIENT_CONFIG, "read_timeout": 0.1})
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system takes connections, and nobody reads them
        port = silent.getsockname()[1]
        store = S3Store(msgspec.structs.replace(access, endpoint_url=f"http://127.0.0.1:{port}"), bucket)
        async with asyncio.timeout(10):
            with pytest.raises(StoreUnavailable):
                await store.open()
