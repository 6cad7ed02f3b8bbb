"""Uploads and signed URLs, as the API shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from msgspec import Meta, Struct

from mediastore.catalog.schemas import MediaCreate, Pid

Method: TypeAlias = Literal["put", "post", "multipart"]
Digests = Annotated[
    dict[str, str], Meta(description="Hex or base64 by algorithm: md5, sha1, sha256, sha512, crc32c", examples=[{}])
]
Bytes = Annotated[int, Meta(ge=0, le=2**63 - 1)]
PartNumber = Annotated[int, Meta(ge=1, le=10_000)]


class UploadBegin(MediaCreate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record, existing or to be made, and what is going to be sent."""

    size: Bytes
    """Of the whole content; the store refuses any other."""
    media_type: Annotated[str, Meta(max_length=255)] = "application/octet-stream"
    filename: str | None = None
    """The name under which it is downloaded."""
    checksums: Digests = {}
    """Of the whole content: compared, by the store where it can, before anybody sees the bytes."""
    method: Literal["auto"] | Method = "auto"
    part_size: Annotated[int, Meta(ge=1, le=2**40)] | None = None
    """Of each part but the last; left out, it is chosen."""


class PartAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: PartNumber
    checksums: Digests = {}
    """Of this part; the URL then takes no other bytes, where the store can compare them."""


class PartsAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    parts: Annotated[list[PartAsked], Meta(min_length=1, max_length=1000)]


class PartSent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    number: PartNumber
    etag: Annotated[str, Meta(min_length=1, max_length=200)]


class UploadComplete(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    parts: Annotated[list[PartSent], Meta(max_length=10_000)] | None = None
    """What the answers to the parts said. Left out, the store is asked which parts it has."""
    checksums: Digests = {}
    """Of the whole content, for who knows them once all is sent: compared as those are that came with the beginning."""


class Part(Struct, frozen=True, kw_only=True):
    """One part: the bytes [offset, offset + size) of the content, to be PUT to `url` with exactly these headers."""

    number: int
    offset: int
    size: int
    received: bool
    url: str | None = None
    """Null where it is received already; a fresh one of any part comes from `POST /uploads/{id}/parts`."""
    headers: dict[str, str] = {}


class Upload(Struct, frozen=True, kw_only=True):
    """A direct upload, with all that a plain HTTP client needs to send what is missing."""

    id: UUID
    pid: str
    status: Literal["open", "verifying", "completed", "failed"]
    method: Method
    size: int | None
    """Null where it is not known before it comes; then the content is the record's as soon as it is found, without a call."""
    part_size: int | None
    token: str | None = None
    """Stands for a log-in in this upload's own calls, as `?token=`, until it ends. Told to who began it, and no one else."""
    url: str | None = None
    """Of one PUT or POST of the whole content; null for a multipart upload, and once a store that takes no second has it."""
    headers: dict[str, str] = {}
    """Of a PUT: to be sent exactly like this."""
    fields: dict[str, str] = {}
    """Of a POST: form fields to be sent in this order, and after them the bytes as the field `file`."""
    parts: list[Part] = []
    """Every part and whether it is there; a PUT or POST of the whole content is one part."""
    urls_expire_at: datetime | None = None
    """When the URLs of this answer end. `GET /uploads/{id}` and `POST /uploads/{id}/parts` give fresh ones."""
    expires_at: datetime | None
    """When the upload is given up, unless something is sent or asked before."""
    created_at: datetime
    last_activity: datetime
    problem: dict[str, Any] | None = None
    """Of a failed upload: `code` and `detail`, and what was claimed and found."""


class UploadPage(Struct, frozen=True, kw_only=True):
    items: list[Upload]
    next: str | None


class UrlAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pid: Pid
    version: Annotated[int, Meta(ge=1, le=2_147_483_647)] | None = None


class UrlsAsked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[list[UrlAsked], Meta(min_length=1, max_length=1000)]
    expires_s: Annotated[int, Meta(ge=1, le=604_800)] | None = None
    """How long the URLs live, at most what the server allows and the record lives."""


class UrlIssued(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A URL for one PID, or the problem that keeps it back. The status is the one that a call of its own would have had."""

    status: int
    pid: str
    version: int | None = None
    url: str | None = None
    expires_at: datetime | None = None
    problem: dict[str, Any] | None = None


class UrlsIssued(Struct, frozen=True, kw_only=True):
    items: list[UrlIssued]


class Column(Struct, frozen=True, kw_only=True):
    name: str
    type: str
    """As Arrow calls it."""


class TablePreview(Struct, frozen=True, kw_only=True):
    """The first rows of a table, each value as text; long ones are cut, and end in …"""

    columns: list[Column]
    rows: list[list[str | None]]
    row_count: int
    """Of the whole table."""
    columns_left_out: int
    """Columns behind the hundredth, and those that lie too far in a large file."""
