"""Bytes in and out of a filesystem store."""

import hashlib
import os
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter, sleep

from bench.calls import request_bytes
from bench.parts import Parts, port_of
from bench.rows import Row, interleaved, say
from bench.transfers import BLOCK, MIB, download, upload

GIB = 1024 * MIB
STORE = "bench-files"
DELETION_TIMEOUT_S = 60


def download_file(parts: Parts, *, size: int, connections: int, times: int, rounds: int) -> tuple[float, float]:
    """MiB a second, against pathsend of the same file."""
    folder, pid = store_folder(parts), f"download-{size}-{connections}"
    port, token, path = port_of(parts.server.url), parts.token, f"/api/v1/content/{pid}"
    parts.in_client(upload, port, [request_bytes("PUT", f"{path}?store={STORE}", token=token, length=size)], size=size)
    [file] = [found for found in folder.rglob("*") if found.is_file() and found.stat().st_size == size]
    floor_port = parts.floor("file_sent", {"BENCH_FILE": str(file)})
    ours = [request_bytes("GET", path, token=token)] * connections
    floor = [request_bytes("GET", "/")] * connections
    mib = connections * times * size / MIB

    def measured(to: int, requests: list[bytes]) -> float:
        return mib / parts.in_client(download, to, requests, size=size, times=times)

    sides = partial(measured, port, ours), partial(measured, floor_port, floor)
    interleaved(1, *sides)
    value, least = interleaved(rounds, *sides)
    remove(parts, pid, folder, size=size)
    return value, least


def upload_file(parts: Parts, *, size: int, rounds: int) -> tuple[float, float]:
    """MiB a second by SHA-256, against the slowest of dropping the body, hashing it, and writing it to the same disk."""
    folder = store_folder(parts)
    port, token, mib = port_of(parts.server.url), parts.token, size / MIB
    drop_port = parts.floor("body_dropped")
    drop_head = request_bytes("PUT", "/", length=size)
    numbers = count()

    def ours() -> float:
        pid = f"upload-{next(numbers)}"
        head = request_bytes("PUT", f"/api/v1/content/{pid}?store={STORE}", token=token, length=size)
        speed = mib / parts.in_client(upload, port, [head], size=size)
        remove(parts, pid, folder, size=size)
        return speed

    sides = (
        ours,
        lambda: mib / parts.in_client(upload, drop_port, [drop_head], size=size),
        lambda: mib / parts.in_client(hash_all, size),
        lambda: mib / parts.in_client(write_all, parts.folder / "written", size),
    )
    interleaved(1, *sides)
    value, dropped, hashed, written = interleaved(rounds, *sides)
    say(f"  floors, MiB/s: body dropped {dropped:.0f}, SHA-256 {hashed:.0f}, written with fsync {written:.0f}")
    return value, min(dropped, hashed, written)


def store_folder(parts: Parts) -> Path:
    """The folder of the store that these rows use, which is made at the first call."""
    folder = parts.server.home / "stores" / STORE
    if not folder.exists():
        made = parts.admin.post("/stores", json={"name": STORE, "kind": "filesystem", "checksums": ["sha256"]})
        assert made.status_code == 201, made.text
    return folder


def remove(parts: Parts, pid: str, folder: Path, *, size: int) -> None:
    """Delete a record, and wait until its bytes have gone."""
    gone = parts.admin.delete(f"/media/{pid}")
    assert gone.status_code == 204, gone.text
    for _ in range(DELETION_TIMEOUT_S * 10):
        if not any(found.is_file() and found.stat().st_size == size for found in folder.rglob("*")):
            return
        sleep(0.1)
    raise AssertionError(f"the bytes of {pid} are still there")


def hash_all(size: int) -> float:
    """The seconds that SHA-256 of so many bytes takes."""
    begun = perf_counter()
    digest = hashlib.sha256()
    for _ in range(size // MIB):
        digest.update(BLOCK)
    digest.hexdigest()
    return perf_counter() - begun


def write_all(path: Path, size: int) -> float:
    """The seconds that writing so many bytes takes until they are on the disk."""
    begun = perf_counter()
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL)
    for _ in range(size // MIB):
        os.write(descriptor, BLOCK)
    os.fsync(descriptor)
    took_s = perf_counter() - begun
    os.close(descriptor)
    path.unlink()
    return took_s


FILE_ROWS = [
    Row(
        name="download_1mib",
        unit="MiB/s",
        target=0.85,
        measure=partial(download_file, size=MIB, connections=1, times=250, rounds=15),
    ),
    Row(
        name="download_1mib_16_at_once",
        unit="MiB/s",
        target=0.7,
        measure=partial(download_file, size=MIB, connections=16, times=60, rounds=9),
        long=True,
    ),
    Row(
        name="download_1gib",
        unit="MiB/s",
        target=0.85,
        measure=partial(download_file, size=GIB, connections=1, times=1, rounds=7),
    ),
    Row(name="upload_1gib", unit="MiB/s", target=0.6, measure=partial(upload_file, size=GIB, rounds=5)),
]
