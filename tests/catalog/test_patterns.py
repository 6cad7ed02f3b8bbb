"""Patterns of identifier types."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.catalog.errors import IdentifierTypeInvalid
from mediastore.catalog.patterns import Pattern


@pytest.mark.parametrize(
    ("pattern", "whole", "not_whole"),
    [
        (r"D\d{8}", "D20240101", "xD20240101"),
        (r"D\d{8}", "D20240101", "D20240101x"),
        (r"a|ab", "ab", "abc"),
        (r"^a$", "a", "ba"),
        (r"[a-z]+", "abc", "abc\n"),
        (r"[a-z]+$", "abc", "abc\n"),
        (r"(?i)bin", "BIN", "BINS"),
        (r"\p{L}+", "été", "été1"),
        (r".{3}", "日本語", "日本"),
        (r".+", "a b", "a\nb"),
    ],
)
def test_a_pattern_matches_in_full(pattern: str, whole: str, not_whole: str) -> None:
    assert Pattern(pattern).matches(whole)
    assert not Pattern(pattern).matches(not_whole)


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?<n", r"(a)\1", "a(?=b)", "(a{1000}){1000}", r"\Z", "a{1001}"])
def test_what_is_no_pattern_is_refused_with_its_text(pattern: str) -> None:
    with pytest.raises(IdentifierTypeInvalid) as caught:
        Pattern(pattern)
    assert caught.value.fields["pattern"] == pattern
    assert "RE2" in caught.value.message


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*b", "(a*)*c", "(.*a){20}", "(a?){50}a{50}"])
def test_catastrophic_patterns_are_quick(pattern: str) -> None:
    begun = time.thread_time()
    Pattern(pattern).matches("a" * 1024 + "!")
    assert time.thread_time() - begun < 0.5


@given(st.text(min_size=1, max_size=20), st.text(max_size=20))
def test_any_pattern_is_one_or_is_refused(pattern: str, value: str) -> None:
    with suppress(IdentifierTypeInvalid):
        Pattern(pattern).matches(value)
