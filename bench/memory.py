"""How much the server's worker grows while it transfers. Value is the growth, floor what it may be."""

from functools import partial
from time import sleep
from typing import Literal

import psutil

from bench.calls import request_bytes
from bench.files import STORE as FILES
from bench.parts import Parts, port_of
from bench.rows import Row
from bench.s3 import STORE as S3
from bench.s3 import s3_store
from bench.transfers import MIB, download, upload
from bench.watch import Watch
from tests.server import Server

Direction = Literal["upload", "download"]
CLIENT_MIB_PER_S = 400
"""Of all downloads together: real clients are slower than this machine's own memory, and the server has to wait for them."""


def growth(
    parts: Parts, *, direction: Direction, store: str, transfers: int, size: int, allowed_mib: float
) -> tuple[float, float]:
    """MiB that the worker grew beyond its size at rest, a transfer; and what is allowed.

    The worker is a new one that has moved one small object each way.
    """
    server = _server(parts)
    if store == S3:
        s3_store(parts, server)
    names = [f"memory-{direction}-{store}-{size}-{number}" for number in range(transfers)]
    if direction == "download":
        _upload(parts, server, names, token=server.token(), store=store, size=size)
        server.stop()
        server.start()
    small = [f"memory-small-{direction}-{store}-{size}"]
    token = server.token()  # before the watch: checking a password takes 64 MiB for a moment
    _upload(parts, server, small, token=token, store=store, size=MIB)
    _download(parts, server, small, token=token, size=MIB)
    sleep(1)
    with Watch(worker_of(server)) as watch:
        if direction == "upload":
            _upload(parts, server, names, token=token, store=store, size=size)
        else:
            _download(parts, server, names, token=token, size=size)
    with server.client() as admin:
        for name in [*names, *small]:
            admin.delete(f"/media/{name}").raise_for_status()
    server.stop()
    return (watch.peak - watch.rest) / MIB / transfers, allowed_mib


def worker_of(server: Server) -> psutil.Process:
    assert server.process is not None
    children = psutil.Process(server.process.pid).children(recursive=True)
    return max(children, key=lambda child: child.memory_info().rss)


def _server(parts: Parts) -> Server:
    """The server of these rows, freshly started."""
    server = parts.spare_server
    if server.process is None:
        server.start()
    with server.client() as admin:
        if admin.get(f"/stores/{FILES}").status_code == 404:
            made = admin.post("/stores", json={"name": FILES, "kind": "filesystem", "checksums": ["sha256"]})
            assert made.status_code == 201, made.text
    return server


def _upload(parts: Parts, server: Server, names: list[str], *, token: str, store: str, size: int) -> None:
    heads = [request_bytes("PUT", f"/api/v1/content/{name}?store={store}", token=token, length=size) for name in names]
    parts.in_client(upload, port_of(server.url), heads, size=size)


def _download(parts: Parts, server: Server, names: list[str], *, token: str, size: int) -> None:
    requests = [request_bytes("GET", f"/api/v1/content/{name}", token=token) for name in names]
    parts.in_client(download, port_of(server.url), requests, size=size, mib_per_s=CLIENT_MIB_PER_S)


def _row(name: str, direction: Direction, store: str) -> Row:
    measure = partial(growth, direction=direction, store=store, transfers=32, size=64 * MIB, allowed_mib=16)
    return Row(name=name, unit="MiB/transfer", target=1, bound="at most", measure=measure)


def _long_row(name: str, direction: Direction, store: str) -> Row:
    measure = partial(growth, direction=direction, store=store, transfers=1, size=2048 * MIB, allowed_mib=64)
    return Row(name=name, unit="MiB", target=1, bound="at most", measure=measure, long=True)


MEMORY_ROWS = [
    _row("memory_upload", "upload", FILES),
    _row("memory_download", "download", FILES),
    _row("memory_s3_upload", "upload", S3),
    _row("memory_s3_download", "download", S3),
    _long_row("memory_2gib_upload", "upload", FILES),
    _long_row("memory_2gib_download", "download", FILES),
    _long_row("memory_2gib_s3_upload", "upload", S3),
    _long_row("memory_2gib_s3_download", "download", S3),
]
