"""An object on its way into a folder: a file without a name until it is whole, where the system knows such files."""

import os
import secrets
import stat
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from stores.errors import KeyInvalid, ObjectExists, StoreError, StoreUnavailable
from stores.filesystem_errors import translated
from stores.folders import FolderTree, sync
from stores.keys import TEMPORARY
from stores.protocol import Chunks, ObjectInfo
from stores.write_back import WriteBack

FILE_MODE = 0o640
_IOV_MAX = os.sysconf("SC_IOV_MAX")


class FileDraft:
    """Written in the root, so that no folder is made before the object is whole; `publish` links it to its place.

    Anonymous files (O_TMPFILE) leave nothing behind however the process ends; named ones, `.tmp-…`, can outlive a crash.
    """

    def __init__(self, tree: FolderTree, folder: Sequence[str], name: str, *, key: str, keep: int, anonymous: bool) -> None:
        self._tree = tree
        self._folder = folder
        self._name = name
        self._key = key
        self._keep = keep
        self._temporary = None if anonymous else TEMPORARY + secrets.token_hex(16)
        self._descriptor: int | None = None
        self._size = 0
        self._write_back = WriteBack()
        self._linking = False
        self._given_up = False

    def write(self, chunks: Chunks) -> None:
        with translated(self._key):
            descriptor = self._open()
            write_all(descriptor, chunks)
        self._size += sum(map(len, chunks))
        self._write_back.grown(descriptor, self._size)

    def publish(self) -> ObjectInfo:
        with translated(self._key):
            descriptor = self._open()
            sync(descriptor)
            status = os.fstat(descriptor)
            if status.st_size != self._size:
                raise StoreUnavailable(f"{self._size} bytes were written, and {status.st_size} are there", key=self._key)
            self._linking = True
            self._link(descriptor)
            self._linking = False
            self._close()
        return ObjectInfo(key=self._key, size=self._size, modified_at=datetime.fromtimestamp(status.st_mtime, UTC))

    def give_up(self) -> None:
        self._given_up = True

    def discard(self) -> None:
        with suppress(OSError, StoreError):
            self._close()
            if self._linking:
                self._tree.remove_if_empty(self._folder, keep=self._keep)

    def _open(self) -> int:
        if self._descriptor is None:
            with self._tree.folder(()) as root:
                if self._temporary is None:
                    self._descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE, dir_fd=root)
                else:
                    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                    self._descriptor = os.open(self._temporary, flags, FILE_MODE, dir_fd=root)
        return self._descriptor

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        os.close(descriptor)
        if self._temporary is not None:
            # One that stays is stale one day.
            with suppress(OSError, StoreError), self._tree.folder(()) as root:
                os.unlink(self._temporary, dir_fd=root)

    def _link(self, descriptor: int) -> None:
        for _ in self._tree.attempts():
            if self._given_up:
                raise StoreUnavailable("The write was given up before its end", key=self._key)
            with suppress(FileNotFoundError), self._tree.made_folder(self._folder) as folder:
                try:
                    self._link_into(folder, descriptor)
                except FileExistsError as exc:
                    raise self._taken(folder) from exc
                sync(folder)
                return

    def _link_into(self, folder: int, descriptor: int) -> None:
        # A link, not a rename: it fails where the name is taken, whoever else is about to take it.
        if self._temporary is None:
            os.link(f"/proc/self/fd/{descriptor}", self._name, dst_dir_fd=folder, follow_symlinks=True)
        else:
            with self._tree.folder(()) as root:
                os.link(self._temporary, self._name, src_dir_fd=root, dst_dir_fd=folder, follow_symlinks=False)

    def _taken(self, folder: int) -> KeyInvalid | ObjectExists:
        if stat.S_ISDIR(os.stat(self._name, dir_fd=folder, follow_symlinks=False).st_mode):
            return KeyInvalid(f"Other keys of this store lie below {self._key!r}, so it can't be an object", key=self._key)
        return ObjectExists(f"There is an object at {self._key!r} already", key=self._key)


def anonymous_files_work(tree: FolderTree) -> bool:
    """Whether a file without a name can be made in this folder and given one afterwards, as Linux can on most file systems."""
    if not hasattr(os, "O_TMPFILE"):
        return False
    name = TEMPORARY + secrets.token_hex(16)
    try:
        with tree.folder(()) as root:
            descriptor = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE, dir_fd=root)
            try:
                os.link(f"/proc/self/fd/{descriptor}", name, dst_dir_fd=root, follow_symlinks=True)
            finally:
                os.close(descriptor)
            os.unlink(name, dir_fd=root)
    except OSError:
        return False
    return True


def write_all(descriptor: int, chunks: Chunks) -> None:
    """Write the bytes where the descriptor stands, and leave it behind them."""
    rest = [memoryview(chunk) for chunk in chunks if chunk]
    while rest:
        written = os.writev(descriptor, rest[:_IOV_MAX])
        while rest and written >= len(rest[0]):
            written -= len(rest.pop(0))
        if written:
            rest[0] = rest[0][written:]
