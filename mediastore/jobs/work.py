"""What workers can do: jobs, and schedules that make jobs."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

Handler: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Does one job, told by its payload (JSON), and returns when it is done.

It may be asked twice for one job, even by two workers at once: after a worker died, or lost the database just when it had
finished. Raises `RetryLater` to be asked again without a failure, as a database that is away does; any other error is a failure.
It never blocks the event loop, and takes being cancelled: a worker that stops hands the job back.
"""
Name: TypeAlias = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}\Z")]


class Job(Struct, frozen=True, kw_only=True):
    """A kind of job. After `attempts` failures one is held until a person looks."""

    name: Name
    run: Handler
    attempts: int = 8
    concurrency: int = 0
    """How many may run at once, of all workers together; 0 for as many as there is room for. The same in every worker."""


class Schedule(Struct, frozen=True, kw_only=True):
    """A job that the clock makes: at each tick one, unless the one before still waits or runs."""

    name: Name
    every: str
    """A cron expression, in UTC."""
    run: Callable[[], Awaitable[None]]
    attempts: int = 4
