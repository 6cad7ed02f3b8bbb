"""Bytes of a PID to a file: gone on with where an earlier run stopped, compared with what the server vouches for, then named."""

import asyncio
import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from httpx import Response
from msgspec import Struct

from mediastore.client.errors import BytesWrong, FileUnfit
from mediastore.client.places import Places
from mediastore.client.progress import Progress
from mediastore.client.transport import Transport

ALGORITHMS = ("sha256", "sha512", "sha1", "md5")
"""In the order in which they are trusted. CRC-32C is no proof of anything, and Python has none."""
PIECE = 1024 * 1024
RANGE_IGNORED = 200
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
        async def write(url: str, headers: dict[str, str]) -> None:
            asked = {**headers, "Range": f"bytes={file.tell()}-"} if file.tell() else headers
            async with self._transport.open("GET", url, headers=asked) as answer:
                await self._write(answer, file, digest)

        await self._places.bring(self._wanted.pid, self._wanted.version, write)

    async def _write(self, answer: Response, file: BinaryIO, digest: "hashlib._Hash") -> None:
        if file.tell() and answer.status_code == RANGE_IGNORED:
            raise FileUnfit(f"the store of {self._wanted.pid} gives no ranges; remove {self.part} and get it anew")
        size, behind = file.tell(), asyncio.Future[None]()
        behind.set_result(None)
        try:
            async for piece in answer.aiter_raw(PIECE):
                size += len(piece)
                if size > self._wanted.size:
                    raise self._wrong(f"more than {self._wanted.size} bytes came")
                await behind
                # One piece is written and hashed while the next comes in.
                behind = asyncio.ensure_future(asyncio.to_thread(_both, file, digest, piece))
                self._progress.add(len(piece))
        finally:
            await asyncio.wait([behind])
        behind.result()

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


def _both(file: BinaryIO, digest: "hashlib._Hash", piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]
    digest.update(piece)
