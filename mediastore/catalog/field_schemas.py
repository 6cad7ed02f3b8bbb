"""Declared metadata fields, as the API shows them."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

FieldType: TypeAlias = Literal["number", "text", "time", "boolean"]
FieldName = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,47}$(?!\n)", description="Letters, digits and _", examples=["depth"]),
]


class MetadataFieldCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: FieldName
    path: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=500,
                description="Names from the outside in, with dots between; one with other characters in double quotes. "
                "Left out: the field's name",
                examples=["ctd.depth", '$."max. depth"'],
            ),
        ]
        | None
    ) = None
    type: FieldType
    description: Annotated[str, Meta(max_length=2000)] = ""


class MetadataField(Struct, frozen=True, kw_only=True):
    """A declared field: a place in the metadata with a type, and an index."""

    name: str
    path: str
    type: FieldType
    description: str
    state: Literal["building", "ready", "failed"]
    """Of its index. Until it is `ready` searches by the field are right, but slow."""
    problem: str | None
    created_at: datetime
    ready_at: datetime | None


class MetadataFieldList(Struct, frozen=True, kw_only=True):
    items: list[MetadataField]
