"""Base64 of any length goes through the server without staying in its memory."""

import base64
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

import httpx
import psutil
import pytest

from tests.dialects.amplify.scene import Client, media
from tests.server import Server

MIB = 1024 * 1024
SIZE_MIB = int(os.environ.get("MEDIASTORE_TEST_BASE64_MIB", "256"))
"""A quarter of a gibibyte shows the same as more in less time; 1024 shows it all."""
ALLOWED_MIB = 64
BLOCK = os.urandom(3 * MIB)


class Watched:
    """The resident memory of a server and its children, looked at all the time."""

    def __init__(self, server: Server) -> None:
        assert server.process is not None
        self._process = psutil.Process(server.process.pid)
        self._over = threading.Event()
        self.most = 0
        self.growth = 0.0

    def now(self) -> int:
        family = [self._process, *self._process.children(recursive=True)]
        return sum(self._resident(one) for one in family if "postgres" not in one.name())

    def watch(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, self.now())

    @contextmanager
    def grown(self) -> Iterator[None]:
        before = self.now()
        thread = threading.Thread(target=self.watch)
        thread.start()
        begun = time.monotonic()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        self.growth = (self.most - before) / MIB
        print(f"{SIZE_MIB} MiB in {time.monotonic() - begun:.1f} s, resident memory + {self.growth:.1f} MiB")  # noqa: T201 - the figures

    @staticmethod
    def _resident(process: psutil.Process) -> int:
        try:
            return int(process.memory_info().rss)
        except psutil.NoSuchProcess:
            return 0


def letters() -> Iterator[bytes]:
    """Whole blocks of three, so that their base64 can be put behind each other."""
    for left in range(SIZE_MIB, 0, -3):
        yield base64.b64encode(BLOCK if left >= 3 else BLOCK[: left * MIB])


def sha256() -> str:
    digest = hashlib.sha256()
    for left in range(SIZE_MIB, 0, -3):
        digest.update(BLOCK if left >= 3 else BLOCK[: left * MIB])
    return digest.hexdigest()


def body(pid: str, *, record_first: bool) -> Iterator[bytes]:
    record = b'"mediadata": ' + httpx.Request("POST", "http://x", json=media(pid)).content
    yield b"{" + record + b', "base64": "' if record_first else b'{"base64": "'
    yield from letters()
    yield b'"}' if record_first else b'", ' + record + b"}"


@pytest.mark.parametrize("record_first", [True, False], ids=["record first", "bytes first"])
def test_a_large_file_goes_in_and_out_as_base64_in_bounded_memory(server: Server, client: Client, record_first: bool) -> None:
    pid = f"large/{record_first}"
    client.good("POST", "/upload", {"mediadata": media("warm"), "base64": base64.b64encode(BLOCK).decode()})
    client.good("GET", "/download/warm")
    up = Watched(server)
    with up.grown():
        answer = client.http.post("/upload", content=body(pid, record_first=record_first), timeout=300)
    assert (answer.status_code, answer.json()) == (200, {"status": "READY"})
    down = Watched(server)
    digest, tail = hashlib.sha256(), b""
    with down.grown(), client.http.stream("GET", f"/download/{pid}", timeout=300) as answer:
        pieces = answer.iter_raw(MIB)
        head, _, text = next(pieces).partition(b'"base64":"')
        assert head.startswith(b'{"mediadata":{')
        for piece in chain([text], pieces):
            tail += piece
            whole = (len(tail) - 4) // 4 * 4
            digest.update(base64.b64decode(tail[:whole]))
            tail = tail[whole:]
    assert tail.endswith(b'"}')
    digest.update(base64.b64decode(tail[:-2]))
    assert digest.hexdigest() == sha256()
    assert int(answer.headers["content-length"]) == len(head) + 10 + -(-SIZE_MIB * MIB // 3) * 4 + 2
    assert max(up.growth, down.growth) < ALLOWED_MIB
