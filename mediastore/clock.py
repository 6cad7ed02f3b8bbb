"""The time, as an argument: whoever needs it is handed a clock, so that tests can hand over another."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from mediastore.errors import MediastoreError

Clock: TypeAlias = Callable[[], datetime]

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Far enough for any purpose, and far enough from the ends of the calendar that no offset leads beyond it."""


class MomentInvalid(MediastoreError):
    code = "moment_invalid"


def utc_now() -> datetime:
    """The aware UTC time of this machine."""
    return datetime.now(UTC)


def sensible(moment: datetime | None, *, name: str) -> datetime | None:
    """The moment in UTC. Raises `MomentInvalid` for one at the ends of the calendar."""
    if moment is None:
        return None
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        moment = LATEST
    if not EARLIEST <= moment < LATEST:
        raise MomentInvalid(f"{name} has to lie between the years {EARLIEST.year} and {LATEST.year}", field=name)
    return moment
