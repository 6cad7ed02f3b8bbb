"""Conditional requests and byte ranges, against naive readings of RFC 9110."""

import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mediastore.http.conditions import byte_range, http_date, range_applies, tags, unchanged
from mediastore.http.errors import HeaderInvalid, RangeNotSatisfiable

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
AT_TEXT = "Fri, 02 Jan 2026 03:04:05 GMT"


def naive_range(header: str, size: int) -> list[int] | str | None:
    """The positions that a single range asks for, one by one; "416", or None for the whole."""
    found = re.match(r"^bytes=(\d*)-(\d*)$", header)
    if not found or found[1] == found[2] == "":
        return None
    if found[1] == "":
        wanted = [position for position in range(size) if position >= size - int(found[2])]
    elif found[2] == "":
        wanted = [position for position in range(size) if position >= int(found[1])]
    elif int(found[2]) < int(found[1]):
        return None
    else:
        wanted = [position for position in range(size) if int(found[1]) <= position <= int(found[2])]
    return wanted or "416"


numbers = st.integers(0, 60).map(str) | st.sampled_from(
    ("", "0", "00", "007", "99999999999999999999999999", "18446744073709551616")
)


@given(first=numbers, last=numbers, size=st.integers(0, 40))
def test_a_range_is_the_bytes_that_the_rfc_says(first: str, last: str, size: int) -> None:
    assume(len(first) < 20 or not last)  # which of two numbers beyond any size is greater does not matter
    header = f"bytes={first}-{last}"
    wanted = naive_range(header, size)
    if wanted == "416":
        with pytest.raises(RangeNotSatisfiable) as caught:
            byte_range(header, size)
        assert caught.value.fields["size"] == size
        return
    found = byte_range(header, size)
    assert (None if found is None else list(range(*found))) == wanted


@given(header=st.text(max_size=30), size=st.integers(0, 100))
def test_any_text_is_a_range_or_none(header: str, size: int) -> None:
    try:
        found = byte_range(header, size)
    except RangeNotSatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=+1-2",
        "bytes=1-2-3",
        "bytes=١-٢",
    ],
)
def test_what_is_no_single_range_means_the_whole(header: str | None) -> None:
    assert byte_range(header, 10) is None


@pytest.mark.parametrize("header", ["BYTES=1-2", "bytes = 1 - 2 ", "Bytes=1-2"])
def test_units_are_read_in_any_case(header: str) -> None:
    assert byte_range(header, 10) == (1, 3)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("*", None),
        (" * ", None),
        ('"1"', ['"1"']),
        ('"a", W/"b" ,"c,d"', ['"a"', 'W/"b"', '"c,d"']),
        ('""', ['""']),
        ('"\x80\xff"', ['"\x80\xff"']),
        ('"a\\b"', ['"a\\b"']),
    ],
)
def test_lists_of_tags(header: str, found: list[str] | None) -> None:
    assert tags(header, name="If-Match") == found


@pytest.mark.parametrize(
    "header", ["", "a", '"', '"a', 'a"', '"a" "b"', "'a'", "*,*", '"a",*', 'w/"a"', '"a\tb"', '"a b"', '"a\x7f"']
)
def test_what_is_no_list_of_tags_is_refused(header: str) -> None:
    with pytest.raises(HeaderInvalid, match="If-Match"):
        tags(header, name="If-Match")


opaque = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f', exclude_categories=["Cc"]), max_size=6
)


@given(st.lists(st.tuples(st.booleans(), opaque), min_size=1, max_size=5), st.sampled_from((",", ", ", " , ")))
def test_any_tags_come_apart_as_they_were_put_together(given_tags: list[tuple[bool, str]], between: str) -> None:
    written = [f'{"W/" if weak else ""}"{tag}"' for weak, tag in given_tags]
    assert tags(between.join(written), name="If-Match") == written


@pytest.mark.parametrize("header", ["," * 30_000, '"' * 30_001, '"a",' * 10_000, ", " * 20_000 + '"'])
def test_a_long_header_takes_no_long_time(header: str) -> None:
    """Anyone can send one, and while it is read the server does nothing else."""
    begun = time.thread_time()
    with suppress(HeaderInvalid):
        tags(header, name="If-None-Match")
    assert time.thread_time() - begun < 0.5


def is_unchanged(*, match: str | None = None, since: str | None = None) -> bool:
    return unchanged(etag='"1-7"', modified_at=AT, if_none_match=match, if_modified_since=since)


def test_a_tag_decides_before_a_date() -> None:
    assert is_unchanged(match='"1-7"', since="Mon, 01 Jan 2001 00:00:00 GMT")
    assert not is_unchanged(match='"2-8"', since=AT_TEXT)
    assert is_unchanged(match="*")
    assert is_unchanged(match='W/"1-7"'), "compared weakly"
    assert is_unchanged(match='"0", "1-7"')
    assert not is_unchanged()


@pytest.mark.parametrize(
    ("date", "same"),
    [
        (AT_TEXT, True),
        ("Fri, 02 Jan 2026 03:04:04 GMT", False),
        ("Fri, 02 Jan 2026 03:04:06 GMT", True),
        ("Friday, 02-Jan-26 03:04:05 GMT", True),
        ("Fri Jan  2 03:04:05 2026", True),
        ("Fri Jan  2 03:04:04 2026", False),
        ("yesterday", False),
        ("", False),
        ("0", False),
        ("Fri, 32 Jan 2026 03:04:05 GMT", False),
        ("Fri, 02 Jan 99999 03:04:05 GMT", False),
        ("Fri, 31 Dec 9999 23:59:59 GMT", True),
    ],
)
def test_dates_in_the_three_forms_of_the_rfc(date: str, same: bool) -> None:
    assert is_unchanged(since=date) is same


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 9999 23:59:59 -1200", "Fri, 31 Dec 9999 23:59:59 -9999", "Sat, 01 Jan 0100 00:00:00 +2359"]
)
def test_a_date_beyond_the_calendar_is_ignored(date: str) -> None:
    assert is_unchanged(since=date) in {True, False}
    assert not range_applies(etag='"1-7"', modified_at=AT, if_range=date)


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_is_ignored(text: str) -> None:
    is_unchanged(since=text)
    range_applies(etag='"1-7"', modified_at=AT, if_range=text)


@pytest.mark.parametrize(
    ("header", "applies"),
    [
        (None, True),
        ('"1-7"', True),
        ('"2-8"', False),
        ('W/"1-7"', False),
        (AT_TEXT, True),
        ("Fri, 02 Jan 2026 03:04:06 GMT", False),
        ("Fri, 02 Jan 2026 03:04:04 GMT", False),
        ("nonsense", False),
    ],
)
def test_if_range_means_the_very_same(header: str | None, applies: bool) -> None:
    assert range_applies(etag='"1-7"', modified_at=AT, if_range=header) is applies


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds of a strategy have no zone
def test_a_date_that_we_tell_is_one_that_we_know_again(at: datetime) -> None:
    written = http_date(at)
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", written)
    assert unchanged(etag='"x"', modified_at=at, if_none_match=None, if_modified_since=written)
    assert range_applies(etag='"x"', modified_at=at, if_range=written)


def test_a_date_is_told_in_gmt() -> None:
    assert http_date(AT.astimezone(timezone(timedelta(hours=5)))) == AT_TEXT
