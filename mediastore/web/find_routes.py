"""The page where records are found."""

from collections.abc import Mapping
from typing import Any

from litestar import get
from litestar.response import Response
from msgspec import Struct

from mediastore.accounts.access import may_create
from mediastore.catalog.errors import SearchBusy, SearchInvalid, SearchTooSlow
from mediastore.catalog.field_schemas import MetadataField
from mediastore.catalog.fields import MetadataFields
from mediastore.catalog.identifier_types import IdentifierTypes
from mediastore.catalog.search import Search
from mediastore.catalog.search_parameters import search_request
from mediastore.catalog.search_schemas import SearchPage, SearchRequest
from mediastore.clock import MomentInvalid
from mediastore.errors import MediastoreError
from mediastore.http.provided import Provided
from mediastore.problem_table import status_of
from mediastore.web.find_address import Address, address
from mediastore.web.find_chips import chips
from mediastore.web.find_text import Meaning, as_words, beginning, meaning_of, words_beginning
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor

PAGE = 50
NOTHING = Address(())
SORTS = (
    ("", "newest first"),
    ("created_at", "oldest first"),
    ("pid", "PID"),
    ("-pid", "PID, backwards"),
    ("-size", "largest first"),
    ("size", "smallest first"),
    ("-updated_at", "last changed first"),
    ("updated_at", "longest unchanged first"),
    ("expires_at", "soonest to expire first"),
    ("-expires_at", "latest to expire first"),
)


class Found(Struct, frozen=True, kw_only=True):
    """What was asked, as it was understood, and what came of it: a page of records, or why there is none."""

    meaning: Meaning
    request: SearchRequest | None = None
    page: SearchPage | None = None
    trouble: MediastoreError | None = None


@get("/", include_in_schema=False)
async def find(
    request: AnyRequest,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    search: Provided[Search],
    identifier_types: Provided[IdentifierTypes],
    metadata_fields: Provided[MetadataFields],
) -> Response[str]:
    asked, found = NOTHING, Found(meaning=Meaning(text=request.query_params.get("q", ""), kind="words"))
    try:
        asked = address(request.query_params.multi_items())
        found = await look(asked, search=search, identifier_types=identifier_types, visitor=visitor)
    except (SearchInvalid, SearchTooSlow, SearchBusy, MomentInvalid) as error:
        found = Found(meaning=found.meaning, trouble=error)
    fields = await declared(metadata_fields, visitor=visitor)
    return pages.draw(
        "find.html",
        request=request,
        visitor=visitor,
        status=200 if found.trouble is None else status_of(found.trouble),
        asked=asked,
        found=found,
        fields=fields,
        sorts=SORTS,
        chips=chips(asked),
        may_change=may_create(visitor.identity),
        beginning=beginning(found.meaning.text),
        words_beginning=words_beginning(found.meaning.text),
    )


async def look(asked: Address, *, search: Search, identifier_types: IdentifierTypes, visitor: Visitor) -> Found:
    """A page of what is asked for. Raises `SearchInvalid`, `SearchTooSlow` and `SearchBusy`."""
    filters = asked.given()
    meaning = await meaning_of(asked.one("q"), asked.one("as"), search=search, identifier_types=identifier_types, visitor=visitor)
    found = await _page(filters, meaning, search=search, visitor=visitor)
    other = None if found.page is None or found.page.items else as_words(meaning)
    return found if other is None else await _page(filters, other, search=search, visitor=visitor)


async def _page(filters: Mapping[str, Any], meaning: Meaning, *, search: Search, visitor: Visitor) -> Found:
    request = search_request({**filters, **meaning.given, "limit": PAGE})
    return Found(meaning=meaning, request=request, page=await search.run(request, caller=visitor.caller))


async def declared(metadata_fields: MetadataFields, *, visitor: Visitor) -> list[MetadataField]:
    """The declared fields, for who may see what there is."""
    identity = visitor.identity
    return await metadata_fields.list(caller=visitor.caller) if identity.known and "read" in identity.scopes else []
