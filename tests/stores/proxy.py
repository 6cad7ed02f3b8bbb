"""A TCP proxy that loses and cuts answers, as networks do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

Verdict = Callable[[str], int | None]
"""Given the first line of a request, how many bytes of the answer get through; None for all."""


@asynccontextmanager
async def lossy_proxy(upstream_port: int, verdict: Verdict) -> AsyncIterator[int]:
    """Yields its port. Each connection is for one request, which always arrives, and whose answer is always waited for."""
    serving: set[asyncio.Task[None]] = set()

    async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        allowed = verdict(head.split(b"\r\n", 1)[0].decode())
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", upstream_port)
        up_writer.write(head)
        sending = asyncio.create_task(copy(reader, up_writer, None))
        try:
            await copy(up_reader, writer, allowed)
        finally:
            sending.cancel()
            await asyncio.gather(sending, closed(up_writer), return_exceptions=True)

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def serve_once() -> None:
            try:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await exchange(reader, writer)
            finally:
                await closed(writer)

        task = asyncio.create_task(serve_once())
        serving.add(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, allowed: int | None) -> None:
    """All the bytes of the one to the other, or the first so many of them."""
    while data := await reader.read(65536):
        through = data if allowed is None else data[:allowed]
        allowed = None if allowed is None else allowed - len(through)
        writer.write(through)
        await writer.drain()


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
