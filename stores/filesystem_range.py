"""A range of a file that others write at the same moment, each their own."""

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from stores.errors import ObjectNotFound, PartsInvalid, StoreUnavailable
from stores.filesystem_draft import FILE_MODE, write_all
from stores.filesystem_errors import translated
from stores.folders import FolderTree, regular, sync
from stores.protocol import Chunks, ObjectInfo
from stores.write_back import WriteBack

_OPEN = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class RangeDraft:
    """Written in its place from the first byte on. The file is sparse until all its ranges have come."""

    def __init__(self, tree: FolderTree, folder: Sequence[str], name: str, *, key: str, offset: int, size: int) -> None:
        self._tree = tree
        self._folder = folder
        self._name = name
        self._key = key
        self._offset = offset
        self._size = size
        self._written = 0
        self._descriptor: int | None = None
        self._write_back = WriteBack(begun=offset)
        self._given_up = False

    def write(self, chunks: Chunks) -> None:
        coming = sum(map(len, chunks))
        if self._written + coming > self._size:
            raise PartsInvalid(f"More than {self._size} bytes came for this range of {self._key!r}", key=self._key)
        with translated(self._key):
            descriptor = self._open()
            write_all(descriptor, chunks)
        self._written += coming
        self._write_back.grown(descriptor, self._offset + self._written)

    def publish(self) -> ObjectInfo:
        if self._written < self._size:
            raise PartsInvalid(f"{self._written} of {self._size} bytes came for this range of {self._key!r}", key=self._key)
        with translated(self._key):
            descriptor = self._open()
            sync(descriptor)
            status = os.fstat(descriptor)
            if not status.st_nlink or status.st_size < self._offset + self._size:
                raise StoreUnavailable(f"{self._key!r} was taken away while it was written", key=self._key)
            self._close()
        return ObjectInfo(key=self._key, size=self._size, modified_at=datetime.fromtimestamp(status.st_mtime, UTC))

    def give_up(self) -> None:
        self._given_up = True

    def discard(self) -> None:
        with suppress(OSError):
            self._close()

    def _open(self) -> int:
        if self._descriptor is None:
            for _ in self._tree.attempts():
                if self._given_up:
                    raise StoreUnavailable("The write was given up before its end", key=self._key)
                with suppress(FileNotFoundError), self._tree.made_folder(self._folder) as folder:
                    self._descriptor = self._open_in(folder)
                    break
        assert self._descriptor is not None  # noqa: S101 - `attempts` ends by raising
        return self._descriptor

    def _open_in(self, folder: int) -> int:
        descriptor = os.open(self._name, _OPEN, FILE_MODE, dir_fd=folder)
        try:
            if not regular(os.fstat(descriptor), key=self._key):
                raise ObjectNotFound(f"There is no object at {self._key!r}", key=self._key)
            os.lseek(descriptor, self._offset, os.SEEK_SET)
            sync(folder)  # also when another made the file: it may not have come to this yet
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
