"""The page of declared metadata fields."""

from litestar import get
from litestar.response import Response

from mediastore.catalog.fields import MetadataFields
from mediastore.http.provided import Provided
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor


@get("/metadata-fields", include_in_schema=False)
async def metadata_fields_page(
    request: AnyRequest, visitor: Provided[Visitor], pages: Provided[Pages], metadata_fields: Provided[MetadataFields]
) -> Response[str]:
    found = await metadata_fields.list(caller=visitor.caller)
    return pages.draw("metadata-fields.html", request=request, visitor=visitor, fields=found)
