"""Uploads that go straight to S3: what beginning and completing costs, how fast the bytes go, and what the server has to do."""

import asyncio
import hashlib
from functools import partial
from itertools import count
from time import monotonic, perf_counter, sleep
from typing import Any

import aiohttp
import asyncpg
import httpx
import msgspec
import psutil
import uuid_utils.compat
import uvloop
from aiobotocore.session import get_session

from bench.calls import answer_bytes, connected, request_bytes
from bench.parts import Parts, port_of
from bench.rows import Row, interleaved
from bench.s3 import BUCKET, STORE, s3_store
from bench.transfers import BLOCK, MIB, upload

GIB = 1024 * MIB
PART_MIB = 16
IN_FLIGHT = 4
CONTENT = b"x" * 1024
SHA256 = hashlib.sha256(CONTENT).hexdigest()
UPLOADS = 40
VERIFY_TIMEOUT_S = 300

ROWS_WRITTEN = (
    """WITH m AS (INSERT INTO media (pid, owner, access, store, status) VALUES ($1, 'admin', 'private', $2, 'pending')
       RETURNING id), h AS (INSERT INTO history (kind, subject, media, revision, actor, action, changes)
       SELECT 'media', $1, id, 1, 'admin', 'created', '{}' FROM m), o AS (INSERT INTO stored_object (media, store, key,
       media_type, state) SELECT id, $2, $1, 'application/octet-stream', 'writing' FROM m RETURNING id)
       INSERT INTO upload (id, stored_object, method, state, caller, created_record, size, expires_at)
       SELECT $3, id, 'put', 'open', 'admin', true, 1024, now() FROM o RETURNING stored_object""",
    """WITH u AS (UPDATE upload SET state = 'completed' WHERE id = $1 RETURNING stored_object), o AS (UPDATE stored_object
       SET state = 'stored', version = 1, size = 1024, stored_at = now() WHERE id = (SELECT stored_object FROM u)
       RETURNING id, media), m AS (UPDATE media SET current_object = o.id, version = 1, status = 'ready', revision = 2 FROM o
       WHERE media.id = o.media RETURNING media.id, pid)
       INSERT INTO history (kind, subject, media, revision, actor, action, changes)
       SELECT 'media', pid, id, 2, 'admin', 'content', '{}' FROM m""",
)
"""What beginning and completing write at the least, a statement and a transaction each."""


def begin_complete(parts: Parts) -> tuple[float, float]:
    """Uploads a second, one after the other, without the bytes' own way; against the same rows written, and one HEAD."""
    url = s3_store(parts, parts.server)
    port, token = port_of(parts.server.url), parts.token
    value, floor = interleaved(
        5,
        lambda: UPLOADS / parts.in_client(begun_and_completed, port, token, UPLOADS),
        lambda: UPLOADS / parts.in_client(rows_and_heads, parts.database_url, url, UPLOADS),
    )
    return value, floor


def begun_and_completed(port: int, token: str, number: int) -> float:
    """The seconds that the calls took."""
    took_s = 0.0
    with connected(port) as connection:
        for _ in range(number):
            body = {"size": len(CONTENT), "store": STORE, "checksums": {"sha256": SHA256}, "method": "put"}
            begun = perf_counter()
            answer = _call(connection, "/api/v1/uploads", token, body)
            took_s += perf_counter() - begun
            httpx.put(answer["url"], content=CONTENT, headers=answer["headers"]).raise_for_status()
            begun = perf_counter()
            record = _call(connection, f"/api/v1/uploads/{answer['id']}/complete", token, {})
            took_s += perf_counter() - begun
            assert record["status"] == "ready", record
    return took_s


def rows_and_heads(database_url: str, s3_url: str, number: int) -> float:
    """The seconds that the statements and the HEADs took."""
    return uvloop.run(_rows_and_heads(database_url, s3_url, number))


async def _rows_and_heads(database_url: str, s3_url: str, number: int) -> float:
    connection = await asyncpg.connect(database_url)
    store = await connection.fetchval("SELECT id FROM store WHERE name = $1", STORE)
    took_s = 0.0
    async with get_session().create_client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    ) as client:
        await client.put_object(Bucket=BUCKET, Key="floor", Body=CONTENT)
        for _ in range(number):
            id = uuid_utils.compat.uuid7()
            begun = perf_counter()
            await connection.execute(ROWS_WRITTEN[0], str(id), store, id)
            await client.head_object(Bucket=BUCKET, Key="floor")
            await connection.execute(ROWS_WRITTEN[1], id)
            took_s += perf_counter() - begun
    await connection.execute("DELETE FROM upload WHERE size = 1024 AND expires_at < created_at + interval '1 second'")
    await connection.close()
    return took_s


def upload_parts(parts: Parts, *, size: int, rounds: int) -> tuple[float, float]:
    """MiB a second from beginning to the answer of completing, four parts in flight; a job verifies afterwards."""
    url = s3_store(parts, parts.server)
    mib = size / MIB

    def ours() -> float:
        pid, took_s = parts.in_client(sent_in_parts, parts.server.url, parts.token, size)
        _await_ready(parts, pid)
        parts.admin.delete(f"/media/{pid}").raise_for_status()
        return mib / took_s

    def alone() -> float:
        return mib / parts.in_client(sent_alone, url, size)

    parts.in_client(sent_alone, url, 4 * PART_MIB * MIB)
    value, floor = interleaved(rounds, ours, alone)
    return value, floor


def sent_in_parts(server_url: str, token: str, size: int) -> tuple[str, float]:
    """The PID, and the seconds until completing was answered."""
    return uvloop.run(_sent_in_parts(server_url, token, size))


async def _sent_in_parts(server_url: str, token: str, size: int) -> tuple[str, float]:
    body = BLOCK * PART_MIB
    turns = asyncio.Semaphore(IN_FLIGHT)
    headers = {"Authorization": f"Bearer {token}"}
    asked = {"size": size, "store": STORE, "method": "multipart", "part_size": len(body)}
    async with aiohttp.ClientSession() as session:

        async def send(part: dict[str, Any]) -> None:
            async with turns, session.put(part["url"], data=body, headers=part["headers"]) as answer:
                assert answer.status == 200, await answer.text()

        begun = perf_counter()
        async with session.post(f"{server_url}/api/v1/uploads", json=asked, headers=headers) as answer:
            upload = await answer.json()
        await asyncio.gather(*(send(part) for part in upload["parts"]))
        async with session.post(f"{server_url}/api/v1/uploads/{upload['id']}/complete", headers=headers) as answer:
            assert answer.status == 202, await answer.text()
        return upload["pid"], perf_counter() - begun


def sent_alone(s3_url: str, size: int) -> float:
    """The seconds that aiobotocore takes for the same parts."""
    return uvloop.run(_sent_alone(s3_url, size))


async def _sent_alone(s3_url: str, size: int) -> float:
    body = BLOCK * PART_MIB
    turns = asyncio.Semaphore(IN_FLIGHT)
    async with get_session().create_client(
        "s3", endpoint_url=s3_url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    ) as client:
        await client.head_bucket(Bucket=BUCKET)
        begun = perf_counter()
        upload = (await client.create_multipart_upload(Bucket=BUCKET, Key="alone"))["UploadId"]

        async def send(number: int) -> dict[str, Any]:
            async with turns:
                answer = await client.upload_part(Bucket=BUCKET, Key="alone", UploadId=upload, PartNumber=number, Body=body)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        sent = await asyncio.gather(*(send(number) for number in range(1, size // len(body) + 1)))
        await client.complete_multipart_upload(Bucket=BUCKET, Key="alone", UploadId=upload, MultipartUpload={"Parts": sent})
        took_s = perf_counter() - begun
        await client.delete_object(Bucket=BUCKET, Key="alone")
    return took_s


def server_cpu(parts: Parts, *, size: int, rounds: int) -> tuple[float, float]:
    """CPU seconds of the server's processes for a GiB to S3: direct, its verification included, against proxied."""
    s3_store(parts, parts.server)
    process = parts.server.process
    assert process is not None
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    port, numbers = port_of(parts.server.url), count()

    def spent_s() -> float:
        return sum(sum(one.cpu_times()[:2]) for one in tree)

    def direct() -> float:
        before = spent_s()
        pid, _ = parts.in_client(sent_in_parts, parts.server.url, parts.token, size)
        _await_ready(parts, pid)
        took_s = spent_s() - before
        parts.admin.delete(f"/media/{pid}").raise_for_status()
        return took_s / (size / GIB)

    def proxied() -> float:
        pid = f"cpu-{next(numbers)}"
        head = request_bytes("PUT", f"/api/v1/content/{pid}?store={STORE}", token=parts.token, length=size)
        before = spent_s()
        parts.in_client(upload, port, [head], size=size)
        took_s = spent_s() - before
        parts.admin.delete(f"/media/{pid}").raise_for_status()
        return took_s / (size / GIB)

    value, floor = interleaved(rounds, direct, proxied)
    return value, floor


def _await_ready(parts: Parts, pid: str) -> None:
    deadline = monotonic() + VERIFY_TIMEOUT_S
    while (status := parts.admin.get(f"/media/{pid}").json()["status"]) != "ready":
        assert status == "pending", status
        assert monotonic() < deadline, f"{pid} was not verified within {VERIFY_TIMEOUT_S} s"
        sleep(0.1)


def _call(connection: Any, path: str, token: str, body: dict[str, Any]) -> Any:
    connection.sendall(request_bytes("POST", path, token=token, body=msgspec.json.encode(body)))
    data: bytes = connection.recv(65536)
    while b"\r\n\r\n" not in data or len(data) < answer_bytes(data):
        data += connection.recv(65536)
    assert data.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")), data[:500]
    return msgspec.json.decode(data.partition(b"\r\n\r\n")[2])


DIRECT_ROWS = [
    Row(name="direct_begin_complete", unit="uploads/s", target=0.25, measure=begin_complete),
    Row(name="direct_upload_1gib", unit="MiB/s", target=0.85, measure=partial(upload_parts, size=GIB, rounds=3)),
    Row(name="direct_cpu_1gib", unit="CPU s/GiB", target=0.8, bound="at most", measure=partial(server_cpu, size=GIB, rounds=1)),
]
