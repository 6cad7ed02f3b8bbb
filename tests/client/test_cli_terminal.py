"""The command line at a terminal of eighty columns: bars, tables, questions."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from rich.text import Text

from mediastore.client.servers import Profiles
from tests.client.commands import MAIN
from tests.server import ADMIN, Server

MIB = 1024 * 1024
COLUMNS = 80
LONG = "a-station-with-a-long-name/" * 8 + "cast"
DEADLINE_S = 60


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))


class Terminal:
    """A command at a terminal of its own."""

    def __init__(self, server: Server, folder: Path, *arguments: str, token: bool = True, first: str = "") -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("MEDIASTORE_", "COLUMNS", "LINES"))
        }
        environment |= {"MEDIASTORE_URL": server.url, "TERM": "xterm-256color"}
        if token:
            environment["MEDIASTORE_TOKEN"] = server.token()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"{first}\n{MAIN}", *arguments],
            cwd=folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.text = ""

    def until(self, seen: Callable[[str], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not seen(self.text):
            assert time.monotonic() < deadline, self.text
            if not self._read():
                raise AssertionError(self.text)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._master)
        return self._process.wait(DEADLINE_S)

    @property
    def lines(self) -> list[str]:
        """All that was ever on a line of the screen."""
        return [
            Text.from_ansi(line).plain for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[\d*[AK]|\x1b\[\?25[lh]", "", self.text))
        ]

    def _read(self) -> bool:
        try:
            ready, _, _ = select.select([self._master], [], [], DEADLINE_S)
            piece = os.read(self._master, 65536) if ready else b""
        except OSError:  # the other end is closed
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


SLOWLY = """
import time
from mediastore.client.progress import Progress
add = Progress.add
def slowly(self, size):
    time.sleep(0.1 if size > 0 else 0)
    add(self, size)
Progress.add = slowly
"""


def test_bars_tell_how_far_how_fast_and_how_long_still(server: Server, tmp_path: Path) -> None:
    for name in ("one-file-with-a-rather-long-name.bin", "two.bin"):
        (tmp_path / name).write_bytes(os.urandom(24 * MIB))
    terminal = Terminal(
        server, tmp_path, "put", "one-file-with-a-rather-long-name.bin", "two.bin", "--pid-pattern", "bars/{name}", first=SLOWLY
    )
    assert terminal.end() == 0, terminal.text
    assert any(re.search(r"^two\.bin .*MiB of 24\.0 MiB +\S+ MiB/s +\d+:\d\d", line) for line in terminal.lines), terminal.lines
    assert any(re.search(r"^one-file-with-a-rathe… .*of 24\.0 MiB", line) for line in terminal.lines), terminal.lines
    assert any(re.search(r"^[01] of 2 done .*of 48\.0 MiB", line) for line in terminal.lines), terminal.lines
    assert any("two.bin → bars/two.bin  24.0 MiB, version 1 in local" in line for line in terminal.lines)
    assert [line for line in terminal.lines if len(line) > COLUMNS] == []


def test_what_fails_is_told_above_the_bars_and_leaves_them_whole(server: Server, tmp_path: Path) -> None:
    for name in ("one.bin", "two.bin"):
        (tmp_path / name).write_bytes(os.urandom(24 * MIB))
    files = ("one.bin", "none.bin", "two.bin")
    terminal = Terminal(server, tmp_path, "put", *files, "--pid-pattern", "whole/{name}", "--parallel", "1", first=SLOWLY)
    assert terminal.end() == 3, terminal.text
    shown = terminal.lines
    told = shown.index("mediastore: none.bin: No such file or directory")
    assert any("━" in line for line in shown[:told])
    assert any("━" in line for line in shown[told:])
    assert [line for line in shown if line.startswith("━")] == []


def test_long_pids_are_folded_and_never_cut(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    pid = LONG[:255]
    assert admin.post("/media", json={"pid": pid, "tags": ["long" * 40]}).status_code == 201
    for arguments in (("search", "--pid", "a-station*"), ("info", pid)):
        terminal = Terminal(server, tmp_path, *arguments)
        assert terminal.end() == 0, terminal.text
        assert [line for line in terminal.lines if len(line) > COLUMNS] == []
        first = re.sub(r" (pending|[\d: -]+|local) ", "", "".join(line.split()[0] for line in terminal.lines if line.split()))
        assert pid in "".join(first.split()) or pid in re.sub(r"\s|^PID", "", "".join(terminal.lines)), terminal.text
    nothing = Terminal(server, tmp_path, "search", "--pid", "there-is-none")
    assert nothing.end() == 0
    assert "Nothing that you may read matches." in nothing.text


def test_rm_asks_first(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    assert admin.post("/media", json={"pid": "asked/1"}).status_code == 201
    for answer, status in (("n", 200), ("y", 410)):
        terminal = Terminal(server, tmp_path, "rm", "asked/1")
        terminal.until(lambda text: "for good? [y/N]" in text)
        terminal.type(f"{answer}\r")
        assert terminal.end() == (1 if answer == "n" else 0), terminal.text
        assert admin.get("/media/asked/1").status_code == status


def test_a_password_is_asked_for_and_not_shown(server: Server, tmp_path: Path) -> None:
    terminal = Terminal(server, tmp_path, "login", token=False)
    terminal.until(lambda text: "Name: " in text)
    terminal.type(f"{ADMIN[0]}\r")
    terminal.until(lambda text: "Password: " in text)
    terminal.type(f"{ADMIN[1]}\r")
    assert terminal.end() == 0, terminal.text
    assert "logged in at" in terminal.text
    assert ADMIN[1] not in terminal.text
    assert Profiles().all().keys() == {"default"}
