"""Small requests: reading and creating records, one by one and a thousand at a time."""

from time import perf_counter

import asyncpg
import msgspec
import uuid_utils

from bench.calls import calls_per_s, one_call, request_bytes
from bench.parts import Parts, port_of
from bench.rows import Row, interleaved
from bench.seed import METADATA, TAGS, seed

RECORDS = 10_000
SLICE_S = 1.5
ROUNDS = 7
BATCH = 1000


def read_record(parts: Parts) -> tuple[float, float]:
    """Requests a second for a record with content, two identifiers and metadata."""
    server, token = parts.server, parts.token
    pids = parts.runner.run(seed(parts.database_url, RECORDS))
    floor_port = parts.floor("read_record", {"BENCH_DATABASE_URL": parts.database_url})
    ours = [request_bytes("GET", f"/api/v1/media/{pid}", token=token) for pid in pids]
    floor = [request_bytes("GET", f"/media/{pid}") for pid in pids]
    return _compared(parts, port_of(server.url), ours, floor_port, floor, expect=200)


def create_record(parts: Parts) -> tuple[float, float]:
    """Requests a second for a new record with metadata and tags, whose PID is minted."""
    server, token = parts.server, parts.token
    store = parts.runner.run(_store(parts.database_url))
    floor_port = parts.floor("create_record", {"BENCH_DATABASE_URL": parts.database_url, "BENCH_STORE": str(store)})
    body = msgspec.json.encode({"metadata": METADATA, "tags": TAGS})
    ours = [request_bytes("POST", "/api/v1/media", token=token, body=body)]
    floor = [request_bytes("POST", "/media", body=body)]
    return _compared(parts, port_of(server.url), ours, floor_port, floor, expect=201)


def bulk_create(parts: Parts) -> tuple[float, float]:
    """Records a second, by calls of a thousand, against COPY of the same rows into the same table."""
    port, token = port_of(parts.server.url), parts.token
    connection = parts.runner.run(asyncpg.connect(parts.database_url))
    store = parts.runner.run(_store(parts.database_url))
    metadata = msgspec.json.encode(METADATA).decode()

    def ours() -> float:
        items = [{"op": "create", "pid": _pid(), "metadata": METADATA, "tags": TAGS} for _ in range(BATCH)]
        request = request_bytes("POST", "/api/v1/media/batch", token=token, body=msgspec.json.encode({"items": items}))
        return BATCH / parts.in_client(one_call, port, request, expect=200)

    def floor() -> float:
        rows = [(_pid(), metadata, TAGS, "admin", "private", store, "pending") for _ in range(BATCH)]
        columns = ["pid", "metadata", "tags", "owner", "access", "store", "status"]
        begun = perf_counter()
        parts.runner.run(connection.copy_records_to_table("media", records=rows, columns=columns))
        return BATCH / (perf_counter() - begun)

    interleaved(2, ours, floor)
    value, least = interleaved(15, ours, floor)
    parts.runner.run(connection.close())
    return value, least


def _compared(
    parts: Parts, port: int, ours: list[bytes], floor_port: int, floor: list[bytes], *, expect: int
) -> tuple[float, float]:
    def measured(to: int, requests: list[bytes], seconds: float) -> float:
        return parts.in_client(calls_per_s, to, requests, expect=expect, seconds=seconds)

    measured(port, ours, 1)
    measured(floor_port, floor, 1)
    value, least = interleaved(ROUNDS, lambda: measured(port, ours, SLICE_S), lambda: measured(floor_port, floor, SLICE_S))
    return value, least


async def _store(url: str) -> int:
    connection = await asyncpg.connect(url)
    store: int = await connection.fetchval("SELECT id FROM store WHERE name = 'local'")
    await connection.close()
    return store


def _pid() -> str:
    return str(uuid_utils.uuid7())


RECORD_ROWS = [
    Row(name="read_record", unit="requests/s", target=0.6, measure=read_record),
    Row(name="create_record", unit="requests/s", target=0.5, measure=create_record),
    Row(name="bulk_create", unit="records/s", target=0.25, measure=bulk_create),
]
