"""What clients say of bytes and of the record that they belong to. It is compared, never believed."""

import re
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from mediastore.catalog.pids import LONGEST
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.schemas import MediaChange, MediaCreate, MediaFields
from mediastore.http.errors import HeaderInvalid, RequestError
from mediastore.transfers.errors import DigestInvalid
from stores.digests import parse_digest
from stores.errors import StoreError

OCTETS = "application/octet-stream"
MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(\s*;[\x20-\x7e]*)?", re.ASCII)


class Declared(Struct, frozen=True, kw_only=True):
    """What the client says of the bytes it sends."""

    size: int | None
    media_type: str
    filename: str | None
    digests: Mapping[str, str]
    """Lower-case hex by algorithm."""
    wanted: tuple[str, ...] = ()
    """Algorithms of which a digest has to be known, whatever the store asks for."""


class About(Struct, frozen=True, kw_only=True):
    """What the client says of the record: all of it when the record is made, what was given when it is there."""

    given: Raw
    """As it came: a JSON object of fields of a record."""
    fields: MediaFields
    change: MediaChange


Precondition = Callable[[MediaRow | None], None]
"""Raises when the record, or its absence, is not what the client made a condition."""


def always(_: MediaRow | None) -> None:
    """The precondition of who makes none."""


def about_record(given: bytes) -> About:
    """The fields as what makes a record, and as what changes one."""
    try:
        fields = msgspec.json.decode(given, type=MediaCreate)
        named: dict[str, Raw] = msgspec.json.decode(given, type=dict[str, Raw])
        for name in ("pid", "pid_type"):
            named.pop(name, None)
        change = msgspec.json.decode(msgspec.json.encode(named), type=MediaChange)
    except msgspec.ValidationError as error:
        raise RequestError(f"the fields of the record: {error}") from error
    return About(given=Raw(given), fields=fields, change=change)


def checked_type(media_type: str) -> str:
    if not MEDIA_TYPE.fullmatch(media_type) or len(media_type) > 255:
        raise HeaderInvalid(f"{media_type[:80]!r} is no media type; it looks like text/csv")
    return media_type


def checked_name(filename: str | None) -> str | None:
    if filename is not None and (not 1 <= len(filename) <= LONGEST or any(ord(letter) < 32 for letter in filename)):
        raise RequestError(f"a file name has 1 to {LONGEST} characters and no control characters", filename=ascii(filename[:80]))
    return filename


def checked_digests(given: Mapping[str, str]) -> dict[str, str]:
    """Lower-case hex by algorithm, of hex or base64. Raises `DigestInvalid`."""
    try:
        return {algorithm: parse_digest(algorithm, digest) for algorithm, digest in given.items()}
    except StoreError as error:
        raise DigestInvalid(error.message) from error
