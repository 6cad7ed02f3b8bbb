"""What is measured and what measures: database, server, floors, S3 server, client; each started when first asked for."""

import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from asyncio import Runner
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import httpx
from uvloop import new_event_loop

from mediastore.database import migrate
from mediastore.embedded import EmbeddedPostgres
from tests.database import DatabaseServer
from tests.server import Server

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
START_TIMEOUT_S = 20
SERVE_MOTO = Path(__file__).parents[1] / "tests" / "stores" / "serve_moto.py"


class Parts:
    """Everything is a real process on a free port, and ends with the stack."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self.runner = stack.enter_context(Runner(loop_factory=new_event_loop))
        spawn = multiprocessing.get_context("spawn")
        self._client = stack.enter_context(ProcessPoolExecutor(max_workers=1, mp_context=spawn))

    def in_client(self, function: Callable[Given, Answer], *args: Given.args, **kwargs: Given.kwargs) -> Answer:
        """Call it in the client's process, which is the same one for both sides of a measurement."""
        return self._client.submit(function, *args, **kwargs).result()

    @cached_property
    def postgres(self) -> DatabaseServer:
        """Durable, as in production: fsync is on."""
        folder = self.folder / "database"
        folder.mkdir(mode=0o755)
        return DatabaseServer(self.stack.enter_context(EmbeddedPostgres(folder)).url)

    def database(self) -> str:
        """The URL of a new, migrated database."""
        url = self.stack.enter_context(self.postgres.database())
        self.runner.run(migrate(url))
        return url

    @cached_property
    def database_url(self) -> str:
        """The database that the server and the floors share."""
        return self.database()

    @cached_property
    def server(self) -> Server:
        """The server as a user runs it: access log and metrics on."""
        return self.serve(self.database_url, "server")

    @cached_property
    def spare_server(self) -> Server:
        """Another one, with a database of its own, for those who start and stop it."""
        return self.serve(self.database(), "spare-server")

    def serve(self, database_url: str, name: str) -> Server:
        """A server with a data folder of its own."""
        home = self.folder / name
        home.mkdir()
        server = Server(database_url, home=home).start()
        self.stack.callback(server.kill)
        return server

    @cached_property
    def admin(self) -> httpx.Client:
        return self.stack.enter_context(self.server.client())

    @cached_property
    def token(self) -> str:
        return self.server.token()

    def floor(self, name: str, environment: Mapping[str, str] | None = None) -> int:
        """The port of a bare application of `bench.floors`, on Granian as the server itself is."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        command = [sys.executable, "-m", "bench.serve_floor", name, str(port)]
        process = subprocess.Popen(
            command, env={**os.environ, **(environment or {})}, cwd=Path(__file__).parents[1], start_new_session=True
        )
        self.stack.callback(_end, process)
        _await_port(port, process)
        return port

    @cached_property
    def s3_url(self) -> str:
        """A moto server in a process of its own."""
        process = subprocess.Popen(
            [sys.executable, str(SERVE_MOTO)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": str(self.folder)},
            text=True,
        )
        self.stack.callback(_end, process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{int(process.stdout.readline())}"


@contextmanager
def assembled() -> Iterator[Parts]:
    """The parts, for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="mediastore-bench-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        yield Parts(stack, Path(folder))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def _await_port(port: int, process: "subprocess.Popen[Any]") -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the floor did not start")


def _end(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
