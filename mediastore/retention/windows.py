"""A store's listing beside its rows, in runs of keys that fit into memory."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence

from msgspec import Struct

from mediastore.retention.reconcile_queries import ObjectRow
from stores.protocol import ObjectInfo, Store

ROWS = 2000
LISTED = 4000


class Window(Struct, frozen=True, kw_only=True):
    """All rows and all that is listed from one key, exclusive, to another, inclusive."""

    until: str | None
    """None: to the end."""
    rows: Sequence[ObjectRow]
    listed: Sequence[ObjectInfo]


RowsAfter = Callable[[str, int], Awaitable[Sequence[ObjectRow]]]
"""The next rows after a key, at most so many, in the order of the keys' UTF-8 bytes."""


async def windows(store: Store, rows_after: RowsAfter, *, after: str = "") -> AsyncGenerator[Window, None]:
    """Every key after `after`, of both sides, once. Both come in the same order, so that one pass is enough.

    Python compares text by code point, which is the order of its UTF-8 bytes.
    """
    listing = store.list(start_after=after)
    try:
        async for window in _paired(listing, rows_after, after):
            yield window
    finally:
        if isinstance(listing, AsyncGenerator):
            await listing.aclose()


async def _paired(listing: AsyncIterator[ObjectInfo], rows_after: RowsAfter, after: str) -> AsyncGenerator[Window, None]:
    ahead = await anext(listing, None)
    while True:
        rows = await rows_after(after, ROWS)
        until = rows[-1].key if len(rows) == ROWS else None
        listed: list[ObjectInfo] = []
        while ahead is not None and (until is None or ahead.key <= until) and len(listed) < LISTED:
            listed.append(ahead)
            ahead = await anext(listing, None)
        if ahead is not None and (until is None or ahead.key <= until):  # more of the listing than of the rows
            until = listed[-1].key
            rows = [row for row in rows if row.key <= until]
        yield Window(until=until, rows=rows, listed=listed)
        if until is None:
            return
        after = until
