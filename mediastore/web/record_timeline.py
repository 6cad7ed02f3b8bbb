"""What happened to a record and what will, in the order of time."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

from msgspec import Struct

from mediastore.catalog.schemas import Media, Version
from mediastore.retention.schemas import Outlook

Kind: TypeAlias = Literal["made", "bytes", "access", "expiry", "hold", "removal", "now"]
MOST_VERSIONS = 3
"""That are told one by one; of more, the first and the last."""


class Moment(Struct, frozen=True, kw_only=True):
    at: datetime
    kind: Kind
    what: str
    ahead: bool
    apart_s: float | None = None
    """Seconds since the moment before."""


def timeline(media: Media, versions: Sequence[Version], outlook: Outlook | None, *, now: datetime) -> list[Moment]:
    found = sorted([*_been(media, versions), *_coming(media, outlook)], key=lambda each: each[0])
    past = [each for each in found if each[0] <= now]
    ahead = [each for each in found if each[0] > now]
    moments: list[Moment] = []
    before: datetime | None = None
    for at, kind, what in [*past, (now, "now", "Now"), *ahead]:
        apart = None if before is None else (at - before) / timedelta(seconds=1)
        moments.append(Moment(at=at, kind=kind, what=what, ahead=at > now, apart_s=apart))
        before = at
    return moments


def _been(media: Media, versions: Sequence[Version]) -> Iterator[tuple[datetime, Kind, str]]:
    yield media.created_at, "made", f"Created by {media.owner}" if media.revision == 1 else "Created"
    oldest_first = sorted(versions, key=lambda version: version.version)
    told = oldest_first if len(oldest_first) <= MOST_VERSIONS else [oldest_first[0], oldest_first[-1]]
    for version in told:
        yield version.stored_at, "bytes", f"Version {version.version} verified and ready"


def _coming(media: Media, outlook: Outlook | None) -> Iterator[tuple[datetime, Kind, str]]:
    if media.public_at is not None:
        yield media.public_at, "access", "The embargo lifts: public from here on"
    if media.expires_at is not None:
        yield media.expires_at, "expiry", "Expires: no longer served"
    if outlook is None:
        return
    for hold in outlook.holds:
        yield hold.created_at, "hold", f"Held by {hold.placed_by}: {hold.reason}"
        if hold.until is not None:
            yield hold.until, "hold", f"The hold by {hold.placed_by} ends"
    if outlook.old_versions_removal_at is not None:
        yield outlook.old_versions_removal_at, "removal", "The next old version is removed"
    if outlook.removal_at is not None:
        yield outlook.removal_at, "removal", "The record and its bytes are removed"
