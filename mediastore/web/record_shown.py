"""Parts of a record that the services hand on as JSON, read for its page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec import Struct

from mediastore.catalog.schemas import Checksum, Media, Version
from mediastore.catalog.version_queries import Receipt


class RecordShown(Struct, frozen=True, kw_only=True):
    """What the template is given beside the record itself."""

    identifiers: dict[str, str]
    metadata: str
    """Its JSON, indented: no digit of a number is touched."""
    told: dict[str, Any]
    """For the page's scripts: what its forms can change."""


class VersionShown(Struct, frozen=True, kw_only=True):
    version: Version
    checksums: dict[str, Checksum]


class ReceiptTold(Struct, frozen=True, kw_only=True):
    """What a receipt says; older ones say less."""

    at: datetime | None = None
    rule: str | None = None
    answer: str | None = None
    bytes_freed: int | None = None
    checksums: dict[str, str] = {}


class ReceiptShown(Struct, frozen=True, kw_only=True):
    of: Receipt
    told: ReceiptTold | None


def record_shown(media: Media) -> RecordShown:
    identifiers = msgspec.json.decode(_text(media.identifiers), type=dict[str, str])
    return RecordShown(
        identifiers=identifiers,
        metadata=msgspec.json.format(_text(media.metadata), indent=2).decode(),
        told={
            "pid": media.pid,
            "revision": media.revision,
            "identifiers": identifiers,
            "tags": media.tags,
            "owner": media.owner,
            "access": media.access,
            "readers": media.readers,
            "writers": media.writers,
            "public_at": media.public_at,
            "expires_at": media.expires_at,
            "version": media.version,
            "content": None
            if media.content is None
            else {name: getattr(media.content, name) for name in ("filename", "media_type", "size")},
        },
    )


def versions_shown(versions: Sequence[Version]) -> list[VersionShown]:
    return [
        VersionShown(version=version, checksums=msgspec.json.decode(_text(version.checksums), type=dict[str, Checksum]))
        for version in versions
    ]


def receipts_shown(receipts: Sequence[Receipt]) -> list[ReceiptShown]:
    return [
        ReceiptShown(of=receipt, told=None if receipt.receipt is None else msgspec.json.decode(receipt.receipt, type=ReceiptTold))
        for receipt in receipts
    ]


def _text(value: object) -> bytes:
    """Of what is `Raw` inside the server, see `Media`."""
    return bytes(cast("msgspec.Raw", value))
