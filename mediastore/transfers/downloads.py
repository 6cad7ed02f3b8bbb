"""Bytes out: who may have them is decided at the moment when they are served."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from time import monotonic

import msgspec
from msgspec import Struct

from mediastore.accounts.access import is_public
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries, version_queries
from mediastore.catalog.queries import ContentRow
from mediastore.catalog.schemas import Checksum
from mediastore.catalog.service import Catalog
from mediastore.catalog.version_queries import StoredVersion
from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.placement.registry import Registry
from mediastore.transfers.errors import (
    ContentLost,
    ContentMissing,
    ContentUnavailable,
    VersionNotFound,
)
from mediastore.transfers.uploads import content_etag
from stores.errors import ObjectNotFound
from stores.protocol import Store

REMEMBERED = 10_000
REMEMBERED_S = 10
"""How many files, and for how long, are taken to be as whole as when they were looked at: objects never change."""


class Download(Struct, frozen=True, kw_only=True):
    """Bytes that this caller may have, as they are kept."""

    media: int
    pid: str
    version: int
    object: int
    key: str
    store: int
    store_revision: int
    size: int
    media_type: str
    filename: str
    stored_at: datetime
    public: bool
    expires_at: datetime | None
    checksums: tuple[tuple[str, str], ...]
    """Digests that we or the store computed: algorithm and lower-case hex."""

    @property
    def etag(self) -> str:
        return content_etag(self.version, self.object)


class Whole(Struct, frozen=True, kw_only=True):
    """A file that was as large as its object when it was looked at."""

    store: Store
    path: Path
    until: float


class Downloads:
    def __init__(
        self,
        database: Database,
        *,
        catalog: Catalog,
        registry: Registry,
        on_read: Callable[[Download, Caller], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._registry = registry
        self._on_read = on_read
        self._clock = clock
        self._whole: dict[int, Whole] = {}

    async def find(self, pid: str, *, version: int | None, caller: Caller) -> Download:
        """What would be served. Raises as reading the record does, `VersionNotFound`, `ContentMissing` and `ContentLost`."""
        now = self._clock()
        async with self._database.connection() as connection:
            row = self._catalog.readable(await queries.content_by_pid(connection, pid), pid, caller=caller, now=now)
            if version is None or version == row.version:
                return _current(row, now)
            found = await version_queries.version(connection, row.id, version)
        if found is None:
            raise VersionNotFound(f"{pid} has no version {version}; its current one is {row.version}", pid=pid, version=version)
        return _download(row, found, now)

    def begun(self, download: Download, *, caller: Caller) -> None:
        """Bytes are on their way to this caller."""
        self._on_read(download, caller)

    async def file(self, download: Download) -> Path | None:
        """The object as a file of this machine, where the store has that. Raises `ContentUnavailable` when it is not whole."""
        store = await self._store(download)
        known = self._whole.get(download.object)
        if known is not None and known.store is store and known.until > monotonic():
            return known.path
        if not store.features.local_path:
            return None
        path = store.local_path(download.key)
        try:
            # Walks the folders without following links, which the server's own open of the path would do.
            info = await store.head(download.key)
        except ObjectNotFound as error:
            raise _unavailable(download) from error
        if info.size != download.size:
            raise _unavailable(download)
        if len(self._whole) >= REMEMBERED:
            self._whole.clear()
        self._whole[download.object] = Whole(store=store, path=path, until=monotonic() + REMEMBERED_S)
        return path

    async def stream(self, download: Download, *, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes [start, end), the first of them already fetched: a store that is down is an error, not half an answer."""
        store = await self._store(download)
        pieces = store.read(download.key, start=start, end=end)
        try:
            first = await anext(pieces, b"")
        except ObjectNotFound as error:
            raise _unavailable(download) from error
        return _chained(first, pieces)

    async def _store(self, download: Download) -> Store:
        return await self._registry.get(download.store, revision=download.store_revision, even_disabled=False)


def _current(row: ContentRow, now: datetime) -> Download:
    if row.status == "lost":
        raise ContentLost(f"the bytes of {row.pid} are lost: {row.status_reason}", pid=row.pid)
    if row.object is None or row.object_key is None or row.object_store is None:
        raise ContentMissing(f"{row.pid} has no content yet: it is {row.status}", pid=row.pid, record_status=row.status)
    return _download(
        row,
        StoredVersion(
            object=row.object,
            object_key=row.object_key,
            object_store=row.object_store,
            object_store_revision=row.object_store_revision or 0,
            object_state=row.object_state or "",
            version=row.version,
            filename=row.filename,
            media_type=row.media_type or "",
            size=row.size or 0,
            stored_at=row.stored_at or now,
            checksums=row.checksums or msgspec.Raw(b"{}"),
        ),
        now,
    )


def _download(row: ContentRow, found: StoredVersion, now: datetime) -> Download:
    if found.object_state != "stored":
        raise ContentLost(f"the bytes of version {found.version} of {row.pid} are gone: {found.object_state}", pid=row.pid)
    return Download(
        media=row.id,
        pid=row.pid,
        version=found.version,
        object=found.object,
        key=found.object_key,
        store=found.object_store,
        store_revision=found.object_store_revision,
        size=found.size,
        media_type=found.media_type,
        filename=found.filename or row.pid.rpartition("/")[2],
        stored_at=found.stored_at,
        public=is_public(row, now),
        expires_at=row.expires_at,
        checksums=_attested(bytes(found.checksums)),
    )


@lru_cache(maxsize=1_000)
def _attested(checksums: bytes) -> tuple[tuple[str, str], ...]:
    """Digests that we or the store computed. The same text says the same each time, so it is read once."""
    found = msgspec.json.decode(checksums, type=dict[str, Checksum])
    return tuple((name, item.value) for name, item in found.items() if item.attested_by != "claimed")


def _unavailable(download: Download) -> ContentUnavailable:
    return ContentUnavailable(
        f"the store does not give the bytes of {download.pid} that it should have; try again, and tell an administrator "
        "if it stays so",
        pid=download.pid,
    )


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    try:
        async for piece in rest:
            yield piece
    finally:
        close = getattr(rest, "aclose", None)
        if close is not None:
            await close()
