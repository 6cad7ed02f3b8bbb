"""Objects as files in a folder of this machine, or of a file server mounted on it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from stores.cleanup import Cleanup
from stores.config import StoreConfig
from stores.errors import KeyInvalid, ObjectNotFound, ObjectTruncated, StoreError, StoreUnavailable
from stores.filesystem_draft import FileDraft, anonymous_files_work
from stores.filesystem_errors import from_os_error, translated
from stores.filesystem_range import RangeDraft
from stores.folders import FolderTree, regular
from stores.keys import TEMPORARY, check_key, is_key
from stores.options import check_fields, read_options
from stores.protocol import Features, ObjectInfo, OnUploadId, Writer
from stores.ranges import check_range
from stores.server_only import ServerOnly
from stores.threads import WriteBehind, read_ahead

Answer = TypeVar("Answer")

_PIECE_BYTES = 1024 * 1024
_THREADS = 16  # enough to keep a network file system busy
_LIST_BATCH = 500
_DELETE_BATCH = 500
_STALE_S = 24 * 3600


class FilesystemOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    named_temporaries: bool = False
    """Write into files named `.tmp-…` even where anonymous ones seem to work."""


class FilesystemStore(ServerOnly):
    """Objects as plain files, their keys as paths below the root. POSIX systems only.

    What `a/b` names rules out an object `a`. Empty folders are removed with their last object. Symbolic links below the root are
    refused with `StoreMisconfigured`, by every operation but `list`, which passes them by with all else that is no object.
    After the folder was replaced, as by unmounting, all calls raise `StoreMisconfigured` until the store is opened again.
    """

    def __init__(self, path: Path, *, prefix: str = "", options: FilesystemOptions | None = None) -> None:
        self._path = path
        self._prefix = prefix
        self._above = tuple(prefix.split("/")[:-1])
        self._options = options or FilesystemOptions()
        self._tree: FolderTree | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._anonymous = False
        self._cleanup = Cleanup()

    @classmethod
    def from_config(cls, config: StoreConfig) -> Self:
        check_fields(config, required=("path",))
        return cls(Path(config.path or ""), prefix=config.prefix, options=read_options(config, FilesystemOptions))

    @property
    def features(self) -> Features:
        return Features(
            durable=True,
            create_if_absent=True,
            presigned=False,
            local_path=True,
            multipart=False,
            ranged=True,
            nested_keys=False,
            max_object_bytes=None,
            max_delete_keys=_DELETE_BATCH,
        )

    async def open(self) -> None:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="filesystem-store")
        await asyncio.get_running_loop().run_in_executor(self._threads, self._open)

    async def close(self) -> None:
        await self._cleanup.drain()
        threads, self._threads, self._tree = self._threads, None, None
        if threads is not None:
            threads.shutdown(wait=False)

    @asynccontextmanager
    async def write(
        self,
        key: str,
        *,
        size: int | None = None,  # noqa: ARG002 - files need no plan
        media_type: str | None = None,  # noqa: ARG002 - files have none
        on_upload_id: OnUploadId | None = None,  # noqa: ARG002 - the protocol's word; here is nothing to be aborted
    ) -> AsyncIterator[Writer]:
        tree, threads = self._opened()
        *folder, name = self._parts(key)
        draft = FileDraft(tree, folder, name, key=key, keep=len(self._above), anonymous=self._anonymous)
        writer = WriteBehind(draft, threads, key=key)
        try:
            yield writer
        finally:
            await self._cleanup.run(writer.close())

    @asynccontextmanager
    async def write_range(self, key: str, *, offset: int, size: int) -> AsyncIterator[Writer]:
        tree, threads = self._opened()
        *folder, name = self._parts(key)
        draft = RangeDraft(tree, folder, name, key=key, offset=offset, size=size)
        writer = WriteBehind(draft, threads, key=key)
        try:
            yield writer
        finally:
            await self._cleanup.run(writer.close())

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        _, threads = self._opened()
        return read_ahead(threads, self._pieces(key, start, end))

    async def head(self, key: str) -> ObjectInfo:
        _, threads = self._opened()
        return await asyncio.get_running_loop().run_in_executor(threads, self._head, key)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, StoreError | None]:
        remaining = iter(dict.fromkeys(keys))
        answers: dict[str, StoreError | None] = {}
        while batch := list(islice(remaining, _DELETE_BATCH)):
            try:
                _, threads = self._opened()
            except StoreError as error:
                answers.update(dict.fromkeys(batch, error))
            else:
                answers.update(await asyncio.get_running_loop().run_in_executor(threads, self._delete, batch))
        return answers

    async def list(self, *, prefix: str = "", start_after: str = "") -> AsyncIterator[ObjectInfo]:
        _, threads = self._opened()
        async for batch in read_ahead(threads, self._batches(prefix, start_after)):
            for info in batch:
                yield info

    def local_path(self, key: str) -> Path:
        tree, _ = self._opened()
        return tree.path.joinpath(*self._parts(key))

    def remove_stale_temporaries(self, older_than_s: float = _STALE_S) -> int:
        """Remove `.tmp-…` files that nothing was written to for so long, and say how many. Blocking. `open` does it."""
        tree, _ = self._opened()
        removed = 0
        with translated(None), tree.folder(()) as root, os.scandir(root) as entries:
            for entry in entries:
                if not entry.name.startswith(TEMPORARY):
                    continue
                with suppress(FileNotFoundError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > older_than_s:
                        os.unlink(entry.name, dir_fd=root)
                        removed += 1
        return removed

    def _opened(self) -> tuple[FolderTree, ThreadPoolExecutor]:
        if self._tree is None or self._threads is None:
            raise StoreUnavailable("The store is not open")
        return self._tree, self._threads

    def _parts(self, key: str) -> Sequence[str]:
        return (*self._above, *check_key(key, prefix=self._prefix).split("/"))

    def _open(self) -> None:
        with translated(None):
            tree = FolderTree(self._path)
            self._anonymous = not self._options.named_temporaries and anonymous_files_work(tree)
            self._tree = tree
        with suppress(StoreError):  # of a folder that may only be read
            self.remove_stale_temporaries()

    def _head(self, key: str) -> ObjectInfo:
        tree, _ = self._opened()
        *folder, name = self._parts(key)
        with translated(key), tree.folder(folder) as descriptor:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if not regular(status, key=key):
            raise ObjectNotFound(f"There is no object at {key!r}", key=key)
        return _info(key, status)

    def _pieces(self, key: str, start: int, end: int | None) -> Generator[bytes, None, None]:
        tree, _ = self._opened()
        *folder, name = self._parts(key)
        with translated(key):
            with tree.folder(folder) as descriptor:
                # O_NONBLOCK, because opening a named pipe would wait for its writer.
                opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
            try:
                status = os.fstat(opened)
                if not regular(status, key=key):
                    raise ObjectNotFound(f"There is no object at {key!r}", key=key)
                position, end = check_range(key, start=start, end=end, size=status.st_size)
                while position < end:
                    piece = os.pread(opened, min(_PIECE_BYTES, end - position), position)
                    if not piece:
                        raise ObjectTruncated(f"{key!r} shrank to {position} bytes while it was read", key=key)
                    position += len(piece)
                    yield piece
            finally:
                os.close(opened)

    def _delete(self, keys: Sequence[str]) -> Mapping[str, StoreError | None]:
        tree, _ = self._opened()
        answers: dict[str, StoreError | None] = {}
        by_folder: dict[Sequence[str], list[str]] = {}
        for key in keys:
            try:
                by_folder.setdefault(tuple(self._parts(key)[:-1]), []).append(key)
            except StoreError as error:
                answers[key] = error
        for folder, inside in by_folder.items():
            answers.update(_delete_inside(tree, folder, inside))
        # After all removals, because the first sync of a folder mostly does the work of those that follow.
        for folder in by_folder:
            with suppress(StoreError):
                tree.remove_if_empty(folder, keep=len(self._above))
        return answers

    def _batches(self, prefix: str, start_after: str) -> Generator[Sequence[ObjectInfo], None, None]:
        tree, _ = self._opened()
        with translated(None):
            base = prefix[: prefix.rfind("/") + 1]
            if not is_key(base[:-1]):  # as `../`, which must not be walked
                base = ""
            found = self._below(tree, base, prefix=prefix, start_after=start_after)
            while batch := list(islice(found, _LIST_BATCH)):
                yield batch

    def _below(self, tree: FolderTree, base: str, *, prefix: str, start_after: str) -> Iterator[ObjectInfo]:
        """The objects of one folder and of those inside; `base` is what their keys begin with."""
        # A folder that vanishes has lost its last object.
        with suppress(FileNotFoundError, NotADirectoryError), tree.folder((*self._above, *base.split("/")[:-1])) as folder:
            for name in _sorted_names(folder):
                key = base + name
                if name.endswith("/"):
                    wanted = key.startswith(prefix) or prefix.startswith(key)
                    if wanted and (key > start_after or start_after.startswith(key)):
                        yield from self._below(tree, key, prefix=prefix, start_after=start_after)
                elif key.startswith(prefix) and key > start_after and is_key(key, prefix=self._prefix):
                    with suppress(FileNotFoundError):
                        yield _info(key, os.stat(name, dir_fd=folder, follow_symlinks=False))


def _info(key: str, status: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key=key, size=status.st_size, modified_at=datetime.fromtimestamp(status.st_mtime, UTC))


def _sorted_names(folder: int) -> Sequence[str]:
    """Files and folders, these with a `/`, so that they sort as the keys that begin with them do.

    Python sorts text by code point, which is the order of its UTF-8 bytes.
    """
    with os.scandir(folder) as entries:
        return sorted(
            entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name
            for entry in entries
            if not entry.name.startswith(TEMPORARY)
            and (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False))
        )


def _delete_inside(tree: FolderTree, folder: Sequence[str], keys: Sequence[str]) -> Mapping[str, StoreError | None]:
    try:
        with tree.folder(folder) as descriptor:
            return {key: _unlink(descriptor, key) for key in keys}
    except (FileNotFoundError, NotADirectoryError):
        return dict.fromkeys(keys)
    except OSError as exc:
        return {key: from_os_error(exc, key=key) for key in keys}
    except StoreError as error:
        return dict.fromkeys(keys, error)


def _unlink(folder: int, key: str) -> StoreError | None:
    name = key.rpartition("/")[2]
    try:
        if not regular(os.stat(name, dir_fd=folder, follow_symlinks=False), key=key):
            return KeyInvalid(f"{key!r} is a folder or a special file, and no object", key=key)
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as exc:
        return from_os_error(exc, key=key)
    except StoreError as error:
        return error
    return None
