"""A real server in a process of its own, and clients of it."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

ADMIN = ("admin", "correct horse battery")
SECRET_KEY = "a secret key for tests, long enough for any use of it"
START_TIMEOUT_S = 30


class Server:
    """`mediastore serve` on a free port. `environment` adds settings; its data folder and log go away with it."""

    def __init__(self, database_url: str, *, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = home
        self.log = home / "server.log"
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MEDIASTORE_")},
            "MEDIASTORE_DATABASE_URL": database_url,
            "MEDIASTORE_HOME": str(home),
            "MEDIASTORE_PORT": "0",
            "MEDIASTORE_ADMIN_PASSWORD": ADMIN[1],
            "MEDIASTORE_SECRET_KEY": SECRET_KEY,
            "MEDIASTORE_ALLOW_PRIVATE_ENDPOINTS": "yes",
            "MEDIASTORE_LOG_FORMAT": "json",
            **(environment or {}),
        }
        self.url = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start it, again after it ended; on the same port then, so that clients find it."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from mediastore.cli import main; main()", "serve"],
                env=self._environment,
                cwd=self.home,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if found := re.match(r"Documentation\s+(http\S+)/docs", line):
                self.url = found[1].replace("localhost", "127.0.0.1")
                self._environment["MEDIASTORE_PORT"] = self.url.rpartition(":")[2]
                break
        else:
            raise AssertionError(f"the server ended: {''.join(lines)}{self.log.read_text()}")
        self.wait()
        return self

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/health/live").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"the server does not answer: {self.log.read_text()}")

    def stop(self) -> None:
        """In order, by SIGTERM."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self._close()

    def kill(self) -> None:
        """The main process and its workers at once, by SIGKILL."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=10)
            self._close()

    def _close(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def client(self, name: str | None = None, password: str | None = None, **options: Any) -> httpx.Client:
        """A client of the API, logged in as the administrator unless named; `name=""` is nobody."""
        headers = {} if name == "" else {"Authorization": f"Bearer {self.token(name, password)}"}
        return httpx.Client(base_url=f"{self.url}/api/v1", timeout=60, headers=headers, **options)

    def token(self, name: str | None = None, password: str | None = None) -> str:
        """An access token of the administrator, or of a user."""
        user, secret = (name, password or PASSWORD) if name else ADMIN
        answer = httpx.post(f"{self.url}/api/v1/auth/login", json={"username": user, "password": secret}, timeout=60)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token


PASSWORD = "a password for tests"


def add_user(admin: httpx.Client, name: str, role: str = "editor", groups: tuple[str, ...] = ()) -> None:
    """A user with the password of test users."""
    answer = admin.post("/users", json={"name": name, "role": role, "groups": list(groups), "password": PASSWORD})
    assert answer.status_code == 201, answer.text


@contextmanager
def running_server(database_url: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="mediastore-server-") as folder:
        server = Server(database_url, home=Path(folder), environment=environment).start()
        try:
            yield server
        finally:
            if server.process is not None:
                server.kill()
