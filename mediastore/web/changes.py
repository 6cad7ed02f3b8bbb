"""What an event changed, as lines to read: each place with its value before and after."""

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Raw, Struct

MOST_LINES = 50
LONGEST = 500
"""Letters of a value that are shown: an event can hold all of a record's metadata twice."""
ABSENT = (b"", b"null")


class Line(Struct, frozen=True, kw_only=True):
    """One place. A value is JSON as it was written; None where there was nothing."""

    place: str
    before: str | None
    after: str | None


class Lines(Struct, frozen=True, kw_only=True):
    items: list[Line]
    more: int
    """Lines beyond those that are shown."""


class _Change(Struct, frozen=True):
    before: Raw = Raw(b"null")
    after: Raw = Raw(b"null")


def lines(changes: Raw) -> Lines:
    """The places where before and after differ, at most `MOST_LINES`."""
    found = [
        line
        for name, change in msgspec.json.decode(changes, type=dict[str, _Change]).items()
        for line in _differences(name, _there(change.before), _there(change.after))
    ]
    return Lines(items=found[:MOST_LINES], more=max(0, len(found) - MOST_LINES))


def _there(value: Raw) -> bytes | None:
    """Of a whole field null is as good as nothing; deeper in, it is a value."""
    text = bytes(value).strip()
    return None if text in ABSENT else text


def _differences(place: str, before: bytes | None, after: bytes | None) -> Iterator[Line]:
    if before == after:
        return
    olds, news = _members(before), _members(after)
    if olds is None or news is None or not (olds or news):
        yield Line(place=place, before=_shown(before), after=_shown(after))
        return
    for name in {**olds, **news}:
        yield from _differences(f"{place}.{name}", olds.get(name), news.get(name))


def _members(value: bytes | None) -> Mapping[str, bytes] | None:
    """Those of an object; of nothing, none; None for what is no object."""
    if value is None:
        return {}
    if not value.startswith(b"{"):
        return None
    return {name: bytes(member).strip() for name, member in msgspec.json.decode(value, type=dict[str, Raw]).items()}


def _shown(value: bytes | None) -> str | None:
    if value is None:
        return None
    text = value.decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
