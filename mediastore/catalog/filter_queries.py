"""From what a search asks for to SQL: conditions on `media m`, each value a parameter.

What a caller may not read is left out by a condition among the others, so that nothing is found, counted or summed before it is
asked. The indexes of migration 0007 are partial: `m.deleted_at IS NULL` has to stand in every statement for them to be used.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from mediastore.accounts.access import may_create
from mediastore.accounts.schemas import Identity
from mediastore.catalog.errors import SearchInvalid
from mediastore.catalog.field_schemas import FieldType
from mediastore.catalog.field_values import Field, value_of
from mediastore.catalog.json_conditions import Condition
from mediastore.catalog.search_schemas import FieldRange, Filters, Findable, SizeRange, TimeRange
from mediastore.catalog.wildcards import like, plain
from mediastore.clock import sensible

OPERATORS: Mapping[str, str] = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
SQL_TYPES: Mapping[FieldType, str] = {"number": "numeric", "text": "text", "time": "timestamptz", "boolean": "boolean"}
FUNCTIONS: Mapping[FieldType, str] = {
    "number": "metadata_number",
    "text": "metadata_string",
    "time": "metadata_time",
    "boolean": "metadata_boolean",
}

CONTENT = "JOIN stored_object o ON o.id = m.current_object AND o.state = 'stored'"
"""The content as the API shows it."""
PID = 'm.pid COLLATE "C"'
TEXT = "JOIN media_text t ON t.media = m.id"

NOW = "$1::timestamptz"
"""The time at which a search is answered: the first value of each."""

PAST = f"m.expires_at <= {NOW}"
# An expiry that has passed counts, whether or not the sweeper came by: see ContentRow.status_at.
EXPIRED = f"(m.status = 'expired' OR m.status IN ('pending', 'ready', 'failed') AND {PAST})"
LIVE = f"m.status <> 'expired' AND (m.expires_at IS NULL OR m.expires_at > {NOW})"

SEPARATORS = {chr(code): " " for code in range(1, 128) if not chr(code).isalnum()}
"""What parts words; the same in the database's function `search_words`."""
LONGEST_WORD = 100


class Where:
    """Conditions that grow, with the tables that they need and the values that they are about."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.conditions: list[str] = ["m.deleted_at IS NULL"]
        self.on_key: dict[str, list[str]] = {}
        """Those on something that records can be sorted by, by its expression."""
        self.joins: list[str] = []
        self.is_narrow = False
        """Whether an index leads to one record, or to few: no use in looking elsewhere first."""

    def value(self, value: Any, kind: str) -> str:
        """A place for a value."""
        self.values.append(value)
        return f"${len(self.values)}::{kind}"

    def add(self, condition: str, *, join: str | None = None, key: str | None = None) -> None:
        self.conditions.append(condition)
        if key is not None:
            self.on_key.setdefault(key, []).append(condition)
        if join is not None and join not in self.joins:
            self.joins.append(join)

    def sql(self) -> str:
        return " AND ".join(self.conditions)


class Asked(Struct, frozen=True, kw_only=True):
    """What a search is about, and who asks when. `fields`: those that it names, as they are declared; `where`: its condition."""

    filters: Filters
    identity: Identity
    now: datetime
    fields: Mapping[str, Field]
    where: Condition | None = None


def conditions(asked: Asked) -> Where:
    """Everything that a record has to be. Raises `SearchInvalid`."""
    where = Where()
    filters = asked.filters
    where.value(asked.now, "timestamptz")
    where.add(f"{NOW} IS NOT NULL")  # PostgreSQL wants every value to be used, and not every search looks at the time
    readable = readable_by(where, asked.identity)
    _names(where, filters)
    _tags(where, filters)
    if filters.metadata is not UNSET:
        where.add(f"m.metadata @> {where.value(filters.metadata, 'jsonb')}")
    if asked.where is not None:
        _where(where, asked.where, readable)
    if filters.store:
        stores = where.value(filters.store, "text[]")
        where.add(f"m.store = ANY (ARRAY(SELECT id FROM store WHERE name = ANY ({stores})))")
    if filters.owner:
        where.add(f"m.owner = ANY ({where.value(filters.owner, 'text[]')})")
    if filters.access:
        where.add(f"m.access = ANY ({where.value(filters.access, 'text[]')})")
    _content(where, filters)
    _times(where, filters)
    if filters.q is not None:
        where.add(f"t.words @@ lower({where.value(words_query(filters.q), 'text')})::tsquery", join=TEXT)
    for name, range in filters.fields.items():
        field = asked.fields[name]
        bounds = {operator: value_of(given, field) for operator, given in given_bounds(range).items()}
        _bounded(where, field_expression(field), bounds, SQL_TYPES[field.type])
    _status(where, filters.status, asked.identity)
    if readable is not None:
        where.add(readable)
    return where


def field_expression(field: Field, *, metadata: str = "m.metadata") -> str:
    """What the field's index is on, word for word. The path stands in it, for an index can't have parameters."""
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in field.path)
    collation = ' COLLATE "C"' if field.type == "text" else ""
    return f"({FUNCTIONS[field.type]}({metadata}, ARRAY[{names}]){collation})"


def readable_by(where: Where, identity: Identity) -> str | None:
    """What `accounts.access.may_read` says, in SQL; None where all may be read. Each part has an index that can find it."""
    public = f"m.access = 'public' AND m.public_at IS NULL OR m.public_at <= {NOW}"
    if not identity.known or "read" not in identity.scopes:
        return f"({public})"
    if identity.administrator:
        return None
    listed = _listed(where, identity, "readers", "writers")
    return f"({public} OR m.access = 'internal' OR m.owner = {where.value(identity.name, 'text')} OR {listed})"


def words_query(q: str) -> str:
    """The words as tsquery has them, in the case that they came in. Raises `SearchInvalid` where there are none."""
    found = []
    for piece in q.split():
        words = "".join(SEPARATORS.get(character, character) for character in piece).replace("\x00", " ").split(" ")
        quoted = [f"'{word[:LONGEST_WORD]}'" for word in words if word]
        if quoted and piece.endswith("*"):
            quoted[-1] += ":*"
        found += quoted
    if not found:
        raise SearchInvalid(f"q: there is no word in {q!r}; words are letters and digits", field="q")
    return " & ".join(found)


def given_bounds(range: SizeRange | TimeRange | FieldRange) -> dict[str, Any]:
    return {name: getattr(range, name) for name in OPERATORS if not isinstance(getattr(range, name), UnsetType)}


def _listed(where: Where, identity: Identity, *columns: str) -> str:
    principals = where.value(identity.principals, "text[]")
    return " OR ".join(f"m.{column} <> '{{}}' AND m.{column} && {principals}" for column in columns)


def _matching(where: Where, expression: str, pattern: str, *, name: str) -> str:
    """A condition that the text is, or is like, this pattern."""
    text = plain(pattern)
    if "\x00" in pattern:
        raise SearchInvalid(f"{name}: the character U+0000 is in nothing that is stored", field=name)
    if text is not None:
        return f'{expression} COLLATE "C" = {where.value(text, "text")}'
    return f'{expression} COLLATE "C" LIKE {where.value(like(pattern, name=name), "text")}'


def _names(where: Where, filters: Filters) -> None:
    if filters.pid is not None:
        where.add(_matching(where, "m.pid", filters.pid, name="pid"), key=PID)
        where.is_narrow = plain(filters.pid) is not None
    for type, pattern in filters.identifiers.items():
        value = _matching(where, "i.value", pattern, name="identifiers")
        pid = _matching(where, "p.pid", pattern, name="identifiers")
        of_type, of_pid = "", "p.pid_type IS NOT NULL"
        if type != "*":
            named = where.value(type, "text")
            of_type, of_pid = f"i.type = {named} AND ", f"p.pid_type = {named}"
        # A PID that has a type is an identifier of that type, and is not repeated among the others.
        where.add(
            f"m.id IN (SELECT i.media FROM identifier i WHERE {of_type}{value}"
            f" UNION ALL SELECT p.id FROM media p WHERE p.deleted_at IS NULL AND {of_pid} AND {pid})"
        )


def _where(where: Where, condition: Condition, readable: str | None) -> None:
    """Nothing but plain comparisons is tried on records that the caller may not read: how long the rest takes, and whether it
    fails, would tell of them. CASE keeps the order, which the planner otherwise chooses.
    """

    def path(text: str) -> str:
        return f"{where.value(text, 'text')}::jsonpath"

    if condition.is_plain or (readable is None and not condition.of_times):
        where.add(f"m.metadata @@ {path(condition.text)}")
        return
    if condition.plain is not None:
        where.add(f"m.metadata @@ {path(condition.plain)}")
    # Unlike the operator it compares times with and without an offset; the session's own is UTC.
    matches = f"jsonb_path_match_tz(m.metadata, {path(condition.text)}, silent => true)"
    where.add(matches if readable is None else f"CASE WHEN {readable} THEN {matches} END")


def _tags(where: Where, filters: Filters) -> None:
    tags = filters.tags
    for tag in (*tags.all, *tags.any, *tags.none):
        if "\x00" in tag:
            raise SearchInvalid("tags: the character U+0000 is in nothing that is stored", field="tags")
    if tags.all:
        where.add(f"m.tags @> {where.value(tags.all, 'text[]')}")
    if tags.any:
        where.add(f"m.tags && {where.value(tags.any, 'text[]')}")
    if tags.none:
        where.add(f"NOT m.tags && {where.value(tags.none, 'text[]')}")


def _content(where: Where, filters: Filters) -> None:
    if filters.media_type:
        kinds = [_matching(where, "o.media_type", pattern, name="media_type") for pattern in filters.media_type]
        where.add(f"({' OR '.join(kinds)})", join=CONTENT)
    bounds = given_bounds(filters.size)
    if bounds:
        _bounded(where, "o.size", bounds, "bigint", join=CONTENT)
    if filters.checksum is not None:
        digests = where.value([filters.checksum.lower()], "jsonb")
        # The planner can't know how many objects have a digest. It takes a list for a short one, and this one is.
        where.add(
            "m.current_object = ANY (ARRAY(SELECT d.id FROM stored_object d"
            f" WHERE d.state = 'stored' AND jsonb_path_query_array(d.checksums, '$.*.value') @> {digests}))"
        )
        where.is_narrow = True


def _times(where: Where, filters: Filters) -> None:
    for name, range in (
        ("created_at", filters.created_at),
        ("updated_at", filters.updated_at),
        ("expires_at", filters.expires_at),
    ):
        bounds = {operator: sensible(moment, name=name) for operator, moment in given_bounds(range).items()}
        _bounded(where, f"m.{name}", bounds, "timestamptz")


def _bounded(where: Where, expression: str, bounds: Mapping[str, Any], kind: str, *, join: str | None = None) -> None:
    for operator, bound in bounds.items():
        where.add(f"{expression} {OPERATORS[operator]} {where.value(bound, kind)}", join=join, key=expression)


def _status(where: Where, wanted: Sequence[Findable], identity: Identity) -> None:
    """Expired records are found when asked for, by those who may give them more time; to others they are gone (410)."""
    if not wanted:
        where.add(LIVE)
        return
    found = []
    alive = [status for status in wanted if status in {"pending", "ready", "failed"}]
    if alive:
        found.append(f"m.status = ANY ({where.value(alive, 'text[]')}) AND NOT coalesce({PAST}, false)")
    if "lost" in wanted:
        found.append("m.status = 'lost'")
    if "expired" in wanted and may_create(identity):
        expired = EXPIRED
        if not identity.administrator:
            named = where.value(identity.name, "text")
            expired += f" AND (m.owner = {named} OR {_listed(where, identity, 'writers')})"
        found.append(expired)
    where.add(f"({' OR '.join(found)})" if found else "false")
