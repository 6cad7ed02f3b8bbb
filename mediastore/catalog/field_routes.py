"""Declared metadata fields over HTTP."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.params import PathParameter

from mediastore.accounts.schemas import Caller
from mediastore.catalog.field_schemas import MetadataField, MetadataFieldCreate, MetadataFieldList
from mediastore.catalog.fields import MetadataFields
from mediastore.http.bodies import accepts
from mediastore.http.problems import problems
from mediastore.http.provided import Provided

Name = Annotated[str, PathParameter(description="The name it was declared with", max_length=63)]


class MetadataFieldController(Controller):
    path = "/metadata-fields"
    tags = ("Search",)

    @get(responses=problems(401), summary="List declared metadata fields")
    async def list_fields(self, caller: Provided[Caller], metadata_fields: Provided[MetadataFields]) -> MetadataFieldList:
        return MetadataFieldList(items=await metadata_fields.list(caller=caller))

    @post(
        **accepts(MetadataFieldCreate),
        responses=problems(401, 403, 409, 422),
        summary="Declare a metadata field, for quick ranges and sorting",
    )
    async def create(
        self, asked: Provided[MetadataFieldCreate], caller: Provided[Caller], metadata_fields: Provided[MetadataFields]
    ) -> MetadataField:
        return await metadata_fields.create(asked, caller=caller)

    @get("/{name:str}", responses=problems(401, 404), summary="Read a declared field, and whether its index is ready")
    async def read(self, name: Name, caller: Provided[Caller], metadata_fields: Provided[MetadataFields]) -> MetadataField:
        return await metadata_fields.read(name, caller=caller)

    @delete("/{name:str}", responses=problems(401, 403, 404), summary="Take back a declared field; metadata stays")
    async def remove(self, name: Name, caller: Provided[Caller], metadata_fields: Provided[MetadataFields]) -> None:
        await metadata_fields.delete(name, caller=caller)
