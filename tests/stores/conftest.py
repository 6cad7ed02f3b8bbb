"""An S3 server in its own process for the session, a bucket for each test."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stores.config import S3Access
from stores.s3 import S3Store

pytest.register_assert_rewrite("stores.conformance", "stores.conformance_direct")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__).with_name("serve_moto.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin
    assert server.stdout
    yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    server.stdin.close()
    server.stdout.close()
    server.wait(30)


@pytest.fixture
def access(moto_url: str) -> S3Access:
    return S3Access(endpoint_url=moto_url, region="us-east-1", access_key="test-key", secret_key="test-secret")


@pytest.fixture
async def bucket(access: S3Access) -> str:
    name = f"bucket-{uuid.uuid4().hex}"
    reader, writer = await asyncio.open_connection("127.0.0.1", int((access.endpoint_url or "").rpartition(":")[2]))
    writer.write(f"PUT /{name} HTTP/1.1\r\nHost: s3\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
    assert b" 200 " in await reader.readline()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return name


@pytest.fixture
async def signed_store(ministack: S3Access) -> AsyncIterator[S3Store]:
    """A store below a prefix of a bucket of its own in that server."""
    name = f"bucket-{uuid.uuid4().hex}"
    store = S3Store(ministack, name, prefix="p/")
    client = await store._connect()
    await client.create_bucket(Bucket=name)
    await client.close()
    await store.open()
    yield store
    await store.close()
