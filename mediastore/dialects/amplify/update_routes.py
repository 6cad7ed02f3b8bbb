"""AMPLIfy's calls that change many records, each item for itself: `{successes, failures}`."""

from litestar import delete, patch, put
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.dialects.amplify.many import Many, bulk, merge_metadata, remove_metadata, set_metadata
from mediastore.dialects.amplify.schemas import (
    AmplifyBulk,
    AmplifyIdentifiers,
    AmplifyMediaChanges,
    AmplifyMetadata,
    AmplifyRefusal,
    AmplifyStoreKey,
    AmplifyTags,
)
from mediastore.dialects.faces import speaks
from mediastore.http.errors import BodyInvalid
from mediastore.http.provided import Provided

REFUSALS = {401: AmplifyRefusal, 403: AmplifyRefusal, 422: AmplifyRefusal}


@patch(
    "/media/update",
    **speaks("amplify", body=AmplifyMediaChanges, refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Give many records another store for their next content",
)
async def change_many(
    asked: Provided[AmplifyMediaChanges], account: Provided[Caller], amplify_many: Provided[Many]
) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    if len(asked.pids) != len(asked.medias):
        raise BodyInvalid(f"medias: {len(asked.pids)} pids have {len(asked.medias)} medias; send one for each", field="medias")
    outcomes = await amplify_many.patch(list(zip(asked.pids, asked.medias, strict=True)), caller=account)
    return bulk(asked.pids, outcomes)


@patch(
    "/media/update/tags",
    **speaks("amplify", body=list[AmplifyTags], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Add tags",
)
async def add_tags(asked: Provided[list[AmplifyTags]], account: Provided[Caller], amplify_many: Provided[Many]) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    return await amplify_many.update([(one.pid, {"add_tags": one.tags}) for one in asked], caller=account)


@put(
    "/media/update/tags",
    **speaks("amplify", body=list[AmplifyTags], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Replace tags",
)
async def set_tags(asked: Provided[list[AmplifyTags]], account: Provided[Caller], amplify_many: Provided[Many]) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    return await amplify_many.update([(one.pid, {"tags": one.tags}) for one in asked], caller=account)


@put(
    "/media/update/storekeys",
    **speaks("amplify", body=list[AmplifyStoreKey], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Name the store keys that records have; others are refused",
)
async def keep_keys(
    asked: Provided[list[AmplifyStoreKey]], account: Provided[Caller], amplify_many: Provided[Many]
) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    return await amplify_many.keep_keys(asked, caller=account)


@put(
    "/media/update/identifiers",
    **speaks("amplify", body=list[AmplifyIdentifiers], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Replace identifiers",
)
async def set_identifiers(
    asked: Provided[list[AmplifyIdentifiers]], account: Provided[Caller], amplify_many: Provided[Many]
) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    return await amplify_many.replace_identifiers(asked, caller=account)


@put(
    "/media/update/metadata",
    **speaks("amplify", body=list[AmplifyMetadata], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Set metadata at a place of the tree",
)
async def put_metadata(
    asked: Provided[list[AmplifyMetadata]], account: Provided[Caller], amplify_many: Provided[Many]
) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    return await amplify_many.edit([(one, set_metadata) for one in asked], caller=account)


@patch(
    "/media/update/metadata",
    **speaks("amplify", body=list[AmplifyMetadata], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Merge metadata into a place of the tree",
)
async def patch_metadata(
    asked: Provided[list[AmplifyMetadata]], account: Provided[Caller], amplify_many: Provided[Many]
) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    return await amplify_many.edit([(one, merge_metadata) for one in asked], caller=account)


@delete(
    "/media/update/metadata",
    **speaks("amplify", body=list[AmplifyMetadata], refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Remove metadata at a place of the tree",
)
async def delete_metadata(
    asked: Provided[list[AmplifyMetadata]], account: Provided[Caller], amplify_many: Provided[Many]
) -> AmplifyBulk:
    require(account.identity, "write", to="change records")
    return await amplify_many.edit([(one, remove_metadata) for one in asked], caller=account)


ROUTES = [change_many, add_tags, set_tags, keep_keys, set_identifiers, put_metadata, patch_metadata, delete_metadata]
