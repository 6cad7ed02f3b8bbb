"""Records and identifier types, as the API shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from mediastore.accounts.schemas import AccountName, Principal

Status: TypeAlias = Literal["pending", "ready", "expired", "deleted", "failed", "lost"]
Access: TypeAlias = Literal["private", "internal", "public"]
Pid = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        description="Printable characters; may hold `/` and `:`, but no empty, `.` or `..` segment",
        examples=["IFCB101_D20240101T000000", "doi:10.1234/abcd"],
    ),
]
TypeName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$(?!\n)", description="Letters, digits and . _ -", examples=["BIN"])
]
Value = Annotated[str, Meta(min_length=1, max_length=600)]
Tag = Annotated[str, Meta(min_length=1, max_length=200)]
Tags = Annotated[list[Tag], Meta(max_length=1000)]
Principals = Annotated[list[Principal], Meta(max_length=1000)]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339, with its offset")]
Ttl = Annotated[int, Meta(ge=1, le=3_153_600_000, description="Seconds from now, at most 100 years")]
JsonObject = Annotated[Raw, Meta(description="Any JSON object", extra_json_schema={"type": "object"})]
"""Kept as its bytes: numbers stay as exact as they were written."""
JsonValue = Annotated[
    Raw, Meta(description="Any JSON", extra_json_schema={"type": ["object", "array", "string", "number", "boolean", "null"]})
]
Step: TypeAlias = Annotated[str, Meta(max_length=1000)] | Annotated[int, Meta(ge=0, le=1_000_000)]
MetadataPath = Annotated[
    list[Step],
    Meta(max_length=100, description="Names of members and places in arrays, from the outside in", examples=[["ctd", 0]]),
]


class IdentifierTypeCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: TypeName
    pattern: Annotated[str, Meta(min_length=1, max_length=1000, description="RE2 syntax; has to match the whole value")]
    unique: bool = False
    description: Annotated[str, Meta(max_length=2000)] = ""


class IdentifierTypeReplace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: TypeName | UnsetType = UNSET
    """If given, the name in the path."""
    pattern: Annotated[str, Meta(min_length=1, max_length=1000)]
    unique: bool = False
    description: Annotated[str, Meta(max_length=2000)] = ""


class IdentifierType(Struct, frozen=True, kw_only=True):
    name: str
    pattern: str
    unique: bool
    description: str
    created_at: datetime
    updated_at: datetime


class IdentifierTypeList(Struct, frozen=True, kw_only=True):
    items: list[IdentifierType]


class PatternTrial(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pattern, before it is that of an identifier type, and values that it is to judge."""

    pattern: Annotated[str, Meta(min_length=1, max_length=1000, description="RE2 syntax; has to match the whole value")]
    values: Annotated[list[Annotated[str, Meta(max_length=1000)]], Meta(max_length=100)]


class PatternVerdict(Struct, frozen=True, kw_only=True):
    matches: list[bool]
    """Of each value, in their order, whether the pattern matches all of it."""


class MediaFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be said of a record when it is made."""

    pid_type: TypeName | None = None
    identifiers: dict[TypeName, Value] = {}
    metadata: JsonObject | UnsetType = UNSET
    tags: Tags = []
    store: str | None = None
    ttl_s: Ttl | None = None
    expires_at: Moment | None = None
    access: Access = "private"
    readers: Principals = []
    writers: Principals = []
    public_at: Moment | None = None


class MediaCreate(MediaFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pid: Pid | None = None
    """Left out: one is minted."""


class MetadataEdit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A value at a path of the metadata. The empty path is all of it."""

    path: MetadataPath
    value: JsonValue


class MediaChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A JSON merge patch (RFC 7396) of a record: what is left out stays, null takes away.

    The patch goes first; then come the values at paths, then what is taken away.
    """

    identifiers: dict[TypeName, Value | None] | UnsetType = UNSET
    metadata: JsonObject | UnsetType = UNSET
    set_metadata: Annotated[list[MetadataEdit], Meta(max_length=1000)] = []
    remove_metadata: Annotated[list[Annotated[MetadataPath, Meta(min_length=1)]], Meta(max_length=1000)] = []
    tags: Tags | UnsetType | None = UNSET
    add_tags: Tags = []
    remove_tags: Tags = []
    store: str | UnsetType = UNSET
    ttl_s: Ttl | UnsetType | None = UNSET
    expires_at: Moment | UnsetType | None = UNSET
    access: Access | UnsetType = UNSET
    readers: Principals | UnsetType | None = UNSET
    writers: Principals | UnsetType | None = UNSET
    public_at: Moment | UnsetType | None = UNSET
    owner: AccountName | UnsetType = UNSET


class Checksum(Struct, frozen=True, kw_only=True):
    """A digest and who vouches for it."""

    value: str
    """Lower-case hex."""
    attested_by: Literal["claimed", "store", "server"]
    at: datetime


class Content(Struct, frozen=True, kw_only=True):
    """The current bytes of a record."""

    filename: str | None
    media_type: str
    size: int
    stored_at: datetime
    checksums: dict[str, Checksum]


class Media(Struct, frozen=True, kw_only=True):
    """A record. The server passes JSON that it only hands on as `msgspec.Raw`; whoever decodes gets what the types say."""

    pid: str
    pid_type: str | None
    identifiers: dict[str, str]
    metadata: dict[str, Any]
    tags: list[str]
    store: str
    status: Status
    status_reason: str | None
    version: int
    """Of the current content; 0 while there is none."""
    content: Content | None
    owner: str
    access: Access
    readers: list[str]
    writers: list[str]
    public_at: datetime | None
    expires_at: datetime | None
    held: bool
    revision: int
    created_at: datetime
    updated_at: datetime


class ResolvedMany(Struct, frozen=True, kw_only=True):
    """The records that have the same identifier."""

    items: list[Media]


class Version(Struct, frozen=True, kw_only=True):
    """One content that a record has or had."""

    version: int
    current: bool
    state: str
    store: str
    filename: str | None
    media_type: str
    size: int
    stored_at: datetime
    checksums: dict[str, Checksum]
    checked_at: datetime | None
    """When the bytes were last read and compared, or that was tried; at first, when they were verified."""
    fixity: Literal["ok", "missing", "mismatch", "error"] | None
    """How that went; null: not since they were stored. `error`: the store did not give the bytes, which says nothing of them."""


class VersionList(Struct, frozen=True, kw_only=True):
    items: list[Version]


class BatchCreate(MediaCreate, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="create"):
    pass


class BatchRead(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="read"):
    pid: Pid


class BatchUpdate(MediaChange, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="update"):
    pid: Pid
    revision: int | None = None
    """If given, the revision that the record must still have."""


class BatchDelete(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op", tag="delete"):
    pid: Pid
    revision: int | None = None


BatchItem: TypeAlias = BatchCreate | BatchRead | BatchUpdate | BatchDelete


class BatchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[list[Raw], Meta(min_length=1, description="Each with `op`: create, read, update or delete")]
    atomic: bool = False
    """All or nothing."""
    dry_run: bool = False
    """Only say what would come of each item, and undo it all. Unless `atomic`, items of another kind don't see what those before
    them did."""


class BatchResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one item: the status that it would have got alone, and the record or the problem."""

    status: int
    pid: str | None
    media: Media | None = None
    problem: dict[str, Any] | None = None


class BatchAnswer(Struct, frozen=True, kw_only=True):
    items: list[BatchResult]
