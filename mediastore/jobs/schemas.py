"""Jobs, as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Raw, Struct

JobStatus: TypeAlias = Literal["waiting", "running", "held"]


class JobShown(Struct, frozen=True, kw_only=True):
    """A job that is not done."""

    id: int
    job: str
    """What kind of job."""
    local: bool
    """Whether only the worker inside a server may do it."""
    status: JobStatus
    attempts: int
    """How often it has failed."""
    payload: Annotated[Raw, Meta(description="What it is told")]
    error: str | None
    """Why it failed the last time, or what it waits for."""
    created_at: datetime
    next_at: datetime | None
    """The earliest moment at which a waiting one is done."""


class JobCount(Struct, frozen=True, kw_only=True):
    """How many jobs of one kind there are."""

    job: str
    waiting: int
    """Counted up to 100,000."""
    running: int
    held: int


class JobPage(Struct, frozen=True, kw_only=True):
    items: list[JobShown]
    next: str | None
    """Goes back as `?cursor=` for the next page; null on the last."""
    counts: list[JobCount]
    """Of each kind that this server knows, whatever was asked for."""
