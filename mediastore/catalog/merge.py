"""JSON merge patch (RFC 7396), keeping every number as exact as it was written."""

from decimal import Decimal
from typing import Any

from msgspec import Raw
from msgspec.json import Decoder, Encoder

_decoder: Decoder[Any] = Decoder(float_hook=Decimal)
_encoder = Encoder(decimal_format="number")


def merge_patch(target: Raw, patch: Raw) -> Raw:
    """The target with the patch merged in."""
    return Raw(_encoder.encode(_merged(_decoder.decode(target), _decoder.decode(patch))))


def same_json(one: Raw, other: Raw) -> bool:
    """Whether two texts hold equal values."""
    return bool(_decoder.decode(one) == _decoder.decode(other))


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
