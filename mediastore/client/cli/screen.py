"""What commands show: tables and sentences for people, a JSON object a line for programs."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

out, err = Console(highlight=False), Console(stderr=True, highlight=False)
beside = Console(stderr=True, highlight=False)
"""For words: the one that bars are on would draw them into the text."""


def show(heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str = "") -> None:
    """A table that fits the terminal: what is too long goes on in the next line, and nothing is cut. `empty`: said in place of a
    table without rows.
    """
    if not rows:
        if empty:
            say(empty)
        return
    table = Table(box=None, pad_edge=False, show_header=any(heads))
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        # As text: a PID may look like markup.
        table.add_row(*(Text(plain(cell), overflow="fold") for cell in row))
    out.print(table)


def say(text: str) -> None:
    """A line of the answer, as it is: whoever copies it gets no line breaks."""
    _print(out, sys.stdout, text)


def note(text: str) -> None:
    """Beside the answer, for people."""
    with suppress(BrokenPipeError):
        _print(beside, sys.stderr, text)


def complain(text: str) -> None:
    with suppress(BrokenPipeError):
        _print(beside, sys.stderr, text, style="red" if text.startswith("mediastore:") else None)


def _print(console: Console, file: TextIO, text: str, *, style: str | None = None) -> None:
    """By way of the file: bars that are on the screen put another one in its place, and stay below what is said."""
    with console.capture() as said:
        console.print(plain(text), style=style, markup=False, soft_wrap=True)
    file.write(said.get())
    file.flush()


def emit(thing: Any) -> None:
    """One line of JSON."""
    sys.stdout.buffer.write(msgspec.json.encode(thing) + b"\n")
    sys.stdout.buffer.flush()


def plain(text: str) -> str:
    """Without what would steer a terminal: others wrote it."""
    steering = "\N{REPLACEMENT CHARACTER}"
    return "".join(each if each.isprintable() or each == "\n" else steering for each in readable(text))


def readable(name: str) -> str:
    """A name of a file as text, also where it is not UTF-8."""
    return name.encode(errors="backslashreplace").decode()


def size(count: int | None) -> str:
    """Bytes, as people read them."""
    if count is None:
        return ""
    rest = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if rest < 1024:
            return f"{rest:,.0f} {unit}" if unit == "B" else f"{rest:,.1f} {unit}"
        rest /= 1024
    return f"{rest:,.1f} TiB"


def moment(at: datetime | None) -> str:
    """To the second, in the time of this machine."""
    return "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def json_of(value: Any) -> str:
    return msgspec.json.encode(value).decode()
