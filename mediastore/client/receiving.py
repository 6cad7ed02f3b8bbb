"""Bytes of a PID to a file: gone on with where an earlier run stopped, compared with what the server vouches for, then named."""

import asyncio
import errno
import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from msgspec import Struct

from mediastore.client.errors import AnswerStrange, BytesWrong, FileUnfit
from mediastore.client.places import Places
from mediastore.client.progress import Progress
from mediastore.client.pulling import PIECE, WORTH_IT, is_direct, pull
from mediastore.client.transport import Transport

ALGORITHMS = ("sha256", "sha512", "sha1", "md5")
"""In the order in which they are trusted. CRC-32C is no proof of anything, and Python has none."""
RANGE_IGNORED = 200
ANSWERS = frozenset({RANGE_IGNORED, 206})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Wanted(Struct, frozen=True, kw_only=True):
    """One content of a PID, as the server tells of it."""

    pid: str
    version: int
    size: int
    digests: dict[str, str]
    """Of those algorithms that the server or its store computed."""
    filename: str | None = None
    """What it was called by who sent it: not to be trusted as a name here."""

    @property
    def algorithm(self) -> str | None:
        return next((name for name in ALGORITHMS if name in self.digests), None)


class Receiving:
    """One download. What is there already, in the part file of the same content, is not asked for again."""

    def __init__(self, transport: Transport, places: Places, wanted: Wanted, target: Path, *, progress: Progress) -> None:
        self._transport = transport
        self._places = places
        self._wanted = wanted
        self._target = target
        self._progress = progress
        digest = next(iter(wanted.digests.values()), "")[:12]
        self.part = target.with_name(f".{target.name[:150]}.v{wanted.version}-{digest or wanted.size}.part")

    async def run(self) -> None:
        """The file is there once its bytes are the right ones, and not before. Raises what the transport does, `StoreRefused`,
        `BytesWrong` and `FileUnfit`.
        """
        try:
            with open(self.part, "r+b" if self.part.exists() else "w+b", buffering=0) as file:  # noqa: ASYNC230, PTH123 - a file's table entry
                digest = await asyncio.to_thread(self._already, file)
                self._progress.add(file.tell())
                while file.tell() < self._wanted.size:
                    await self._transport.patiently(lambda: self._go_on(file, digest))
                self._check(digest)
                await asyncio.to_thread(os.fsync, file.fileno())
            self.part.replace(self._target)
        except OSError as error:
            hint = f"; what came is kept in {self.part}: make room, and get it again" if error.errno in FULL else ""
            raise FileUnfit(f"{error.filename or self._target}: {error.strerror}{hint}") from error

    def _already(self, file: BinaryIO) -> "hashlib._Hash":
        digest = hashlib.new(self._wanted.algorithm or "sha256", usedforsecurity=False)
        if os.fstat(file.fileno()).st_size > self._wanted.size:
            file.truncate(0)
        while piece := file.read(PIECE):
            digest.update(piece)
        return digest

    async def _go_on(self, file: BinaryIO, digest: "hashlib._Hash") -> None:
        missing = self._wanted.size - file.tell()

        async def write(url: str, headers: dict[str, str]) -> None:
            asked = {**headers, "Range": f"bytes={file.tell()}-"} if file.tell() else headers
            with _Behind(file, digest) as behind:
                take = partial(self._take, behind, asyncio.get_running_loop())
                if missing >= WORTH_IT and is_direct(url):
                    await pull(self._transport, url, headers=asked, take=take)
                    return
                async with self._transport.open("GET", url, headers=asked) as answer:
                    async for piece in answer.aiter_raw(PIECE):
                        await asyncio.to_thread(take, answer.status_code, piece)

        await self._places.bring(self._wanted.pid, self._wanted.version, write)

    def _take(self, behind: "_Behind", loop: asyncio.AbstractEventLoop, status: int, piece: bytes) -> None:
        """Called in a thread."""
        if status not in ANSWERS:
            raise AnswerStrange(f"{self._wanted.pid}: {status} came where its bytes should come")
        if behind.begun and status == RANGE_IGNORED:
            raise FileUnfit(f"the store of {self._wanted.pid} gives no ranges; remove {self.part} and get it anew")
        if behind.size + len(piece) > self._wanted.size:
            raise self._wrong(f"more than {self._wanted.size} bytes came")
        behind.take(piece)
        loop.call_soon_threadsafe(self._progress.add, len(piece))

    def _check(self, digest: "hashlib._Hash") -> None:
        algorithm = self._wanted.algorithm
        if algorithm is not None and digest.hexdigest() != self._wanted.digests[algorithm]:
            raise self._wrong(f"the {algorithm} of what came is {digest.hexdigest()}, not {self._wanted.digests[algorithm]}")

    def _wrong(self, what: str) -> BytesWrong:
        with suppress(OSError):
            self.part.unlink()
        return BytesWrong(
            f"{self._wanted.pid}: {what}; nothing was kept. Get it again, and tell who runs the server if it stays so"
        )


class _Behind:
    """Writes and hashes a piece while the next one comes in."""

    def __init__(self, file: BinaryIO, digest: "hashlib._Hash") -> None:
        self._file = file
        self._digest = digest
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None
        self.begun = file.tell()
        """Bytes that were there before."""
        self.size = self.begun

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown()
        if kind is None and self._last is not None:
            self._last.result()

    def take(self, piece: bytes) -> None:
        """Raises `OSError` of the piece before."""
        if self._last is not None:
            self._last.result()
        self.size += len(piece)
        self._last = self._pool.submit(self._both, piece)

    def _both(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._digest.update(piece)
