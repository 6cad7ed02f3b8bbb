"""Sizes, times and counts as people read them: filters of the templates."""

from datetime import UTC, datetime
from urllib.parse import quote

from markupsafe import Markup, escape
from msgspec import Raw

from mediastore.web.changes import lines

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")
UNSEEN = frozenset("\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")
"""Letters that nobody sees, and that turn or part what stands around them."""
SPANS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def told_size(size: float | None) -> str:
    """1.5 GiB."""
    if size is None:
        return "–"
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return (
        f"{size:,.0f} {UNITS[unit]}" if unit == 0 else f"{size:.3g} {UNITS[unit]}" if size < 1000 else f"{size:.0f} {UNITS[unit]}"
    )


def told_moment(moment: datetime | None) -> Markup:
    """2026-01-31 12:30 UTC, with the exact time for machines and for who points at it."""
    if moment is None:
        return Markup("–")
    at = moment.astimezone(UTC)
    exact = at.isoformat().replace("+00:00", "Z")
    shown = at.strftime("%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}" title="{}">{}<span class="zone"> UTC</span></time>').format(exact, exact, shown)


def told_span(seconds: float | None) -> str:
    """30 days; 90 minutes."""
    if seconds is None:
        return "–"
    for length, name in SPANS:
        if seconds >= length and (seconds % length == 0 or seconds >= 10 * length):
            count = round(seconds / length)
            return f"{count:,} {name}{'' if count == 1 else 's'}"
    return f"{seconds:.3g} seconds"


def told_count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def record_url(pid: str) -> str:
    """The page of a record."""
    return f"/records/{quote(pid, safe='/:@!$&()*+,;=~-._')}"


def breakable(text: str) -> Markup:
    """A long name that may break behind its own punctuation."""
    return Markup("").join(_shown(letter) + Markup("<wbr>") if letter in "/_-.:" else _shown(letter) for letter in text)


def visible(text: str) -> Markup:
    """Text as it is, and what would turn or hide its letters as a mark: `photo_gpj.exe` can't look like `photo_exe.jpg`."""
    return Markup("").join(map(_shown, text))


def _shown(letter: str) -> Markup:
    if letter in UNSEEN or (letter < " " and letter not in "\n\t"):
        return Markup('<span class="unseen">U+{:04X}</span>').format(ord(letter))
    return escape(letter)


def sentence(text: str) -> str:
    """A message of an error, as people write it."""
    said = text[:1].upper() + text[1:]
    return said if said.endswith((".", "!", "?", "…")) else f"{said}."


def told_json(value: Raw) -> Markup:
    """JSON as it is kept: numbers as they were written, and nothing in it that turns or hides its letters."""
    return visible(bytes(value).decode())


def top(place: str) -> str:
    """The first name of a place such as `metadata.ctd.depth`."""
    return place.partition(".")[0]


FILTERS = {
    "size": told_size,
    "moment": told_moment,
    "span": told_span,
    "count": told_count,
    "record_url": record_url,
    "breakable": breakable,
    "visible": visible,
    "sentence": sentence,
    "json": told_json,
    "changes": lines,
    "top": top,
}
