"""Holds, sweeps, and what will happen to a record, as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct

from mediastore.catalog.schemas import Moment
from mediastore.placement.schemas import Retention

Rule: TypeAlias = Literal["expired", "old version"]


class HoldCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=1000)]
    until: Moment | None = None
    """Left out: until it is lifted."""


class Hold(Struct, frozen=True, kw_only=True):
    """Why a record must not go, whatever else is said."""

    id: UUID
    placed_by: str
    reason: str
    until: datetime | None
    created_at: datetime


class HoldList(Struct, frozen=True, kw_only=True):
    items: list[Hold]


class Outlook(Struct, frozen=True, kw_only=True):
    """What will happen to a record, when, and which rule decides."""

    pid: str
    status: str
    decided_by: Literal["nothing", "expiry", "hold", "exempt_tags", "exempt_where"]
    sentence: str
    """The same in words."""
    expires_at: datetime | None
    """From then on it is not served."""
    removal_at: datetime | None
    """From then on the sweeper removes it, holds that end by themselves considered; null where it does not."""
    restorable: bool
    """Whether it has expired, and comes back by a PATCH of `expires_at` before it is removed."""
    old_versions_removal_at: datetime | None
    """When the next of its old contents goes; null where none does."""
    holds: list[Hold]


class SweepRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dry_run: bool = False
    """Only say what would be removed: a rehearsal."""
    retention: Retention | None = None
    """With `dry_run`: rehearse this policy in place of the store's, which stays as it is."""
    rehearsal: Annotated[int, Meta(ge=1)] | None = None
    """Remove what this rehearsal listed and nothing else; being an administrator's word, it is not held up by the brake."""
    release_brake: bool = False
    """Go on after the brake, this once without a limit."""


class SweepItem(Struct, frozen=True, kw_only=True):
    """A record, or one of its old versions, that would be removed."""

    pid: str
    version: int | None
    """Of an old version; null for a whole record."""
    rule: Rule
    due_at: datetime
    """Since when it may go."""
    objects: int
    bytes: int


class Sweep(Struct, frozen=True, kw_only=True):
    """The report of one sweep of one store."""

    id: int
    store: str
    dry_run: bool
    rehearsal: int | None
    requested_by: str
    state: Literal["running", "done", "stopped", "failed"]
    found: int
    """Records and old versions past their time and grace, that neither a hold nor an exemption keeps."""
    removed: int
    """Of those; in a rehearsal none."""
    objects: int
    """Stored objects of those."""
    bytes: int
    """Of those objects."""
    bytes_freed: int
    """As the stores confirmed."""
    bytes_kept: int
    """Bytes that nobody can read any more, and that a store keeps as old versions, so that nothing was freed."""
    held: int
    exempt: int
    failed: int
    """Objects whose bytes a store would not let go of yet; they are tried again."""
    stopped_by: str | None
    """Which limit of the brake; of a rehearsal, which would stop a sweep on schedule that finds the same."""
    detail: str | None
    """The same in words, or why it failed; of a rehearsal also whether the policy was not the store's."""
    started_at: datetime
    finished_at: datetime | None
    duration_s: float | None
    items: list[SweepItem] = []
    """Of a rehearsal, in order of `due_at`."""
    next: str | None = None
    """Goes back as `?cursor=` for more items."""


class SweepPage(Struct, frozen=True, kw_only=True):
    items: list[Sweep]
    next: str | None
