"""Answers that are sent while they are made: pieces of a stream, and the lines of a task that still reads the request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from tempfile import SpooledTemporaryFile
from typing import Any

from litestar.response import Response

IN_MEMORY = 1024 * 1024
PIECE = 256 * 1024


class Spool:
    """Lines that wait to be sent: in memory, and in a file without a name as soon as they are many.

    A client may send all of its body before it reads the first byte of the answer. Were the writer to wait for it then, neither
    would ever go on.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._read = 0
        self._written = 0
        self.news = asyncio.Event()
        self.sending = False

    def write(self, line: bytes) -> None:
        self._file.seek(self._written)
        self._written += self._file.write(line + b"\n")
        self.news.set()

    def read(self) -> bytes:
        """What comes next; nothing where all was read."""
        self._file.seek(self._read)
        piece = self._file.read(PIECE)
        self._read += len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


class Reporting:
    """An ASGI application: sends what a task writes into the spool, until the task has ended and all was read."""

    def __init__(self, task: "asyncio.Task[None]", spool: Spool, *, media_type: str) -> None:
        self._task = task
        self._spool = spool
        spool.sending = True
        self._start = _start(media_type)

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self._task.add_done_callback(lambda _: self._spool.news.set())
        try:
            await send(self._start)
            while True:
                self._spool.news.clear()
                while piece := self._spool.read():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                if self._task.done():
                    break
                await self._spool.news.wait()
            self._task.result()  # an error here cuts the answer, so that it does not look whole
            await send(_END)
        finally:
            await ended(self._task)
            self._spool.close()


class Streamed:
    """An ASGI application: sends pieces as they come. An error cuts the answer, so that it does not look whole."""

    def __init__(self, pieces: AsyncIterator[bytes], *, media_type: str) -> None:
        self._pieces = pieces
        self._start = _start(media_type)

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send(self._start)
        async with aclosing(self._pieces) as pieces:  # type: ignore[type-var]  # all our streams are generators
            async for piece in pieces:
                if piece:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send(_END)


class Handed(Response[Any]):
    """The same as what Litestar expects of a handler."""

    def __init__(self, answer: Reporting | Streamed) -> None:
        super().__init__(None)
        self._answer = answer

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._answer


async def ended(task: "asyncio.Task[Any]") -> None:
    """Nothing goes on behind an answer that nobody gets."""
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


_END = {"type": "http.response.body", "body": b"", "more_body": False}


def _start(media_type: str) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", media_type.encode())]}
