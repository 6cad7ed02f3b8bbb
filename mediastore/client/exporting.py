"""Records of a server written to a file, line by line; what was cut short goes on behind the last whole line."""

import gzip
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct

from mediastore.client.connection import CUT, Connection
from mediastore.client.errors import FileUnfit, ServerAway, ServerRefused
from mediastore.client.patience import patiently

PIECE = 256 * 1024
BLOCK = 64 * 1024


class Exporting:
    """Writes whole lines only, and remembers the last one."""

    def __init__(self, connection: Connection, *, filters: dict[str, Any], patience_s: float) -> None:
        self._connection = connection
        self._filters = filters
        self._patience_s = patience_s
        self._last = b""
        self.lines = 0

    def run(self, target: IO[bytes], *, last: bytes, on_piece: Callable[[int], None], say: Callable[[str], None]) -> None:
        """Write what comes after the line `last`, or all where that is empty. Breaks are waited for; each success begins the
        waiting anew.
        """
        self._last = last
        while True:
            before = self.lines
            try:
                patiently(lambda: self._receive(target, on_piece), patience_s=self._patience_s, say=say)
            except ServerAway:
                if self.lines == before:
                    raise
            else:
                return

    def _receive(self, target: IO[bytes], on_piece: Callable[[int], None]) -> None:
        after = pid_of(self._last) if self._last else None
        body = msgspec.json.encode({**self._filters, "after": after})
        rest = b""
        with self._connection.post("/media/export", body, content_type="application/json") as answer:
            for piece in answer.pieces(PIECE):
                whole, end, rest = (rest + piece).rpartition(b"\n")
                if not end:
                    continue
                target.write(whole + end)
                self._last = whole.rpartition(b"\n")[2]
                self.lines += whole.count(b"\n") + 1
                on_piece(self.lines)
        if rest:
            raise ServerAway(CUT)


class Line(Struct):
    pid: str


def pid_of(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=Line).pid
    except msgspec.DecodeError as error:
        raise FileUnfit(f"{line[:80]!r} is no line of an export; --restart begins anew") from error


def filters_of(text: str | None) -> dict[str, Any]:
    """What of the records is asked for, as the body of a search says it."""
    try:
        return {} if text is None else msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise FileUnfit(f'--filter has to be JSON such as {{"tags": {{"all": ["raw"]}}}}: {error}') from error


def part_of(target: Path, filters: dict[str, Any]) -> Path:
    """Where the lines of an export are until it is whole: those of another filter are elsewhere."""
    asked = hashlib.sha256(msgspec.json.encode(filters, order="sorted")).hexdigest()[:8]
    return target.with_name(f"{target.name}.{asked}.part" if filters else f"{target.name}.part")


def last_line(part: IO[bytes]) -> bytes:
    """Take away what follows the last end of a line; what the last whole line is, if there is one."""
    size = part.seek(0, os.SEEK_END)
    end = _newline_before(part, size)
    part.truncate(end)
    begin = _newline_before(part, max(end - 1, 0))
    part.seek(begin)
    line = part.read(end - begin)
    part.seek(end)
    return line.rstrip(b"\n")


def _newline_before(file: IO[bytes], position: int) -> int:
    """The place behind the last end of a line that ends at or before the position; 0 where there is none."""
    while position > 0:
        begin = max(0, position - BLOCK)
        file.seek(begin)
        found = file.read(position - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        position = begin
    return 0


def publish(part: Path, target: Path) -> None:
    """Give the whole export its name, in one step; packed where the name ends in `.gz`."""
    if target.name.endswith(".gz"):
        packed = target.with_name(target.name + ".new")
        with part.open("rb") as text, gzip.open(packed, "wb", compresslevel=6) as file:
            shutil.copyfileobj(text, file, 1024 * 1024)
        _sync(packed)
        packed.replace(target)
        part.unlink()
        return
    _sync(part)
    part.replace(target)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def explained(error: ServerRefused, part: Path) -> ServerRefused:
    """A refusal to go on, with what helps."""
    if error.problem.get("code") == "record_not_found":
        detail = f"{error.message}, where {part} ends; --restart begins anew"
        return ServerRefused(error.status, {**error.problem, "detail": detail})
    return error
