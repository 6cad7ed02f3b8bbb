"""AMPLIfy's calls about stores, S3 configs and identifier types."""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.params import PathParameter
from litestar.status_codes import HTTP_200_OK, HTTP_204_NO_CONTENT
from msgspec import UNSET

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog.identifier_types import IdentifierTypes
from mediastore.catalog.schemas import IdentifierTypeCreate, IdentifierTypeReplace
from mediastore.dialects.amplify.records import Records, check_type, numbered_place
from mediastore.dialects.amplify.schemas import (
    AmplifyIdentifierType,
    AmplifyIdentifierTypeWanted,
    AmplifyRefusal,
    AmplifyS3Config,
    AmplifyS3ConfigWanted,
    AmplifyStore,
    AmplifyStoreWanted,
)
from mediastore.dialects.amplify.stores import config_name, same_url
from mediastore.dialects.faces import speaks
from mediastore.http.provided import Provided
from mediastore.placement.directory import Directory, Service
from mediastore.placement.errors import S3ConfigExists, S3ConfigNotFound
from mediastore.placement.schemas import S3ConfigCreate, S3ConfigReplace
from mediastore.placement.service import Placement

REFUSALS = {401: AmplifyRefusal, 403: AmplifyRefusal, 422: AmplifyRefusal}
OF_ONE = {**REFUSALS, 404: AmplifyRefusal}
ANYTHING = ".*"
"""What an empty pattern of that system comes to."""
Name = Annotated[str, PathParameter(description="The name it was created with", max_length=63)]
Number = Annotated[int, PathParameter(description="Its pk")]


@get("/stores", **speaks("amplify", refusals=REFUSALS), summary="List stores")
async def list_stores(
    account: Provided[Caller], directory: Provided[Directory], amplify_records: Provided[Records]
) -> list[AmplifyStore]:
    return [amplify_records.store_shown(place) for place in await directory.places(caller=account)]


@post("/store", **speaks("amplify", body=AmplifyStoreWanted, refusals=REFUSALS), status_code=HTTP_200_OK, summary="Make a store")
async def create_store(
    asked: Provided[AmplifyStoreWanted], account: Provided[Caller], amplify_records: Provided[Records]
) -> AmplifyStore:
    require(account.identity, "admin", to="create stores")
    return amplify_records.store_shown(await amplify_records.store_named(asked, caller=account))


@get("/store/{pk:str}", **speaks("amplify", refusals=OF_ONE), summary="Read a store")
async def read_store(
    pk: Number, account: Provided[Caller], directory: Provided[Directory], amplify_records: Provided[Records]
) -> AmplifyStore:
    return amplify_records.store_shown(numbered_place(await directory.places(caller=account), pk))


@delete("/store/{pk:str}", **speaks("amplify", refusals=OF_ONE), summary="Delete a store that nothing is in")
async def delete_store(
    pk: Number, account: Provided[Caller], directory: Provided[Directory], placement: Provided[Placement]
) -> None:
    require(account.identity, "admin", to="delete stores")
    place = numbered_place(await directory.places(caller=account), pk)
    await placement.delete_store(place.name, caller=account)


@get("/s3cfgs", **speaks("amplify", refusals=REFUSALS), summary="List S3 configs, without their keys")
async def list_s3_configs(account: Provided[Caller], directory: Provided[Directory]) -> list[AmplifyS3Config]:
    return [config_shown(service) for service in await directory.services(caller=account)]


@post(
    "/s3cfg",
    **speaks("amplify", body=AmplifyS3ConfigWanted, refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Make an S3 config",
)
async def create_s3_config(
    asked: Provided[AmplifyS3ConfigWanted],
    account: Provided[Caller],
    directory: Provided[Directory],
    placement: Provided[Placement],
) -> AmplifyS3Config:
    for service in await directory.services(caller=account):
        if service.endpoint_url and same_url(service.endpoint_url, asked.url):
            raise S3ConfigExists(f"there is an S3 config for {asked.url} already; PUT s3cfg/{service.id} gives it other keys")
    wanted = S3ConfigCreate(
        name=config_name(asked.url), endpoint_url=asked.url, access_key=asked.access_key, secret_key=asked.secret_key
    )
    made = await placement.create_s3_config(wanted, caller=account)
    return config_shown(next(one for one in await directory.services(caller=account) if one.name == made.name))


@get("/s3cfg/{pk:str}", **speaks("amplify", refusals=OF_ONE), summary="Read an S3 config, without its keys")
async def read_s3_config(pk: Number, account: Provided[Caller], directory: Provided[Directory]) -> AmplifyS3Config:
    return config_shown(numbered_service(await directory.services(caller=account), pk))


@put(
    "/s3cfg/{pk:str}",
    **speaks("amplify", body=AmplifyS3ConfigWanted, refusals=OF_ONE),
    status_code=HTTP_204_NO_CONTENT,
    summary="Replace an S3 config",
)
async def replace_s3_config(
    pk: Number,
    asked: Provided[AmplifyS3ConfigWanted],
    account: Provided[Caller],
    directory: Provided[Directory],
    placement: Provided[Placement],
) -> None:
    name = numbered_service(await directory.services(caller=account), pk).name
    before = await placement.read_s3_config(name, caller=account)
    wanted = S3ConfigReplace(
        endpoint_url=asked.url,
        region=before.region,
        access_key=asked.access_key,
        secret_key=asked.secret_key,
        addressing_style=before.addressing_style,
    )
    await placement.replace_s3_config(name, wanted, caller=account)


@delete("/s3cfg/{pk:str}", **speaks("amplify", refusals=OF_ONE), summary="Delete an S3 config that no store uses")
async def delete_s3_config(
    pk: Number, account: Provided[Caller], directory: Provided[Directory], placement: Provided[Placement]
) -> None:
    service = numbered_service(await directory.services(caller=account), pk)
    await placement.delete_s3_config(service.name, caller=account)


@get("/identifier/list", **speaks("amplify", refusals=REFUSALS), summary="List identifier types")
async def list_identifier_types(
    account: Provided[Caller], identifier_types: Provided[IdentifierTypes]
) -> list[AmplifyIdentifierType]:
    return [type_shown(found.name, found.pattern) for found in await identifier_types.list(caller=account)]


@get("/identifier/{name:str}", **speaks("amplify", refusals=OF_ONE), summary="Read an identifier type")
async def read_identifier_type(
    name: Name, account: Provided[Caller], identifier_types: Provided[IdentifierTypes]
) -> AmplifyIdentifierType:
    found = await identifier_types.read(name, caller=account)
    return type_shown(found.name, found.pattern)


@post(
    "/identifier",
    **speaks("amplify", body=AmplifyIdentifierTypeWanted, refusals=REFUSALS),
    status_code=HTTP_200_OK,
    summary="Make an identifier type",
)
async def create_identifier_type(
    asked: Provided[AmplifyIdentifierTypeWanted], account: Provided[Caller], identifier_types: Provided[IdentifierTypes]
) -> AmplifyIdentifierType:
    require(account.identity, "admin", to="create identifier types")
    check_type(asked.name, field="identifiers")
    made = await identifier_types.create(IdentifierTypeCreate(name=asked.name, pattern=asked.pattern or ANYTHING), caller=account)
    return type_shown(made.name, made.pattern)


@put(
    "/identifier",
    **speaks("amplify", body=AmplifyIdentifierTypeWanted, refusals=OF_ONE),
    status_code=HTTP_204_NO_CONTENT,
    summary="Give an identifier type another pattern",
)
async def replace_identifier_type(
    asked: Provided[AmplifyIdentifierTypeWanted], account: Provided[Caller], identifier_types: Provided[IdentifierTypes]
) -> None:
    before = await identifier_types.read(asked.name, caller=account)
    wanted = IdentifierTypeReplace(
        name=UNSET, pattern=asked.pattern or ANYTHING, unique=before.unique, description=before.description
    )
    await identifier_types.replace(asked.name, wanted, caller=account)


@delete("/identifier/{name:str}", **speaks("amplify", refusals=OF_ONE), summary="Delete an identifier type that no record uses")
async def delete_identifier_type(name: Name, account: Provided[Caller], identifier_types: Provided[IdentifierTypes]) -> None:
    await identifier_types.delete(name, caller=account)


def numbered_service(services: list[Service], pk: int) -> Service:
    """Raises `S3ConfigNotFound`."""
    for service in services:
        if service.id == pk:
            return service
    raise S3ConfigNotFound(f"there is no S3 config {pk}", s3_config=pk)


def config_shown(service: Service) -> AmplifyS3Config:
    return AmplifyS3Config(pk=service.id, url=service.endpoint_url or "")


def type_shown(name: str, pattern: str) -> AmplifyIdentifierType:
    return AmplifyIdentifierType(name=name, pattern="" if pattern == ANYTHING else pattern)


ROUTES = [
    list_stores,
    create_store,
    read_store,
    delete_store,
    list_s3_configs,
    create_s3_config,
    read_s3_config,
    replace_s3_config,
    delete_s3_config,
    list_identifier_types,
    read_identifier_type,
    create_identifier_type,
    replace_identifier_type,
    delete_identifier_type,
]
