"""The Python client's transfers, against curl doing the same."""

import subprocess
from functools import partial
from itertools import count
from pathlib import Path
from time import perf_counter

from bench.files import GIB, STORE, remove, store_folder
from bench.parts import Parts
from bench.rows import Row, interleaved
from bench.transfers import BLOCK, MIB
from mediastore.client.client import Client


def put_file(parts: Parts, *, size: int, rounds: int) -> tuple[float, float]:
    """MiB a second, of a file whose SHA-256 is reckoned before it is sent, and compared by the server."""
    folder, file, numbers = store_folder(parts), _written(parts, size), count()

    def measured(put: partial[float], pid: str) -> float:
        speed = size / MIB / parts.in_client(put, pid=pid)
        remove(parts, pid, folder, size=size)
        return speed

    url, token = parts.server.url, parts.token
    value, floor = interleaved(
        rounds,
        lambda: measured(partial(_put, url, token, file), f"client-put-{next(numbers)}"),
        lambda: measured(partial(_curl_put, url, token, file), f"client-put-{next(numbers)}"),
    )
    return value, floor


def get_file(parts: Parts, *, size: int, rounds: int) -> tuple[float, float]:
    """MiB a second, to a file that has its name once its SHA-256 was compared."""
    folder, file = store_folder(parts), _written(parts, size)
    url, token, pid = parts.server.url, parts.token, "client-get"
    parts.in_client(_put, url, token, file, pid=pid)
    mib = size / MIB
    value, floor = interleaved(
        rounds,
        lambda: mib / parts.in_client(_get, url, token, file.with_name("ours"), pid=pid),
        lambda: mib / parts.in_client(_curl_get, url, token, file.with_name("curls"), pid=pid),
    )
    remove(parts, pid, folder, size=size)
    return value, floor


def _written(parts: Parts, size: int) -> Path:
    file = parts.folder / "to-put"
    with file.open("wb") as out:
        for _ in range(size // MIB):
            out.write(BLOCK)
    return file


def _put(url: str, token: str, file: Path, *, pid: str) -> float:
    with Client(url, credential=token) as client:
        begun = perf_counter()
        client.put(file, pid, store=STORE)
        return perf_counter() - begun


def _get(url: str, token: str, target: Path, *, pid: str) -> float:
    with Client(url, credential=token) as client:
        begun = perf_counter()
        client.get(pid, target)
        return perf_counter() - begun


def _curl_put(url: str, token: str, file: Path, *, pid: str) -> float:
    return _curl(token, "-T", str(file), f"{url}/api/v1/content/{pid}?store={STORE}")


def _curl_get(url: str, token: str, target: Path, *, pid: str) -> float:
    return _curl(token, "-o", str(target), f"{url}/api/v1/content/{pid}")


def _curl(token: str, *arguments: str) -> float:
    begun = perf_counter()
    subprocess.run(["curl", "-fsS", "-H", f"Authorization: Bearer {token}", *arguments], check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begun


CLIENT_ROWS = [
    Row(name="client_put_1gib", unit="MiB/s", target=0.9, measure=partial(put_file, size=GIB, rounds=3)),
    Row(name="client_get_1gib", unit="MiB/s", target=0.9, measure=partial(get_file, size=GIB, rounds=3)),
]
