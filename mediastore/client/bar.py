"""A progress bar for what takes long, where somebody looks."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

SHOWN_AFTER_S = 2


class Bar:
    """Appears after two seconds, on a terminal alone, and goes away in the end."""

    def __init__(self, console: Console, title: str, *, total: int | None) -> None:
        self._console = console
        self._title = title
        self._total = total
        self._begun = time.monotonic()
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._said = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def show(self, done: int, text: str) -> None:
        """How far it is, in the units of the total, and in words."""
        if self._progress is None:
            if not self._console.is_terminal or time.monotonic() - self._begun < SHOWN_AFTER_S:
                return
            columns = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=None)]
            if self._total is not None:
                columns += [TaskProgressColumn(), TimeRemainingColumn(compact=True)]
            self._progress = Progress(*columns, console=self._console, transient=True)
            self._task = self._progress.add_task(self._title, total=self._total)
            self._progress.start()
        self._progress.update(self._task, completed=done, description=text)

    def say(self, text: str) -> None:
        """A word in place of the bar's own; without a bar it is printed, once."""
        if self._progress is not None:
            self._progress.update(self._task, description=text)
        elif text != self._said:
            self._said = text
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
