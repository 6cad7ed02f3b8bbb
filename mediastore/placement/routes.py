"""Stores and S3 configs over HTTP."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post, put
from litestar.params import Parameter
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.schemas import Caller
from mediastore.http.bodies import accepts
from mediastore.http.problems import problems
from mediastore.placement.probe import StoreProbe
from mediastore.placement.schemas import (
    Probe,
    S3Config,
    S3ConfigCreate,
    S3ConfigList,
    S3ConfigReplace,
    StoreChange,
    StoreCreate,
    StoreList,
    StoreShown,
)
from mediastore.placement.service import Placement

Name = Annotated[str, Parameter(description="The name it was created with", max_length=63)]


class StoreController(Controller):
    path = "/stores"
    tags = ("Stores",)

    @get(responses=problems(401), summary="List stores")
    async def list_stores(self, caller: Caller, placement: Placement) -> StoreList:
        return StoreList(items=await placement.list_stores(caller=caller))

    @post(**accepts(StoreCreate), responses=problems(401, 403, 404, 409, 422), summary="Create a store")
    async def create(self, asked: StoreCreate, caller: Caller, placement: Placement) -> StoreShown:
        return await placement.create_store(asked, caller=caller)

    @get("/{name:str}", responses=problems(401, 403, 404), summary="Read a store's settings")
    async def read(self, name: Name, caller: Caller, placement: Placement) -> StoreShown:
        return await placement.read_store(name, caller=caller)

    @patch(
        "/{name:str}", **accepts(StoreChange), responses=problems(401, 403, 404, 409, 422), summary="Change a store's settings"
    )
    async def change(self, name: Name, asked: StoreChange, caller: Caller, placement: Placement) -> StoreShown:
        return await placement.change_store(name, asked, caller=caller)

    @delete("/{name:str}", responses=problems(401, 403, 404, 409), summary="Delete a store that nothing is in")
    async def remove(self, name: Name, caller: Caller, placement: Placement) -> None:
        await placement.delete_store(name, caller=caller)

    @post("/{name:str}/probe", status_code=HTTP_200_OK, responses=problems(401, 403, 404), summary="Try a store out")
    async def probe(self, name: Name, caller: Caller, store_probe: StoreProbe) -> Probe:
        return await store_probe.run(name, caller=caller)


class S3ConfigController(Controller):
    path = "/s3-configs"
    tags = ("Stores",)

    @get(responses=problems(401, 403), summary="List S3 configs, without their keys")
    async def list_s3_configs(self, caller: Caller, placement: Placement) -> S3ConfigList:
        return S3ConfigList(items=await placement.list_s3_configs(caller=caller))

    @post(**accepts(S3ConfigCreate), responses=problems(401, 403, 409, 422), summary="Create an S3 config")
    async def create(self, asked: S3ConfigCreate, caller: Caller, placement: Placement) -> S3Config:
        return await placement.create_s3_config(asked, caller=caller)

    @get("/{name:str}", responses=problems(401, 403, 404), summary="Read an S3 config, without its keys")
    async def read(self, name: Name, caller: Caller, placement: Placement) -> S3Config:
        return await placement.read_s3_config(name, caller=caller)

    @put(
        "/{name:str}",
        **accepts(S3ConfigReplace),
        responses=problems(401, 403, 404, 409, 422),
        summary="Replace an S3 config; keys left out stay",
    )
    async def replace(self, name: Name, asked: S3ConfigReplace, caller: Caller, placement: Placement) -> S3Config:
        return await placement.replace_s3_config(name, asked, caller=caller)

    @delete("/{name:str}", responses=problems(401, 403, 404, 409), summary="Delete an S3 config that no store uses")
    async def remove(self, name: Name, caller: Caller, placement: Placement) -> None:
        await placement.delete_s3_config(name, caller=caller)
