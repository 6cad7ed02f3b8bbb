"""A folder tree that no path leaves: every step is opened by name below the step before, and symbolic links are refused."""

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from stores.errors import KeyInvalid, StoreMisconfigured, StoreUnavailable

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_MODE = 0o750
_MAKE_ATTEMPTS = 100  # each lost to a deletion that emptied the folder at that very moment
_F_FULLFSYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone stops at the drive's cache


class FolderTree:
    """The folder as it was when this was built; a symbolic link to it is resolved then, once."""

    def __init__(self, path: Path) -> None:
        """Raises `StoreMisconfigured` unless the path is an absolute one of a folder."""
        if not path.is_absolute():
            raise StoreMisconfigured(f"The path of a filesystem store must be absolute: {str(path)!r}")
        try:
            self.path = path.resolve(strict=True)
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError, RuntimeError) as exc:
            raise StoreMisconfigured(f"The folder {str(path)!r} does not exist; make it first") from exc
        if not stat.S_ISDIR(status.st_mode):
            raise StoreMisconfigured(f"{str(path)!r} is not a folder")
        self._identity = (status.st_dev, status.st_ino)

    @contextmanager
    def folder(self, parts: Sequence[str]) -> Iterator[int]:
        """A descriptor of the folder below the root, closed in the end.

        Raises `FileNotFoundError`, `NotADirectoryError` where a file lies on the way, `StoreMisconfigured` where a symbolic
        link does.
        """
        descriptor = self._open_root()
        try:
            for part in parts:
                descriptor = _descend(descriptor, part)
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def made_folder(self, parts: Sequence[str]) -> Iterator[int]:
        """The same, but missing folders are made, durably.

        Raises `KeyInvalid` where a file lies on the way. An empty folder may be removed by others until something lies in it:
        who then meets `FileNotFoundError` tries again.
        """
        descriptor = self._open_root()
        try:
            for part in parts:
                with suppress(FileExistsError):
                    os.mkdir(part, _FOLDER_MODE, dir_fd=descriptor)
                # Also when another made it: its maker may not have come to this yet.
                sync(descriptor)
                try:
                    descriptor = _descend(descriptor, part)
                except NotADirectoryError as exc:
                    raise KeyInvalid(f"{part!r} is an object of this store, so no key can lie below it") from exc
            yield descriptor
        finally:
            os.close(descriptor)

    def attempts(self) -> Iterator[None]:
        """Rounds of trying again after `made_folder` lost a race; raises `StoreUnavailable` when there were too many."""
        for _ in range(_MAKE_ATTEMPTS):
            yield
        raise StoreUnavailable("Others removed the folder again and again while an object was put into it")

    def remove_if_empty(self, parts: Sequence[str], *, keep: int) -> Sequence[str]:
        """Remove the folder and those above it, as far as they are empty, but never the first `keep` parts.

        Answers the deepest folder that is left, synced to disk. Best effort: raises no `OSError`.
        """
        left = tuple(parts)
        with suppress(OSError):
            while len(left) > keep:
                with self.folder(left[:-1]) as above:
                    os.rmdir(left[-1], dir_fd=above)
                left = left[:-1]
        with suppress(OSError), self.folder(left) as descriptor:
            sync(descriptor)
        return left

    def _open_root(self) -> int:
        try:
            descriptor = os.open(self.path, _STEP)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise StoreMisconfigured("The folder of this store is gone") from exc
        status = os.fstat(descriptor)
        if (status.st_dev, status.st_ino) != self._identity:
            # An unmounted disk leaves an empty folder behind, where every object would look deleted.
            os.close(descriptor)
            raise StoreMisconfigured("Another folder, or another disk, has taken the place of this store's folder")
        return descriptor


def sync(descriptor: int) -> None:
    """Put on disk what the descriptor stands for, file or folder."""
    if _F_FULLFSYNC is not None:
        fcntl.fcntl(descriptor, _F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def regular(status: os.stat_result, *, key: str) -> bool:
    """Whether this is an object. Raises `StoreMisconfigured` for a symbolic link."""
    if stat.S_ISLNK(status.st_mode):
        raise StoreMisconfigured(f"A symbolic link lies at {key!r}; a store follows none", key=key)
    return stat.S_ISREG(status.st_mode)


def _descend(descriptor: int, part: str) -> int:
    """Open the folder inside, and close the one it lies in unless this fails."""
    try:
        inner = os.open(part, _STEP, dir_fd=descriptor)
    except OSError:
        regular(os.stat(part, dir_fd=descriptor, follow_symlinks=False), key=part)
        raise
    os.close(descriptor)
    return inner
