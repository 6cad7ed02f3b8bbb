"""A server to be hurt, and the tools: raw sockets, the rows, what really lies in the stores, a proxy that misbehaves."""

import http.client
import json
import os
import re
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import asyncpg
import httpx
import psutil

from tests.database import run
from tests.server import Server

MIB = 1024 * 1024
Result = TypeVar("Result")


def content(size: int, seed: object = 0) -> bytes:
    """Bytes that differ by seed, quick to make in any size."""
    block = Random(f"{seed}").randbytes(min(size, MIB))
    return (block * (size // max(1, len(block)) + 1))[:size]


def eventually(look: Callable[[], Result], *, within_s: float = 20, what: str = "") -> Result:
    """What `look` returns as soon as that is true; AssertionError after so long."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within_s} s: {what or look}, last: {found!r}"
        time.sleep(0.05)


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Upload:
    """A PUT of content by hand: nothing is sent but what the test says."""

    def __init__(
        self,
        site: "Site",
        pid: str,
        *,
        length: int | None,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        target: str | None = None,
    ) -> None:
        """`target`, method and path, is given where it is not the PID's own."""
        host = urlsplit(site.server.url)
        self.socket = socket.create_connection((host.hostname or "", host.port or 0), timeout=60)
        self.chunked = length is None
        lines = {
            "Host": host.netloc,
            "Authorization": f"Bearer {site.token}",
            **({"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}),
            **(headers or {}),
        }
        target = target or f"PUT /api/v1/content/{quote(pid)}{query}"
        head = f"{target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        self.socket.sendall(head.encode() + b"\r\n")

    def send(self, data: bytes) -> Self:
        self.socket.sendall(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)
        return self

    def end(self) -> Self:
        """The last chunk."""
        self.socket.sendall(b"0\r\n\r\n")
        return self

    def reset(self) -> None:
        """RST: the peer learns of it at once, whatever it has not read yet is lost."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self) -> None:
        """FIN of our side alone; then wait for the server to end it too."""
        self.socket.shutdown(socket.SHUT_WR)
        self.socket.settimeout(30)
        with suppress(OSError):
            while self.socket.recv(65536):
                pass
        self.socket.close()

    def answer(self, timeout_s: float = 60) -> Answer:
        """The server's answer; closes the connection."""
        self.socket.settimeout(timeout_s)
        try:
            return read_answer(self.socket)
        finally:
            self.socket.close()


def read_answer(connection: socket.socket, method: str = "PUT") -> Answer:
    response = http.client.HTTPResponse(connection, method=method)
    try:
        response.begin()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        response.close()


@dataclass
class Site:
    """A server of the test's own with its database and, where wanted, an S3 bucket as the store `bucket`."""

    server: Server
    database_url: str
    moto_url: str = ""
    bucket: str = ""
    proxy: "Proxy | None" = None
    ignored: set[str] = field(default_factory=set)
    _token: str = ""
    clients: list[httpx.Client] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)

    @property
    def token(self) -> str:
        if not self._token:
            self._token = self.server.token()
        return self._token

    @property
    def admin(self) -> httpx.Client:
        if not self.clients:
            self.clients.append(
                httpx.Client(base_url=f"{self.server.url}/api/v1", timeout=60, headers={"Authorization": f"Bearer {self.token}"})
            )
        return self.clients[0]

    def close(self) -> None:
        self.end_uploads()
        for client in self.clients:
            client.close()

    def end_uploads(self) -> None:
        """Close what tests that failed have left open."""
        for upload in self.uploads:
            upload.socket.close()
        self.uploads.clear()

    def raw(
        self, method: str, target: str | bytes, *, headers: Sequence[tuple[str, str]] = (), body: bytes = b"", login: bool = True
    ) -> Answer:
        """A request whose target goes out exactly as given."""
        host = urlsplit(self.server.url)
        target = target.encode() if isinstance(target, str) else target
        lines = [("Host", host.netloc), ("Connection", "close"), *headers]
        if login:
            lines.append(("Authorization", f"Bearer {self.token}"))
        if body or method in {"PUT", "POST", "PATCH"}:
            lines.append(("Content-Length", str(len(body))))
        head = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in lines)
        with socket.create_connection((host.hostname or "", host.port or 0), timeout=60) as connection:
            connection.sendall(method.encode() + b" " + target + b" HTTP/1.1\r\n" + head + b"\r\n" + body)
            return read_answer(connection, method)

    def upload(self, pid: str, length: int | None, query: str = "", headers: Mapping[str, str] | None = None) -> Upload:
        begun = Upload(self, pid, length=length, query=query, headers=headers)
        self.uploads.append(begun)
        return begun

    def put(self, pid: str, data: bytes, **options: Any) -> httpx.Response:
        return self.admin.put(f"/content/{pid}", content=data, **options)

    # The database.

    def rows(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.database_url)
            try:
                return list(await connection.fetch(statement, *arguments))
            finally:
                await connection.close()

        return run(fetch())

    def value(self, statement: str, *arguments: object) -> Any:
        found = self.rows(statement, *arguments)
        return found[0][0] if found else None

    def states(self, pid: str) -> list[str]:
        """States of the objects of a record, oldest first."""
        return [
            row["state"]
            for row in self.rows(
                "SELECT o.state FROM stored_object o JOIN media m ON m.id = o.media WHERE m.pid = $1 ORDER BY o.id", pid
            )
        ]

    def upload_states(self, pid: str) -> list[str]:
        return [
            row["state"]
            for row in self.rows(
                "SELECT u.state FROM upload u JOIN stored_object o ON o.id = u.stored_object JOIN media m ON m.id = o.media "
                "WHERE m.pid = $1 ORDER BY o.id",
                pid,
            )
        ]

    def unfinished(self) -> list[tuple[str, str]]:
        """Every upload and object that is not in a final state."""
        found = self.rows(
            "SELECT 'upload' AS what, state FROM upload WHERE state IN ('open', 'verifying') "
            "UNION ALL SELECT 'object', state FROM stored_object WHERE state IN ('writing', 'verifying', 'purging')"
        )
        return [(row["what"], row["state"]) for row in found]

    def expected_keys(self, store: str) -> set[str]:
        """The keys at which something may lie in a store, as its rows say."""
        found = self.rows(
            "SELECT o.key FROM stored_object o JOIN store s ON s.id = o.store WHERE s.name = $1 AND o.state = 'stored'", store
        )
        return {row["key"] for row in found}

    @contextmanager
    def locked(self, pid: str, change: str = "") -> Iterator[None]:
        """Hold a record's row for the length of the block, and change it just before its end: `change` is the SET clause."""
        with self.holding(
            "SELECT FROM media WHERE pid = $1 FOR UPDATE", pid, then=f"UPDATE media SET {change} WHERE pid = $1" if change else ""
        ):
            yield

    @contextmanager
    def holding(self, statement: str, *arguments: object, then: str = "") -> Iterator[None]:
        """Hold, for the length of the block, what the statement locks; `then` runs in its transaction, with its arguments."""
        held, go, done = threading.Event(), threading.Event(), threading.Event()

        async def hold() -> None:
            connection = await asyncpg.connect(self.database_url)
            try:
                async with connection.transaction():
                    await connection.fetch(statement, *arguments)
                    if then:
                        await connection.execute(then, *arguments)
                    held.set()
                    while not go.is_set():
                        await connection.fetchval("SELECT pg_sleep(0.02)")
            finally:
                await connection.close()
                done.set()

        thread = threading.Thread(target=lambda: run(hold()))
        thread.start()
        assert held.wait(10)
        try:
            yield
        finally:
            go.set()
            thread.join(10)
            assert done.is_set()

    def waiting_for_locks(self) -> int:
        """How many sessions of the server wait for a row that someone else holds."""
        count: int = self.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' "
            "AND application_name = 'mediastore'"
        )
        return count

    # What really lies there.

    @property
    def folder(self) -> Path:
        """Of the store `local`."""
        return self.server.home / "stores" / "local"

    def files(self) -> set[str]:
        """Every file in the store `local`, temporary ones too; folders may go while this looks, which `rglob` can't take."""
        return {str(Path(folder, name).relative_to(self.folder)) for folder, _, names in os.walk(self.folder) for name in names}

    def open_files(self) -> list[str]:
        """What the server holds open inside the store's folder, also files without a name."""
        found = []
        for process in self.processes():
            with suppress(psutil.Error, OSError):
                for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
                    with suppress(OSError):
                        target = str(descriptor.readlink())
                        if target.startswith(str(self.folder)) and target != str(self.folder):
                            found.append(target)
        return found

    def s3_keys(self) -> set[str]:
        return {key for key, _ in self._s3("?list-type=2", "Contents")}

    def s3_uploads(self) -> list[tuple[str, str]]:
        return self._s3("?uploads", "Upload")

    def _s3(self, query: str, item: str) -> list[tuple[str, str]]:
        answer = httpx.get(f"{self.moto_url}/{self.bucket}{query}", timeout=30)
        assert answer.status_code == 200, answer.text
        text = re.sub(r'xmlns="[^"]*"', "", answer.text)
        return [(each.findtext("Key") or "", each.findtext("UploadId") or "") for each in ElementTree.fromstring(text).iter(item)]

    def unknown(self) -> set[str]:
        """What lies in the store `local` and in the bucket though no row calls it stored: files, objects, open uploads."""
        found = {f"file {name}" for name in self.files() - self.expected_keys("local")}
        found |= {f"open {name}" for name in self.open_files()}
        if self.bucket:
            found |= {f"object {key}" for key in self.s3_keys() - self.expected_keys("bucket")}
            found |= {f"multipart upload {key} {upload}" for key, upload in self.s3_uploads()}
        return found - self.ignored

    def ignore_leftovers(self) -> None:
        """What an earlier test has left is not counted against the next one."""
        self.end_uploads()
        self.ignored = set()
        self.ignored = self.unknown()

    def settle(self, within_s: float = 15) -> None:
        """AssertionError unless in bounded time nothing is left that no row calls stored."""
        deadline = time.monotonic() + within_s
        while left := self.unknown():
            assert time.monotonic() < deadline, f"left behind after {within_s} s: {sorted(left)}"
            time.sleep(0.1)

    def processes(self) -> list[psutil.Process]:
        assert self.server.process is not None
        main = psutil.Process(self.server.process.pid)
        return [main, *main.children(recursive=True)]

    def rss(self) -> int:
        """Bytes that the server has in memory, all its processes together."""
        total = 0
        for process in self.processes():
            with suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def metric(self, name: str) -> float:
        text = httpx.get(f"{self.server.url}/metrics", timeout=30).text
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        assert found, text
        return float(found[1])


Mode = Literal["pass", "refuse", "hang"]


class Proxy:
    """TCP to one upstream port, in threads. `mode`: pass; refuse: hang up at once; hang: take everything and say nothing.

    `on_request`, where set, sees the first line of a request before it goes on, and `on_answer` that and the answer: when it
    returns True, what it saw is dropped, and the connection ends. `lie` says what a piece of an answer becomes, and by `cut` that
    the connection ends behind it.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.mode: Mode = "pass"
        self.on_request: Callable[[bytes], bool] | None = None
        self.on_answer: Callable[[bytes, bytes], bool] | None = None
        self.lie: Callable[[bytes, bytes], bytes] | None = None
        self.cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: Mode) -> None:
        """Change what happens, to open connections too."""
        self.mode = mode
        if mode != "hang":
            for connection in list(self._open):
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.set("refuse")
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            if self.mode == "refuse":
                return
            with socket.create_connection(("127.0.0.1", self._upstream)) as server:
                self._open.update((client, server))
                last = [b""]
                back = threading.Thread(target=self._back, args=(server, client, last), daemon=True)
                back.start()
                with suppress(OSError):
                    while data := client.recv(65536):
                        if re.match(rb"[A-Z]+ /", data):
                            last[0] = data.split(b"\r\n", 1)[0]
                            if self.on_request is not None and self.on_request(last[0]):
                                break
                        self._wait()
                        server.sendall(data)
                with suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)
                back.join(5)
                self._open.difference_update((client, server))

    def _back(self, server: socket.socket, client: socket.socket, last: list[bytes]) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self._wait()
                if self.on_answer is not None and self.on_answer(last[0], data):
                    break
                if self.lie is not None:
                    data = self.lie(last[0], data)
                client.sendall(data)
                if self.cut:
                    self.cut = False
                    break
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _wait(self) -> None:
        while self.mode == "hang":
            time.sleep(0.02)
        if self.mode == "refuse":
            raise OSError("refused")


def name(prefix: str = "f") -> str:
    """A PID that no other test uses."""
    return f"{prefix}-{secrets.token_hex(6)}"
