"""JSON merge patch against RFC 7396 and a naive reading of it."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mediastore.catalog.merge import depth, merge_patch, same_json

APPENDIX = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]
SECTION_3 = (
    """{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"],"content":"unchanged"}""",
    """{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}""",
    """{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"unchanged","phoneNumber":"+01-123-456-7890"}""",
)


def merged(target: str, patch: str) -> str:
    return bytes(merge_patch(Raw(target.encode()), Raw(patch.encode()))).decode()


@pytest.mark.parametrize(("target", "patch", "result"), [*APPENDIX, SECTION_3])
def test_the_examples_of_the_rfc(target: str, patch: str, result: str) -> None:
    assert json.loads(merged(target, patch)) == json.loads(result)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcé"), inner, max_size=3),
    max_leaves=12,
)


def naive(target: Any, patch: Any) -> Any:
    """The pseudo-code of section 2, word by word."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = dict(target)
        for name in patch:
            if patch[name] is None:
                if name in target:
                    del target[name]
            else:
                target[name] = naive(target.get(name), patch[name])
        return target
    return patch


def exact(text: str) -> Any:
    """The value with numbers as texts, so that 1 and true differ and every digit counts."""

    def number(written: str) -> str:
        return f"number {Decimal(written):f}"

    return json.loads(text, parse_int=number, parse_float=number)


@given(target=values, patch=values)
def test_any_patch_does_what_the_rfc_says(target: Any, patch: Any) -> None:
    assert exact(merged(json.dumps(target), json.dumps(patch))) == exact(json.dumps(naive(target, patch)))


@given(target=values, patch=values)
def test_a_patch_twice_is_a_patch_once(target: Any, patch: Any) -> None:
    once = merged(json.dumps(target), json.dumps(patch))
    assert exact(merged(once, json.dumps(patch))) == exact(once)


NUMBERS = ["1.10", "123456789012345678901234567890", "1e400", "-1E-400", "0.1000000000000000055511151231257827", "1E+2", "-0.0"]


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_stay_as_exact_as_they_were_written(number: str) -> None:
    for result in (merged(f'{{"n":{number}}}', '{"a":1}'), merged("{}", f'{{"n":{number}}}')):
        told = json.loads(result, parse_float=Decimal, parse_int=Decimal)["n"]
        assert told == Decimal(number)
        assert told.as_tuple().digits[-1:] == Decimal(number).as_tuple().digits[-1:], "no digit is lost"


@given(value=values)
def test_a_value_is_the_same_as_itself_written_otherwise(value: Any) -> None:
    assert same_json(Raw(json.dumps(value).encode()), Raw(json.dumps(value, indent=2, sort_keys=True).encode()))


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "2"), ("1", "true"), ("0", "false"), ("[1]", "[true]"), ('{"a":0}', '{"a":false}'), ("null", "false"), ('""', "null")],
)
def test_values_that_differ_are_not_the_same(one: str, other: str) -> None:
    assert not same_json(Raw(f'{{"x":{one}}}'.encode()), Raw(f'{{"x":{other}}}'.encode()))


def naive_depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(naive_depth, inner), default=0)


@given(value=st.dictionaries(st.text(max_size=3), values, max_size=4))
def test_depth_counts_objects_and_arrays(value: dict[str, Any]) -> None:
    assert depth(Raw(json.dumps(value).encode())) == naive_depth(value)


@pytest.mark.parametrize(("text", "levels"), [('{"a":"[[[["}', 1), ('{"a":"[[[[","b":[]}', 2), ("{}", 1), ('{"a":{"b":[1]}}', 3)])
def test_brackets_in_strings_are_no_depth(text: str, levels: int) -> None:
    assert depth(Raw(text.encode())) == levels
