"""A file of records sent to a server in parts, each of which can be sent twice; a state file says where to go on."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import msgspec
from msgspec import Struct

from mediastore.catalog.interchange_schemas import ImportReport
from mediastore.client.connection import CUT, Connection
from mediastore.client.errors import AnswerStrange, FileUnfit, ServerAway, refused
from mediastore.client.import_state import ImportState
from mediastore.client.patience import patiently

PART_LINES = 10_000
PART_BYTES = 8 * 1024 * 1024
LONGEST_LINE = 64 * 1024 * 1024
"""A server takes 16 MiB unless it is set otherwise; what is longer even than this is not held here, either."""
NDJSON = "application/x-ndjson"


class Part(Struct, frozen=True, kw_only=True):
    first_line: int
    lines: int
    text: bytes
    end: int
    """Where the next part begins."""
    read: int
    """How far the file itself was read, packed or not."""


class Failed(Struct, frozen=True, kw_only=True):
    """A line that was not taken."""

    line: int
    pid: str | None
    status: int | None
    problem: dict[str, Any]


class Importing:
    def __init__(self, connection: Connection, *, options: dict[str, str], patience_s: float) -> None:
        self._connection = connection
        self._options = options
        self._patience_s = patience_s
        self._decoder = msgspec.json.Decoder(ImportReport)

    def run(
        self,
        source: IO[bytes],
        state: ImportState,
        *,
        position: Callable[[], int],
        on_failed: Callable[[list[Failed]], int],
        on_part: Callable[[ImportState, int], None],
        say: Callable[[str], None],
    ) -> None:
        """Send what is not done yet. After each part the state is handed on, its errors written before."""
        for part in parts_of(source, offset=state.offset, line=state.line, position=position):
            failed = patiently(partial(self._send, part, state), patience_s=self._patience_s, say=say)
            state.errors_size = on_failed(failed)
            state.offset, state.line = part.end, part.first_line + part.lines - 1
            on_part(state, part.read)

    def _send(self, part: Part, state: ImportState) -> list[Failed]:
        """Counts the part once its answer was whole."""
        query = {**self._options, "first_line": part.first_line}
        failed: list[Failed] = []
        with self._connection.post("/media/import", part.text, query=query, content_type=NDJSON) as answer:
            for text in answer.lines():
                try:
                    report = self._decoder.decode(text)
                except msgspec.DecodeError as error:
                    raise AnswerStrange(f"the server answered {text[:80]!r}; is the URL right?") from error
                if report.line is not None:
                    failed.append(Failed(line=report.line, pid=report.pid, status=report.status, problem=report.problem or {}))
                if report.stopped is not None:
                    problem = report.problem or {}
                    raise refused(int(problem.get("status", 503)), problem)
                if report.done is not None:
                    for name in state.counts.__struct_fields__:
                        setattr(state.counts, name, getattr(state.counts, name) + getattr(report.done, name))
                    return failed
        raise ServerAway(CUT)


def parts_of(source: IO[bytes], *, offset: int, line: int, position: Callable[[], int]) -> Iterator[Part]:
    """Whole lines, as many as go together. A line that is too long comes as one that no server takes."""
    lines: list[bytes] = []
    size, end, first = 0, offset, line + 1
    while True:
        text = source.readline(LONGEST_LINE)
        end += len(text)
        if len(text) == LONGEST_LINE and not text.endswith(b"\n"):
            while text and not text.endswith(b"\n"):
                text = source.readline(LONGEST_LINE)
                end += len(text)
            text = b'"a line of more than 64 MiB"\n'
        if text:
            lines.append(text)
            size += len(text)
        if lines and (not text or len(lines) == PART_LINES or size >= PART_BYTES):
            yield Part(first_line=first, lines=len(lines), text=b"".join(lines), end=end, read=position())
            first += len(lines)
            lines, size = [], 0
        if not text:
            return


@contextmanager
def opened(name: str, *, offset: int) -> Iterator[tuple[IO[bytes], Callable[[], int]]]:
    """The text of a file from there on, unpacked where the name ends in `.gz`; and what tells how far the file was read."""
    if name == "-":
        yield sys.stdin.buffer, lambda: 0
        return
    with Path(name).open("rb") as raw:
        if name.endswith(".gz"):
            with gzip.open(raw) as text:
                try:
                    text.seek(offset)
                    yield cast("IO[bytes]", text), raw.tell
                except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                    raise FileUnfit(f"{name} is not a whole gzip file: {error}") from error
        else:
            raw.seek(offset)
            yield raw, raw.tell


class Errors:
    """Failures: all into a file, or the first of them for people to see."""

    def __init__(self, file: IO[bytes] | None, *, say: Callable[[str], None], shown: int = 20) -> None:
        self._file = file
        self._say = say
        self._left = shown

    def write(self, failed: list[Failed]) -> int:
        """The length of the file afterwards."""
        if self._file is None:
            for each in failed[: self._left]:
                self._say(f"line {each.line}: {each.problem.get('detail', each.status)}")
            self._left -= min(len(failed), self._left)
            return 0
        for each in failed:
            self._file.write(msgspec.json.encode(each) + b"\n")
        self._file.flush()
        return self._file.tell()
