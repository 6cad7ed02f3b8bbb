"""The words of AMPLIfy Mediastore's API. Unknown fields are passed over, as that system does: its clients send some."""

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from mediastore.catalog.schemas import JsonObject, JsonValue

Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Metadata: TypeAlias = dict[str, Raw]
"""Its members stay as their bytes: numbers stay as exact as they were written."""
Pids: TypeAlias = list[str]
Pk: TypeAlias = int


class AmplifyHello(Struct, frozen=True, kw_only=True):
    """What anyone is greeted with."""

    msg: str


class AmplifyLogin(Struct, frozen=True, kw_only=True):
    username: Annotated[str, Meta(max_length=255)]
    password: Annotated[str, Meta(max_length=1024)]


class AmplifyToken(Struct, frozen=True, kw_only=True):
    token: str


class AmplifyFailed(Struct, frozen=True, kw_only=True):
    """A log-in or an upload that failed."""

    error: str


class AmplifyFault(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that is wrong: a sentence, or a field."""

    error: str | None = None
    msg: str | None = None
    loc: list[str | int] | None = None
    type: str | None = None


class AmplifyRefusal(Struct, frozen=True, kw_only=True):
    detail: list[AmplifyFault]


class AmplifyStoreWanted(Struct, frozen=True, kw_only=True):
    type: Annotated[str, Meta(max_length=100, description="BucketStore, FilesystemStore or DictStore")]
    bucket: Text
    s3_url: Annotated[str, Meta(max_length=1024)] | None = None
    """Of a BucketStore: the URL of an S3 config."""


class AmplifyStore(Struct, frozen=True, kw_only=True):
    pk: Pk
    type: str
    bucket: str
    s3_url: str


class AmplifyS3ConfigWanted(Struct, frozen=True, kw_only=True):
    url: Text
    access_key: Text
    secret_key: Text


class AmplifyS3Config(Struct, frozen=True, kw_only=True):
    """Its keys go in and never come out."""

    pk: Pk
    url: str


class AmplifyIdentifierTypeWanted(Struct, frozen=True, kw_only=True):
    name: str
    pattern: Annotated[str, Meta(max_length=1000)] | None = None
    """RE2; has to match the whole value. Empty: any value does."""


class AmplifyIdentifierType(Struct, frozen=True, kw_only=True):
    name: str
    pattern: str


class AmplifyMediaWanted(Struct, frozen=True, kw_only=True):
    pid: str
    pid_type: str
    store_config: AmplifyStoreWanted
    identifiers: dict[str, str] | None = None
    metadata: Metadata | None = None
    tags: list[str] | None = None


class AmplifyMedia(Struct, frozen=True, kw_only=True):
    pk: Pk
    pid: str
    pid_type: str
    store_config: AmplifyStore
    store_status: Literal["PENDING", "READY"]
    identifiers: dict[str, str]
    metadata: JsonObject
    tags: list[str]


class AmplifyMediaChange(Struct, frozen=True, kw_only=True):
    pid: str | None = None
    new_pid: str | None = None
    pid_type: str | None = None
    store_config: Pk | AmplifyStoreWanted | None = None


class AmplifyMediaChanges(Struct, frozen=True, kw_only=True):
    pids: Pids
    medias: list[AmplifyMediaChange]
    """One for each PID, in their order."""


class AmplifyTags(Struct, frozen=True, kw_only=True):
    pid: str
    tags: list[str]


class AmplifyStoreKey(Struct, frozen=True, kw_only=True):
    pid: str
    store_key: str


class AmplifyIdentifiers(Struct, frozen=True, kw_only=True):
    pid: str
    identifiers: dict[str, str]


class AmplifyMetadata(Struct, frozen=True, kw_only=True):
    pid: str
    keys: Annotated[list[str], Meta(max_length=100)] | None = None
    """The way to a place in the tree, from the outside in; none or empty: all of it."""
    data: JsonValue | UnsetType = UNSET
    """What is set or merged; left out, an empty object."""


class AmplifySearch(Struct, frozen=True, kw_only=True):
    tags: Annotated[list[str], Meta(max_length=100, description="Records that have any of these")]


class AmplifyFailure(Struct, frozen=True, kw_only=True):
    pid: str
    error: str
    msg: str


class AmplifyBulk(Struct, frozen=True, kw_only=True):
    """What came of each item of a bulk change."""

    successes: Pids
    failures: list[AmplifyFailure]


class AmplifyUpload(Struct, frozen=True, kw_only=True):
    """`base64` is read as it comes, and may be of any length."""

    mediadata: AmplifyMediaWanted
    base64: str | None = None


class AmplifyUploaded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    status: Literal["PENDING", "READY"]
    presigned_put: str | None = None
    """Without base64: where to PUT the bytes, with any headers or none."""


class AmplifyDownloaded(Struct, frozen=True, kw_only=True):
    mediadata: AmplifyMedia
    base64: str


class AmplifyLink(Struct, frozen=True, kw_only=True):
    mediadata: AmplifyMedia
    presigned_get: str


class AmplifyLinked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of many: the record and its URL, or the PID and what keeps it back."""

    mediadata: AmplifyMedia | None = None
    presigned_get: str | None = None
    pid: str | None = None
    error: str | None = None
    msg: str | None = None
