"""Durations and sizes as a form has them: a number and its unit."""

from collections.abc import Sequence
from typing import TypeAlias

Units: TypeAlias = Sequence[tuple[int, str]]
TIMES: Units = ((1, "seconds"), (60, "minutes"), (3_600, "hours"), (86_400, "days"))
SIZES: Units = ((1, "bytes"), (2**10, "KiB"), (2**20, "MiB"), (2**30, "GiB"), (2**40, "TiB"))
UNITS = {"time": TIMES, "size": SIZES}


def in_units(value: int | None, units: Units, *, usual: str) -> tuple[int | None, int]:
    """The number, and what its unit is worth: the largest that says it without a fraction; of nothing the usual one."""
    if not value:
        return value, next(worth for worth, name in units if name == usual)
    worth = max(worth for worth, _ in units if value % worth == 0)
    return value // worth, worth
