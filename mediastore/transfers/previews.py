"""A look at the first rows of a table, read by a process that may come to harm in our place."""

import asyncio
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import msgspec

from mediastore.accounts.schemas import Caller
from mediastore.transfers.downloads import Download, Downloads
from mediastore.transfers.errors import PreviewBusy, PreviewFailed
from mediastore.transfers.schemas import TablePreview

CHILD = Path(__file__).with_name("preview_child.py")
WHOLE = 64 * 1024 * 1024
"""Files of up to this are read as a whole; of others the beginning and the footer."""
BEGINNING = 32 * 1024 * 1024
TAIL = 64 * 1024
LONGEST_FOOTER = 16 * 1024 * 1024
MAGIC = b"PAR1"
TIME_S = 20
AT_ONCE, WAITING = 2, 10
# No secret of the server, and no threads or pools that reserve more than they use.
ENVIRONMENT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


class Previews:
    def __init__(self, *, downloads: Downloads) -> None:
        self._downloads = downloads
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def table(self, pid: str, *, version: int | None, rows: int, caller: Caller) -> TablePreview:
        """The first rows of a Parquet file. Raises as a download does, `PreviewFailed`, and `PreviewBusy`."""
        found = await self._downloads.find(pid, version=version, caller=caller)
        if self._waiting >= WAITING:
            raise PreviewBusy("too many previews are asked for at once; try again in a moment")
        self._waiting += 1
        try:
            async with self._turns:
                return await self._read(found, rows=rows, caller=caller)
        finally:
            self._waiting -= 1

    async def _read(self, found: Download, *, rows: int, caller: Caller) -> TablePreview:
        with TemporaryFile(prefix="mediastore-preview-") as file:
            footer = await self._footer(found)
            self._downloads.begun(found, caller=caller)
            known = found.size if found.size <= WHOLE else BEGINNING
            try:
                await self._copy(found, file, start=0, end=known)
                await self._copy(found, file, start=max(known, found.size - footer), end=found.size)
            except OSError as error:
                raise PreviewFailed(f"there is no room for a preview of {found.pid}: {error.strerror}", pid=found.pid) from error
            file.seek(0)
            answer = await asyncio.to_thread(run, file, rows=rows, known=known)
        try:
            return msgspec.json.decode(answer, type=TablePreview)
        except msgspec.DecodeError as error:
            raise PreviewFailed(
                f"the first rows of {found.pid} can't be shown: the file is damaged, or needs more than a preview may",
                pid=found.pid,
            ) from error

    async def _footer(self, found: Download) -> int:
        """The length of the footer and what follows it, which says where the columns are."""
        end = await self._bytes(found, start=found.size - 8) if found.size > 8 else b""
        if end[4:] != MAGIC:
            raise PreviewFailed(f"{found.pid} is no Parquet file, of which the first rows could be shown", pid=found.pid)
        length = int.from_bytes(end[:4], "little") + 8
        if length > min(found.size, LONGEST_FOOTER):
            raise PreviewFailed(f"{found.pid} can't be shown: it says that its footer has {length:,} bytes", pid=found.pid)
        return max(length, min(TAIL, found.size))

    async def _bytes(self, found: Download, *, start: int) -> bytes:
        return b"".join([piece async for piece in await self._downloads.stream(found, start=start, end=found.size)])

    async def _copy(self, found: Download, file: IO[bytes], *, start: int, end: int) -> None:
        """To the same place, so that what is left out takes no room."""
        if start >= end:
            return
        file.seek(start)
        async for piece in await self._downloads.stream(found, start=start, end=end):
            await asyncio.to_thread(file.write, piece)
        await asyncio.to_thread(file.flush)


def run(file: IO[bytes], *, rows: int, known: int) -> bytes:
    """What the child says; nothing when it died or was ended."""
    with TemporaryFile(prefix="mediastore-preview-") as said:
        try:
            ended = subprocess.run(
                [sys.executable, "-I", str(CHILD), str(rows), str(known)],
                stdin=file,
                stdout=said,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                timeout=TIME_S,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return b""
        said.seek(0)
        return said.read() if ended.returncode == 0 else b""
