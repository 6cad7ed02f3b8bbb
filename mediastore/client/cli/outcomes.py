"""Several things done at once, each for itself: what came of each is told when it is known."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import typer
from msgspec import Struct, structs

from mediastore.catalog.schemas import Media
from mediastore.client.cli.screen import complain, emit, readable
from mediastore.client.cli.told import FAILURES, finish, sentence
from mediastore.client.errors import NotLoggedIn, ServerAway, ServerRefused
from mediastore.errors import MediastoreError

T = TypeVar("T")


class Outcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As `--json` shows it: `problem` where it failed, with a `code` and a `detail`."""

    outcome: str
    """In a word: stored, unchanged, failed …"""
    pid: str | None = None
    file: str | None = None
    resumed: int = 0
    """Bytes that an earlier run had brought there."""
    media: Media | None = None
    problem: dict[str, Any] | None = None


class Tally:
    """Tells of each outcome, as a line of JSON or in words, and counts."""

    def __init__(self, *, json: bool, words: Callable[[Outcome], None]) -> None:
        self._json = json
        self._words = words
        self.counts: dict[str, int] = {}
        self.done = 0
        self.failed = 0

    def tell(self, outcome: Outcome) -> None:
        self.counts[outcome.outcome] = self.counts.get(outcome.outcome, 0) + 1
        if outcome.problem is None:
            self.done += 1
        else:
            self.failed += 1
            whose = outcome.file or outcome.pid
            detail = str(outcome.problem["detail"])
            complain(f"mediastore: {detail}" if whose is None or whose in detail else f"mediastore: {whose}: {detail}")
        if self._json:
            # JSON has no other names than those in UTF-8.
            file, pid = (None if name is None else readable(name) for name in (outcome.file, outcome.pid))
            emit(structs.replace(outcome, file=file, pid=pid))
        elif outcome.problem is None:
            self._words(outcome)

    def finish(self) -> None:
        """Exit codes 1 and 3 where something failed."""
        finish(done=self.done, failed=self.failed)


async def each(
    items: Sequence[T],
    work: Callable[[T], Awaitable[Outcome]],
    *,
    name: Callable[[T], Outcome],
    tally: Tally,
    at_once: int,
) -> None:
    """`name`: whose failure it would be. A server that stays away or knows nobody ends it all: it would be the same for each."""
    waiting = iter(items)
    ended: list[MediastoreError] = []

    async def next_ones() -> None:
        for item in waiting:
            if ended:
                return
            try:
                outcome = await work(item)
            except (ServerAway, NotLoggedIn) as error:
                ended.append(error)
                return
            except FAILURES as error:
                outcome = failure(name(item), error)
            tally.tell(outcome)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(items))):
                group.create_task(next_ones())
    except* BrokenPipeError as broken:
        raise BrokenPipeError from broken
    except* typer.Exit as left:
        raise left.exceptions[0] from None
    if ended:
        raise ended[0]


def failure(outcome: Outcome, error: BaseException) -> Outcome:
    problem: dict[str, Any] = {"code": getattr(error, "code", "unfit"), "detail": sentence(error)}
    if isinstance(error, ServerRefused):
        problem = {**error.problem, "detail": sentence(error)}
    return Outcome(outcome="failed", pid=outcome.pid, file=outcome.file, problem=problem)
