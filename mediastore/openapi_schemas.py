"""JSON Schemas of the API's structs, as msgspec enforces them: patterns, lengths, unions and all."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, get_args

import msgspec
from msgspec import inspect

from mediastore.catalog.interchange_schemas import ImportReport
from mediastore.catalog.schemas import BatchItem, BatchRequest, BatchResult
from mediastore.events.schemas import Change, Event
from mediastore.http.problems import Problem

Json: TypeAlias = dict[str, Any]

EXACT: Mapping[tuple[type, str], Any] = {
    (BatchRequest, "items"): list[BatchItem],
    (BatchResult, "problem"): Problem | None,
    (ImportReport, "problem"): Problem | None,
    (Event, "changes"): dict[str, Change],
}
"""Fields that are decoded late or handed on as they are, and what is in them."""

NO_LATER_LINE = r"$(?!\n)"
"""In Python `$` also matches before a last newline, which our patterns rule out. Other dialects need no such thing."""


class Schemas:
    """The schemas of these types: each type's own by `of`, and the structs that they refer to in `components`."""

    def __init__(self, kinds: Iterable[Any]) -> None:
        self._kinds = [*dict.fromkeys(kinds), *EXACT.values()]
        self._schemas, self.components = msgspec.json.schema_components(
            self._kinds, schema_hook=_anything, ref_template="#/components/schemas/{name}"
        )
        for (struct, field), kind in EXACT.items():
            if struct.__name__ in self.components:
                self.components[struct.__name__]["properties"][field].update(self.of(kind))
        for struct in _structs(self._kinds):
            _say_times(struct, self.components[struct.__name__])
        _plain(self.components)

    def of(self, kind: Any) -> Json:
        """The schema of one of the types, mostly a reference."""
        schema: Json = self._schemas[self._kinds.index(kind)]
        return schema

    def component(self, struct: type) -> Json:
        """The schema of a struct itself."""
        component: Json = self.components[self.of(struct)["$ref"].rpartition("/")[2]]
        return component


def without_null(schema: Json) -> Json:
    """What is left where a value can be left out, but can't be null: in queries, headers and forms."""
    kept = dict(schema)
    for key in ("anyOf", "oneOf"):
        others = [choice for choice in kept.get(key, []) if choice != {"type": "null"}]
        if len(others) == 1:
            del kept[key]
            kept = {**others[0], **kept}
    if kept.get("default", ...) is None:
        del kept["default"]
    return kept


def _anything(kind: type) -> Json:
    if kind is object:
        return {"description": "Any JSON"}
    raise NotImplementedError(kind)


def _structs(kinds: Iterable[Any]) -> list[Any]:
    found: dict[Any, None] = {}

    def walk(kind: Any) -> None:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if kind in found:
                return
            found[kind] = None
            for field in msgspec.structs.fields(kind):
                walk(field.type)
        for inner in get_args(kind):
            walk(inner)

    for kind in kinds:
        walk(kind)
    return list(found)


def _say_times(struct: Any, schema: Json) -> None:
    """Every time that we tell has its offset; msgspec says `date-time` only of those whose type demands one."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)  # noqa: S101 - it was made from one
    for field in info.fields:
        choices = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        if any(isinstance(choice, inspect.DateTimeType) for choice in choices):
            shown = schema["properties"][field.encode_name]
            for part in shown.get("anyOf", [shown]):
                if part.get("type") == "string":
                    part["format"] = "date-time"


def _plain(schema: Any) -> None:
    if isinstance(schema, dict):
        if all(isinstance(choice, str) for choice in schema.get("enum", [None])):
            schema.setdefault("type", "string")  # pages show the type
        if isinstance(schema.get("pattern"), str):
            schema["pattern"] = schema["pattern"].replace(NO_LATER_LINE, "$")
        for value in schema.values():
            _plain(value)
    elif isinstance(schema, list):
        for value in schema:
            _plain(value)
