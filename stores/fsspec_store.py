"""Any blocking fsspec file system as a store: what `docs/add-a-store.md` builds on."""

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, ClassVar

from fsspec import AbstractFileSystem

from stores.cleanup import Cleanup
from stores.errors import (
    FeatureMissing,
    KeyInvalid,
    ObjectExists,
    ObjectNotFound,
    ObjectTruncated,
    StoreError,
    StoreMisconfigured,
    StoreUnavailable,
)
from stores.filesystem_errors import translated
from stores.keys import TEMPORARY, check_key, is_key
from stores.protocol import Chunks, Features, ObjectInfo, OnUploadId, Writer
from stores.ranges import check_range
from stores.server_only import ServerOnly
from stores.threads import WriteBehind, read_ahead

_PIECE_BYTES = 1024 * 1024
_THREADS = 8
_LIST_BATCH = 500
_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class FsspecStore(ServerOnly):
    """Objects as files below `root` of a blocking fsspec file system, which this store owns: build it with
    `skip_instance_cache=True` and without a listing cache.

    Bytes are spooled to a local temporary file, sent under a `.tmp-…` name when all are there, and moved to their key. Two
    writers of one key at the same moment can both succeed, hence no `create_if_absent`; a listing is held in memory.
    """

    foreign_errors: ClassVar[tuple[type[Exception], ...]] = (ValueError,)
    """What the file system raises when it fails, besides OSError."""
    spool_bytes: ClassVar[int] = 4 * 1024 * 1024
    """How much of an unfinished write is kept in memory before it goes to a temporary file; 0 for all of it."""

    def __init__(self, filesystem: AbstractFileSystem, *, root: str) -> None:
        """`root` is a folder of the file system that exists; a store's prefix is part of it."""
        self.filesystem = filesystem
        self.root = root.rstrip("/")
        self._threads: ThreadPoolExecutor | None = None
        self._cleanup = Cleanup()

    @property
    def features(self) -> Features:
        return Features(
            durable=True,
            create_if_absent=False,
            presigned=False,
            local_path=False,
            multipart=False,
            ranged=False,
            nested_keys=False,
            max_object_bytes=None,
            max_delete_keys=1,
        )

    async def open(self) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fsspec-store")
        await asyncio.get_running_loop().run_in_executor(self._threads, self._open)

    async def close(self) -> None:
        await self._cleanup.drain()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    @asynccontextmanager
    async def write(
        self,
        key: str,
        *,
        size: int | None = None,  # noqa: ARG002 - nothing to plan
        media_type: str | None = None,  # noqa: ARG002 - fsspec keeps none
        on_upload_id: OnUploadId | None = None,  # noqa: ARG002 - the protocol's word; here is nothing to be aborted
    ) -> AsyncIterator[Writer]:
        writer = WriteBehind(SpooledDraft(self, check_key(key)), self._opened(), key=key)
        try:
            yield writer
        finally:
            await self._cleanup.run(writer.close())

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        return read_ahead(self._opened(), self._pieces(key, start, end))

    async def head(self, key: str) -> ObjectInfo:
        return await asyncio.get_running_loop().run_in_executor(self._opened(), self.info, key)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError | None]:
        answers: dict[str, StoreError | None] = {}
        for key in dict.fromkeys(keys):
            try:
                await asyncio.get_running_loop().run_in_executor(self._opened(), self._delete, key)
                answers[key] = None
            except StoreError as error:
                answers[key] = error
        return answers

    async def list(self, *, prefix: str = "", start_after: str = "") -> AsyncIterator[ObjectInfo]:
        async for batch in read_ahead(self._opened(), self._batches(prefix, start_after)):
            for info in batch:
                yield info

    def local_path(self, key: str) -> Path:
        raise FeatureMissing("The objects of this store are no files of this machine", key=key)

    def path(self, key: str) -> str:
        """Where the file system has this object."""
        return f"{self.root}/{check_key(key)}"

    def info(self, key: str) -> ObjectInfo:
        """Blocking `head`."""
        with self.translated(key):
            found = self.filesystem.info(self.path(key))
        if found["type"] != "file":
            raise ObjectNotFound(f"There is no object at {key!r}", key=key)
        return _object_info(key, found)

    def publish(self, key: str, spool: IO[bytes], size: int) -> ObjectInfo:
        """Blocking: put `size` bytes of the spool, from its beginning, at the key in one step, or leave no trace."""
        temporary = f"{self.root}/{TEMPORARY}{secrets.token_hex(16)}"
        with self.translated(key):
            if self.filesystem.exists(self.path(key)):
                raise ObjectExists(f"There is an object, or there are keys below it, at {key!r} already", key=key)
            try:
                # Leaving this block by an exception publishes what was sent so far, fsspec being so; only under this name.
                with self.filesystem.open(temporary, "wb") as sent:
                    shutil.copyfileobj(spool, sent, _PIECE_BYTES)
                if (there := self.filesystem.info(temporary)["size"]) != size:
                    raise StoreUnavailable(f"{size} bytes were sent, and {there} are there", key=key)
                self._make_parent(key)
                self.filesystem.mv(temporary, self.path(key))
            except BaseException:
                with suppress(StoreError), self.translated(key):
                    self.filesystem.rm_file(temporary)
                raise
        return self.info(key)

    @contextmanager
    def translated(self, key: str | None) -> Generator[None, None, None]:
        """Lets `StoreError`s pass and turns what the file system raises into one."""
        try:
            with translated(key):
                yield
        except NotImplementedError as exc:
            raise FeatureMissing("The file system behind this store can't do this", key=key) from exc
        except self.foreign_errors as exc:
            raise StoreUnavailable(f"The file system behind this store failed: {type(exc).__name__}", key=key) from exc

    def _make_parent(self, key: str) -> None:
        try:
            self.filesystem.makedirs(self.path(key).rpartition("/")[0], exist_ok=True)
        except (FileExistsError, NotADirectoryError) as exc:
            raise KeyInvalid(f"A part of {key!r} is an object of this store, so no key can lie below it", key=key) from exc

    def _opened(self) -> ThreadPoolExecutor:
        if self._threads is None:
            raise StoreUnavailable("The store is not open")
        return self._threads

    def _open(self) -> None:
        with self.translated(None):
            if not self.filesystem.isdir(self.root):
                raise StoreMisconfigured(f"The folder {self.root!r} does not exist; make it first")

    def _pieces(self, key: str, start: int, end: int | None) -> Generator[bytes, None, None]:
        position, stop = check_range(key, start=start, end=end, size=self.info(key).size)
        with self.translated(key):
            while position < stop:
                piece = self.filesystem.cat_file(self.path(key), start=position, end=min(position + _PIECE_BYTES, stop))
                if not piece:
                    raise ObjectTruncated(f"{key!r} ended at {position} bytes of {stop}", key=key)
                position += len(piece)
                yield piece

    def _delete(self, key: str) -> None:
        with self.translated(key):
            path = self.path(key)
            if self.filesystem.isdir(path):
                raise KeyInvalid(f"{key!r} is a folder, and no object", key=key)
            with suppress(FileNotFoundError, NotADirectoryError):
                self.filesystem.rm_file(path)  # not `rm`, which takes patterns

    def _batches(self, prefix: str, start_after: str) -> Generator[Sequence[ObjectInfo], None, None]:
        with self.translated(None):
            found = self.filesystem.find(self.root, detail=True)
        infos = (_object_info(path[len(self.root) + 1 :], info) for path, info in sorted(found.items()) if info["type"] == "file")
        batch: list[ObjectInfo] = []
        for info in infos:
            if info.key.startswith(prefix) and info.key > start_after and is_key(info.key):
                batch.append(info)
            if len(batch) == _LIST_BATCH:
                yield batch
                batch = []
        yield batch


class SpooledDraft:
    """An object's bytes on this machine until all are there: small ones in memory, others in a file without a name."""

    def __init__(self, store: FsspecStore, key: str) -> None:
        self._store = store
        self._key = key
        self._spool = tempfile.SpooledTemporaryFile(store.spool_bytes)  # noqa: SIM115 - closed by `discard`
        self._size = 0
        self._given_up = False

    def write(self, chunks: Chunks) -> None:
        with translated(self._key):
            self._spool.writelines(chunks)
        self._size += sum(map(len, chunks))

    def publish(self) -> ObjectInfo:
        if self._given_up:
            raise StoreUnavailable("The write was given up before its end", key=self._key)
        self._spool.seek(0)
        info = self._store.publish(self._key, self._spool, self._size)
        self._spool.close()
        return info

    def give_up(self) -> None:
        self._given_up = True

    def discard(self) -> None:
        self._spool.close()


def _object_info(key: str, found: Mapping[str, Any]) -> ObjectInfo:
    """fsspec's file systems agree on `size`, and each has its own word for the time."""
    times = (
        found[word] for word in ("mtime", "modified", "LastModified", "last_modified", "updated", "created") if word in found
    )
    return ObjectInfo(key=key, size=found["size"], modified_at=_moment(next(times, None)))


def _moment(time: object) -> datetime:
    match time:
        case datetime():
            return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
        case int() | float():
            return datetime.fromtimestamp(time, UTC)
        case str():
            with suppress(ValueError):
                return _moment(datetime.fromisoformat(time))
    return _UNKNOWN_TIME
