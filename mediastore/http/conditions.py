"""Conditional requests (RFC 9110 section 13) and byte ranges (section 14)."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from mediastore.http.errors import HeaderInvalid, RangeNotSatisfiable

TAG = re.compile(r'\s*((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
RANGE = re.compile(r"bytes\s*=\s*(\d{0,400})\s*-\s*(\d{0,400})\s*", re.ASCII | re.IGNORECASE)


def tags(header: str, *, name: str) -> list[str] | None:
    """The entity tags of a header, None for `*`. Raises `HeaderInvalid` for what is no list of tags."""
    if header.strip() == "*":
        return None
    found, at = [], 0
    while at < len(header):
        match = TAG.match(header, at)
        if match is None:
            raise HeaderInvalid(f'{name}: {header[:200]!r} is no entity tag; write it as the ETag header showed it: "3"')
        found.append(match[1])
        at = match.end()
    if not found:
        raise HeaderInvalid(f'{name} is empty; write an entity tag as the ETag header showed it: "3"')
    return found


def weakly(tags: list[str]) -> set[str]:
    """The tags as they are compared where a weak match is enough."""
    return {tag.removeprefix("W/") for tag in tags}


def http_date(at: datetime) -> str:
    """IMF-fixdate."""
    return format_datetime(at.astimezone(UTC).replace(microsecond=0), usegmt=True)


def unchanged(*, etag: str, modified_at: datetime, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Whether 304 is the answer. A date that is none is ignored, as RFC 9110 asks; a tag always goes before a date."""
    if if_none_match is not None:
        wanted = tags(if_none_match, name="If-None-Match")
        return wanted is None or etag in weakly(wanted)
    since = _date(if_modified_since)
    return since is not None and modified_at.replace(microsecond=0) <= since


def range_applies(*, etag: str, modified_at: datetime, if_range: str | None) -> bool:
    """Whether a Range still means the bytes that the client has part of. Weak tags never do."""
    if if_range is None:
        return True
    if if_range.startswith(('"', "W/")):
        return if_range == etag
    since = _date(if_range)
    return since is not None and modified_at.replace(microsecond=0) == since


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """[start, end) of a single range; None when the whole is the answer.

    Several ranges and foreign units are answered with the whole, which RFC 9110 allows. Raises `RangeNotSatisfiable` when nothing
    of the range is there.
    """
    match = RANGE.fullmatch(header) if header else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None:
        start, end = max(0, size - (last or 0)), size
    else:
        start, end = first, size if last is None else min(size, last + 1)
        if last is not None and last < first:
            return None  # not a range at all, so it is ignored
    if start >= end:
        raise RangeNotSatisfiable(f"the range {header!r} lies outside the {size} bytes that are there", size=size)
    return start, end


def _date(header: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(header) if header else None
        return None if at is None else at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
