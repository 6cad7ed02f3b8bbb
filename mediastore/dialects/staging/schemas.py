"""The words of EDI staging's API."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

Status: TypeAlias = Literal["pending", "success", "failure"]

UPLOAD = "upload"
"""Under `kind`: something that an index finds."""
LABEL_LENGTH = 1000
Label = Annotated[str, Meta(max_length=LABEL_LENGTH, description="What people call the upload; the file's name unless given")]


class Report(Struct, frozen=True, kw_only=True):
    """What there is to say of one upload."""

    id: str
    label: str
    status: Status
    reason: str | None
    """Of a failure."""
    sha1: str | None
    md5: str | None
    """Lower-case hex of what this server read, once it is stored."""
    data_url: str
    """Redirects to the bytes, for who may have them."""
    expires_at: datetime | None
    filename: str | None
    media_type: str | None
    size: int | None
    """Bytes, once they are stored."""
    created_at: datetime
    """When the upload began."""
    uploaded_at: datetime | None
    pid: str
    """Under which the native API knows the upload."""


class Link(Struct, frozen=True, kw_only=True):
    """A URL that gives the bytes to whoever holds it, until then."""

    url: str
    expires_at: datetime


class Refused(Struct, frozen=True, kw_only=True):
    """Every refusal."""

    error: str
    """A sentence: what was wrong, and what to do."""
    code: str
    """The same for programs."""


class About(Struct, frozen=True, kw_only=True):
    """What an upload's record keeps in its metadata, under `staging`."""

    id: str
    label: str
    filename: str | None = None
    kind: str = UPLOAD


class Kept(Struct, frozen=True, kw_only=True):
    """The metadata of a record that is an upload; what its owner put beside is left alone."""

    staging: About
