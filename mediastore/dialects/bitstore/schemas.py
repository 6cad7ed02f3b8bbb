"""The words of BitStore's API. What it does not know it leaves alone, as BitStore does."""

from typing import Annotated

from msgspec import Meta, Struct, field


class Metadata(Struct, frozen=True, kw_only=True):
    """Whose files these are, and of what."""

    owner: str | None = None
    """The `userid` of the token."""
    dataset: str | None = None
    name: str | None = None
    """What older clients call the dataset."""
    findability: str | None = None
    """`private` for files that others may not read; everything else is public."""


class FileAsked(Struct, frozen=True, kw_only=True):
    """A file that is going to be sent."""

    length: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    md5: str
    """Base64, as in Content-MD5."""
    type: str | None = None
    name: str | None = None


class AuthorizeAsked(Struct, frozen=True, kw_only=True):
    metadata: Metadata = Metadata()
    filedata: dict[str, FileAsked] = {}
    """By the file's path in its dataset."""


class FileOffered(Struct, frozen=True, kw_only=True):
    """A form for one file: the fields of `upload_query`, then the bytes as the field `file`, by POST to `upload_url`."""

    upload_url: str
    upload_query: dict[str, str]
    name: str
    type: str
    md5: str = field(name="md5-hash")
    exists: bool
    """Whether the bytes are there, so that they need not be sent."""


class Authorized(Struct, frozen=True, kw_only=True):
    filedata: dict[str, FileOffered]


class Info(Struct, frozen=True, kw_only=True):
    prefixes: list[str]
    """How the URLs of the user's files begin."""


class Presigned(Struct, frozen=True, kw_only=True):
    url: str
