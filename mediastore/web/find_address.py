"""The address of a search: what people filled in, for links that add to it and take from it, and as the API's own parameters.

Everything that a search is stands in its address, so that it can be sent to somebody and the way back works. A field that may
hold several values takes a list with commas, or is there several times; a value with a comma stands in double quotes.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct

from mediastore.catalog.errors import SearchInvalid

LISTS = ("status", "store", "owner", "media_type", "tag", "any_tag", "no_tag")
SINGLES = ("q", "as", "min_size", "max_size", "created_from", "created_to", "where", "sort", "cursor")
FIELD = re.compile(r"(is|min|max)\.([A-Za-z][A-Za-z0-9_]{0,47})")
"""A condition on a declared field: its value, and the ends of its range."""
FIELD_OPERATORS = {"is": "eq", "min": "gte", "max": "lte"}
NOT_FILTERS = {"q", "as", "sort", "cursor"}

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)(?:b|bytes?)?", re.IGNORECASE)
POWERS = {letter: power for power, letter in enumerate(("", "k", "m", "g", "t", "p"))}
LARGEST = 2**63 - 1

Pair = tuple[str, str]


class Address(Struct, frozen=True):
    """Names and values, each value by itself."""

    pairs: tuple[Pair, ...]

    def one(self, name: str) -> str:
        """The value of a field that holds one; empty where there is none."""
        return next((value for key, value in self.pairs if key == name), "")

    def every(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]

    def listed(self, name: str) -> str:
        """The values as somebody would type them."""
        return ", ".join(written(value) for value in self.every(name))

    @property
    def filters(self) -> list[Pair]:
        """What narrows the search beside what is in the box."""
        return [pair for pair in self.pairs if pair[0] not in NOT_FILTERS]

    def having(self, name: str, value: str) -> str:
        """The address of the same search with one value more; of a field that holds one, with this value, or without any."""
        kept = [pair for pair in self.pairs if pair[0] != "cursor" and (name in LISTS or pair[0] != name)]
        new = (name, value)
        return address_of([*kept, *([new] if value and new not in kept else ())])

    def without(self, *gone: Pair) -> str:
        return address_of(pair for pair in self.pairs if pair not in gone and pair[0] != "cursor")

    def asking(self, text: str, *, kind: str) -> str:
        """The address with another text in the box."""
        kept = [pair for pair in self.pairs if pair[0] not in {"q", "as", "cursor"}]
        return address_of([("q", text), ("as", kind), *kept])

    def only(self, *names: str) -> str:
        return address_of(pair for pair in self.pairs if pair[0] in names)

    def following(self, cursor: str, *, kind: str) -> str:
        """The address of the next page. `kind`: how the box was understood, for the pages of one search to be of one search."""
        kept = [pair for pair in self.pairs if pair[0] not in {"as", "cursor"}]
        return address_of([*kept, *([("as", kind)] if self.one("q") else ()), ("cursor", cursor)])

    def given(self) -> dict[str, Any]:
        """The API's parameters, but for what is in the box. Raises `SearchInvalid`."""
        given: dict[str, Any] = {name: self.every(name) for name in LISTS}
        given["size"] = [
            f"{operator}:{size_of(self.one(name))}"
            for name, operator in (("min_size", "gte"), ("max_size", "lte"))
            if self.one(name)
        ]
        given["created_at"] = []
        if first := self.one("created_from"):
            given["created_at"].append(f"gte:{midnight(first)}")
        if last := self.one("created_to"):
            given["created_at"].append(f"lt:{midnight(last, days=1)}")
        for name in ("where", "sort", "cursor"):
            given[name] = self.one(name) or None
        given["field"] = [
            f"{found[2]}:{FIELD_OPERATORS[found[1]]}:{value}" for name, value in self.pairs if (found := FIELD.fullmatch(name))
        ]
        return given


def address(given: Iterable[Pair]) -> Address:
    """From what stands behind the `?`; what is empty or none of ours is left out. Raises `SearchInvalid`."""
    pairs: dict[Pair, None] = {}
    for name, text in given:
        if name in LISTS:
            pairs |= {(name, value): None for value in values_of(text, name=name)}
        elif (name in SINGLES or FIELD.fullmatch(name)) and (value := text.strip()):
            pairs = {pair: None for pair in pairs if pair[0] != name}
            pairs[name, value] = None
    return Address(tuple(pairs))


def address_of(pairs: Iterable[Pair]) -> str:
    query = urlencode([(name, written(value) if name in LISTS else value) for name, value in pairs])
    return f"/?{query}" if query else "/"


def values_of(text: str, *, name: str) -> Sequence[str]:
    try:
        [row] = csv.reader([text], skipinitialspace=True, strict=True) if text else [[]]
    except (csv.Error, ValueError) as error:
        raise SearchInvalid(f'{name}: {text!r} is no list; write a, b, and "c, d" for one with a comma', field=name) from error
    return [value for each in row if (value := each.strip())]


def written(value: str) -> str:
    """One value as part of a list."""
    if not any(character in value for character in ',"'):
        return value
    return '"' + value.replace('"', '""') + '"'


def size_of(text: str) -> int:
    """Bytes, from 1000, 10 MB or 1.5 GiB. Raises `SearchInvalid`."""
    found = SIZE.fullmatch(text.replace(",", ""))
    if found is None:
        raise SearchInvalid(f"size: {text!r} is no size; write bytes, or for example 10 MB or 1.5 GiB", field="size")
    number, prefix, binary = found.groups()
    size = int(Decimal(number) * (1024 if binary else 1000) ** POWERS[prefix.lower()]) if len(number) < 30 else LARGEST + 1
    if size > LARGEST:
        raise SearchInvalid(f"size: {text!r} is more than any file has", field="size")
    return size


def midnight(text: str, *, days: int = 0) -> str:
    """The beginning of a day, or of one behind it, in UTC. Raises `SearchInvalid`."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise SearchInvalid(f"created: {text!r} is no date; write it as 2026-01-31", field="created_at") from error
    return datetime.combine(day, time(), UTC).isoformat()
