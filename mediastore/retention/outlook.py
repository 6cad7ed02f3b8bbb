"""What will happen to a record, when, and which rule decides: in data and in words."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from mediastore.catalog.queries import MediaRow
from mediastore.placement.schemas import Retention
from mediastore.retention.schemas import Hold, Outlook

Keeper: TypeAlias = Literal["nothing", "expiry", "exempt_tags", "exempt_where"]
BECAUSE = {"exempt_tags": "its store exempts one of its tags", "exempt_where": "its store exempts records with such metadata"}


def outlook_of(
    row: MediaRow, *, policy: Retention, holds: Sequence[Hold], matches: bool, old_since: datetime | None, now: datetime
) -> Outlook:
    """`matches`: whether its metadata match `exempt_where`; `old_since`: since when it has an old content that is still there."""
    rule = _rule(row, policy, matches=matches)
    removal_at = row.expires_at + timedelta(seconds=policy.grace_s) if row.expires_at is not None and rule == "expiry" else None
    old_at = None
    if old_since is not None and policy.old_versions_ttl_s is not None and rule in {"expiry", "nothing"}:
        old_at = old_since + timedelta(seconds=policy.old_versions_ttl_s)
    restorable = row.status_at(now) == "expired"
    if holds:
        due_at = removal_at
        removal_at, old_at = _after(holds, removal_at), _after(holds, old_at)
        sentence = _held(row, rule, holds, due_at, restorable=restorable, now=now)
    else:
        sentence = _free(row, rule, removal_at, restorable=restorable, now=now)
    return Outlook(
        pid=row.pid,
        status=row.status_at(now),
        decided_by="hold" if holds else rule,
        sentence=sentence,
        expires_at=row.expires_at,
        removal_at=removal_at,
        restorable=restorable,
        old_versions_removal_at=old_at,
        holds=list(holds),
    )


def _rule(row: MediaRow, policy: Retention, *, matches: bool) -> Keeper:
    """What decides where no hold does."""
    if set(policy.exempt_tags) & set(row.tags):
        return "exempt_tags"
    if matches:
        return "exempt_where"
    return "nothing" if row.expires_at is None else "expiry"


def _after(holds: Sequence[Hold], moment: datetime | None) -> datetime | None:
    """The moment, or the end of the last hold where that comes later; none while a hold has no end."""
    ends = [hold.until for hold in holds if hold.until is not None]
    return None if moment is None or len(ends) < len(holds) else max(moment, *ends)


def _held(row: MediaRow, rule: Keeper, holds: Sequence[Hold], due_at: datetime | None, *, restorable: bool, now: datetime) -> str:
    people = ", ".join(
        f"{hold.placed_by} ({hold.reason})" + (f" until {_when(hold.until)}" if hold.until is not None else "") for hold in holds
    )
    sentence = f"{_but(row, now)} is not removed while it is held by {people}"
    if (removal_at := _after(holds, due_at)) is not None:
        sentence += f"; then the sweeper removes it after {_when(removal_at)}"
    elif due_at is not None:
        sentence += f"; once nothing holds it, the sweeper removes it after {_when(due_at)}"
    elif rule in BECAUSE:
        sentence += f", nor afterwards: {BECAUSE[rule]}"
    return sentence + ("; until it is removed, a PATCH of expires_at brings it back." if restorable else ".")


def _free(row: MediaRow, rule: Keeper, removal_at: datetime | None, *, restorable: bool, now: datetime) -> str:
    if rule in BECAUSE:
        back = "; a PATCH of expires_at brings it back" if restorable else ""
        return f"{_but(row, now)} is never removed: {BECAUSE[rule]}{back}."
    if row.expires_at is None or removal_at is None:
        return "It is kept for good: it has no expiry."
    back = "; until then a PATCH of expires_at brings it back" if restorable else ""
    return f"{_served(row.expires_at, now)}; the sweeper removes it after {_when(removal_at)}{back}."


def _but(row: MediaRow, now: datetime) -> str:
    return "It" if row.expires_at is None else f"{_served(row.expires_at, now)}, but it"


def _served(expires_at: datetime, now: datetime) -> str:
    return f"It expired on {_when(expires_at)} and is not served" if expires_at <= now else f"It expires on {_when(expires_at)}"


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
