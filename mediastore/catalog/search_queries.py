"""Searches as statements: a page, a count, facets.

A page is one statement that looks twice. *Near*: the next few thousand records in the wanted order, filtered; where many match,
they fill the page, and no index of a filter is needed. *Far*: only if they did not: all that match, by indexes that fit, sorted.
Between the two, where near has almost filled the page and reading on is cheap, a *wide* look at some more.
Left to itself the planner would choose between the two by a guess of how many match; if it guesses wrong of a rare tag, it reads
every record.
"""

from collections.abc import Sequence

import asyncpg
from msgspec import Struct

from mediastore.catalog.errors import SearchInvalid
from mediastore.catalog.filter_queries import CONTENT, Where
from mediastore.catalog.json_conditions import Condition, condition
from mediastore.catalog.queries import MEDIA, MediaRow
from mediastore.catalog.search_schemas import FacetValue
from mediastore.database import Connection

NEAR = 1000
NEAR_PER_ITEM = 20
"""How many records are looked at before the indexes are asked: cheap beside what those cost where every twentieth matches."""

WIDER = 8
"""By how much fewer than wanted may have been found for another, wider look to be worth while."""

NOT_A_CONDITION = "22038"
"""PostgreSQL's code for a path that does not come to one boolean."""

MOST_BYTES = 16 * 1024 * 1024
"""Of metadata on one page."""

SAMPLE_ROWS = 20_000
"""Records that an estimate looks at."""


class Order(Struct, frozen=True, kw_only=True):
    """What a page is sorted by. Ties are broken by the record's id."""

    key: str
    kind: str
    """SQL's type of the key."""
    descending: bool = False
    nullable: bool = False
    """Whether records may lack the key; they come last, either way."""
    is_clustered: bool = False
    """Whether records lie on disk about in this order, so that walking along it reads little."""
    of_content: bool = False
    """Whether it is the content that has the key, `o`, and not the record, `m`."""

    @property
    def direction(self) -> str:
        return "DESC" if self.descending else "ASC"

    @property
    def beyond(self) -> str:
        return "<" if self.descending else ">"

    @property
    def ordering(self) -> str:
        id = "" if self.key == "m.id" else f", {'o.media' if self.of_content else 'm.id'} {self.direction}"
        return f"{self.key} {self.direction}{id}"


class Position(Struct, frozen=True, kw_only=True):
    """The last record of a page. `key`: as text; None where it has none."""

    key: str | None
    id: int


class Found(MediaRow, frozen=True, kw_only=True):
    key: str | None
    there: int
    """How many there are of those that were asked for, this page's and what did not fit into it."""


async def begin(connection: Connection, *, timeout_s: float) -> None:
    """In a transaction of the caller's. Plans are made for the values at hand; compiling one would cost more than it saves."""
    await connection.execute(
        f"SET LOCAL statement_timeout = {max(1, int(timeout_s * 1000))};"
        " SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off"
    )


async def read_where(connection: Connection, path: str) -> Condition:
    """Raise `SearchInvalid`, with what PostgreSQL says, for a text that is no condition in its SQL/JSON path language."""
    try:
        text: str
        text, _ = await connection.fetchrow(
            "SELECT $1::text::jsonpath::text, jsonb_path_match_tz('{}', $1::text::jsonpath)", path
        )  # type: ignore[misc]  # always a row
    except asyncpg.QueryCanceledError:
        raise
    except asyncpg.PostgresError as error:
        what = str(error).splitlines()[0]
        if error.sqlstate == NOT_A_CONDITION:
            what = f"{path!r} is no condition; write for example `$.depth > 10`, `exists($.depth)` or `$.checked == true`"
        raise SearchInvalid(f"where: {what}", field="where") from error
    found = condition(text)
    if found.has_variables:
        raise SearchInvalid(f"where: {path!r} has a variable; there are none, write values", field="where")
    return found


async def page(connection: Connection, where: Where, order: Order, *, after: Position | None, limit: int) -> list[Found]:
    """Up to `limit` records behind this position, or as many of them as have `MOST_BYTES` of metadata, but at least one."""
    statement = page_statement(where, order, after=after, limit=limit)
    rows = await connection.fetch(statement, *where.values)
    return [Found(**row) for row in rows]


def page_statement(where: Where, order: Order, *, after: Position | None, limit: int) -> str:
    """The statement of a page; the values that it needs are added to those of the conditions."""
    number = where.value(limit, "bigint")
    parts: list[str] = []
    sources: list[str] = []
    if after is None or after.key is not None or not order.nullable:
        parts += _look("keyed", where, order, on_key=_with_key(where, order, after), number=number, limit=limit)
        sources.append("SELECT id, key, false AS last FROM found_keyed")
    if order.nullable:
        on_key = _without_key(where, order, after if after is not None and after.key is None else None)
        if parts:
            on_key.append(f"(SELECT count(*) FROM found_keyed) < {number}")
        parts += _look("keyless", where, order, on_key=on_key, number=number, limit=limit)
        sources.append("SELECT id, key, true AS last FROM found_keyless")
    ordering = f"ORDER BY f.last, f.key {order.direction}, f.id {order.direction}"
    sized = (
        "SELECT f.*, count(*) OVER () AS there, row_number() OVER sorted AS number,"
        " sum(octet_length(x.metadata::text)) OVER sorted AS bytes"
        f" FROM found f JOIN media x ON x.id = f.id WINDOW sorted AS ({ordering})"
    )
    media = MEDIA.replace("SELECT", "SELECT f.key::text AS key, f.there,", 1)
    return (
        f"WITH {', '.join(parts)}, found AS (SELECT f.* FROM ({' UNION ALL '.join(sources)}) AS f {ordering} LIMIT {number}),"
        f" sized AS ({sized}) {media} JOIN sized f ON f.id = m.id WHERE f.bytes <= {MOST_BYTES} OR f.number = 1 {ordering}"
    )


def _look(name: str, where: Where, order: Order, *, on_key: Sequence[str], number: str, limit: int) -> list[str]:
    """The first records of those that these conditions on the key leave: near, wide and far, of which one is gone."""
    keyed = name == "keyed"
    key = order.key if keyed else f"NULL::{order.kind}"
    content = "" if not order.of_content else CONTENT if keyed else f"LEFT {CONTENT}"
    joins = " ".join([content, *(join for join in where.joins if join != content)])
    sorted_by = f"key {order.direction}, id {order.direction} LIMIT {number}"
    far = f"SELECT m.id, {key} AS key FROM media m {joins} WHERE {' AND '.join([where.sql(), *on_key])}"
    if where.is_narrow or (order.of_content and not keyed):  # no index has the records without content, in any order
        return [f"found_{name} AS MATERIALIZED (SELECT id, key FROM ({far}) AS far ORDER BY {sorted_by})"]

    def walk(most: int, *gate: str) -> str:
        looked_at = _looked_at(order, keyed=keyed, key=key, on_key=[*on_key, *gate], most=most)
        return f"SELECT m.id, l.key FROM {looked_at} {joins} WHERE {where.sql()} ORDER BY {sorted_by}"

    looks = ["near"]
    most = NEAR + NEAR_PER_ITEM * limit
    parts = [f"near_{name} AS MATERIALIZED ({walk(most)})"]
    if order.is_clustered:
        found = f"(SELECT count(*) FROM near_{name})"
        promising = f"{found} BETWEEN {max(1, limit // WIDER)} AND {number} - 1"
        parts.append(f"wide_{name} AS MATERIALIZED ({walk(2 * WIDER * most, promising)})")
        looks.append("wide")
    counts = [f"(SELECT count(*) FROM {look}_{name})" for look in looks]
    parts.append(f"far_{name} AS MATERIALIZED ({far} AND {' AND '.join(f'{count} < {number}' for count in counts)})")
    filled = [f"SELECT id, key FROM {look}_{name} WHERE {count} >= {number}" for look, count in zip(looks, counts, strict=True)]
    all_of_far = f"(SELECT id, key FROM far_{name} ORDER BY {sorted_by})"
    return [*parts, f"found_{name} AS MATERIALIZED ({' UNION ALL '.join([*filled, all_of_far])})"]


def _looked_at(order: Order, *, keyed: bool, key: str, on_key: Sequence[str], most: int) -> str:
    """The next records in the wanted order as `m`, with their `l.key`: what one index gives, before anything is joined to it."""
    if order.of_content:
        conditions = " AND ".join(["o.state = 'stored'", *on_key])
        first = (
            f"SELECT o.id, o.media, {key} AS key FROM stored_object o WHERE {conditions} ORDER BY {order.ordering} LIMIT {most}"
        )
        return f"({first}) AS l JOIN media m ON m.id = l.media AND m.current_object = l.id"
    ordering = order.ordering if keyed else f"m.id {order.direction}"
    conditions = " AND ".join(["m.deleted_at IS NULL", *on_key])
    first = f"SELECT m.*, {key} AS key FROM media m WHERE {conditions} ORDER BY {ordering} LIMIT {most}"
    return f"({first}) AS m CROSS JOIN LATERAL (SELECT m.key) AS l (key)"


def _with_key(where: Where, order: Order, after: Position | None) -> list[str]:
    """Conditions on records that have the key and come behind this position; those of the search on the key itself among them,
    for they say where in its index to begin.
    """
    found = [*where.on_key.get(order.key, ()), *([f"{order.key} IS NOT NULL"] if order.nullable else ())]
    if after is not None:
        id = where.value(after.id, "bigint")
        if order.key == "m.id":
            found.append(f"m.id {order.beyond} {id}")
        else:
            key = where.value(after.key, "text") + f"::{order.kind}"
            found.append(f"({order.key}, {'o.media' if order.of_content else 'm.id'}) {order.beyond} ({key}, {id})")
    return found


def _without_key(where: Where, order: Order, after: Position | None) -> list[str]:
    """The same of those that lack it, which are in the order of their ids."""
    found = ["o.id IS NULL" if order.of_content else f"{order.key} IS NULL"]
    if after is not None:
        found.append(f"m.id {order.beyond} {where.value(after.id, 'bigint')}")
    return found


async def exact_count(connection: Connection, where: Where) -> int:
    count: int = await connection.fetchval(
        f"SELECT count(*) FROM media m {' '.join(where.joins)} WHERE {where.sql()}", *where.values
    )
    return count


async def estimated_count(connection: Connection, where: Where) -> int:
    """From a sample of the records, held against the same conditions. The planner's own guess would tell of records that the
    caller may not read.
    """
    rows: float = await connection.fetchval("SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'media'::regclass")
    percent = min(100.0, SAMPLE_ROWS / rows * 100)
    statement = f"""
        SELECT count(*) FROM media m TABLESAMPLE SYSTEM ({where.value(percent, "float8")}) {" ".join(where.joins)}
        WHERE {where.sql()}
        """
    count: int = await connection.fetchval(statement, *where.values)
    return round(count * 100 / percent)


class Facet(Struct, frozen=True, kw_only=True):
    """Something that records are counted by."""

    name: str
    expression: str
    shown: str = "v"
    """From the value `v` that was counted to what people know it by."""
    join: str | None = None
    each: bool = False
    """Whether a record has a list of values."""


async def facets(connection: Connection, where: Where, wanted: Sequence[Facet], *, limit: int) -> dict[str, list[FacetValue]]:
    """The most frequent values of each, of all records that match."""
    number = where.value(limit, "bigint")
    parts = []
    for index, facet in enumerate(wanted):
        joins = " ".join([*where.joins, *([f"LEFT {facet.join}"] if facet.join and facet.join not in where.joins else ())])
        value = f"unnest({facet.expression})" if facet.each else facet.expression
        given = f"SELECT {value} AS v FROM media m {joins} WHERE {where.sql()}"
        counts = f"SELECT v, count(*) AS count FROM ({given}) AS given GROUP BY v ORDER BY count(*) DESC, v LIMIT {number}"
        parts.append(f"(SELECT {index} AS facet, to_jsonb({facet.shown}) AS value, count FROM ({counts}) AS counts)")
    rows = await connection.fetch(" UNION ALL ".join(parts), *where.values)
    found: dict[str, list[FacetValue]] = {facet.name: [] for facet in wanted}
    for row in rows:
        # As its bytes: numbers can be longer than any of Python's or of the reader's.
        found[wanted[row["facet"]].name].append(FacetValue(value=row["value"], count=row["count"]))
    for counted in found.values():
        counted.sort(key=lambda item: -item.count)
    return found
