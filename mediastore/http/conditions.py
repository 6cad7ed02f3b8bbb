"""Conditional requests (RFC 9110 section 13) and byte ranges (section 14)."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from mediastore.http.errors import HeaderInvalid, RangeNotSatisfiable

TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)


def tags(header: str, *, name: str) -> list[str] | None:
    """The entity tags of a header, None for `*`. Raises `HeaderInvalid` for what is no list of tags."""
    if header.strip() == "*":
        return None
    found = [part.strip() for part in re.split(r",(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)", header)]
    if not all(TAG.fullmatch(part) for part in found):
        raise HeaderInvalid(f'{name}: {header!r} is no entity tag; write it as the ETag header showed it, with quotes: "3"')
    return found


def http_date(at: datetime) -> str:
    """IMF-fixdate."""
    return format_datetime(at.astimezone(UTC).replace(microsecond=0), usegmt=True)


def unchanged(*, etag: str, modified_at: datetime, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Whether 304 is the answer. A date that is none is ignored, as RFC 9110 asks; a tag always goes before a date."""
    if if_none_match is not None:
        wanted = tags(if_none_match, name="If-None-Match")
        return wanted is None or etag in {tag.removeprefix("W/") for tag in wanted}
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
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - _position(last, size)), size
    else:
        start, end = _position(first, size), min(size, _position(last, size) + 1) if last else size
        if last and _position(last, size) < _position(first, size):
            return None  # not a range at all, so it is ignored
    if start >= end:
        raise RangeNotSatisfiable(f"the range {header!r} lies outside the {size} bytes that are there", size=size)
    return start, end


def _position(digits: str, size: int) -> int:
    return int(digits) if len(digits) < 20 else size


def _date(header: str | None) -> datetime | None:
    try:
        at = parsedate_to_datetime(header) if header else None
    except (ValueError, TypeError, OverflowError):
        return None
    return None if at is None else at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC)
