"""What is read ahead of a reader: nothing of one who jumps, more and more of one who goes on."""

from collections.abc import Callable

from fsspec.caching import BaseCache

LEAST = 64 * 1024


class GrowingReadAhead(BaseCache):  # type: ignore[misc]  # fsspec brings no types
    """Readers of tables jump to the columns that they want, and everything between costs time; readers of text never jump.

    Holds one run of bytes: what was asked for last, and what was read ahead of it, `blocksize` at most.
    """

    name = "growing"

    def __init__(self, blocksize: int, fetcher: Callable[[int, int], bytes], size: int) -> None:
        super().__init__(blocksize, fetcher, size)
        self._start = 0
        self._held = b""
        self._ahead = 0

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        start = start or 0
        stop = self.size if stop is None else min(stop, self.size)
        if start >= stop:
            return b""
        end = self._start + len(self._held)
        if not (self._start <= start and stop <= end):
            goes_on = self._start <= start <= end
            self._ahead = min(max(2 * self._ahead, LEAST), self.blocksize) if goes_on else 0
            known = self._held[start - self._start :] if goes_on else b""
            self._held = known + self.fetcher(start + len(known), min(stop + self._ahead, self.size))
            self._start = start
        return self._held[start - self._start : stop - self._start]
