"""The one interface of every place for bytes.

A store is an object store: whole objects, written once, read by range, deleted by key. It holds no state that matters and
knows nothing of HTTP, databases or records. What differs between stores is declared in `Features`, and the conformance suite
proves the declaration both ways.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import msgspec

from stores.digests import Algorithm
from stores.errors import StoreError

Chunks: TypeAlias = Sequence[bytes]
"""Consecutive bytes of one object; about 1 MiB together is the fast size."""


ObjectAcl: TypeAlias = Literal["private", "public-read"]
"""Whom a store itself lets read one object; some forbid to say so."""


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """What a store can do; a missing ability raises `FeatureMissing` at once."""

    durable: bool
    """Bytes outlive this process and are seen by others."""
    create_if_absent: bool
    """The store itself refuses a second object at one key, however many writers race."""
    presigned: bool
    """Clients can read and write objects by presigned requests, past this server; in parts too where there is `multipart`."""
    local_path: bool
    """A whole object is a file of this machine, which a server may send without reading it."""
    multipart: bool
    """Objects can be sent in parts that the store puts together; such uploads can be left open."""
    ranged: bool
    """An object whose size is known can be written in ranges, in any order and at once, by any servers."""
    nested_keys: bool
    """An object may lie below another's key, `a/b` beside `a`; else the later one is refused with `KeyInvalid`."""
    max_object_bytes: int | None
    """Largest object, bytes; None where nothing but space limits it."""
    max_delete_keys: int
    """Keys that one call to the store removes; `delete` takes any number and splits them."""


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the store itself says of an object, asked afresh."""

    key: str
    size: int
    """Bytes."""
    modified_at: datetime
    """Aware UTC, by the store's clock."""
    etag: str | None = None
    """The store's opaque tag, without quotes. Never a digest, whatever it looks like."""
    media_type: str | None = None
    checksums: Mapping[str, str] = {}
    """Digests of the whole object that the store computed and attests, lower-case hex by algorithm; often empty."""


class OpenUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A multipart upload that was begun and neither completed nor aborted."""

    key: str
    upload_id: str


class SignedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to the store, as any HTTP client can send it without knowing more. Never logged: its repr hides it."""

    method: Literal["PUT", "POST"]
    url: str
    headers: Mapping[str, str] = {}
    """Of a PUT: to be sent exactly as they are, because they are signed. The body's length is among them; browsers, which let
    nobody else set that one, set it to the same."""
    fields: Mapping[str, str] = {}
    """Of a POST: form fields (multipart/form-data), to be sent in this order, and after them the bytes as the field `file`."""

    def __repr__(self) -> str:
        return f"SignedRequest(method={self.method!r}, url=***)"


class PartInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A part that the store has received of an open multipart upload."""

    number: int
    size: int
    """Bytes."""
    etag: str
    """The store's opaque tag, without quotes. Never a digest."""
    checksums: Mapping[str, str] = {}
    """Digests of the part that the store attests, lower-case hex by algorithm; often empty."""
    modified_at: datetime | None = None
    """When it came, aware UTC, by the store's clock."""


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """What a delete does where the store keeps old versions: readers find nothing at the key any more, and nothing is freed."""

    how: str = "delete marker"
    """In the store's own words."""


Deletion: TypeAlias = StoreError | Hidden | None
"""What became of one key: None when its bytes are gone."""


class Writer(Protocol):
    """One object being written. Nothing is readable at its key before `commit` returns."""

    async def append(self, chunks: Chunks) -> None:
        """Add bytes at the end. The caller may not change them afterwards."""

    async def commit(self) -> ObjectInfo:
        """Make the object readable, durably, in one step: no reader ever sees part of it. After this the writer is done.

        Raises `ObjectExists` where the key is taken, and leaves what is there untouched. Cancelled while it runs, or failed with
        a retryable error, it may have taken place nevertheless, as a whole: `head` tells.
        """


OnUploadId: TypeAlias = Callable[[str], Awaitable[None]]


class Store(Protocol):
    """A place for bytes. Every method raises only `StoreError`s."""

    @property
    def features(self) -> Features: ...

    async def open(self) -> None:
        """Make ready for use: build clients, check that the place exists. Safe to call again after a failure."""

    async def close(self) -> None:
        """Let go of clients and connections. Never fails; safe to call twice."""

    def write(
        self,
        key: str,
        *,
        size: int | None = None,
        media_type: str | None = None,
        on_upload_id: OnUploadId | None = None,
    ) -> AbstractAsyncContextManager[Writer]:
        """Write an object that is not there yet. Atomic.

        Leaving the block without `commit`, by return, exception or cancellation, removes every trace: temporary files, open
        multipart uploads. `size`, bytes, is a hint for planning; the bytes appended decide. `on_upload_id` is awaited with the
        store's id of a multipart upload before the first part is sent, so that the id can be written down first.
        """

    def write_range(self, key: str, *, offset: int, size: int) -> AbstractAsyncContextManager[Writer]:
        """Write `size` bytes at `offset` of an object, which the first such write makes; `FeatureMissing` without `ranged`.

        Not atomic, and for keys that no reader is told of before all ranges were committed: each is durable once `commit` has
        returned, whose answer has the range's size, and one that is left without it holds whatever has come. Two writers of one
        range at the same moment mix their bytes, so the caller lets in one. Raises `PartsInvalid` for bytes beyond the range, and
        from `commit` for fewer.
        """

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes [start, end) of the object, in pieces of at most 1 MiB; to its end when `end` is None.

        Raises `ObjectNotFound` before the first piece, `RangeInvalid` unless 0 <= start <= end <= size, and
        `ObjectTruncated` when the store ends early: a short read never looks like a whole one. An empty range yields nothing.
        """

    async def head(self, key: str) -> ObjectInfo:
        """What is at the key, past every cache. Raises `ObjectNotFound`; a mere prefix of other keys is not an object."""

    async def delete(self, keys: Sequence[str]) -> Mapping[str, Deletion]:
        """Remove exactly these keys, never by pattern.

        Answers for each key: None when it is gone, whether or not it had been there; `Hidden` when that is so for readers while
        the store says that it keeps the bytes; else its error. Raises nothing itself: a store that can't be reached answers with
        that error for each key.
        """

    def list(self, *, prefix: str = "", start_after: str = "") -> AsyncIterator[ObjectInfo]:
        """Every object whose key begins with `prefix` and sorts after `start_after`, uncached, of any number.

        In ascending order of the keys' UTF-8 bytes. Unfinished writes are never listed, nor is what lies under a name that is
        no key (see `stores.keys`). Checksums and media types may be left out.
        """

    def list_uploads(self, *, prefix: str = "") -> AsyncIterator[OpenUpload]:
        """Multipart uploads left open for keys that begin with `prefix`, of any number; none without multipart."""

    async def abort_upload(self, key: str, upload_id: str) -> None:
        """Let go of an open multipart upload. One that is gone or was completed is not an error."""

    def local_path(self, key: str) -> Path:
        """The file of this object, inside the store's root; `FeatureMissing` elsewhere. Does not look whether it is there."""

    async def presign_get(self, key: str, *, expires_s: int, filename: str | None = None, media_type: str | None = None) -> str:
        """A URL that lets its holder read this one object for `expires_s` seconds; `FeatureMissing` elsewhere.

        File name and media type are signed into it, as Content-Disposition (attachment, RFC 6266) and Content-Type.
        """

    # Direct uploads. Without the feature `presigned` each of these raises `FeatureMissing` at once, and those for parts without
    # `multipart` too. What a client sends is compared by the store as far as it was told digests that it knows; the others stay
    # claims. `digests` are lower-case hex by algorithm, and of those a store attests one `ObjectInfo.checksums` holds afterwards.

    async def presign_put(
        self, key: str, *, expires_s: int, size: int | None, media_type: str, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        """One PUT of an object of exactly this size, type and, where the store can compare them, digests.

        With `create_if_absent` a second PUT is refused by the store, so that the URL can't change what was verified. Raises
        `ObjectTooLarge` for more than one request can carry.

        Without a size nothing but the key is signed: a client that knows no more than the URL may PUT any bytes with any headers,
        and until it expires others over them. So it is for keys where bytes only land, to be copied and verified from there.
        """

    async def presign_post(
        self,
        key: str,
        *,
        expires_s: int,
        size: int,
        media_type: str,
        digests: Mapping[str, str] = {},
        acl: ObjectAcl | None = None,
    ) -> SignedRequest:
        """The same as a form. There is no condition for it that the key be free: until it expires, the form can be sent again,
        and where no digest was compared, with other bytes of the same size. Not every server compares digests in forms.

        `acl` is pinned as well; left out, the store's own rules say who may read the object.
        """

    async def begin_multipart(self, key: str, *, media_type: str, checksum: Algorithm | None = None) -> str:
        """Begin an upload in parts and answer its id.

        Where `checksum` names an algorithm that the store can compare, every part has to be signed with a digest by it; with
        `crc32c` the store attests one of the whole object too, if it can. A lost answer leaves an upload open: `list_uploads`.
        """

    async def presign_part(
        self, key: str, upload_id: str, number: int, *, size: int, expires_s: int, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        """A PUT of one part, whose size, and MD5 or the upload's own checksum where `digests` holds them, are signed.

        Does not look whether the upload is there. Raises `PartsInvalid` for a number or size that no part can have.
        """

    async def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        """All parts that the store has, by number, past one page too. Raises `UploadNotFound`, also after completion."""

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], *, size: int | None = None
    ) -> ObjectInfo:
        """Make one object of these parts, given as number and etag, in any order. Atomic, and safe to repeat and to race.

        An upload that is completed already, or whose answer was lost, is told by looking at the key for an object as large as
        the parts, or as `size` where they can't be listed any more. Raises `PartsInvalid` when parts are missing, too small,
        others than named or not `size` bytes together (the upload stays open), `UploadNotFound` when the upload is gone and no
        object is there, and `ObjectExists` when another object is.
        """

    async def cors(self, origin: str) -> str | None:
        """None when browsers let pages of this origin (`https://host`) PUT, POST and GET here by presigned requests and read
        the ETag of what they PUT; else a sentence that says what has to be set, or that the store can't tell.
        """
