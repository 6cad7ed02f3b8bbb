"""How far a transfer is, for whoever wants to know."""

from collections.abc import Callable
from typing import TypeAlias

OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes that are there and the bytes in all, from the event loop: so it must be quick."""


class Progress:
    """Bytes of one transfer. What breaks off is counted back."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self.done = 0
        self.total = total
        self._on_progress = on_progress
        self.add(0)

    def add(self, size: int) -> None:
        """`size` is negative for what has to be sent once more."""
        self.done += size
        if self._on_progress is not None:
            self._on_progress(self.done, self.total)
