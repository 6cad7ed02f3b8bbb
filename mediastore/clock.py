"""The time, as an argument: whoever needs it is handed a clock, so that tests can hand over another."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """The aware UTC time of this machine."""
    return datetime.now(UTC)
