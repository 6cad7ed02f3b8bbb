"""What only a server that checks signatures and checksums can show; moto accepts any."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec
import pytest

from stores.config import S3Access
from stores.conformance import MIB
from stores.conformance_steps import get, put, some_bytes
from stores.errors import StoreAccessDenied
from stores.s3 import S3Store

ROOT_KEY = "ministack-key"
ROOT_SECRET = "ministack-secret"


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Access]:
    folder = tmp_path_factory.mktemp("ministack")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        environment = os.environ | {
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
            "SERVICES": "s3,sts,iam",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "ERROR",
        }
        server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "hypercorn", "--bind", f"fd://{listening.fileno()}", "ministack.app:app"],
            env=environment,
            cwd=folder,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    yield S3Access(endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1", access_key=ROOT_KEY, secret_key=ROOT_SECRET)
    server.kill()
    server.wait(30)


@pytest.fixture
async def store(ministack: S3Access) -> AsyncIterator[S3Store]:
    store = S3Store(ministack, "signed-bucket", prefix="p/")
    client = await store._connect()
    await client.create_bucket(Bucket="signed-bucket")
    await client.close()
    await store.open()
    yield store
    await store.delete([info.key async for info in store.list()])
    await store.close()


async def test_a_presigned_url_gives_this_object_for_its_time_and_no_other(store: S3Store) -> None:
    await put(store, "folder/ü k?", b"a,b")
    await put(store, "other", b"secret")
    url = await store.presign_get("folder/ü k?", expires_s=60, filename="Größe\r\n.csv", media_type="text/csv")
    async with httpx.AsyncClient() as client:
        answer = await client.get(url)
        assert (answer.status_code, answer.content) == (200, b"a,b")
        assert answer.headers["content-type"] == "text/csv"
        assert answer.headers["content-disposition"] == "attachment; filename=\"Groe.csv\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv"
        assert (await client.get(url.replace("/p/folder/%C3%BC%20k%3F", "/p/other"))).status_code == 403
        assert (await client.get(url.replace("text%2Fcsv", "text%2Fhtml"))).status_code == 403
        assert (await client.delete(url)).status_code == 403
        short = await store.presign_get("other", expires_s=1)
        for _ in range(50):
            if (expired := (await client.get(short)).status_code) == 403:
                break
            await asyncio.sleep(0.1)
        assert expired == 403


async def test_objects_with_checksums_are_taken_whole(store: S3Store) -> None:
    for size in (0, 10, 11 * MIB):
        await put(store, f"k{size}", some_bytes(size))
        assert await get(store, f"k{size}") == some_bytes(size)


async def test_h14_wrong_credentials_are_denied_without_telling_them(ministack: S3Access, store: S3Store) -> None:
    stranger = S3Store(msgspec.structs.replace(ministack, access_key="nobody", secret_key="wrong-secret"), "signed-bucket")
    with pytest.raises(StoreAccessDenied) as raised:
        await stranger.open()
    assert "wrong-secret" not in str(raised.value)
    assert "nobody" not in str(raised.value)
