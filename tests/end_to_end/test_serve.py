"""`mediastore serve` and the other commands, as the one who runs a server meets them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

COMMAND = [sys.executable, "-c", "from mediastore.cli import main; main()"]


class Home:
    """A data folder, and commands on it."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MEDIASTORE_")},
            "MEDIASTORE_HOME": str(self.data),
            "MEDIASTORE_PORT": "0",
            "COLUMNS": "80",
        }

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def serving(self, **environment: str) -> Iterator["Serving"]:
        process = subprocess.Popen(
            [*COMMAND, "serve"],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield Serving(process)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
            assert process.stdout is not None
            process.stdout.close()
            wait_until(lambda: not postgres_of(self.data), "PostgreSQL ends with its server")


class Serving:
    """A server that has started, and what it printed until then."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.printed = ""
        assert process.stdout is not None
        while "/docs" not in self.printed:
            line = process.stdout.readline()
            assert line, f"it ended: {self.printed}"
            self.printed += line
        match = re.search(r"^Mediastore +(http\S+)$", self.printed, re.MULTILINE)
        assert match, self.printed
        self.url = match[1].replace("localhost", "127.0.0.1")
        wait_until(self.answers, "the server answers")

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, by: signal.Signals) -> tuple[int, str]:
        """Signal the whole group, as a terminal does; returns its exit code and what else it printed."""
        os.killpg(self.process.pid, by)
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        return self.process.wait(60), rest


def postgres_of(data: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "-D" in command and str(data / "postgres") in command:
            found.append(process)
    return found


def wait_until(condition: object, what: str, timeout_s: float = 30) -> None:
    assert callable(condition)
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.05)


def log_in(url: str, password: str) -> httpx.Client:
    answer = httpx.post(f"{url}/api/v1/auth/login", json={"username": "admin", "password": password})
    assert answer.status_code == 200, answer.text
    return httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_server_keeps_its_data_over_stops_and_kills_and_shows_its_password_once(home: Home) -> None:
    with home.serving() as first:
        # The password comes behind the address, in the same print.
        assert first.process.stdout is not None
        password = re.search(r"^Password +(\S+)", first.process.stdout.readline() + first.process.stdout.readline(), re.MULTILINE)
        assert password, first.printed
        with log_in(first.url, password[1]) as client:
            assert client.put("/content/kept", content=b"bytes").status_code == 201
            assert client.put("/content/ram", params={"store": "scratch"}, content=b"bytes").status_code == 201
            assert sorted(item["name"] for item in client.get("/stores").json()["items"]) == ["local", "scratch"]
        code, rest = first.end(signal.SIGINT)
        assert code == 0
        assert "Traceback" not in rest
    with home.serving() as second:
        with log_in(second.url, password[1]) as client:
            assert client.get("/content/kept").content == b"bytes"
            assert client.get("/media/ram").json()["status"] == "lost"
            assert client.get("/content/ram").json()["code"] == "content_lost"
        os.kill(second.process.pid, signal.SIGKILL)
        second.process.wait(10)
        wait_until(lambda: not second.answers(), "the workers end with the server")
    with home.serving() as third:
        assert "Password" not in third.printed
        with log_in(third.url, password[1]) as client:
            assert client.get("/content/kept").content == b"bytes"
        assert third.end(signal.SIGTERM)[0] == 0


def test_a_password_from_the_environment_is_used_and_not_shown(home: Home) -> None:
    with home.serving(MEDIASTORE_ADMIN_PASSWORD="chosen by me") as server:
        log_in(server.url, "chosen by me").close()
        code, rest = server.end(signal.SIGTERM)
        assert code == 0
        assert "chosen by me" not in server.printed + rest


def test_a_second_server_on_the_data_folder_is_refused_with_a_sentence(home: Home) -> None:
    with home.serving() as server:
        second = home.run("serve")
        assert second.returncode == 1
        assert "in use by another server" in second.stderr
        assert "MEDIASTORE_HOME" in second.stderr
        assert "Traceback" not in second.stderr
        taken = home.run("serve", MEDIASTORE_PORT=server.url.rpartition(":")[2], MEDIASTORE_HOME=str(home.data.parent / "other"))
        assert taken.returncode == 1
        assert "can't listen on" in taken.stderr
        assert not (home.data.parent / "other").exists()


def test_commands_work_beside_a_running_server_and_without_one(home: Home) -> None:
    with home.serving() as server:
        added = home.run("user", "add", "alice", "--role", "editor", "--group", "ctd", stdin="a long password\n")
        assert added.returncode == 0, added.stderr
        answer = httpx.post(f"{server.url}/api/v1/auth/login", json={"username": "alice", "password": "a long password"})
        assert answer.status_code == 200
        probe = home.run("store", "probe", "local")
        assert probe.returncode == 0, probe.stderr
        assert "FAILED" not in probe.stdout
        other = home.run("store", "probe", "scratch")
        assert other.returncode == 1
        assert "another server process" in other.stdout.replace("\n", " ")
    listed = home.run("user", "list")
    assert re.search(r"alice +editor +ctd", listed.stdout), listed.stdout + listed.stderr
    assert home.run("user", "passwd", "alice", stdin="another password\n").returncode == 0
    assert home.run("store", "add", "more", "--path", "deep/er").returncode == 0
    stores = home.run("store", "list")
    assert all(len(line) <= 80 for line in stores.stdout.splitlines())
    assert "more" in stores.stdout


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "words"),
    [
        (["user", "add", "bob"], "short\n", 2, "password"),
        (["user", "add", "no such name!"], "a long password\n", 2, "name"),
        (["user", "add", "bob", "--role", "emperor"], "a long password\n", 2, "emperor"),
        (["user", "passwd", "nobody-here"], "a long password\n", 1, "no user"),
        (["store", "add", "out", "--path", "/etc"], "", 1, "allowed root"),
        (["store", "add", "tape", "--kind", "tape"], "", 1, "tape"),
        (["store", "probe", "nowhere"], "", 1, "no store"),
    ],
)
def test_a_wrong_command_gets_a_sentence(home: Home, arguments: list[str], stdin: str, code: int, words: str) -> None:
    done = home.run(*arguments, stdin=stdin)
    assert done.returncode == code, done.stderr
    assert words in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


def test_an_external_database_needs_a_secret_key(home: Home, database_url: str) -> None:
    refused = home.run("serve", MEDIASTORE_DATABASE_URL=database_url)
    assert refused.returncode == 1
    assert "MEDIASTORE_SECRET_KEY" in refused.stderr


def test_the_secret_key_is_the_owners_alone(home: Home) -> None:
    assert home.run("user", "list").returncode == 0
    assert (home.data / "secret.key").stat().st_mode & 0o777 == 0o600
