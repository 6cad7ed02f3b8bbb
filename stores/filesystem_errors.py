"""What the operating system says, as `StoreError`s."""

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from stores.errors import (
    KeyInvalid,
    ObjectExists,
    ObjectNotFound,
    ObjectTooLarge,
    StoreAccessDenied,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreUnavailable,
)

_BY_ERRNO: Mapping[int, type[StoreError]] = {
    errno.ENOENT: ObjectNotFound,
    errno.ENOTDIR: ObjectNotFound,
    errno.EISDIR: ObjectNotFound,
    errno.ENXIO: ObjectNotFound,  # opening a socket that lies there
    errno.EEXIST: ObjectExists,
    errno.EFBIG: ObjectTooLarge,
    errno.ENAMETOOLONG: KeyInvalid,
    errno.EILSEQ: KeyInvalid,
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EACCES: StoreAccessDenied,
    errno.EPERM: StoreAccessDenied,
    errno.EROFS: StoreAccessDenied,
    errno.ELOOP: StoreMisconfigured,
    errno.EXDEV: StoreMisconfigured,
}


def from_os_error(exc: OSError, *, key: str | None) -> StoreError:
    """The one translation; what is not listed (EIO, ESTALE, EMFILE, …) is the store's failure, and retryable."""
    kind = _BY_ERRNO.get(exc.errno or 0, _by_class(exc))
    reason = os.strerror(exc.errno) if exc.errno else type(exc).__name__
    return kind(f"The file system says of {'the store' if key is None else repr(key)}: {reason}", key=key)


@contextmanager
def translated(key: str | None) -> Iterator[None]:
    """Lets `StoreError`s pass and turns every `OSError` into one."""
    try:
        yield
    except OSError as exc:
        raise from_os_error(exc, key=key) from exc


def _by_class(exc: OSError) -> type[StoreError]:
    # fsspec raises these without an errno.
    if isinstance(exc, FileNotFoundError | NotADirectoryError | IsADirectoryError):
        return ObjectNotFound
    if isinstance(exc, FileExistsError):
        return ObjectExists
    if isinstance(exc, PermissionError):
        return StoreAccessDenied
    return StoreUnavailable
