"""A row of the table: what is measured, what it is held against, and what came of it."""

import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import monotonic
from typing import Literal

from msgspec import Struct

from bench.parts import Parts

Bound = Literal["at least", "at most"]


class Row(Struct, frozen=True, kw_only=True):
    """`measure` returns the value and the floor, both in `unit`. Their ratio is held against the target."""

    name: str
    unit: str
    target: float
    bound: Bound = "at least"
    measure: Callable[[Parts], tuple[float, float]]
    long: bool = False
    """Left out unless it is asked for."""


class Result(Struct, frozen=True, kw_only=True):
    """A line of `results.json`. Of a memory row, value is what was used and floor what may be used."""

    name: str
    value: float
    floor: float
    unit: str
    ratio: float
    target: float
    met: bool


def run(row: Row, parts: Parts) -> Result:
    """Measure one row."""
    value, floor = row.measure(parts)
    ratio = value / floor
    return Result(
        name=row.name,
        value=round(value, 2),
        floor=round(floor, 2),
        unit=row.unit,
        ratio=round(ratio, 3),
        target=row.target,
        met=ratio >= row.target if row.bound == "at least" else ratio <= row.target,
    )


def interleaved(rounds: int, *sides: Callable[[], float]) -> list[float]:
    """The median of each side. They take turns, so that what else this machine does meets all of them alike."""
    took: list[list[float]] = [[] for _ in sides]
    progress = Progress(rounds)
    for number in range(rounds):
        for side, measured in zip(sides, took, strict=True):
            measured.append(side())
        progress.show(number + 1)
    return [median(measured) for measured in took]


class Progress:
    """Says on stderr how far a slow measurement is."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._shown = monotonic()

    def show(self, done: int) -> None:
        if monotonic() - self._shown > 2:
            say(f"  {done} of {self._rounds}")
            self._shown = monotonic()


def say(text: str) -> None:
    """Tell the one who waits."""
    print(text, file=sys.stderr, flush=True)


def table(results: Sequence[Result], rows: Sequence[Row]) -> str:
    """At most 80 columns."""
    bounds = {row.name: ">=" if row.bound == "at least" else "<=" for row in rows}
    lines = [f"{'name':<24}{'value':>10}{'floor':>10} {'unit':<14}{'ratio':>6}{'target':>9}  met"]
    lines += [
        f"{item.name:<24}{item.value:>10,.1f}{item.floor:>10,.1f} {item.unit:<14}{item.ratio:>6.2f}"
        f"{bounds[item.name]:>5}{item.target:.2f}  {'yes' if item.met else 'NO'}"
        for item in results
    ]
    return "\n".join(lines)
