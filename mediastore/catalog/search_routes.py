"""Search over HTTP: by query parameters, and by a JSON body."""

from typing import Annotated

from litestar import Controller, get, post
from litestar.params import QueryParameter
from litestar.status_codes import HTTP_200_OK

from mediastore.accounts.schemas import Caller
from mediastore.catalog.search import Search
from mediastore.catalog.search_parameters import search_request
from mediastore.catalog.search_schemas import SearchPage, SearchRequest
from mediastore.http.bodies import accepts
from mediastore.http.cursors import Limit
from mediastore.http.problems import problems
from mediastore.http.provided import Provided

Pid = Annotated[
    str | None, QueryParameter(min_length=1, max_length=600, description="A PID; `*` stands for any characters, `?` for one")
]
Identifiers = Annotated[
    list[str] | None, QueryParameter(max_items=20, description="`TYPE:VALUE`, with wildcards as in `pid`; `*:VALUE` for any type")
]
Tags = Annotated[list[str] | None, QueryParameter(max_items=100, description="Has all of these tags")]
AnyTags = Annotated[list[str] | None, QueryParameter(max_items=100, description="Has one of these tags")]
NoTags = Annotated[list[str] | None, QueryParameter(max_items=100, description="Has none of these tags")]
Metadata = Annotated[
    str | None, QueryParameter(min_length=1, max_length=10000, description="A JSON object that the metadata contains")
]
Condition = Annotated[
    str | None,
    QueryParameter(
        min_length=1, max_length=2000, description="An SQL/JSON path condition on the metadata, such as `$.depth > 10`"
    ),
]
Stores = Annotated[list[str] | None, QueryParameter(max_items=100, description="Is for one of these stores")]
Owners = Annotated[list[str] | None, QueryParameter(max_items=100, description="Is one of these people's")]
AccessWords = Annotated[list[str] | None, QueryParameter(max_items=3, description="`private`, `internal` or `public`")]
Statuses = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=5, description="`pending`, `ready`, `failed`, `lost`; `expired`, found only by those who may write it"
    ),
]
MediaTypes = Annotated[
    list[str] | None, QueryParameter(max_items=20, description="Of the content, with wildcards, such as `image/*`")
]
Sizes = Annotated[
    list[str] | None,
    QueryParameter(max_items=5, description="`eq:`, `gt:`, `gte:`, `lt:`, `lte:` and bytes of the content, such as `gte:1000`"),
]
Digest = Annotated[
    str | None, QueryParameter(min_length=1, max_length=128, description="Of the content, in hex, by any algorithm")
]
Times = Annotated[
    list[str] | None,
    QueryParameter(max_items=5, description="`eq:`, `gt:`, `gte:`, `lt:`, `lte:` and a time, such as `gte:2026-01-01T00:00:00Z`"),
]
Words = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=500,
        description="Words of PID, identifiers, file name, tags and metadata, all of them; `plank*` for how one begins",
    ),
]
Fields = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=100,
        description="`NAME:` of a declared field, `eq:`, `gt:`, `gte:`, `lt:`, `lte:` and a value, such as `depth:gte:10`",
    ),
]
SortBy = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=50,
        description="`pid`, `created_at`, `updated_at`, `size`, `expires_at` or a declared field; `-` turns it round",
    ),
]
Next = Annotated[
    str | None, QueryParameter(min_length=1, max_length=6000, description="`next` of the page before, of the same search")
]
Facets = Annotated[
    list[str] | None,
    QueryParameter(
        max_items=10, description="Also count the values of `tags`, `store`, `media_type`, `owner`, `status` or a declared field"
    ),
]
Counting = Annotated[bool, QueryParameter(description="Also say how many there are")]
FacetLimit = Annotated[int, QueryParameter(ge=1, le=1000, description="Values of a facet, the most frequent first")]


class SearchController(Controller):
    path = "/media"
    tags = ("Search",)

    @get(responses=problems(401, 422), summary="Find records, or list all that you may read, newest first")
    async def list_media(
        self,
        caller: Provided[Caller],
        search: Provided[Search],
        pid: Pid = None,
        identifier: Identifiers = None,
        tag: Tags = None,
        any_tag: AnyTags = None,
        no_tag: NoTags = None,
        metadata: Metadata = None,
        where: Condition = None,
        store: Stores = None,
        owner: Owners = None,
        access: AccessWords = None,
        status: Statuses = None,
        media_type: MediaTypes = None,
        size: Sizes = None,
        checksum: Digest = None,
        created_at: Times = None,
        updated_at: Times = None,
        expires_at: Times = None,
        q: Words = None,
        field: Fields = None,
        sort: SortBy = None,
        limit: Limit = 100,
        cursor: Next = None,
        count: Counting = False,
        facet: Facets = None,
        facet_limit: FacetLimit = 20,
    ) -> SearchPage:
        given = {name: value for name, value in locals().items() if name not in {"self", "caller", "search"}}
        return await search.run(search_request(given), caller=caller)

    @post(
        "/search",
        status_code=HTTP_200_OK,
        **accepts(SearchRequest),
        responses=problems(401, 422),
        summary="Find records by a JSON body, in the same language",
    )
    async def search(self, asked: Provided[SearchRequest], caller: Provided[Caller], search: Provided[Search]) -> SearchPage:
        return await search.run(asked, caller=caller)
