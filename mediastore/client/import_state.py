"""How far an import of a file has come, beside the file, so that the next start goes on there."""

import hashlib
import os
from pathlib import Path

import msgspec
from msgspec import Struct

from mediastore.client.errors import FileUnfit

HEAD_BYTES = 64 * 1024


class Counts(Struct, kw_only=True):
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    failed: int = 0


class ImportState(Struct, kw_only=True):
    """Of which file, sent where and how; and all before `offset` is done."""

    url: str
    options: dict[str, str]
    size: int
    head: str
    offset: int = 0
    """Bytes, of the text that was unpacked."""
    line: int = 0
    errors_size: int = 0
    """Of the file of errors, when this was written: what is behind it will be told of again."""
    counts: Counts = msgspec.field(default_factory=Counts)


class StateFile:
    """Written in one step: a kill leaves the one before."""

    def __init__(self, source: Path) -> None:
        self.path = place_for(source)

    def load(self, fresh: ImportState) -> ImportState:
        """What an earlier run left of the same import; `fresh` where there was none. Raises `FileUnfit` for another one."""
        try:
            left = msgspec.json.decode(self.path.read_bytes(), type=ImportState)
        except FileNotFoundError:
            return fresh
        except msgspec.DecodeError as error:
            raise FileUnfit(f"{self.path} can't be read: {error}; --restart begins anew") from error
        for what, was, now in (
            ("the file has changed", (left.size, left.head), (fresh.size, fresh.head)),
            ("it went to another server", left.url, fresh.url),
            ("it had other options", left.options, fresh.options),
        ):
            if was != now:
                raise FileUnfit(f"an import of this file was begun, and {what} since; --restart begins anew ({self.path})")
        return left

    def save(self, state: ImportState) -> None:
        new = self.path.with_name(self.path.name + ".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(state))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def place_for(source: Path) -> Path:
    """Beside the file, or in the user's state folder where that can't be written to."""
    source = source.resolve()
    if os.access(source.parent, os.W_OK):
        return source.with_name(source.name + ".import")
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "mediastore"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(str(source).encode()).hexdigest()[:16]}-{source.name}.import"


def head_of(source: Path) -> str:
    """What tells this file from another one of the same length, mostly."""
    with source.open("rb") as file:
        return hashlib.sha256(file.read(HEAD_BYTES)).hexdigest()
