"""JSON merge patch (RFC 7396), keeping every number as exact as it was written."""

import re
from decimal import Decimal
from typing import Any

from msgspec import Raw
from msgspec.json import Decoder, Encoder

MOST_DIGITS = 1000
"""Of a number written out: far beyond any measurement, and short of what Python and PostgreSQL refuse."""

_LONG = re.compile(rb"[0-9]{%d}|[0-9][eE][+-]?0*[0-9]{3}" % MOST_DIGITS)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if len(text) > MOST_DIGITS or abs(number.adjusted()) > MOST_DIGITS:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    return number


_decoder: Decoder[Any] = Decoder(float_hook=_number)
_encoder = Encoder(decimal_format="number")
_sorted = Encoder(decimal_format="number", order="sorted")


def holds_nul(value: Raw) -> bool:
    """Whether a string in it holds the character U+0000, which PostgreSQL can't keep."""
    return _NUL.search(bytes(value)) is not None


def check_numbers(value: Raw) -> None:
    """Raise ValueError or ArithmeticError for a number that is too long."""
    if _LONG.search(bytes(value)) is None:
        return
    level = [_decoder.decode(value)]
    while level:
        for item in level:
            if isinstance(item, int) and item.bit_length() > MOST_DIGITS * 4:
                raise ValueError(f"a number of more than {MOST_DIGITS} digits")
        level = [inner for outer in level for inner in _children(outer)]


def merge_patch(target: Raw, patch: Raw) -> Raw:
    """The target with the patch merged in."""
    return encode(_merged(decode(target), decode(patch)))


def decode(value: Raw) -> Any:
    """The value, for a change of it; `encode` makes it a text again that says the same."""
    return _decoder.decode(value)


def encode(value: object) -> Raw:
    return Raw(_encoder.encode(value))


def same_json(one: Raw, other: Raw) -> bool:
    """Whether two texts hold equal values."""
    # By their texts, because in Python 1 == True.
    return _sorted.encode(_decoder.decode(one)) == _sorted.encode(_decoder.decode(other))


def equal_json(one: Raw, other: Raw) -> bool:
    """Whether two texts hold values that PostgreSQL takes for equal: 1e2, 100 and 100.0 are one number there."""
    return _equal(_decoder.decode(one), _decoder.decode(other))


def _equal(one: Any, other: Any) -> bool:
    match one, other:
        case dict(), dict():
            return one.keys() == other.keys() and all(_equal(value, other[name]) for name, value in one.items())
        case list(), list():
            return len(one) == len(other) and all(map(_equal, one, other))
        case bool(), _:
            return one is other
        case _, bool():
            return False
        case _:
            return bool(one == other)


def depth(value: Raw) -> int:
    """How deep objects and arrays are nested; 1 for a flat object."""
    text = bytes(value)
    if text.count(b"{") + text.count(b"[") <= 1:
        return 1
    level, levels = [_decoder.decode(value)], 0
    while level:
        levels += 1
        level = [inner for outer in level for inner in _children(outer) if isinstance(inner, dict | list)]
    return levels


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
