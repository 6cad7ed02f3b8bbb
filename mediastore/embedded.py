"""The data folder of a server, and the PostgreSQL of its own that lives in it.

    with lock_data_folder(home), EmbeddedPostgres(home) as database:
        serve(database.url)

    home/                  0700 when made here
      lock                 held while a server runs; names its process
      postgres/            PostgreSQL's data folder
      postgres.log         what initdb and PostgreSQL say; one older file beside it
      postgres.socket      a private folder with PostgreSQL's socket, or a link to one where this path can't hold a socket

**Durable.** `fsync` is on. A `kill -9` of the server, or of PostgreSQL itself, loses nothing that was committed, and the next
start works on the same folder without a person.

**Never left behind.** On Linux the kernel tells PostgreSQL to stop when its server ends, by whatever death (`embedded_child.py`).
macOS has no such service: there a PostgreSQL that outlived its server is stopped by the next start, which finds it by
`postmaster.pid`. PostgreSQL has a session of its own, so that Ctrl-C reaches the server alone, which then stops it in order.

**Closed to others.** PostgreSQL listens on no network. Its only door is a Unix socket in a folder of mode 0700, so whoever can
connect could read the data files anyway (the same user, or root); hence `trust` adds no way in, and no password can leak.

**As root** PostgreSQL refuses to run, so it runs as the owner of `home/postgres`, at first the system user `pgserver`, which is
made when missing. Where a folder above the data or the programs is closed to that user (such as /root), PostgreSQL keeps one
capability: to pass folders (CAP_DAC_READ_SEARCH, or CAP_DAC_OVERRIDE where a container grants no other). No permission of
anybody else's folder is changed.
"""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from mediastore.embedded_errors import (
    DataFolderInUse,
    DataFolderUnreachable,
    DataFolderVersionDiffers,
    PostgresLeftOver,
    PostgresStartFailed,
)
from mediastore.embedded_host import (
    MAJOR_VERSION,
    Account,
    bare_environment,
    find_account,
    find_closed_folder,
    find_programs,
    runs_on,
)

DATABASE = "mediastore"
CHILD = Path(__file__).with_name("embedded_child.py")
SOCKET_PLACE = "postgres.socket"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_MAX_BYTES = 103  # macOS; Linux has 107
LOG_MAX_BYTES = 10 * 1024 * 1024
STILL_HELD = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
"""What PostgreSQL says when parts of one that was killed are still on their way out: a reason to try again, not to give up."""
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@contextmanager
def lock_data_folder(home: Path) -> Iterator[None]:
    """Have a data folder to oneself; makes it, closed to others, where there is none.

    Raises DataFolderInUse at once when another server has it, DataFolderUnreachable when it can't be made or opened.
    The kernel lets go of the lock when this process ends, by `kill -9` too. Children do not hold it: neither forked ones nor
    other programs.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise DataFolderUnreachable(
            f"The data folder {home} can't be used: {exc.strerror}. Set MEDIASTORE_HOME to a folder that this user may write.",
            folder=home,
        ) from exc
    held = [descriptor]

    def let_go() -> None:
        while held:
            os.close(held.pop())

    # A forked child shares the lock until it closes its copy of the descriptor; other programs lose theirs by O_CLOEXEC.
    os.register_at_fork(after_in_child=let_go)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            pid = re.match(r"pid (\d+)", holder)
            raise DataFolderInUse(
                f"The data folder {home} is in use by another server ({holder or 'just starting'}). "
                "Stop that one first, or give this one a folder of its own by MEDIASTORE_HOME.",
                folder=home,
                pid=int(pid[1]) if pid else None,
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}, since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n".encode(), 0)
        yield
    finally:
        let_go()


def running_url(home: Path) -> str:
    """The DSN of the PostgreSQL that another process runs in this data folder."""
    return _url((home / SOCKET_PLACE).resolve())


def _url(socket_folder: Path) -> str:
    return f"postgresql://postgres@/{DATABASE}?host={socket_folder}&port=5432"


class EmbeddedPostgres:
    """A PostgreSQL in `home/postgres`, created when missing, running from enter to exit. Hold `lock_data_folder(home)` around it.

    Entering raises an EmbeddedError, and leaves nothing running and nothing half-made. Enter it in the main thread: on Linux
    PostgreSQL stops when the *thread* that started it ends.
    """

    def __init__(self, home: Path, *, fsync: bool = True, start_timeout_s: float = 120) -> None:
        """`fsync=False` is for tests alone: quicker, and a power cut loses the database."""
        self.home = home.resolve()
        self.data = self.home / "postgres"
        self.log = self.home / "postgres.log"
        self._socket_place = self.home / SOCKET_PLACE
        self._socket_folder: Path | None = None
        self._account = Account(uid=os.geteuid(), gid=os.getegid())
        self._fsync = fsync
        self._start_timeout_s = start_timeout_s
        self._closed: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "EmbeddedPostgres has to be entered in the main thread: it stops when the thread that started it ends"
            )
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """A DSN for asyncpg and libpq, while it runs. It holds no secret."""
        assert self._socket_folder is not None  # noqa: S101 - it runs
        return _url(self._socket_folder)

    @property
    def pid(self) -> int | None:
        """The process id of PostgreSQL while it runs."""
        return self._process.pid if self._process is not None and self.alive() else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Disconnect all sessions, write everything down and end. Harder after 30 seconds; then the next start recovers."""
        if self._process is not None:
            for stop_signal, timeout_s in ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
                self._process.send_signal(stop_signal)
                try:
                    self._process.wait(timeout_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
            self._process = None
        if self._socket_folder is not None:
            self._remove_socket_folder()
            self._socket_folder = None

    def _start(self) -> None:
        try:
            self._programs = find_programs(self.home)
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._account = find_account(self.home, self.data)
            self._prepare()
            if not self.data.exists():
                self._create_data()
            self._check_version()
            self._launch_until_ready()
            self._create_database()
        except OSError as exc:
            raise DataFolderUnreachable(f"The data folder {self.home} can't be used: {exc}.", folder=self.home) from exc

    def _prepare(self) -> None:
        self._end_left_over()
        for half_made in self.home.glob("postgres.new-*"):
            remove_folder(half_made)
        if self.log.exists() and self.log.stat().st_size > LOG_MAX_BYTES:
            self.log.replace(self.home / "postgres.log.1")
        self._remove_socket_folder()
        self._socket_folder = self._make_socket_folder()
        if self._account.uid == os.geteuid():
            return
        state = self.home.stat()
        if state.st_uid == 0 and not state.st_mode & 0o077:
            # A folder of root's own that nobody else can enter: let PostgreSQL's group pass, and still nobody list it.
            os.chown(self.home, -1, self._account.gid)
            self.home.chmod(0o710)
        needed = (self._programs, self.home, self._socket_folder)
        self._closed = next((folder for path in needed if (folder := find_closed_folder(path, self._account))), None)

    def _create_data(self) -> None:
        """`initdb` beside the final place, then a rename: a stop in between leaves no data folder at all."""
        half_made = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.home))
        try:
            os.chown(half_made, self._account.uid, self._account.gid)
            arguments = ["--pgdata", str(half_made), "--username=postgres", "--auth-local=trust", "--auth-host=reject"]
            arguments += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            if not self._fsync:
                arguments.append("--no-sync")
            self._process = self._launch("initdb", "--no-instructions", *arguments)
            exit_code = self._process.wait(self._start_timeout_s)
            self._process = None
            if exit_code != 0:
                raise self._start_failed(f"initdb ended with exit code {exit_code}")
            half_made.rename(self.data)
            sync_folder(self.home)
        except subprocess.TimeoutExpired as exc:
            raise self._start_failed(f"initdb took more than {self._start_timeout_s:g} s") from exc
        finally:
            if half_made.exists():
                self.stop()
                remove_folder(half_made)

    def _check_version(self) -> None:
        version = self.data / "PG_VERSION"
        found = version.read_text().strip() if version.exists() else "unknown"
        if found != MAJOR_VERSION:
            raise DataFolderVersionDiffers(
                f"{self.data} belongs to PostgreSQL {found}, and this server brings PostgreSQL {MAJOR_VERSION}. Dump it with the "
                "programs of its own version and load the dump into a new data folder, or serve it by MEDIASTORE_DATABASE_URL.",
                folder=self.data,
                found=found,
                expected=MAJOR_VERSION,
            )

    def _launch_until_ready(self) -> None:
        settings = SETTINGS | {"unix_socket_directories": str(self._socket_folder)}
        switch = "on" if self._fsync else "off"
        settings |= {"fsync": switch, "synchronous_commit": switch, "full_page_writes": switch}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + self._start_timeout_s
        while not self.alive() or not self._answers():
            if not self.alive():
                if self._process is not None and not any(text in self._log_tail() for text in STILL_HELD):
                    raise self._start_failed(f"PostgreSQL ended with exit code {self._process.returncode}")
                self._process = self._launch("postgres", "-D", str(self.data), *options)
            if time.monotonic() > deadline:
                raise self._start_failed(f"PostgreSQL did not answer within {self._start_timeout_s:g} s")
            time.sleep(0.05)

    def _launch(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        beyond = self._closed is not None
        account = self._account
        child = [sys.executable, "-I", "-S", str(CHILD), str(os.getpid()), str(account.uid), str(account.gid), str(int(beyond))]
        with self.log.open("ab") as log:
            self.log.chmod(0o600)
            self._log_start = log.tell()
            return subprocess.Popen(
                [*child, str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=bare_environment(),
                start_new_session=True,
            )

    def _answers(self) -> bool:
        return self._ask("pg_isready", "-q").returncode == 0

    def _create_database(self) -> None:
        statement = f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}')"  # noqa: S608 - our own constant
        result = self._ask("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", statement=f"{statement} \\gexec")
        if result.returncode != 0:
            raise self._start_failed(
                f"Database {DATABASE} could not be created: {result.stderr.decode(errors='replace').strip()}"
            )

    def _ask(self, program: str, *arguments: str, statement: str = "") -> subprocess.CompletedProcess[bytes]:
        where = ["-h", str(self._socket_folder), "-p", "5432", "-U", "postgres", "-d", "postgres"]
        return subprocess.run(
            [str(self._programs / program), *arguments, *where],
            input=statement.encode(),
            env=bare_environment(),
            capture_output=True,
            check=False,
        )

    def _end_left_over(self) -> None:
        """End the PostgreSQL of an earlier server, which on Linux has been told to stop already; forget one that is gone."""
        pid_file = self.data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        for stop_signal, timeout_s in ((signal.SIGINT, 60), (signal.SIGQUIT, 10)):
            if runs_on(pid, self.data):
                with suppress(ProcessLookupError):
                    os.kill(pid, stop_signal)
            deadline = time.monotonic() + timeout_s
            while runs_on(pid, self.data) and time.monotonic() < deadline:
                time.sleep(0.05)
        if runs_on(pid, self.data):
            raise PostgresLeftOver(
                f"A PostgreSQL of an earlier server (pid {pid}) still runs on {self.data} "
                "and does not end. End it, then start again.",
                folder=self.data,
            )
        # PostgreSQL would mistake another process that has this number by chance for itself.
        pid_file.unlink(missing_ok=True)

    def _make_socket_folder(self) -> Path:
        if can_hold_socket(self._socket_place):
            folder = self._socket_place
            folder.mkdir(mode=0o700)
        else:
            system = Path(tempfile.gettempdir())
            short = system if can_hold_socket(system / "mediastore-........") else Path("/tmp")  # noqa: S108 - mkdtemp makes it safe
            folder = Path(tempfile.mkdtemp(prefix="mediastore-", dir=short))
            self._socket_place.symlink_to(folder)
        os.chown(folder, self._account.uid, self._account.gid)
        return folder

    def _remove_socket_folder(self) -> None:
        folder = self._socket_place
        if folder.is_symlink():
            folder = self._socket_place.readlink()
            self._socket_place.unlink()
        # In the system's temp folder the name may be another's by now.
        if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == self._account.uid:
            shutil.rmtree(folder, ignore_errors=True)

    def _log_tail(self) -> str:
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-10:])

    def _start_failed(self, problem: str) -> PostgresStartFailed:
        hint = f"\nThe folder {self._closed} is closed to the user that PostgreSQL runs as." if self._closed else ""
        return PostgresStartFailed(f"{problem}. The end of {self.log}:\n{self._log_tail()}{hint}", folder=self.home)


def can_hold_socket(folder: Path) -> bool:
    """Short enough for a socket's address, and without a character that means something in a DSN or in a list of folders."""
    path = str(folder / SOCKET_NAME)
    return len(path) <= SOCKET_PATH_MAX_BYTES and re.fullmatch(r"[A-Za-z0-9/._-]+", path) is not None


def remove_folder(folder: Path) -> None:
    """Also while the initdb of a server that was killed is still busy removing it."""
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
