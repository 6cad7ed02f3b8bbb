"""What of a condition is plain."""

import pytest

from mediastore.catalog.json_conditions import condition

PLAIN = [
    '($."cruise" == "AR77" && $."depth" > 10)',
    '($."a" == 1 || $."b" == -2.5 && "c" != $.*."d"[*])',
    '!(exists ($."a"[0]))',
    'strict ($."a" starts with "q\\"uo && $x")',
    '$."a" == null',
]
NOT_PLAIN = [
    ('(exists ($."a") || $."b" like_regex "x")', None),
    ('($."a" == 1 && $."b" like_regex "x && y")', '$."a" == 1'),
    ('strict ($."a" == "1" && $."b".size() == 3)', 'strict $."a" == "1"'),
    ('($."a" == 1 && ($."b" == 2 || $."c" == $."d") && ($."d" == 1 || $."e" == 2))', '$."a" == 1 && ($."d" == 1 || $."e" == 2)'),
    ('(($."a" == 1 && $."b".size() == 1) || ($."c" == 1 && $."d" == 1))', None),
    ('(exists ($."a"?(@."b" == 1 && $."c" == 1)))', None),
    ('($."a" + 1 == 2)', None),
    ('(-$."a" == 2)', None),
    ('($."a"[0 to last] == 1)', None),
    ("($.** == 1)", None),
    ("(1 == 1)", None),
    ('(($."a" == 1) is unknown)', None),
    ('($."a"."datetime" == 1 && $."b".datetime() < "2026-01-01".datetime())', '$."a"."datetime" == 1'),
]


@pytest.mark.parametrize("text", PLAIN)
def test_comparisons_with_values_are_plain(text: str) -> None:
    found = condition(text)
    assert (found.is_plain, found.plain, found.of_times, found.has_variables) == (True, text, False, False)


@pytest.mark.parametrize(("text", "plain"), NOT_PLAIN)
def test_what_is_plain_of_more_is_what_has_to_hold_anyway(text: str, plain: str | None) -> None:
    found = condition(text)
    assert (found.is_plain, found.plain) == (False, plain)
    assert found.of_times == (".datetime()" in text)


def test_variables_are_told_from_names_and_texts() -> None:
    assert condition('($."a" == $"b")').has_variables
    assert not condition('($."$b" == "$")').has_variables
