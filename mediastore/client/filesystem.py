"""`mediastore://PID` for pandas, xarray, DuckDB, PyArrow, Dask and whatever else reads and writes by fsspec."""

import io
import os
import sys
import tempfile
import weakref
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from fsspec.caching import register_cache
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from mediastore.catalog.schemas import Media
from mediastore.client.client import Client
from mediastore.client.errors import Gone, NotAllowed, NotFound, NotLoggedIn
from mediastore.client.read_ahead import GrowingReadAhead

BLOCK = 8 * 1024 * 1024
"""What is read ahead, at most."""
PAGE = 1_000
register_cache(GrowingReadAhead, clobber=True)


class MediastoreFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec brings no types
    """PIDs as paths; what lies below a PID's slashes as folders, which are there as long as something lies in them.

    `url`, `credential` and `profile` as for `Client`: without them, those of the environment or of the profile. What is written
    becomes a new version of its PID at once, when the file is closed, and not at all after an exception.
    """

    protocol = "mediastore"
    cachable = False  # the environment says who asks, and may say something else the next time
    root_marker = ""

    def __init__(
        self, url: str | None = None, *, credential: str | None = None, profile: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.client = Client(url, credential=credential, profile=profile)
        weakref.finalize(self, self.client.close)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        return os.fspath(path).removeprefix("mediastore://").strip("/")

    # What is there.

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        pid = self._strip_protocol(path)
        if pid:
            try:
                return entry(self._media(pid))
            except FileNotFoundError:
                if next(self._below(pid, limit=1), None) is None:
                    raise
        return folder(pid)

    def exists(self, path: str, **_: Any) -> bool:
        try:
            self.info(path)
        except FileNotFoundError:
            return False
        return True

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What lies directly below. Everything below is asked for, as servers know PIDs and no folders."""
        pid = self._strip_protocol(path)
        above = f"{pid}/" if pid else ""
        found: dict[str, dict[str, Any]] = {}
        for media in self._below(pid):
            name, below, _rest = media.pid.removeprefix(above).partition("/")
            if not below:
                found[above + name] = entry(media)
            else:
                found.setdefault(above + name, folder(above + name))
        if not found:
            if not pid:
                return []
            found[pid] = entry(self._media(pid))
        items = sorted(found.values(), key=lambda item: str(item["name"]))
        return items if detail else [item["name"] for item in items]

    def created(self, path: str) -> datetime:
        return self._media(self._strip_protocol(path)).created_at

    def modified(self, path: str) -> datetime:
        moment: datetime = self.info(path)["modified"]
        return moment

    def ukey(self, path: str) -> str:
        """Another one for every content that the PID has or had."""
        found = self.info(path)
        return f"{found['name']}@{found.get('version')}"

    checksum = ukey

    def sign(self, path: str, expiration: int = 100, **_: Any) -> str:
        """A URL that stands for a log-in for so many seconds."""
        pid = self._strip_protocol(path)
        [issued] = self.client.urls([pid], expires_s=expiration)
        if issued.url is None:
            raise FileNotFoundError(pid)
        return issued.url

    # Bytes.

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | str | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        pid = self._strip_protocol(path)
        if mode in {"wb", "xb"}:
            if mode == "xb" and self.exists(pid):
                raise FileExistsError(pid)
            return Written(self, pid, autocommit=autocommit)
        if mode != "rb":
            raise NotImplementedError(f"mode {mode!r}: contents are read, or written anew; nothing is changed in place")
        size = BLOCK if block_size in {None, "default"} else int(block_size or BLOCK)
        return Read(self, pid, "rb", block_size=size, cache_options=cache_options, **{"cache_type": "growing", **kwargs})

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        pid = self._strip_protocol(path)
        if (start or 0) < 0 or (end or 0) < 0:
            size = self.info(pid)["size"]
            start = size + start if start is not None and start < 0 else start
            end = size + end if end is not None and end < 0 else end
        with as_os_errors(pid):
            return self.client.read(pid, max(start or 0, 0), end)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        pid = self._strip_protocol(path)
        if mode == "create" and self.exists(pid):
            raise FileExistsError(pid)
        with as_os_errors(pid, writing=True):
            self.client.put(bytes(value), pid)

    def put_file(self, lpath: str, rpath: str, callback: Any = None, mode: str = "overwrite", **_: Any) -> None:
        pid = self._strip_protocol(rpath)
        if Path(lpath).is_dir():
            return
        if mode == "create" and self.exists(pid):
            raise FileExistsError(pid)
        with as_os_errors(pid, writing=True):
            self.client.put(lpath, pid, on_progress=told(callback))

    def get_file(self, rpath: str, lpath: Any, callback: Any = None, outfile: Any = None, **_: Any) -> None:
        pid = self._strip_protocol(rpath)
        if outfile is not None or not isinstance(lpath, str | os.PathLike):
            super().get_file(rpath, lpath, outfile=outfile)
            return
        if self.isdir(pid):
            Path(lpath).mkdir(parents=True, exist_ok=True)
            return
        Path(lpath).parent.mkdir(parents=True, exist_ok=True)
        with as_os_errors(pid):
            self.client.get(pid, lpath, on_progress=told(callback))

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """By way of this machine."""
        source = self._strip_protocol(path1)
        if self.isdir(source):
            return
        with tempfile.TemporaryDirectory() as here:
            with as_os_errors(source):
                got = self.client.get(source, Path(here) / "copy")
            self.put_file(str(got), path2)

    def rm_file(self, path: str) -> None:
        """The record and its bytes, for good."""
        pid = self._strip_protocol(path)
        with as_os_errors(pid):
            self.client.delete(pid)

    _rm = rm_file

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        for pid in reversed(self.expand_path(path, recursive=recursive, maxdepth=maxdepth)):
            if self.isfile(pid):
                self.rm_file(pid)

    def mv(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("a PID is for good; put the content under another one")

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Folders need no making."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders need no making."""

    def rmdir(self, path: str) -> None:
        """They go with the last thing in them."""

    def _media(self, pid: str) -> Media:
        with as_os_errors(pid):
            return self.client.info(pid)

    def _below(self, pid: str, *, limit: int = PAGE) -> Iterator[Media]:
        plain = "".join(f"\\{character}" if character in "*?\\" else character for character in pid)
        with as_os_errors(pid):
            yield from self.client.search(pid=f"{plain}/*" if pid else "*", sort="pid", limit=limit)


class Read(AbstractBufferedFile):  # type: ignore[misc]  # fsspec brings no types
    """The content that a PID had when this was opened, whatever it gets meanwhile."""

    def __init__(self, fs: MediastoreFileSystem, path: str, *args: Any, **kwargs: Any) -> None:
        media = fs._media(path)  # noqa: SLF001 - its file system's own
        if media.content is None:
            raise FileNotFoundError(f"{path} has no content: it is {media.status}")
        self._version = media.version
        super().__init__(fs, path, *args, size=media.content.size, **kwargs)

    def _fetch_range(self, start: int, end: int) -> bytes:
        with as_os_errors(self.path):
            content: bytes = self.fs.client.read(self.path, start, min(end, self.size), version=self._version)
            return content


class Written(io.BufferedIOBase):
    """Bytes on their way to a PID, in a temporary file until they are all there."""

    def __init__(self, fs: MediastoreFileSystem, path: str, *, autocommit: bool) -> None:
        super().__init__()
        self.fs = fs
        self.path = path
        self.mode = "wb"
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this one
        self._autocommit = autocommit
        self._was = sys.exc_info()[1]

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def write(self, data: Any) -> int:
        return self._file.write(data)

    def close(self) -> None:
        """Publish, unless an exception is on its way that was not when this was opened: some callers close files then, too."""
        if self.closed:
            return
        broken = sys.exc_info()[1] not in {None, self._was}
        super().close()
        if broken:
            self.discard()
        elif self._autocommit:
            self.commit()

    def commit(self) -> None:
        with self._file, as_os_errors(self.path, writing=True):
            self._file.seek(0)
            self.fs.client.put(self._file, self.path, filename=self.path.rpartition("/")[2])

    def discard(self) -> None:
        self._file.close()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self.closed:
            super().close()
            self.discard()
        self.close()

    def __del__(self) -> None:
        # Who forgets to close a file has not said that it is whole.
        if not self.closed:
            super().close()
            self.discard()


class as_os_errors:  # noqa: N801 - reads as a verb, where it is used
    """What users of files expect."""

    KINDS: ClassVar[dict[type[Exception], type[OSError]]] = {
        NotFound: FileNotFoundError,
        Gone: FileNotFoundError,
        NotAllowed: PermissionError,
        NotLoggedIn: PermissionError,
    }

    def __init__(self, pid: str, *, writing: bool = False) -> None:
        self._pid = pid
        self._writing = writing

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if self._writing and isinstance(error, Gone):
            raise FileExistsError(f"{self._pid}: {error}; a PID is for good, take another one") from error
        for kind, told_as in self.KINDS.items():
            if isinstance(error, kind):
                raise told_as(f"{self._pid}: {error}") from error


def entry(media: Media) -> dict[str, Any]:
    return {
        "name": media.pid,
        "type": "file",
        "size": media.content.size if media.content is not None else 0,
        "created": media.created_at,
        "modified": media.content.stored_at if media.content is not None else media.updated_at,
        "version": media.version,
        "status": media.status,
        "media_type": media.content.media_type if media.content is not None else None,
    }


def folder(name: str) -> dict[str, Any]:
    return {"name": name, "type": "directory", "size": 0}


def told(callback: Any) -> Any:
    """A callback of fsspec as one of ours."""
    if callback is None:
        return None

    def on_progress(done: int, total: int) -> None:
        callback.set_size(total)
        callback.absolute_update(done)

    return on_progress
