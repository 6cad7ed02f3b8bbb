"""What can be put: a file, bytes, or something that is read; looked at before it is sent."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, Protocol, Self, TypeAlias

from mediastore.client.errors import FileUnfit

Puttable: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes themselves, or a binary file object from its position on."""
PIECE = 512 * 1024
"""Bytes at a time: what the processor keeps at hand while they are reckoned, and a connection takes at once."""
SPAN = 128 * PIECE
"""Bytes that a thread reckons before others get a word in."""


class Digest(Protocol):
    def update(self, data: memoryview, /) -> None: ...


class FileSource:
    """A file of this machine. Read by position, so that several parts are read at once."""

    def __init__(self, file: int, *, path: Path | None, name: str | None) -> None:
        """`path`: None for one that is gone when it is closed."""
        status = os.fstat(file)
        self.name = name
        self.size = status.st_size
        self._file = file
        self._path = path
        self._is = (status.st_size, status.st_mtime_ns)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Raises `FileUnfit`."""
        try:
            if not path.is_file() and path.exists():
                raise FileUnfit(f"{path} is no file; `mediastore sync` sends a folder")
            return cls(os.open(path, os.O_RDONLY), path=path, name=path.name)
        except OSError as error:
            raise FileUnfit(f"{path}: {error.strerror}") from error

    @property
    def mark(self) -> str | None:
        """What tells this content of the file from another one; None where it can't be found again."""
        if self._path is None:
            return None
        return f"{os.path.abspath(self._path)}|{self._is}"  # noqa: PTH100 - a link stays what it was called

    async def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end). Raises `FileUnfit` when the file has become shorter, or can't be read."""
        try:
            piece = await asyncio.to_thread(os.pread, self._file, end - start, start)
        except OSError as error:
            raise FileUnfit(f"{self._path}: {error.strerror}") from error
        if len(piece) < end - start:
            raise self._changed()
        return piece

    async def feed(self, digest: Digest, start: int, end: int) -> None:
        """Have the bytes [start, end) reckoned. Raises as `read` does."""
        for begin in range(start, end, SPAN):
            try:
                whole = await asyncio.to_thread(self._feed, digest, begin, min(begin + SPAN, end))
            except OSError as error:
                raise FileUnfit(f"{self._path}: {error.strerror}") from error
            if not whole:
                raise self._changed()

    def _feed(self, digest: Digest, position: int, end: int) -> bool:
        # One buffer for all, since a fresh one costs as much as reading into it.
        buffer = memoryview(bytearray(PIECE))
        while position < end:
            size = os.preadv(self._file, [buffer[: end - position]], position)
            if not size:
                return False
            digest.update(buffer[:size])
            position += size
        return True

    def check(self) -> None:
        """Raise `FileUnfit` when somebody wrote to the file meanwhile."""
        status = os.fstat(self._file)
        if (status.st_size, status.st_mtime_ns) != self._is:
            raise self._changed()

    def close(self) -> None:
        os.close(self._file)

    def _changed(self) -> FileUnfit:
        return FileUnfit(f"{self._path} was changed while it was sent; nothing was published. Send it again when it is finished")


class BytesSource:
    """Bytes in memory."""

    def __init__(self, content: bytes, *, name: str | None = None) -> None:
        self._content = content
        self.name = name
        self.size = len(content)
        self.mark: str | None = None

    async def read(self, start: int, end: int) -> bytes:
        return self._content[start:end]

    async def feed(self, digest: Digest, start: int, end: int) -> None:
        await asyncio.to_thread(digest.update, memoryview(self._content)[start:end])

    def check(self) -> None:
        """Nobody can change them."""

    def close(self) -> None:
        """Nothing is open."""


Source: TypeAlias = FileSource | BytesSource


def source_of(given: Puttable) -> Source:
    """Raises `FileUnfit`. What a file object still gives is copied to a temporary file first: it may have to be sent twice."""
    if isinstance(given, bytes | bytearray | memoryview):
        return BytesSource(bytes(given))
    if isinstance(given, str | os.PathLike):
        return FileSource.open(Path(given))
    name = getattr(given, "name", None)
    with tempfile.TemporaryFile() as copy:
        try:
            shutil.copyfileobj(given, copy, PIECE)
        except TypeError as error:
            raise FileUnfit("a file object has to be opened in binary mode: open(path, 'rb')") from error
        except OSError as error:
            raise FileUnfit(f"{name or 'a file object'} can't be copied to {tempfile.gettempdir()}: {error.strerror}") from error
        copy.flush()
        return FileSource(os.dup(copy.fileno()), path=None, name=Path(name).name if isinstance(name, str) else None)


async def pieces(source: Source, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes [start, end), a piece at a time; the next is read while one is used."""
    ahead = None
    try:
        for begin in range(start, end, PIECE):
            after = begin + PIECE
            piece = await (ahead or source.read(begin, min(end, after)))
            ahead = asyncio.ensure_future(source.read(after, min(end, after + PIECE))) if after < end else None
            yield piece
    finally:
        if ahead is not None:
            await asyncio.wait([ahead])
            ahead.exception()


async def sha256_of(source: Source) -> str:
    """Lower-case hex."""
    digest = hashlib.sha256()
    await source.feed(digest, 0, source.size)
    return digest.hexdigest()
