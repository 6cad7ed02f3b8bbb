"""The Python client: transfers against curl doing the same, many small files against the API itself, columns of a table."""

import os
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Any
from unittest.mock import patch

import pandas

from bench.calls import all_calls, request_bytes
from bench.files import GIB, STORE, remove, store_folder
from bench.parts import Parts, port_of
from bench.rows import Row, interleaved
from bench.transfers import BLOCK, MIB
from mediastore.client.cli.putting import AT_ONCE
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


def put_folder(parts: Parts, *, files: int, rounds: int) -> tuple[float, float]:
    """Files a second by `mediastore put` of a folder, against the same bytes in plain PUTs over as many connections."""
    store_folder(parts)
    url, token, numbers = parts.server.url, parts.token, count()
    folder = parts.folder / "small-files"
    folder.mkdir()
    contents = {f"{number}.dat": b"%06d" % number * 200 for number in range(files)}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    value, floor = interleaved(
        rounds,
        lambda: files / parts.in_client(_put_folder, url, token, folder, place=f"small-{next(numbers)}"),
        lambda: files / parts.in_client(_put_plainly, port_of(url), token, contents, place=f"small-{next(numbers)}"),
    )
    return value, floor


def read_columns(parts: Parts, *, rows: int, columns: int) -> tuple[float, float]:
    """MiB that move for three columns of a table, against the whole file."""
    store_folder(parts)
    moved, size = parts.in_client(_read_columns, parts.server.url, parts.token, rows=rows, columns=columns)
    return moved / MIB, size / MIB


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


def _put_folder(url: str, token: str, folder: Path, *, place: str) -> float:
    command = [sys.executable, "-c", "from mediastore.cli import main; main()", "put", str(folder), "--store", STORE]
    environment = {**os.environ, "MEDIASTORE_URL": url, "MEDIASTORE_TOKEN": token}
    begun = perf_counter()
    subprocess.run([*command, "--pid-pattern", f"{place}/{{path}}"], env=environment, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begun


def _put_plainly(port: int, token: str, contents: dict[str, bytes], *, place: str) -> float:
    path = f"/api/v1/content/{place}"
    requests = (
        request_bytes("PUT", f"{path}/{name}?store={STORE}", token=token, length=len(content)) + content
        for name, content in contents.items()
    )
    return all_calls(port, requests, connections=AT_ONCE)


def _read_columns(url: str, token: str, *, rows: int, columns: int) -> tuple[int, int]:
    os.environ |= {"MEDIASTORE_URL": url, "MEDIASTORE_TOKEN": token}
    chance = Random(7)
    table = pandas.DataFrame({f"c{number}": [chance.random() for _ in range(rows)] for number in range(columns)})
    content = table.to_parquet()
    with Client() as client:
        client.put(content, "client-columns", store=STORE)
    moved, read = [], Client.read

    def counted(*arguments: Any, **named: Any) -> bytes:
        moved.append(read(*arguments, **named))
        return moved[-1]

    wanted = ["c3", "c14", "c27"]
    with patch.object(Client, "read", counted):
        assert pandas.read_parquet("mediastore://client-columns", columns=wanted).equals(table[wanted])
    return sum(map(len, moved)), len(content)


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
    # 10,000 files in all.
    Row(name="client_put_files", unit="files/s", target=0.5, measure=partial(put_folder, files=2_000, rounds=5), long=True),
    Row(
        name="client_read_columns",
        unit="MiB",
        target=0.25,
        bound="at most",
        measure=partial(read_columns, rows=200_000, columns=30),
    ),
]
