"""Bodies of one JSON value a line, read as they come: one line is held at a time, and no line is longer than it may be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from msgspec import Struct

from mediastore.http.errors import BodyCut, BodyStalled

NDJSON = "application/x-ndjson"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(Struct, frozen=True, kw_only=True):
    number: int
    text: bytes | None
    """Without its end; None where it is too long."""


class Splitter:
    """Puts pieces of a body together to lines. `first` is the number of the first one."""

    def __init__(self, *, longest: int, first: int = 1) -> None:
        self._longest = longest
        self._number = first
        self._begun = bytearray()
        self._too_long = False

    def feed(self, piece: bytes) -> list[Line]:
        """The lines that end in this piece."""
        *ended, rest = piece.split(b"\n")
        found = []
        for part in ended:
            self._add(part)
            found.append(self._line())
        self._add(rest)
        return found

    def end(self) -> list[Line]:
        """The last line, where the body does not end in a line's end."""
        return [self._line()] if self._begun or self._too_long else []

    def _add(self, part: bytes) -> None:
        if self._too_long or len(self._begun) + len(part) > self._longest:
            self._too_long = True
            self._begun.clear()
        else:
            self._begun += part

    def _line(self) -> Line:
        text = None if self._too_long else bytes(self._begun).removesuffix(b"\r")
        if self._number == 1 and text is not None:
            text = text.removeprefix(BYTE_ORDER_MARK)
        line = Line(number=self._number, text=text)
        self._number += 1
        self._begun.clear()
        self._too_long = False
        return line


async def lines_of(
    receive: Callable[[], Awaitable[Any]], *, longest: int, first: int, idle_timeout_s: float
) -> AsyncIterator[list[Line]]:
    """The lines of a request's body, as many at a time as come together. What stands behind the last end of a line counts only
    when the body came to its own end.

    Raises `BodyStalled` when nothing comes for too long, `BodyCut` when the connection ends first.
    """
    splitter = Splitter(longest=longest, first=first)
    more = True
    while more:
        try:
            async with asyncio.timeout(idle_timeout_s):
                message = await receive()
        except TimeoutError as error:
            raise BodyStalled(f"nothing came for {idle_timeout_s:g} s; what came before it was done") from error
        if message["type"] == "http.disconnect":
            raise BodyCut("the connection ended before the body did; the whole lines before it were done")
        more = message.get("more_body", False)
        found = splitter.feed(message.get("body", b""))
        if not more:
            found += splitter.end()
        if found:
            yield found
