"""Reconciliations, findings and fixity, as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

FindingKind: TypeAlias = Literal["unknown_object", "unknown_upload", "size_differs", "content_differs"]
Decision: TypeAlias = Literal["remove", "quarantine", "adopt", "abort"]
Fixity: TypeAlias = Literal["ok", "missing", "mismatch", "error"]
StoppedBy: TypeAlias = Literal["nothing_found", "too_many_missing", "too_many_unknown", "store"]


class Counts(Struct, kw_only=True):
    """What a comparison has seen and done."""

    listed: int = 0
    """Objects that the store lists."""
    bytes_listed: int = 0
    rows: int = 0
    """Objects that rows name, in whatever state."""
    young: int = 0
    """Bytes without a row that are younger than the grace."""
    unknown: int = 0
    """Bytes without a row."""
    absent: int = 0
    """Objects that should be there and are not listed."""
    found: int = 0
    """Of those: there, when asked for; and objects that were missing and are back, whole."""
    missing: int = 0
    """Declared missing, after several asks."""
    differing: int = 0
    """Objects of another size than was verified, or back with other bytes."""
    late: int = 0
    """Bytes that came after they had been purged, and go again."""
    unknown_uploads: int = 0
    removed: int = 0
    """By the store's policy."""
    quarantined: int = 0
    aborted: int = 0


class UpkeepState(Struct, frozen=True, kw_only=True):
    """How the upkeep of a store fares."""

    store: str
    problem: str | None
    """Why the store can't be believed; null where it can."""
    compared_at: datetime | None
    """When a comparison with the rows last came to its end."""
    absent: int
    """Objects that were not found, and are asked for again before they are declared missing."""
    undecided: dict[FindingKind, int]
    """Findings about which nobody has decided."""
    objects: int
    """That the store holds."""
    oldest_check_at: datetime | None
    """Since when every object was read and compared with its checksums, or stored."""
    objects_read: int
    """For that, ever."""
    bytes_read: int
    bad: dict[Fixity, int]
    """Objects whose last reading did not go well."""
    not_well: list["FixityShown"]
    """The first hundred of them, in the order in which they are read again."""


class ReconcileAsk(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An administrator's word, where numbers look wrong and are right."""

    believe_missing: bool = False
    """So many objects may be missing: they are declared so after the usual asks."""
    believe_unknown: bool = False
    """So many bytes may be without a row: the store's policy may act on all of them."""


class Reconciliation(Struct, frozen=True, kw_only=True):
    """A comparison of a store's listing with its rows."""

    id: int
    store: str
    asked_by: str
    asked_at: datetime
    began_at: datetime | None
    ended_at: datetime | None
    """Null while it waits or runs."""
    duration_s: float | None
    counts: Counts
    stopped_by: StoppedBy | None
    """Null for one that came to its end."""
    reason: str | None


class ReconciliationPage(Struct, frozen=True, kw_only=True):
    items: list[Reconciliation]
    next: str | None
    """Goes back as `?cursor=` for the next page; null on the last."""


class Finding(Struct, frozen=True, kw_only=True):
    """Something in a store that its rows don't say."""

    id: int
    store: str
    what: FindingKind
    key: str
    size: int | None
    detail: str
    first_seen_at: datetime
    last_seen_at: datetime
    times_seen: int
    decision: Decision | None
    decided_by: str | None
    decided_at: datetime | None
    pid: str | None
    """The record that adopts it."""
    done_at: datetime | None
    """Null while the decision is not carried out."""
    problem: str | None


class FindingPage(Struct, frozen=True, kw_only=True):
    items: list[Finding]
    next: str | None


class FindingDecision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    decision: Decision
    pid: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    """The record that is to have the bytes as its newest content: with `adopt`, and only then."""


class FixityShown(Struct, frozen=True, kw_only=True):
    """What came of reading the current content of a record and comparing it with its checksums."""

    pid: str
    version: int
    fixity: Fixity | None
    """Null: never compared since it was stored."""
    checked_at: datetime | None
    detail: str | None
