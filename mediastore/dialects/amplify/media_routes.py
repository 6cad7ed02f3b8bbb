"""AMPLIfy's calls about records."""

from typing import Any, TypeAlias

from litestar import Request, Response, delete, get, patch, post
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog.service import Catalog
from mediastore.dialects.amplify.many import Many
from mediastore.dialects.amplify.refusals import refusal, status_of
from mediastore.dialects.amplify.schemas import (
    AmplifyBulk,
    AmplifyMedia,
    AmplifyMediaChange,
    AmplifyMediaWanted,
    AmplifyRefusal,
    AmplifySearch,
    Pids,
)
from mediastore.dialects.faces import speaks
from mediastore.http.paths import tail
from mediastore.http.provided import Provided

AnyRequest: TypeAlias = Request[Any, Any, Any]
REFUSALS = {401: AmplifyRefusal, 403: AmplifyRefusal, 422: AmplifyRefusal}
OF_ONE = {**REFUSALS, 404: AmplifyRefusal}


@post(
    "/media", **speaks("amplify", body=AmplifyMediaWanted, refusals=REFUSALS), status_code=HTTP_200_OK, summary="Create a record"
)
async def create(
    request: AnyRequest, asked: Provided[AmplifyMediaWanted], account: Provided[Caller], amplify_many: Provided[Many]
) -> Response[AmplifyMedia]:
    require(account.identity, "write", to="create records")
    made, errors = await amplify_many.create([asked], caller=account)
    return Response(made[0]) if made else Response(refusal(*errors), status_code=status_of(request, errors[0]))  # type: ignore[arg-type]


@post(
    "/media/create",
    **speaks("amplify", body=list[AmplifyMediaWanted], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Create many records, or none",
)
async def create_many(
    request: AnyRequest, asked: Provided[list[AmplifyMediaWanted]], account: Provided[Caller], amplify_many: Provided[Many]
) -> Response[list[AmplifyMedia]]:
    require(account.identity, "write", to="create records")
    made, errors = await amplify_many.create(asked, caller=account)
    return Response(refusal(*errors), status_code=status_of(request, errors[0])) if errors else Response(made)  # type: ignore[arg-type]


@post(
    "/media/read", **speaks("amplify", body=Pids, refusals=REFUSALS), status_code=HTTP_200_OK, summary="Read those that are there"
)
async def read_many(asked: Provided[Pids], account: Provided[Caller], amplify_many: Provided[Many]) -> list[AmplifyMedia]:
    require(account.identity, "read", to="read records")
    return await amplify_many.read(asked, caller=account)


@post(
    "/media/search",
    **speaks("amplify", body=AmplifySearch, refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Find records by tags: those that have any of them",
)
async def search(asked: Provided[AmplifySearch], account: Provided[Caller], amplify_many: Provided[Many]) -> list[AmplifyMedia]:
    require(account.identity, "read", to="search records")
    return await amplify_many.found(asked.tags, caller=account)


@get("/media/dump", **speaks("amplify", refusals=REFUSALS), summary="List every record that I may read")
async def dump(account: Provided[Caller], amplify_many: Provided[Many]) -> list[AmplifyMedia]:
    require(account.identity, "read", to="list records")
    return await amplify_many.found(None, caller=account)


@post(
    "/media/delete",
    **speaks("amplify", body=Pids, refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Delete many records and their bytes",
)
async def delete_many(asked: Provided[Pids], account: Provided[Caller], amplify_many: Provided[Many]) -> AmplifyBulk:
    require(account.identity, "write", to="delete records")
    return await amplify_many.delete(asked, caller=account)


@get("/media/{pid:path}", **speaks("amplify", refusals=OF_ONE), summary="Read a record")
async def read(request: AnyRequest, account: Provided[Caller], amplify_many: Provided[Many]) -> AmplifyMedia:
    require(account.identity, "read", to="read records")
    return await amplify_many.read_one(tail(request), caller=account)


@patch(
    "/media/{pid:path}",
    **speaks("amplify", body=AmplifyMediaChange, refusals=OF_ONE),
    status_code=HTTP_204_NO_CONTENT,
    summary="Give a record another store for its next content",
)
async def change(
    request: AnyRequest, asked: Provided[AmplifyMediaChange], account: Provided[Caller], amplify_many: Provided[Many]
) -> None:
    require(account.identity, "write", to="change records")
    [outcome] = await amplify_many.patch([(tail(request), asked)], caller=account)
    if outcome.error is not None:
        raise outcome.error


@delete("/media/{pid:path}", **speaks("amplify", refusals=OF_ONE), summary="Delete a record and its bytes")
async def remove(request: AnyRequest, account: Provided[Caller], catalog: Provided[Catalog]) -> None:
    require(account.identity, "write", to="delete records")
    await catalog.delete(tail(request), revisions=None, caller=account)


ROUTES = [create, create_many, read_many, search, dump, delete_many, read, change, remove]
