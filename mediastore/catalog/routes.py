"""Records, identifier types and history over HTTP."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

from litestar import Controller, Request, delete, get, patch, post, put
from litestar.params import HeaderParameter, PathParameter
from litestar.response import Response
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED, HTTP_204_NO_CONTENT, HTTP_304_NOT_MODIFIED

from mediastore.accounts.schemas import Caller
from mediastore.catalog.batch import Batch
from mediastore.catalog.bulk import Outcome
from mediastore.catalog.identifier_types import IdentifierTypes, try_pattern
from mediastore.catalog.schemas import (
    BatchAnswer,
    BatchRequest,
    BatchResult,
    IdentifierType,
    IdentifierTypeCreate,
    IdentifierTypeList,
    IdentifierTypeReplace,
    Media,
    MediaChange,
    MediaCreate,
    PatternTrial,
    PatternVerdict,
    VersionList,
)
from mediastore.catalog.service import Catalog
from mediastore.http.bodies import accepts
from mediastore.http.conditions import tags, weakly
from mediastore.http.errors import HeaderInvalid
from mediastore.http.paths import quoted, tail
from mediastore.http.problems import problems
from mediastore.http.provided import Provided

AnyRequest: TypeAlias = Request[Any, Any, Any]
Describe: TypeAlias = Callable[[Exception], tuple[int, dict[str, Any]]]
"""From an error to its status and the problem that tells of it."""

Name = Annotated[str, PathParameter(description="The name it was created with", max_length=63)]
IfMatch = Annotated[
    str | None, HeaderParameter(name="If-Match", description="The record's ETag as you know it; 412 when it has changed since")
]
IfNoneMatch = Annotated[str | None, HeaderParameter(name="If-None-Match", description="304 when the record still has this ETag")]


class MediaController(Controller):
    path = "/media"
    tags = ("Records",)

    @post(**accepts(MediaCreate), responses=problems(401, 403, 404, 409, 422), summary="Create a record")
    async def create(self, asked: Provided[MediaCreate], caller: Provided[Caller], catalog: Provided[Catalog]) -> Response[Media]:
        media = await catalog.create(asked, caller=caller)
        return Response(media, status_code=HTTP_201_CREATED, headers={"Location": location(media.pid), "ETag": etag(media)})

    @post(
        "/batch",
        status_code=HTTP_200_OK,
        **accepts(BatchRequest),
        responses=problems(401, 422),
        summary="Create, read, update and delete many records; a result for each",
    )
    async def batch(
        self, asked: Provided[BatchRequest], caller: Provided[Caller], batch: Provided[Batch], describe: Provided[Describe]
    ) -> BatchAnswer:
        outcomes = await batch.run(asked.items, atomic=asked.atomic, dry_run=asked.dry_run, caller=caller)
        return BatchAnswer(items=[result(outcome, describe) for outcome in outcomes])

    @get("/{pid:path}", responses=problems(401, 404, 410), summary="Read a record")
    async def read(
        self, request: AnyRequest, caller: Provided[Caller], catalog: Provided[Catalog], if_none_match: IfNoneMatch = None
    ) -> Response[Media]:
        media = await catalog.read(tail(request), caller=caller)
        headers = {"ETag": etag(media), "Cache-Control": "private, no-cache"}
        known = [] if if_none_match is None else tags(if_none_match, name="If-None-Match")
        if known is None or etag(media) in weakly(known):
            return Response(None, status_code=HTTP_304_NOT_MODIFIED, headers=headers)  # type: ignore[arg-type]  # no body, so no type
        return Response(media, headers=headers)

    @patch(
        "/{pid:path}",
        **accepts(MediaChange),
        responses=problems(401, 403, 404, 409, 410, 412, 422),
        summary="Change a record by JSON merge patch",
    )
    async def change(
        self,
        request: AnyRequest,
        asked: Provided[MediaChange],
        caller: Provided[Caller],
        catalog: Provided[Catalog],
        if_match: IfMatch = None,
    ) -> Response[Media]:
        media = await catalog.change(tail(request), asked, revisions=revisions(if_match), caller=caller)
        return Response(media, headers={"ETag": etag(media)})

    @delete("/{pid:path}", responses=problems(401, 403, 404, 410, 412), summary="Delete a record and its bytes, for good")
    async def remove(
        self, request: AnyRequest, caller: Provided[Caller], catalog: Provided[Catalog], if_match: IfMatch = None
    ) -> None:
        await catalog.delete(tail(request), revisions=revisions(if_match), caller=caller)

    # `batch` and `search` are words of the API for POST, and PIDs like any other for the other methods.
    read_batch = get("/batch", include_in_schema=False)(read.fn)
    change_batch = patch("/batch", include_in_schema=False, **accepts(MediaChange))(change.fn)
    remove_batch = delete("/batch", include_in_schema=False)(remove.fn)
    read_search = get("/search", include_in_schema=False)(read.fn)
    change_search = patch("/search", include_in_schema=False, **accepts(MediaChange))(change.fn)
    remove_search = delete("/search", include_in_schema=False)(remove.fn)


class IdentifierTypeController(Controller):
    path = "/identifier-types"
    tags = ("Identifier types",)

    @get(responses=problems(401), summary="List identifier types")
    async def list_types(self, caller: Provided[Caller], identifier_types: Provided[IdentifierTypes]) -> IdentifierTypeList:
        return IdentifierTypeList(items=await identifier_types.list(caller=caller))

    @post(**accepts(IdentifierTypeCreate), responses=problems(401, 403, 409, 422), summary="Create an identifier type")
    async def create(
        self, asked: Provided[IdentifierTypeCreate], caller: Provided[Caller], identifier_types: Provided[IdentifierTypes]
    ) -> IdentifierType:
        return await identifier_types.create(asked, caller=caller)

    @get("/{name:str}", responses=problems(401, 404), summary="Read an identifier type")
    async def read(self, name: Name, caller: Provided[Caller], identifier_types: Provided[IdentifierTypes]) -> IdentifierType:
        return await identifier_types.read(name, caller=caller)

    @put(
        "/{name:str}",
        **accepts(IdentifierTypeReplace),
        responses=problems(401, 403, 404, 409, 422),
        summary="Replace an identifier type",
    )
    async def replace(
        self,
        name: Name,
        asked: Provided[IdentifierTypeReplace],
        caller: Provided[Caller],
        identifier_types: Provided[IdentifierTypes],
    ) -> IdentifierType:
        return await identifier_types.replace(name, asked, caller=caller)

    @delete("/{name:str}", responses=problems(401, 403, 404, 409), summary="Delete an identifier type that no record uses")
    async def remove(self, name: Name, caller: Provided[Caller], identifier_types: Provided[IdentifierTypes]) -> None:
        await identifier_types.delete(name, caller=caller)


@post(
    "/identifier-patterns/try",
    tags=["Identifier types"],
    status_code=HTTP_200_OK,
    **accepts(PatternTrial),
    responses=problems(401, 422),
    summary="Try a pattern on values, before it is that of an identifier type",
)
async def try_patterns(asked: Provided[PatternTrial], caller: Provided[Caller]) -> PatternVerdict:
    return try_pattern(asked, caller=caller)


@get("/versions/{pid:path}", tags=["Records"], responses=problems(401, 404, 410), summary="The contents that a record has or had")
async def versions(request: AnyRequest, caller: Provided[Caller], catalog: Provided[Catalog]) -> VersionList:
    return VersionList(items=await catalog.versions(tail(request), caller=caller))


def etag(media: Media) -> str:
    return f'"{media.revision}"'


def location(pid: str) -> str:
    return f"/api/v1/media/{quoted(pid)}"


def revisions(if_match: str | None) -> list[int] | None:
    """The revisions that an If-Match header allows; None for any."""
    if if_match is None:
        return None
    found = tags(if_match, name="If-Match")
    if found is None:
        return None
    if not all(tag.strip('"').isdecimal() and len(tag) < 20 for tag in found):
        raise HeaderInvalid(f'If-Match: {if_match!r} is no ETag of a record; it looks like "3"')
    return [int(tag.strip('"')) for tag in found]


def result(outcome: Outcome, describe: Describe) -> BatchResult:
    if outcome.error is not None:
        status, problem = describe(outcome.error)
        return BatchResult(status=status, pid=outcome.pid, problem=problem)
    statuses = {"create": HTTP_201_CREATED, "delete": HTTP_204_NO_CONTENT}
    return BatchResult(status=statuses.get(outcome.op, HTTP_200_OK), pid=outcome.pid, media=outcome.media)
