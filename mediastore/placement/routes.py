"""Stores and S3 configs over HTTP."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post, put
from litestar.params import PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.schemas import Caller
from mediastore.http.bodies import accepts
from mediastore.http.problems import problems
from mediastore.http.provided import Provided
from mediastore.placement.diary import Diary
from mediastore.placement.probe import StoreProbe
from mediastore.placement.quotas import Quotas
from mediastore.placement.schemas import (
    Growth,
    Probe,
    S3Config,
    S3ConfigCreate,
    S3ConfigList,
    S3ConfigReplace,
    StoreChange,
    StoreCreate,
    StoreList,
    StoreShown,
    Usage,
)
from mediastore.placement.service import Placement

Name = Annotated[str, PathParameter(description="The name it was created with", max_length=63)]

Days = Annotated[int, QueryParameter(ge=1, le=3660, description="How many days back, today included")]


class StoreController(Controller):
    path = "/stores"
    tags = ("Stores",)

    @get(responses=problems(401), summary="List stores")
    async def list_stores(self, caller: Provided[Caller], placement: Provided[Placement]) -> StoreList:
        return StoreList(items=await placement.list_stores(caller=caller))

    @post(**accepts(StoreCreate), responses=problems(401, 403, 404, 409, 422), summary="Create a store")
    async def create(self, asked: Provided[StoreCreate], caller: Provided[Caller], placement: Provided[Placement]) -> StoreShown:
        return await placement.create_store(asked, caller=caller)

    @get("/{name:str}", responses=problems(401, 403, 404), summary="Read a store's settings")
    async def read(self, name: Name, caller: Provided[Caller], placement: Provided[Placement]) -> StoreShown:
        return await placement.read_store(name, caller=caller)

    @patch(
        "/{name:str}", **accepts(StoreChange), responses=problems(401, 403, 404, 409, 422), summary="Change a store's settings"
    )
    async def change(
        self, name: Name, asked: Provided[StoreChange], caller: Provided[Caller], placement: Provided[Placement]
    ) -> StoreShown:
        return await placement.change_store(name, asked, caller=caller)

    @delete("/{name:str}", responses=problems(401, 403, 404, 409), summary="Delete a store that nothing is in")
    async def remove(self, name: Name, caller: Provided[Caller], placement: Provided[Placement]) -> None:
        await placement.delete_store(name, caller=caller)

    @get("/{name:str}/usage", responses=problems(401, 403, 404), summary="What a store holds, against its quota")
    async def usage(self, name: Name, caller: Provided[Caller], quotas: Provided[Quotas]) -> Usage:
        return await quotas.usage(name, caller=caller)

    @get("/{name:str}/growth", responses=problems(400, 401, 403, 404), summary="What a store held, day by day")
    async def growth(self, name: Name, caller: Provided[Caller], diary: Provided[Diary], days: Days = 90) -> Growth:
        return await diary.growth(name, days=days, caller=caller)

    @post("/{name:str}/probe", status_code=HTTP_200_OK, responses=problems(401, 403, 404), summary="Try a store out")
    async def probe(self, name: Name, caller: Provided[Caller], store_probe: Provided[StoreProbe]) -> Probe:
        return await store_probe.run(name, caller=caller)


class S3ConfigController(Controller):
    path = "/s3-configs"
    tags = ("Stores",)

    @get(responses=problems(401, 403), summary="List S3 configs, without their keys")
    async def list_s3_configs(self, caller: Provided[Caller], placement: Provided[Placement]) -> S3ConfigList:
        return S3ConfigList(items=await placement.list_s3_configs(caller=caller))

    @post(**accepts(S3ConfigCreate), responses=problems(401, 403, 409, 422), summary="Create an S3 config")
    async def create(self, asked: Provided[S3ConfigCreate], caller: Provided[Caller], placement: Provided[Placement]) -> S3Config:
        return await placement.create_s3_config(asked, caller=caller)

    @get("/{name:str}", responses=problems(401, 403, 404), summary="Read an S3 config, without its keys")
    async def read(self, name: Name, caller: Provided[Caller], placement: Provided[Placement]) -> S3Config:
        return await placement.read_s3_config(name, caller=caller)

    @put(
        "/{name:str}",
        **accepts(S3ConfigReplace),
        responses=problems(401, 403, 404, 409, 422),
        summary="Replace an S3 config; keys left out stay",
    )
    async def replace(
        self, name: Name, asked: Provided[S3ConfigReplace], caller: Provided[Caller], placement: Provided[Placement]
    ) -> S3Config:
        return await placement.replace_s3_config(name, asked, caller=caller)

    @delete("/{name:str}", responses=problems(401, 403, 404, 409), summary="Delete an S3 config that no store uses")
    async def remove(self, name: Name, caller: Provided[Caller], placement: Provided[Placement]) -> None:
        await placement.delete_s3_config(name, caller=caller)
