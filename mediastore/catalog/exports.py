"""Exports: every record that somebody may read, as lines, in the order in which they were made."""

from collections.abc import AsyncIterator

import msgspec

from mediastore.accounts.access import may_read
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import Caller
from mediastore.catalog import export_queries, queries
from mediastore.catalog.service import not_found
from mediastore.clock import Clock
from mediastore.database import Database

SPAN = 1000
SPAN_BYTES = 8 * 1024 * 1024
"""Records that are looked at by one statement: so many, or so much metadata."""


class Exports:
    def __init__(self, database: Database, *, credentials: Credentials, clock: Clock) -> None:
        self._database = database
        self._credentials = credentials
        self._clock = clock

    async def begin(self, after: str | None, *, caller: Caller) -> AsyncIterator[bytes]:
        """The lines, in pieces. Records that stand throughout come once each; what is made meanwhile may come or not.

        Raises `RecordNotFound` for an `after` that is not there, or that the caller may not read: the two look the same.
        """
        position = 0
        if after is not None:
            async with self._database.connection() as connection:
                row = await queries.content_by_pid(connection, after)
            if row is None or not may_read(row, caller.identity, self._clock()):
                raise not_found(after, caller)
            position = row.id
        return self._pieces(position, caller=caller)

    async def _pieces(self, position: int, *, caller: Caller) -> AsyncIterator[bytes]:
        encoder = msgspec.json.Encoder()
        while True:
            # It can take hours, and an account can lose its rights meanwhile.
            identity = (await self._credentials.still(caller)).identity
            reads = "read" in identity.scopes
            now = self._clock()
            async with self._database.connection() as connection:
                end = await export_queries.span_end(connection, after=position, limit=SPAN, size=SPAN_BYTES)
                if end is None:
                    return
                rows = await export_queries.span(
                    connection,
                    administrator=identity.administrator and reads,
                    name=identity.name if reads else "",
                    principals=identity.principals if reads else [],
                    now=now,
                    after=position,
                    end=end,
                )
            position = end
            if rows:
                yield b"".join(encoder.encode(row.shown(now)) + b"\n" for row in rows)
