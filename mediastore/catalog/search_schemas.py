"""The language of search, the same in a JSON body and in query parameters, and its answers."""

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from mediastore.accounts.schemas import AccountName
from mediastore.catalog.field_schemas import FieldName
from mediastore.catalog.schemas import Access, JsonObject, Media, Moment, Tag

Findable: TypeAlias = Literal["pending", "ready", "expired", "failed", "lost"]
Pattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=600,
        description="`*` stands for any characters, `?` for one; a backslash before either, or before itself, takes it as it is",
        examples=["IFCB101_*"],
    ),
]
MediaTypePattern = Annotated[str, Meta(min_length=1, max_length=255, examples=["image/*"])]
Digest = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{8,128}$(?!\n)", description="In hex")]
Sort = Annotated[
    str,
    Meta(
        pattern=r"^-?[A-Za-z][A-Za-z0-9_]{0,47}$(?!\n)",
        description="`pid`, `created_at`, `updated_at`, `size`, `expires_at` or a declared field; `-` before it turns it around",
        examples=["-created_at", "pid"],
    ),
]
FacetName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,47}$(?!\n)",
        description="`tags`, `store`, `media_type`, `owner`, `status` or a declared field",
        examples=["tags"],
    ),
]
Scalar: TypeAlias = bool | int | float | Annotated[str, Meta(max_length=500)]


class TagFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    all: Annotated[list[Tag], Meta(max_length=100)] = []
    any: Annotated[list[Tag], Meta(max_length=100)] = []
    none: Annotated[list[Tag], Meta(max_length=100)] = []


class SizeRange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes."""

    eq: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET
    gt: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET
    gte: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET
    lt: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET
    lte: Annotated[int, Meta(ge=0, le=2**63 - 1)] | UnsetType = UNSET


class TimeRange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    eq: Moment | UnsetType = UNSET
    gt: Moment | UnsetType = UNSET
    gte: Moment | UnsetType = UNSET
    lt: Moment | UnsetType = UNSET
    lte: Moment | UnsetType = UNSET


class FieldRange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Values of the field's type; times as RFC 3339 has them, or a date alone."""

    eq: Scalar | UnsetType = UNSET
    gt: Scalar | UnsetType = UNSET
    gte: Scalar | UnsetType = UNSET
    lt: Scalar | UnsetType = UNSET
    lte: Scalar | UnsetType = UNSET


class Filters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What records have to be like: all of it."""

    pid: Pattern | None = None
    identifiers: Annotated[
        dict[Annotated[str, Meta(max_length=63)], Pattern],
        Meta(max_length=20, description="By type; `*` for any type", examples=[{"CRUISE": "AR*"}]),
    ] = {}
    tags: TagFilter = TagFilter()
    metadata: JsonObject | UnsetType = UNSET
    """The metadata contains this object: its names with these values, at any depth."""
    where: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=2000,
                description="An SQL/JSON path condition on the metadata, as PostgreSQL has it",
                examples=['$.depth > 10 && $.cruise == "AR77"'],
            ),
        ]
        | None
    ) = None
    store: Annotated[list[Annotated[str, Meta(max_length=63)]], Meta(max_length=100, description="One of these")] = []
    owner: Annotated[list[AccountName], Meta(max_length=100, description="One of these")] = []
    access: Annotated[list[Access], Meta(max_length=3, description="One of these")] = []
    status: Annotated[
        list[Findable],
        Meta(max_length=5, description="One of these; unless asked for, expired ones are left out"),
    ] = []
    media_type: Annotated[
        list[MediaTypePattern], Meta(max_length=20, description="Of the content: one of these, with `*` and `?`")
    ] = []
    size: SizeRange = SizeRange()
    checksum: Digest | None = None
    """Of the content, by any algorithm."""
    created_at: TimeRange = TimeRange()
    updated_at: TimeRange = TimeRange()
    expires_at: TimeRange = TimeRange()
    q: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=500,
                description="Words of PID, identifiers, file name, tags and values of the metadata: all of them, in any "
                "order and case; `plank*` for words that begin so",
                examples=["bloom AR77"],
            ),
        ]
        | None
    ) = None
    fields: Annotated[
        dict[FieldName, FieldRange],
        Meta(max_length=20, description="Declared fields, by name", examples=[{"depth": {"gte": 10, "lt": 20}}]),
    ] = {}


class SearchRequest(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sort: Sort | None = None
    """Left out: newest first. Records without a value come last either way."""
    limit: Annotated[int, Meta(ge=1, le=1000, description="Size of a page")] = 100
    cursor: Annotated[str, Meta(max_length=6000)] | None = None
    """`next` of the page before, of the same search."""
    count: bool = False
    """Also say how many there are."""
    facets: Annotated[list[FacetName], Meta(max_length=10)] = []
    """Also say which values these have, and how often."""
    facet_limit: Annotated[int, Meta(ge=1, le=1000, description="Values of a facet, the most frequent first")] = 20


class Count(Struct, frozen=True, kw_only=True):
    """How many records match."""

    value: int
    exact: bool
    """If not, counting took too long, and this is an estimate from a sample."""


class FacetValue(Struct, frozen=True, kw_only=True):
    value: Any
    """`msgspec.Raw` here. Null: of records without a value."""
    count: int


class SearchPage(Struct, frozen=True, kw_only=True):
    items: list[Media]
    next: str | None
    """Goes back as `cursor` for the next page; null on the last."""
    count: Count | UnsetType = UNSET
    facets: dict[str, list[FacetValue]] | UnsetType = UNSET
