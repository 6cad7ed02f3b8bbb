"""Finding records: a page of them, how many there are, and which values they have, of all that the caller may read."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from msgspec import UNSET, structs

from mediastore.accounts.schemas import Caller
from mediastore.catalog import field_queries, identifier_type_queries, search_cursors
from mediastore.catalog import search_queries as queries
from mediastore.catalog.errors import SearchInvalid, SearchTooSlow
from mediastore.catalog.field_values import Field
from mediastore.catalog.filter_queries import Asked, conditions, given_bounds
from mediastore.catalog.merge import check_numbers, holds_nul
from mediastore.catalog.orders import FACETS, NEWEST, ORDERS, field_facet, field_order
from mediastore.catalog.search_queries import Facet, Order, Position
from mediastore.catalog.search_schemas import Count, FacetValue, Filters, SearchPage, SearchRequest
from mediastore.catalog.turns import Turns
from mediastore.clock import Clock
from mediastore.database import Connection, Database, QueryTooSlow


class Search:
    """`timeout_s` is the limit of each statement, `count_timeout_s` that of an exact count."""

    def __init__(
        self,
        database: Database,
        *,
        timeout_s: float,
        count_timeout_s: float,
        turns: Turns,
        clock: Clock,
    ) -> None:
        self._database = database
        self._timeout_s = timeout_s
        self._count_timeout_s = min(count_timeout_s, timeout_s)
        self._clock = clock
        self._turns = turns

    async def run(self, request: SearchRequest, *, caller: Caller) -> SearchPage:
        """What is found. Raises `SearchInvalid`, naming what is wrong and what there is, `SearchTooSlow` and `SearchBusy`."""
        async with self._turns.taken():
            return await self._found(request, caller=caller)

    async def checked(self, filters: Filters, *, caller: Caller) -> Asked:
        """The filters, for who goes through all that match by statements of its own. Raises `SearchInvalid`."""
        given = {name: getattr(filters, name) for name in Filters.__struct_fields__}
        request = SearchRequest(**given)
        if request.metadata is not UNSET:
            check_metadata(request.metadata)
        asked = Asked(filters=filters, identity=caller.identity, now=self._clock(), fields=await self._fields(request))
        if request.where is not None:
            async with self._limited(request, self._timeout_s) as connection:
                asked = structs.replace(asked, where=await queries.read_where(connection, request.where))
        conditions(asked)
        return asked

    async def _found(self, request: SearchRequest, *, caller: Caller) -> SearchPage:
        now = self._clock()
        if request.metadata is not UNSET:
            check_metadata(request.metadata)
        mark = search_cursors.mark(request)
        after = None if request.cursor is None else search_cursors.read(request.cursor, mark)
        fields = await self._fields(request)
        asked = Asked(filters=request, identity=caller.identity, now=now, fields=fields)
        order = order_of(request, fields)
        async with self._limited(request, self._timeout_s) as connection:
            if request.where is not None:
                asked = structs.replace(asked, where=await queries.read_where(connection, request.where))
            rows = await queries.page(connection, conditions(asked), order, after=after, limit=request.limit + 1)
            if not rows and request.identifiers:
                await check_types(connection, request, asked)
        page = rows[: request.limit]
        more = bool(rows) and rows[0].there > len(page)
        return SearchPage(
            items=[row.shown(now) for row in page],
            next=search_cursors.written(Position(key=page[-1].key, id=page[-1].id), mark) if more else None,
            count=await self._count(request, asked) if request.count else UNSET,
            facets=await self._facets(request, asked) if request.facets else UNSET,
        )

    async def _fields(self, request: SearchRequest) -> dict[str, Field]:
        """The declared fields that the search names."""
        sort = (request.sort or "").removeprefix("-")
        named = {*request.fields, *({sort} - {"", *ORDERS}), *(set(request.facets) - set(FACETS))}
        if not named:
            return {}
        async with self._database.connection() as connection:
            known = {row.name: row.field for row in await field_queries.fields(connection)}
        for name in sorted(named - set(known)):
            there = ", ".join(sorted(known)) or "none yet"
            if name in request.fields:
                raise SearchInvalid(f"there is no declared field {name!r}; there are: {there}", field=name)
            what, builtin = ("sort by", ORDERS) if name == sort else ("count the values of", FACETS)
            raise SearchInvalid(
                f"there is no {name!r} to {what}; there are: {', '.join(builtin)}, and declared fields: {there}", field=name
            )
        return {name: known[name] for name in named}

    async def _count(self, request: SearchRequest, asked: Asked) -> Count:
        try:
            async with self._limited(request, self._count_timeout_s) as connection:
                return Count(value=await queries.exact_count(connection, conditions(asked)), exact=True)
        except SearchTooSlow:
            pass
        async with self._limited(request, self._timeout_s) as connection:
            return Count(value=await queries.estimated_count(connection, conditions(asked)), exact=False)

    async def _facets(self, request: SearchRequest, asked: Asked) -> dict[str, list[FacetValue]]:
        wanted: Sequence[Facet] = [
            FACETS[name] if name in FACETS else field_facet(asked.fields[name]) for name in dict.fromkeys(request.facets)
        ]
        async with self._limited(request, self._timeout_s) as connection:
            return await queries.facets(connection, conditions(asked), wanted, limit=request.facet_limit)

    @asynccontextmanager
    async def _limited(self, request: SearchRequest, timeout_s: float) -> AsyncIterator[Connection]:
        try:
            async with self._database.transaction() as connection:
                await queries.begin(connection, timeout_s=timeout_s)
                yield connection
        except QueryTooSlow as error:
            raise SearchTooSlow(
                f"the search took longer than {timeout_s:g} s and was cut; {how_to_narrow(request)}", timeout_s=timeout_s
            ) from error


async def check_types(connection: Connection, request: SearchRequest, asked: Asked) -> None:
    """Raise `SearchInvalid` for an identifier type that is not there. Asked when nothing was found, as it then never is."""
    known = {item.name for item in await identifier_type_queries.identifier_types(connection)}
    for type in request.identifiers:
        if type != "*" and type not in known:
            there = f"; there are: {', '.join(sorted(known)) or 'none yet'}" if asked.identity.known else ""
            raise SearchInvalid(f"there is no identifier type {type!r}{there}", field="identifiers")


def order_of(request: SearchRequest, fields: dict[str, Field]) -> Order:
    if request.sort is None:
        return NEWEST
    name = request.sort.removeprefix("-")
    order = ORDERS[name] if name in ORDERS else field_order(fields[name])
    return structs.replace(
        order,
        descending=request.sort.startswith("-"),
        # A record that a filter of the same thing finds has it.
        nullable=order.nullable and not _is_filtered(request, name),
    )


def _is_filtered(request: SearchRequest, name: str) -> bool:
    if name == "size" and request.media_type:
        return True
    bounds = request.fields.get(name) if name not in ORDERS else getattr(request, name)
    return bounds is not None and bool(given_bounds(bounds))


def check_metadata(metadata: msgspec.Raw) -> None:
    if not bytes(metadata).lstrip().startswith(b"{"):
        raise SearchInvalid("metadata: write a JSON object that the metadata has to contain", field="metadata")
    if holds_nul(metadata):
        raise SearchInvalid("metadata: the character U+0000 is in nothing that is stored", field="metadata")
    try:
        check_numbers(metadata)
    except (ValueError, ArithmeticError) as error:
        raise SearchInvalid(f"metadata: {error}", field="metadata") from error


def how_to_narrow(request: SearchRequest) -> str:
    """What of this search reads many records, and what would have an index."""
    hints = []
    if request.facets:
        hints.append("facets read every record that matches: ask for those of fewer")
    if request.pid is not None and request.pid[0] in "*?":
        hints.append("`pid` begins with a wildcard: begin it with characters")
    if request.where is not None:
        hints.append("`where` is quick where it says that something equals a value; declare fields for ranges")
    if request.sort is not None and request.sort.removeprefix("-") not in ORDERS:
        hints.append("is the field that it is sorted by `ready`? `GET /metadata-fields` tells")
    hints.append("add what has an index: a PID or how it begins, an identifier, a tag, an owner, metadata, a declared field")
    return "; ".join(hints)
