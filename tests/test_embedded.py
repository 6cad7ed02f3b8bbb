"""The embedded PostgreSQL and the lock of its data folder, by real processes that are really killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest

from mediastore.embedded import EmbeddedPostgres, lock_data_folder
from mediastore.embedded_errors import (
    DataFolderInUse,
    DataFolderUnreachable,
    DataFolderVersionDiffers,
    PostgresMissing,
    PostgresStartFailed,
)
from tests.database import run

PATIENCE_S = 30.0

SERVER = """
import os, sys, time
from pathlib import Path
from mediastore.embedded import EmbeddedPostgres, lock_data_folder
home = Path(sys.argv[1])
try:
    with lock_data_folder(home), EmbeddedPostgres(home, fsync=False) as postgres:
        try:
            print(postgres.pid, postgres.url, flush=True)
            sys.stdin.read()
        except KeyboardInterrupt:
            time.sleep(0.5)  # long enough for a signal that had reached PostgreSQL to end it
            print("alive:", postgres.alive(), flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


class Server:
    """A process that does what `mediastore serve` does with its data folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.postgres_pid: int | None = None

    def postgres(self) -> tuple[int, str]:
        """Wait until it runs; its PostgreSQL's process id and URL."""
        pid, url = self.line().split()
        self.postgres_pid = int(pid)
        return self.postgres_pid, url

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def end(self) -> None:
        self.kill()
        if self.postgres_pid is not None:
            wait_for(lambda: not runs(self.postgres_pid), "PostgreSQL to end after its server")
        place = self.home / "postgres.socket"
        if place.is_symlink():  # where pytest's own folders are too long; the next start would remove it
            shutil.rmtree(place.readlink(), ignore_errors=True)


@pytest.fixture
def start() -> Iterator[Callable[[Path], Server]]:
    with ExitStack() as stack:

        def start_server(home: Path) -> Server:
            server = Server(home)
            stack.callback(server.end)
            return server

        yield start_server


@pytest.fixture(scope="module")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder that has been started once: a copy of it spares a test the second that initdb takes."""
    home = tmp_path_factory.mktemp("made")
    with EmbeddedPostgres(home, fsync=False):
        pass
    yield home
    shutil.rmtree(home)


@pytest.fixture
def home(made_folder: Path, tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    copy_folder(made_folder, home)
    yield home
    shutil.rmtree(home)


def copy_folder(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def query(url: str, *statements: str) -> object:
    """The single value that the last statement answers with."""

    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])
        finally:
            await connection.close()

    return run(ask())


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for: {what}"
        time.sleep(0.02)


def runs(pid: int | None) -> bool:
    """A zombie has ended: its parent in a container may never ask for it."""
    answer = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout.strip()
    return bool(answer) and not answer.startswith("Z")


def test_the_second_start_finds_what_the_first_one_wrote(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with EmbeddedPostgres(home, fsync=False) as postgres:
        assert postgres.alive()
        assert query(postgres.url, "CREATE TABLE kept AS SELECT 'Größe' AS word", "SELECT upper(word) FROM kept") == "GRÖßE"
        assert query(postgres.url, "SELECT current_database()") == "mediastore"
    assert not postgres.alive()
    assert not (home / "postgres.socket").exists()
    with EmbeddedPostgres(home, fsync=False) as postgres:
        assert query(postgres.url, "SELECT word FROM kept") == "Größe"


def test_it_writes_safely_unless_a_test_says_otherwise(home: Path) -> None:
    with EmbeddedPostgres(home) as postgres:
        settings = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name = ANY($1)"
        names = "'{data_checksums,fsync,full_page_writes,synchronous_commit}'"
        assert query(postgres.url, settings.replace("$1", names)) == (
            "data_checksums=on fsync=on full_page_writes=on synchronous_commit=on"
        )


def test_it_listens_on_no_network_and_its_door_is_private(home: Path) -> None:
    with EmbeddedPostgres(home, fsync=False) as postgres:
        assert query(postgres.url, "SELECT current_setting('listen_addresses')") == ""
        folder = Path(str(query(postgres.url, "SELECT current_setting('unix_socket_directories')")))
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (home / "postgres").stat().st_mode & 0o777 == 0o700
        assert home.stat().st_mode & 0o007 == 0


def test_two_servers_on_one_folder_are_refused_with_the_pid_of_the_first(home: Path, start: Callable[[Path], Server]) -> None:
    first = start(home)
    first.postgres()
    with pytest.raises(DataFolderInUse) as caught, lock_data_folder(home):
        pass
    assert caught.value.fields == {"folder": str(home), "pid": first.process.pid}
    assert str(home) in str(caught.value)
    assert f"pid {first.process.pid}" in str(caught.value)
    first.kill()
    with lock_data_folder(home):
        pass


def test_a_folder_is_locked_in_one_process_as_well(tmp_path: Path) -> None:
    with lock_data_folder(tmp_path / "home"):
        with pytest.raises(DataFolderInUse), lock_data_folder(tmp_path / "home"):
            pass
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    with lock_data_folder(tmp_path / "home"):
        pass


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataFolderUnreachable, match="MEDIASTORE_HOME"), lock_data_folder(tmp_path / "file" / "home"):
        pass


def test_children_do_not_hold_the_lock_of_a_dead_parent(tmp_path: Path) -> None:
    code = """
import os, subprocess, sys, time
from pathlib import Path
from mediastore.embedded import lock_data_folder
with lock_data_folder(Path(sys.argv[1])):
    child = subprocess.Popen(["sleep", "600"], close_fds=False, stdout=subprocess.DEVNULL)
    forked = os.fork()
    if forked == 0:
        os.close(1)
        time.sleep(600)
    print(child.pid, forked, flush=True)
    sys.stdin.read()
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    try:
        parent.kill()
        parent.communicate()
        assert all(runs(pid) for pid in children)

        def free() -> bool:
            try:
                with lock_data_folder(tmp_path):
                    return True
            except DataFolderInUse:
                return False

        wait_for(free, "the lock of a parent that was killed")
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_kill_9_of_the_server_stops_postgres_and_the_next_start_has_the_data(home: Path, start: Callable[[Path], Server]) -> None:
    server = start(home)
    pid, url = server.postgres()
    query(url, "CREATE TABLE kept AS SELECT 1 AS one", "SELECT 1")
    server.kill()
    wait_for(lambda: not runs(pid), "PostgreSQL to end after its server")
    with lock_data_folder(home), EmbeddedPostgres(home, fsync=False) as postgres:
        assert query(postgres.url, "SELECT one FROM kept") == 1


def test_a_start_right_after_kill_9_waits_for_the_old_postgres(home: Path, start: Callable[[Path], Server]) -> None:
    server = start(home)
    pid, url = server.postgres()
    query(url, "CREATE TABLE kept AS SELECT generate_series(1, 200000) AS number", "SELECT 1")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    with lock_data_folder(home), EmbeddedPostgres(home, fsync=False) as postgres:
        assert not runs(pid)
        assert query(postgres.url, "SELECT count(*) FROM kept") == 200000


def test_kill_9_of_postgres_itself_is_noticed_and_the_next_start_recovers(home: Path) -> None:
    with EmbeddedPostgres(home) as postgres:
        query(postgres.url, "CREATE TABLE kept AS SELECT 1 AS one", "SELECT 1")
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)
        wait_for(lambda: not postgres.alive(), "the death of PostgreSQL to be noticed")
    with EmbeddedPostgres(home) as postgres:
        assert query(postgres.url, "SELECT one FROM kept") == 1


def test_ctrl_c_reaches_the_server_and_not_its_postgres(home: Path, start: Callable[[Path], Server]) -> None:
    server = start(home)
    pid, _ = server.postgres()
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.line() == "alive: True"
    server.process.wait(PATIENCE_S)
    assert not runs(pid)


def test_postgres_is_in_a_session_of_its_own(home: Path) -> None:
    with EmbeddedPostgres(home, fsync=False) as postgres:
        assert postgres.pid is not None
        assert os.getsid(postgres.pid) == postgres.pid
        assert os.getpgid(postgres.pid) == postgres.pid


def test_a_kill_during_initdb_leaves_nothing_half_made(tmp_path: Path, start: Callable[[Path], Server]) -> None:
    home = tmp_path / "home"
    server = start(home)
    wait_for(lambda: any(home.glob("postgres.new-*/base")), "initdb to be half-way")
    server.kill()
    assert not (home / "postgres").exists()
    with lock_data_folder(home), EmbeddedPostgres(home, fsync=False) as postgres:
        assert query(postgres.url, "SELECT 1") == 1
    assert [path.name for path in home.glob("postgres.*")] == ["postgres.log"]


def test_an_interrupt_during_initdb_leaves_nothing_half_made(tmp_path: Path, start: Callable[[Path], Server]) -> None:
    home = tmp_path / "home"
    server = start(home)
    wait_for(lambda: any(home.glob("postgres.new-*/base")), "initdb to be half-way")
    server.process.send_signal(signal.SIGINT)
    server.process.wait(PATIENCE_S)
    assert sorted(path.name for path in home.iterdir()) == ["lock", "postgres.log"]


@pytest.mark.parametrize("name", ["a" * 120, "with space, comma & größe"])
def test_a_home_that_no_socket_address_can_hold_works(name: str, made_folder: Path, tmp_path: Path) -> None:
    home = tmp_path / name
    copy_folder(made_folder, home)
    with EmbeddedPostgres(home, fsync=False) as postgres:
        assert query(postgres.url, "SELECT 1") == 1
        folder = (home / "postgres.socket").readlink()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    assert not (home / "postgres.socket").is_symlink()


def test_the_short_socket_folder_of_a_killed_server_is_removed_by_the_next(
    made_folder: Path, tmp_path: Path, start: Callable[[Path], Server]
) -> None:
    home = tmp_path / ("a" * 120)
    copy_folder(made_folder, home)
    server = start(home)
    server.postgres()
    folder = (home / "postgres.socket").readlink()
    server.kill()
    with EmbeddedPostgres(home, fsync=False):
        assert (home / "postgres.socket").readlink() != folder
        assert not folder.exists()


def test_a_pid_file_whose_number_another_process_has_by_chance_is_no_hindrance(home: Path) -> None:
    owner = (home / "postgres").stat()
    bystander = subprocess.Popen(
        ["sleep", "600"], user=owner.st_uid
    )  # PostgreSQL knows that another user's process is not itself
    pid_file = home / "postgres" / "postmaster.pid"
    try:
        pid_file.write_text(f"{bystander.pid}\n{home}/postgres\n1700000000\n5432\n\n\n\nready\n")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        with EmbeddedPostgres(home, fsync=False) as postgres:
            assert query(postgres.url, "SELECT 1") == 1
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_data_folder_of_another_major_version_is_refused_and_left_alone(home: Path) -> None:
    (home / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(DataFolderVersionDiffers, match=r"PostgreSQL 17.*PostgreSQL 18") as caught, EmbeddedPostgres(home):
        pass
    assert caught.value.fields["found"] == "17"
    assert not (home / "postgres" / "postmaster.pid").exists()


def test_a_start_that_fails_quotes_the_log(home: Path) -> None:
    with (home / "postgres" / "postgresql.conf").open("a") as settings:
        settings.write("\nwork_mem = nonsense\n")
    with pytest.raises(PostgresStartFailed, match='invalid value for parameter "work_mem"'), EmbeddedPostgres(home):
        pass
    assert not (home / "postgres.socket").exists()


def test_a_machine_without_the_programs_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediastore.embedded_host.find_spec", lambda _: None)
    with pytest.raises(PostgresMissing, match="MEDIASTORE_DATABASE_URL"), EmbeddedPostgres(tmp_path):
        pass


def test_the_server_s_secrets_are_not_in_the_environment_of_postgres(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIASTORE_SECRET_KEY", "not for PostgreSQL")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    with EmbeddedPostgres(home, fsync=False) as postgres:
        assert query(postgres.url, "SELECT 1") == 1
        seen = query(
            postgres.url,
            "CREATE TABLE environment (line text)",
            "COPY environment FROM PROGRAM 'env'",
            "SELECT string_agg(line, ' ') FROM environment",
        )
        assert "TZ=UTC" in str(seen)
        assert "MEDIASTORE" not in str(seen)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
class TestAsRoot:
    def test_postgres_runs_as_the_owner_of_the_data(self, home: Path) -> None:
        subprocess.run(["chown", "-R", "12345:12345", str(home / "postgres")], check=True)
        with EmbeddedPostgres(home, fsync=False) as postgres:
            assert Path(f"/proc/{postgres.pid}").stat().st_uid == 12345

    def test_a_closed_folder_above_the_data_is_passed_by_one_capability_alone(self, made_folder: Path, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        copy_folder(made_folder, closed / "home")
        with EmbeddedPostgres(closed / "home", fsync=False) as postgres:
            assert query(postgres.url, "SELECT 1") == 1
            assert capabilities(postgres.pid) in {1 << 2, 1 << 1}  # CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE
        assert closed.stat().st_mode & 0o777 == 0o700

    def test_without_a_closed_folder_postgres_has_no_capability(self, made_folder: Path) -> None:
        with EmbeddedPostgres(made_folder, fsync=False) as postgres:
            closed = postgres._closed
            assert (capabilities(postgres.pid) == 0) == (closed is None)

    def test_data_of_root_s_own_is_refused(self, home: Path) -> None:
        subprocess.run(["chown", "-R", "0:0", str(home / "postgres")], check=True)
        with pytest.raises(DataFolderUnreachable, match="chown -R pgserver"), EmbeddedPostgres(home):
            pass


def capabilities(pid: int | None) -> int:
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return int(status["CapEff"], 16)
