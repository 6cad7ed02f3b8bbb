"""Bytes through the server to S3 and back, against aiobotocore doing the same by itself."""

import asyncio
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any

import uvloop
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bench.calls import request_bytes
from bench.parts import Parts, port_of
from bench.rows import Row, interleaved
from bench.transfers import BLOCK, MIB, download, upload
from tests.server import Server

GIB = 1024 * MIB
STORE = "bench-s3"
BUCKET = "bench"
PART_MIB = 8
IN_FLIGHT = 3


def upload_s3(parts: Parts, *, size: int, rounds: int) -> tuple[float, float]:
    """MiB a second."""
    url = s3_store(parts, parts.server)
    port, mib = port_of(parts.server.url), size / MIB
    numbers = count()

    def ours() -> float:
        pid = f"s3-upload-{next(numbers)}"
        head = request_bytes("PUT", f"/api/v1/content/{pid}?store={STORE}", token=parts.token, length=size)
        speed = mib / parts.in_client(upload, port, [head], size=size)
        parts.admin.delete(f"/media/{pid}").raise_for_status()
        return speed

    def direct() -> float:
        return mib / parts.in_client(in_loop, "put", url, "direct-upload", size)

    parts.in_client(in_loop, "put", url, "warm-up", 16 * MIB)
    value, floor = interleaved(rounds, ours, direct)
    return value, floor


def download_s3(parts: Parts, *, size: int, rounds: int) -> tuple[float, float]:
    """MiB a second."""
    url = s3_store(parts, parts.server)
    port, mib, path = port_of(parts.server.url), size / MIB, "/api/v1/content/s3-download"
    head = request_bytes("PUT", f"{path}?store={STORE}", token=parts.token, length=size)
    before = parts.runner.run(keys(url))
    parts.in_client(upload, port, [head], size=size)
    [key] = parts.runner.run(keys(url)) - before
    request = request_bytes("GET", path, token=parts.token)
    value, floor = interleaved(
        rounds,
        lambda: mib / parts.in_client(download, port, [request], size=size),
        lambda: mib / parts.in_client(in_loop, "get", url, key, size),
    )
    parts.admin.delete("/media/s3-download").raise_for_status()
    return value, floor


def s3_store(parts: Parts, server: Server) -> str:
    """A store on the S3 server, made at the first call; returns the URL of the S3 server."""
    url = parts.s3_url
    with server.client() as admin:
        if admin.get(f"/stores/{STORE}").status_code == 404:
            parts.in_client(in_loop, "bucket", url, "", 0)
            config = {"name": STORE, "endpoint_url": url, "region": "us-east-1", "access_key": "key", "secret_key": "secret"}
            admin.post("/s3-configs", json=config).raise_for_status()
            store = {"name": STORE, "kind": "s3", "bucket": BUCKET, "s3_config": STORE, "checksums": ["sha256"]}
            admin.post("/stores", json=store).raise_for_status()
    return url


def in_loop(operation: str, url: str, key: str, size: int) -> float:
    """Do it with aiobotocore in a loop of its own; the seconds it took, without connecting."""
    return uvloop.run(_direct(operation, url, key, size))


async def _direct(operation: str, url: str, key: str, size: int) -> float:
    config = AioConfig(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = get_session()
    async with session.create_client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret", config=config
    ) as client:
        if operation == "bucket":
            await client.create_bucket(Bucket=BUCKET)
            return 0
        await client.head_bucket(Bucket=BUCKET)
        begun = perf_counter()
        await (_put(client, key, size) if operation == "put" else _get(client, key, size))
        took_s = perf_counter() - begun
        if operation == "put":
            await client.delete_object(Bucket=BUCKET, Key=key)
        return took_s


async def _put(client: Any, key: str, size: int) -> None:
    part = BLOCK * PART_MIB
    begun = await client.create_multipart_upload(Bucket=BUCKET, Key=key)
    turns = asyncio.Semaphore(IN_FLIGHT)

    async def send(number: int) -> dict[str, Any]:
        async with turns:
            answer = await client.upload_part(Bucket=BUCKET, Key=key, UploadId=begun["UploadId"], PartNumber=number, Body=part)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    sent = await asyncio.gather(*(send(number) for number in range(1, size // len(part) + 1)))
    await client.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=begun["UploadId"], MultipartUpload={"Parts": sent})


async def _get(client: Any, key: str, size: int) -> None:
    answer = await client.get_object(Bucket=BUCKET, Key=key)
    received = 0
    async with answer["Body"] as body:
        while piece := await body.read(MIB):
            received += len(piece)
    assert received == size, received


async def keys(url: str) -> set[str]:
    """What is in the bucket."""
    session = get_session()
    async with session.create_client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    ) as client:
        answer = await client.list_objects_v2(Bucket=BUCKET)
        return {found["Key"] for found in answer.get("Contents", ())}


S3_ROWS = [
    Row(name="s3_upload_1gib", unit="MiB/s", target=0.7, measure=partial(upload_s3, size=GIB, rounds=5)),
    Row(name="s3_download_1gib", unit="MiB/s", target=0.7, measure=partial(download_s3, size=GIB, rounds=7)),
]
