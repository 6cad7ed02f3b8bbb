"""Registrations and scans, as the API shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from mediastore.catalog.schemas import MediaCreate, MediaFields
from mediastore.transfers.schemas import Digests

RegistrationStatus: TypeAlias = Literal["waiting", "done", "failed"]
ScanStatus: TypeAlias = Literal["running", "done", "stopped"]
MediaType = Annotated[str, Meta(max_length=255)]


class RegistrationAsk(MediaCreate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An object that lies in the store already, and the record, existing or to be made, whose content it is to become."""

    key: Annotated[str, Meta(min_length=1, max_length=1024, description="Behind the store's folder or prefix")]
    media_type: MediaType | None = None
    """Left out: what the store says, or the key's ending."""
    filename: str | None = None
    """The name under which it is downloaded; left out, the key's last part."""
    checksums: Digests = {}
    """Compared with the bytes."""


class Registration(Struct, frozen=True, kw_only=True):
    id: int
    store: str
    key: str
    pid: str
    status: RegistrationStatus
    """`waiting` while the bytes are read."""
    size: int | None
    problem: dict[str, Any] | None
    """Why it failed, as a problem: `code`, `detail` and more."""
    scan: int | None
    """Which scan has found the object; null where somebody named its key."""
    asked_by: str
    created_at: datetime
    ended_at: datetime | None


class RegistrationPage(Struct, frozen=True, kw_only=True):
    items: list[Registration]
    next: str | None
    """Goes back as `?cursor=` for the next page; null on the last."""


class ScanAsk(MediaFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which objects of a store become records, and what is said of each of them."""

    pid_pattern: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=600,
            description="With `{key}`, `{rest}` (behind the prefix), `{name}` (behind the last slash) or `{stem}` (no ending)",
            examples=["{key}", "cast/{stem}"],
        ),
    ]
    prefix: Annotated[str, Meta(max_length=1024, description="What the keys begin with; empty for the whole store")] = ""
    media_type: MediaType | None = None
    """Left out: what the store says, or the key's ending."""
    min_age_s: Annotated[int, Meta(ge=0, le=315_360_000)] = 60
    """Younger objects are left alone: somebody may still be writing them. A later scan takes them."""


class ScanCounts(Struct, frozen=True, kw_only=True):
    listed: int
    """Objects that were seen so far."""
    named: int
    """Of those: named by a row already, and left alone."""
    young: int
    """Of those: too young, and left alone."""
    waiting: int
    done: int
    failed: int


class Scan(Struct, frozen=True, kw_only=True):
    """A run over a store's listing that registers every object which no row names."""

    id: int
    store: str
    prefix: str
    pid_pattern: str
    min_age_s: int
    status: ScanStatus
    reason: str | None
    """Why it was stopped."""
    counts: ScanCounts
    problems: list[Registration]
    """The first that failed; `GET /stores/{name}/registrations` has all, by `?scan=` and `?status=failed`."""
    asked_by: str
    created_at: datetime
    ended_at: datetime | None


class ScanPage(Struct, frozen=True, kw_only=True):
    items: list[Scan]
    next: str | None
