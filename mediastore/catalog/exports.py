"""Exports: every record that somebody may read and asks for, as lines, in the order in which they were made."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec
from msgspec import structs

from mediastore.accounts.access import may_read
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import Caller
from mediastore.catalog import export_queries, queries
from mediastore.catalog.filter_queries import Asked
from mediastore.catalog.interchange_schemas import ExportRequest
from mediastore.catalog.search import Search
from mediastore.catalog.service import not_found
from mediastore.clock import Clock
from mediastore.database import Database

SPAN = 1000
SPAN_BYTES = 8 * 1024 * 1024
"""Records that are looked at by one statement: so many, or so much metadata."""


class Exports:
    def __init__(self, database: Database, *, search: Search, credentials: Credentials, clock: Clock) -> None:
        self._database = database
        self._search = search
        self._credentials = credentials
        self._clock = clock

    async def begin(self, request: ExportRequest, *, caller: Caller) -> AsyncIterator[bytes]:
        """The lines, in pieces. Records that stand throughout come once each; what is made meanwhile may come or not.

        Raises `SearchInvalid`, and `RecordNotFound` for an `after` that is not there, or that the caller may not read: the two
        look the same.
        """
        asked = await self._search.checked(request, caller=caller)
        position = 0
        if request.after is not None:
            async with self._database.connection() as connection:
                row = await queries.content_by_pid(connection, request.after)
            if row is None or not may_read(row, caller.identity, self._clock()):
                raise not_found(request.after, caller)
            position = row.id
        pieces = self._pieces(position, asked, caller=caller)
        return _joined(await anext(pieces, b""), pieces)

    async def _pieces(self, position: int, asked: Asked, *, caller: Caller) -> AsyncGenerator[bytes, None]:
        encoder = msgspec.json.Encoder()
        while True:
            # It can take hours, and an account can lose its rights meanwhile.
            identity = (await self._credentials.still(caller)).identity
            now = self._clock()
            async with self._database.connection() as connection:
                end = await export_queries.span_end(connection, after=position, limit=SPAN, size=SPAN_BYTES)
                if end is None:
                    return
                current = structs.replace(asked, identity=identity, now=now)
                rows = await export_queries.span(connection, current, after=position, end=end)
            position = end
            yield b"".join(encoder.encode(row.shown(now)) + b"\n" for row in rows)


async def _joined(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """What is wrong with the first statement is an error of the call, and not an answer that ends before it begins."""
    async with aclosing(rest) as pieces:
        yield first
        async for piece in pieces:
            yield piece
