"""What happened, what was, and who is meant, over HTTP."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Controller, Request, get
from litestar.di import Provide
from litestar.params import PathParameter, QueryParameter
from litestar.response import Response, Stream
from litestar.status_codes import HTTP_200_OK, HTTP_300_MULTIPLE_CHOICES

from mediastore.accounts.schemas import Caller
from mediastore.catalog.history import History, Wanted
from mediastore.catalog.resolve import Resolver
from mediastore.catalog.revisions import PastMedia
from mediastore.catalog.routes import etag, location
from mediastore.catalog.schemas import Moment, ResolvedMany
from mediastore.events.schemas import Event, EventPage, SubjectKind
from mediastore.http.cursors import Cursor, Limit, opaque, position
from mediastore.http.errors import RequestError
from mediastore.http.paths import tail
from mediastore.http.problems import problems
from mediastore.http.provided import Provided

NDJSON = "application/x-ndjson"
AnyRequest: TypeAlias = Request[Any, Any, Any]

Kind = Annotated[SubjectKind | None, QueryParameter(description="What sort of thing it happened to")]
Subject = Annotated[
    str | None, QueryParameter(max_length=255, description="What it happened to: a PID, or the name of a store, an account, …")
]
Actor = Annotated[str | None, QueryParameter(max_length=255, description="Who did it; `system` for the server itself")]
Action = Annotated[str | None, QueryParameter(max_length=63, description="What was done, such as `changed`, `deleted`, `read`")]
Since = Annotated[str | None, QueryParameter(max_length=40, description="At this time or later: RFC 3339, with its offset")]
Until = Annotated[str | None, QueryParameter(max_length=40, description="Before this time")]
Reads = Annotated[bool, QueryParameter(description="Also downloads, which are many")]
Revision = Annotated[
    int | None, QueryParameter(ge=1, le=2**53, description="The revision that is wanted; without it, the newest")
]


@get(
    "/history/{pid:path}", tags=["History"], responses=problems(401, 404, 422), summary="What happened to a record, oldest first"
)
async def history(
    request: AnyRequest,
    caller: Provided[Caller],
    record_history: Provided[History],
    reads: Reads = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> EventPage:
    items, more = await record_history.of_record(
        tail(request), reads=reads, after=position(cursor) or 0, limit=limit, caller=caller
    )
    return EventPage(items=items, next=opaque(more))


@get(
    "/revisions/{pid:path}",
    tags=["History"],
    responses=problems(400, 401, 403, 404, 422),
    summary="A record as it was at a revision",
)
async def revisions(
    request: AnyRequest, caller: Provided[Caller], record_history: Provided[History], revision: Revision = None
) -> PastMedia:
    return await record_history.as_it_was(tail(request), revision, caller=caller)


async def wanted_events(
    kind: Kind = None,
    subject: Subject = None,
    actor: Actor = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    reads: Reads = False,
) -> Wanted:
    """The dependency `wanted`: which events a request asks for."""
    return Wanted(
        kind=kind,
        subject=subject,
        actor=actor,
        action=action,
        since=_moment(since, name="since"),
        until=_moment(until, name="until"),
        reads=reads,
    )


class EventController(Controller):
    path = "/events"
    tags = ("History",)
    dependencies = {"wanted": Provide(wanted_events)}

    @get(
        responses=problems(400, 401, 403, 422),
        summary="What happened to everything, newest first",
        description="Administrators see everything, others what happened to records that they may read.",
    )
    async def list_events(
        self,
        caller: Provided[Caller],
        record_history: Provided[History],
        wanted: Provided[Wanted],
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> EventPage:
        items, more = await record_history.page(wanted, before=position(cursor), limit=limit, caller=caller)
        return EventPage(items=items, next=opaque(more))

    @get(
        "/export",
        media_type=NDJSON,
        responses=problems(400, 401, 403, 422),
        summary="The same for programs: all of it, oldest first, an event a line",
    )
    async def export(
        self,
        caller: Provided[Caller],
        record_history: Provided[History],
        wanted: Provided[Wanted],
    ) -> Response[Any]:
        return Stream(_as_lines(await record_history.export(wanted, caller=caller)), media_type=NDJSON)


@get(
    "/resolve/{type:str}/{value:path}",
    tags=["Records"],
    status_code=HTTP_200_OK,
    responses=problems(401, 404, 410, 422),
    summary="The record that has an identifier",
    description="300 with several records where the type allows that; the first 100, oldest first.",
)
async def resolve(
    request: AnyRequest,
    type: Annotated[str, PathParameter(max_length=63, description="The identifier's type")],
    caller: Provided[Caller],
    resolver: Provided[Resolver],
) -> Response[Any]:
    found = await resolver.resolve(type, tail(request).partition("/")[2], caller=caller)
    if len(found) > 1:
        return Response(ResolvedMany(items=found), status_code=HTTP_300_MULTIPLE_CHOICES)
    headers = {"ETag": etag(found[0]), "Content-Location": location(found[0].pid), "Cache-Control": "private, no-cache"}
    return Response(found[0], headers=headers)


def _moment(text: str | None, *, name: str) -> datetime | None:
    try:
        return None if text is None else msgspec.convert(text, Moment)
    except msgspec.ValidationError as error:
        hint = "; a + in a URL is written %2B" if " " in (text or "") else ""
        raise RequestError(f"{name}={text!r} is no time with its offset, such as 2026-01-31T12:00:00Z{hint}") from error


async def _as_lines(events: AsyncIterator[list[Event]]) -> AsyncIterator[bytes]:
    async for page in events:
        yield msgspec.json.Encoder().encode_lines(page)
