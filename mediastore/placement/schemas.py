"""Stores and S3 configs, as the API shows them."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

ResourceName = Annotated[
    str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$(?!\n)", description="Lower-case letters, digits and . _ -")
]
Kind = Annotated[str, Meta(min_length=1, max_length=40, description="s3, filesystem, memory, or one that a plug-in brings")]
Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Prefix = Annotated[str, Meta(max_length=512, description="Goes before every key; empty, or ends in /")]
Algorithm: TypeAlias = Literal["md5", "sha1", "sha256", "sha512", "crc32c"]
Checksums = Annotated[
    tuple[Algorithm, ...], Meta(min_length=1, max_length=5, description="What every object must have, by reading it")
]
AddressingStyle: TypeAlias = Literal["path", "virtual"]
Duration = Annotated[int, Meta(ge=1, le=3_153_600_000, description="Seconds, at most 100 years")]


class Retention(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a store keeps what it is given."""

    default_ttl_s: Duration | None = None
    """For records that come without an expiry."""
    max_ttl_s: Duration | None = None
    """No record may live longer, counted from now."""
    grace_s: Annotated[int, Meta(ge=0, le=315_360_000)] = 604_800
    """How long an expired record can be restored before it is removed."""
    sweep_interval_s: Annotated[int, Meta(ge=10, le=31_536_000)] = 3600
    """How often the sweeper looks."""
    exempt_tags: Annotated[tuple[Annotated[str, Meta(min_length=1, max_length=200)], ...], Meta(max_length=100)] = ()
    """Records with one of these are never removed for their expiry."""
    exempt_where: Annotated[str, Meta(min_length=1, max_length=1000)] | None = None
    """Nor are those whose metadata match this SQL/JSON path, such as `$.camera == "CAM-3"`."""
    old_versions_ttl_s: Duration | None = None
    """How long a content is kept that is not the current one any more; null for as long as the record."""
    max_objects_per_run: Annotated[int, Meta(ge=1, le=2**53)] = 10_000
    """The brake: a sweep that would remove more stops before it removes anything."""
    max_bytes_per_run: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None
    max_share_per_run: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """Of the store's objects, where there are more than a hundred."""


Limit = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class Quota(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a store may hold, uploads under way included; null is without a limit."""

    bytes: Limit | None = None
    objects: Limit | None = None
    bytes_per_owner: Limit | None = None
    objects_per_owner: Limit | None = None

    def any(self) -> bool:
        """Whether anything is limited."""
        return any(getattr(self, name) is not None for name in self.__struct_fields__)


Seconds = Annotated[int, Meta(ge=0, le=315_360_000, description="Seconds, at most 10 years")]


class Upkeep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a store is compared with its rows, and its bytes with their checksums."""

    reconcile_interval_s: Seconds = 86_400
    """Between two comparisons of the listing with the rows; 0: only when somebody asks."""
    unknown: Literal["report", "remove", "quarantine"] = "report"
    """What becomes of bytes without a row that have been reported for as long as the grace."""
    unknown_grace_s: Annotated[int, Meta(ge=3600, le=31_536_000, description="Seconds, 1 hour to 1 year")] = 86_400
    """Bytes and open multipart uploads without a row are left alone until they are older."""
    unknown_uploads: Literal["report", "abort"] = "abort"
    """What becomes of open multipart uploads that no row knows, after the grace."""
    missing_period_s: Annotated[int, Meta(ge=60, le=2_592_000, description="Seconds, 1 minute to 30 days")] = 3600
    """For which an object has to be not found, each time that it is asked for, before it is declared missing."""
    fixity_period_s: Seconds = 7_776_000
    """Within which every object is read and compared with its checksums; 0: only when somebody asks."""
    fixity_bytes_per_s: Annotated[int, Meta(ge=65_536, le=2**40, description="Bytes a second, at least 64 KiB")] = 20_971_520
    """The most that is read for that."""


class Amount(Struct, frozen=True, kw_only=True):
    bytes: int
    objects: int


class OwnerUsage(Struct, frozen=True, kw_only=True):
    owner: str
    used: Amount
    reserved: Amount


class StoreTotals(Struct, frozen=True, kw_only=True):
    """What one store holds, and what was promised to uploads under way."""

    store: str
    used: Amount
    reserved: Amount


class Usage(Struct, frozen=True, kw_only=True):
    """What a store holds, and what was promised to uploads under way. Others than administrators see their own share alone."""

    store: str
    quota: Quota
    used: Amount
    reserved: Amount
    owners: list[OwnerUsage]


class DayHeld(Struct, frozen=True, kw_only=True):
    """What a store held at the end of a day (in UTC), old versions included."""

    day: date
    bytes: int
    objects: int


class Growth(Struct, frozen=True, kw_only=True):
    """What a store held day by day. Looked at every ten minutes; a day on which no server ran is like the one before."""

    store: str
    items: list[DayHeld]
    """Oldest first; begins on the first day that is known. The last is today, as it is now."""


class Brake(Struct, frozen=True, kw_only=True):
    """Why no sweep of a store runs before an administrator has looked."""

    sweep: int
    stopped_by: str
    reason: str
    at: datetime


class S3ConfigCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ResourceName
    endpoint_url: Text | None = None
    """None for AWS."""
    region: Text | None = None
    access_key: Text | None = None
    secret_key: Text | None = None
    """Both keys or neither; with neither the server's own AWS credentials are used."""
    addressing_style: AddressingStyle = "path"


class S3ConfigReplace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ResourceName | UnsetType = UNSET
    """If given, the name in the path."""
    endpoint_url: Text | None = None
    region: Text | None = None
    access_key: Text | UnsetType | None = UNSET
    secret_key: Text | UnsetType | None = UNSET
    """Left out: the keys stay as they are."""
    addressing_style: AddressingStyle = "path"


class S3Config(Struct, frozen=True, kw_only=True):
    name: str
    endpoint_url: str | None
    region: str | None
    addressing_style: AddressingStyle
    has_keys: bool
    """Whether keys are kept. The keys themselves never come out."""
    created_at: datetime
    updated_at: datetime


class S3ConfigList(Struct, frozen=True, kw_only=True):
    items: list[S3Config]


class StoreCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: ResourceName
    kind: Kind
    bucket: Text | None = None
    prefix: Prefix = ""
    path: Text | None = None
    """Of a filesystem store: below one of the allowed roots; relative to the first of them. Default: the store's name."""
    s3_config: ResourceName | None = None
    options: dict[str, Any] = {}
    checksums: Checksums = ("md5", "sha256")
    retention: Retention = Retention()
    quota: Quota = Quota()
    upkeep: Upkeep = Upkeep()


class StoreChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    bucket: Text | UnsetType | None = UNSET
    prefix: Prefix | UnsetType = UNSET
    path: Text | UnsetType = UNSET
    s3_config: ResourceName | UnsetType | None = UNSET
    options: dict[str, Any] | UnsetType = UNSET
    checksums: Checksums | UnsetType = UNSET
    retention: Retention | UnsetType = UNSET
    quota: Quota | UnsetType = UNSET
    upkeep: Upkeep | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class StoreShown(Struct, frozen=True, kw_only=True, rename={"s3_config_name": "s3_config"}):
    """A store. Those who are no administrators see its name, its kind and whether it is on; the rest is null for them."""

    name: str
    kind: str
    enabled: bool
    bucket: str | None = None
    prefix: str | None = None
    path: str | None = None
    s3_config_name: str | None = None
    options: dict[str, Any] | None = None
    checksums: tuple[Algorithm, ...] | None = None
    retention: Retention | None = None
    quota: Quota | None = None
    brake: Brake | None = None
    """Set while sweeps wait for an administrator's word."""
    upkeep: Upkeep | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class StoreList(Struct, frozen=True, kw_only=True):
    items: list[StoreShown]


StepName: TypeAlias = Literal["open", "write", "head", "read", "list", "delete", "gone", "cors"]


class ProbeStep(Struct, frozen=True, kw_only=True):
    step: StepName
    ok: bool
    ms: float
    detail: str = ""


class Probe(Struct, frozen=True, kw_only=True):
    """What came of writing, reading and deleting one small object."""

    store: str
    ok: bool
    steps: list[ProbeStep]
    features: dict[str, bool | int | None]
