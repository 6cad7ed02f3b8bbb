"""What it takes to build a store, as plain data."""

from collections.abc import Mapping
from typing import Literal

import msgspec

AddressingStyle = Literal["path", "virtual"]


class S3Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where an S3 service is and who we are there. Never logged: its repr hides the keys."""

    endpoint_url: str | None = None
    """None for AWS itself."""
    region: str | None = None
    access_key: str | None = None
    """None for both keys takes the machine's own credentials (environment, instance role)."""
    secret_key: str | None = None
    addressing_style: AddressingStyle = "path"

    def __repr__(self) -> str:
        return f"S3Access(endpoint_url={self.endpoint_url!r}, region={self.region!r}, access_key=***, secret_key=***)"


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One store. Which fields a kind needs is the kind's own rule; it refuses what it does not know."""

    name: str
    kind: str
    path: str | None = None
    bucket: str | None = None
    prefix: str = ""
    """Prepended to every key, without a separator of its own; empty, or ends in `/`."""
    s3: S3Access | None = None
    options: Mapping[str, object] = {}
