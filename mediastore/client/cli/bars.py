"""Bars of transfers: how far, how fast, how long still; where somebody looks."""

import sys
import time
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from mediastore.client.cli.screen import note, plain, size
from mediastore.client.progress import OnProgress

SHOWN_AFTER_S = 1
NAME_WIDTH = 22


class Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{size(int(task.completed))} of {size(int(task.total))}" if task.total is not None else "")


class Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{size(int(speed))}/s" if speed else "", style="progress.data.speed")


class Bars:
    """One for each transfer under way, and one for all of them where there are several. They appear after a moment, on a
    terminal alone, and go away in the end.
    """

    def __init__(self, console: Console, *, transfers: int, total: int | None = None) -> None:
        """`total`: bytes of all, where that is known."""
        self._console = console
        self._transfers = transfers
        self._ended = 0
        self._begun = time.monotonic()
        self._stack = ExitStack()
        self._shown = False
        self._progress = Progress(
            TextColumn(
                "{task.description}", markup=False, table_column=Column(width=NAME_WIDTH, no_wrap=True, overflow="ellipsis")
            ),
            BarColumn(bar_width=None),
            Amount(table_column=Column(no_wrap=True, justify="right")),
            Rate(table_column=Column(no_wrap=True, justify="right")),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            # Only what goes to the same terminal may be printed above the bars.
            redirect_stdout=sys.stdout.isatty(),
        )
        self._all = self._progress.add_task(self._count(), total=total) if transfers > 1 else None
        if self._all is not None and total is None:
            self._progress.update(self._all, visible=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def transfer(self, name: str) -> "Transfer":
        return Transfer(self, self._progress, plain(name))

    def look(self) -> None:
        """Show them once they are worth it."""
        if not self._shown and self._console.is_terminal and time.monotonic() - self._begun >= SHOWN_AFTER_S:
            self._shown = True
            self._stack.enter_context(self._progress)

    def came(self, count: int) -> None:
        if self._all is not None:
            self._progress.advance(self._all, count)
        self.look()

    def ended(self) -> None:
        self._ended += 1
        if self._all is not None:
            self._progress.update(self._all, description=self._count())

    def say(self, text: str) -> None:
        """Above the bars."""
        if self._shown:
            self._progress.console.print(plain(text), markup=False, soft_wrap=True)
        else:
            note(text)

    def _count(self) -> str:
        return f"{self._ended:,} of {self._transfers:,} done"


class Transfer(AbstractContextManager["Transfer"]):
    """Of one file. `on_progress` goes to the client."""

    def __init__(self, bars: Bars, progress: Progress, name: str) -> None:
        self._bars = bars
        self._progress = progress
        self._task: TaskID = progress.add_task(name, total=None)
        self._calls = 0
        self._done = 0
        self.resumed = 0
        """Bytes that were there already."""

    @property
    def on_progress(self) -> OnProgress:
        return self._note

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._progress.remove_task(self._task)
        self._bars.ended()

    def _note(self, done: int, total: int) -> None:
        self._calls += 1
        if self._calls <= 2:  # the second call tells what was there: no speed of ours
            self.resumed = done
            self._progress.reset(self._task, total=total, completed=done)
        else:
            self._progress.update(self._task, completed=done)
        self._bars.came(done - self._done)
        self._done = done
