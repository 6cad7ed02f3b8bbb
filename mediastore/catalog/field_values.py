"""Values of declared fields, as filters compare them and cursors carry them."""

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias, assert_never

from msgspec import Struct

from mediastore.catalog.errors import SearchInvalid
from mediastore.catalog.field_schemas import FieldType
from mediastore.catalog.merge import MOST_DIGITS

Value: TypeAlias = bool | Decimal | datetime | str
LONGEST_TEXT = 500
"""Characters of a text that count; the same in the database's function."""

_TIME = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(?:[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:[.][0-9]{1,9})?)?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?)?",
    re.ASCII,
)


class Field(Struct, frozen=True, kw_only=True):
    """A declared field, as searches use it."""

    name: str
    path: list[str]
    type: FieldType


def value_of(given: bool | float | str, field: Field) -> Value:
    """What is compared. Text stands for values of every type, as query parameters have it. Raises `SearchInvalid`."""
    value: Value | None
    match field.type:
        case "number":
            value = _number(given)
        case "boolean":
            value = {"true": True, "false": False}.get(given) if isinstance(given, str) else _exactly_bool(given)
        case "time":
            value = _time(given) if isinstance(given, str) else None
        case "text":
            value = given[:LONGEST_TEXT] if isinstance(given, str) and "\x00" not in given else None
        case _:
            assert_never(field.type)
    if value is None:
        raise SearchInvalid(f"{field.name} is a field of type {field.type}, and {given!r} is no such value", field=field.name)
    return value


def _number(given: bool | float | str) -> Decimal | None:
    if isinstance(given, bool):
        return None
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) <= MOST_DIGITS else None


def _exactly_bool(given: bool | float) -> bool | None:
    return given if isinstance(given, bool) else None


def _time(text: str) -> datetime | None:
    """As the database's function reads it: a date is its midnight, and a time without an offset is UTC."""
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"([.][0-9]{6})[0-9]*", r"\1", text.upper()))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
