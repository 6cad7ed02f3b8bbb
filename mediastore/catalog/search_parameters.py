"""A search as query parameters: the same language as the JSON body, read into the same struct."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, structs

from mediastore.catalog.errors import SearchInvalid
from mediastore.catalog.filter_queries import OPERATORS
from mediastore.catalog.search_schemas import FieldRange, SearchRequest

Given = Mapping[str, Any]
LONGEST_VALUE = 500
MOST_CONDITIONS = 100


def search_request(given: Given) -> SearchRequest:
    """Parameters by name, those that were not given None. Raises `SearchInvalid`."""
    there = {name: value for name, value in given.items() if value is not None}
    tags = {"all": there.pop("tag", []), "any": there.pop("any_tag", []), "none": there.pop("no_tag", [])}
    fields = _fields(there.pop("field", []))
    metadata = _json_object(there.pop("metadata", None))
    if identifiers := there.pop("identifier", []):
        there["identifiers"] = _identifiers(identifiers)
    if "facet" in there:
        there["facets"] = there.pop("facet")
    for name in ("size", "created_at", "updated_at", "expires_at"):
        if name in there:
            there[name] = _range(there[name], name=name)
    try:
        request = msgspec.convert({**there, "tags": tags}, SearchRequest, strict=False)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        field = place.strip("`").removeprefix("$").removeprefix(".")
        raise SearchInvalid(f"{field}: {what}", field=field) from error
    return structs.replace(request, fields=fields, metadata=metadata)


def _identifiers(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        type, colon, pattern = text.partition(":")
        if not colon or not type or not pattern:
            raise SearchInvalid(
                f"identifier: {text!r} is no TYPE:VALUE; write for example CRUISE:AR77, or *:AR77 for any type",
                field="identifier",
            )
        if type in found:
            raise SearchInvalid(f"identifier: {type!r} is there twice, and a record has one value a type", field="identifier")
        found[type] = pattern
    return found


def _range(given: Sequence[str], *, name: str) -> dict[str, str]:
    return dict(_bounds((text.partition(":") for text in given), name=name))


def _fields(given: Sequence[str]) -> dict[str, FieldRange]:
    if len(given) > MOST_CONDITIONS:
        raise SearchInvalid(f"field: {len(given)} conditions are too many; send at most {MOST_CONDITIONS}", field="field")
    found: dict[str, dict[str, str]] = {}
    for text in given:
        name, _, rest = text.partition(":")
        [(operator, value)] = _bounds([rest.partition(":")], name=f"field {name}")
        if len(value) > LONGEST_VALUE:
            raise SearchInvalid(f"field {name}: a value has at most {LONGEST_VALUE} characters", field="field")
        found.setdefault(name, {})[operator] = value
    return {name: FieldRange(**bounds) for name, bounds in found.items()}


def _bounds(parts: Iterable[tuple[str, str, str]], *, name: str) -> list[tuple[str, str]]:
    found = []
    for operator, colon, value in parts:
        if not colon or operator not in OPERATORS:
            raise SearchInvalid(
                f"{name}: write {', '.join(f'{each}:VALUE' for each in OPERATORS)}, as often as needed",
                field=name.partition(" ")[0],
            )
        found.append((operator, value))
    return found


def _json_object(text: str | None) -> Any:
    if text is None:
        return UNSET
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise SearchInvalid(f"metadata: not valid JSON: {error}", field="metadata") from error
    return msgspec.Raw(text.encode())
