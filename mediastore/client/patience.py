"""Waiting for a server that is away for a moment."""

import time
from collections.abc import Callable
from random import uniform
from typing import TypeVar

from mediastore.client.errors import ServerAway

Result = TypeVar("Result")
LONGEST_PAUSE_S = 15


def patiently(work: Callable[[], Result], *, patience_s: float, say: Callable[[str], None]) -> Result:
    """Do it, and again while the server is away, for so long. `work` has to be something that can be done twice; what went on
    for longer than the longest pause before it broke off begins the patience anew.
    """
    away_since: float | None = None
    pause_s = 0.2
    while True:
        begun = time.monotonic()
        try:
            return work()
        except ServerAway as error:
            now = time.monotonic()
            if away_since is None or now - begun > LONGEST_PAUSE_S:
                away_since, pause_s = now, 0.2
            if now - away_since >= patience_s:
                raise
            say(f"waiting: {error.message}")
        time.sleep(uniform(pause_s / 2, pause_s))  # noqa: S311 - so that many clients don't come at the same moment
        pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
