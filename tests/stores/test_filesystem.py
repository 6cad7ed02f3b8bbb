import asyncio
import errno
import os
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from stores.conformance import MIB, StoreConformance
from stores.conformance_steps import get, listed, put, some_bytes
from stores.errors import (
    KeyInvalid,
    ObjectExists,
    ObjectNotFound,
    ObjectTruncated,
    StoreAccessDenied,
    StoreError,
    StoreFull,
    StoreMisconfigured,
    StoreUnavailable,
)
from stores.filesystem import FilesystemOptions, FilesystemStore
from stores.filesystem_errors import from_os_error
from stores.protocol import Store


@pytest.mark.parametrize("named_temporaries", [False, True], ids=["anonymous", "named"])
class TestFilesystemStore(StoreConformance):
    @pytest.fixture
    async def store(self, tmp_path: Path, named_temporaries: bool) -> AsyncIterator[FilesystemStore]:
        store = FilesystemStore(tmp_path, prefix="some/prefix/", options=FilesystemOptions(named_temporaries=named_temporaries))
        (tmp_path / "some/prefix").mkdir(parents=True)
        self.root = tmp_path
        await store.open()
        yield store
        await store.close()

    async def fill(self, store: Store, keys: Sequence[str]) -> None:
        assert isinstance(store, FilesystemStore)
        for key in keys:
            path = store.local_path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")

    def leftovers(self, store: Store) -> Sequence[str]:
        assert isinstance(store, FilesystemStore)
        empty = [path for path in self.root.glob("some/prefix/**/") if not any(path.iterdir()) and path.name != "prefix"]
        return [str(path) for path in [*empty, *self.root.rglob(".tmp-*")]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemStore]:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    store = FilesystemStore(tmp_path / "root")
    await store.open()
    yield store
    await store.close()


async def refuses_every_operation(store: FilesystemStore, key: str) -> None:
    for call in (lambda: store.head(key), lambda: get(store, key), lambda: put(store, key, b"x")):
        with pytest.raises((StoreMisconfigured, ObjectExists)):
            await call()
    assert isinstance((await store.delete([key]))[key], StoreMisconfigured)


async def test_h14_symbolic_links_are_refused_wherever_they_lie(store: FilesystemStore, tmp_path: Path) -> None:
    await put(store, "folder/k", b"abc")
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    (tmp_path / "root/folder/link").symlink_to("../../outside")
    (tmp_path / "root/folder/file").symlink_to(tmp_path / "outside/secret")
    (tmp_path / "root/inside").symlink_to("folder")
    for key in ("link/secret", "link/new", "folder/link/secret", "folder/file", "inside/k"):
        await refuses_every_operation(store, key)
    assert await listed(store) == ["folder/k"]
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["secret"]
    assert (tmp_path / "outside/secret").read_bytes() == b"secret"


async def test_h14_a_folder_swapped_for_a_link_lets_nobody_out(store: FilesystemStore, tmp_path: Path) -> None:
    folder, aside, outside = tmp_path / "root/folder", tmp_path / "root/aside", tmp_path / "outside"
    await put(store, "folder/secret", b"inside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            folder.rename(aside)
            folder.symlink_to(outside)
            folder.unlink()
            aside.rename(folder)

    swapping = asyncio.create_task(asyncio.to_thread(swap))
    for turn in range(150):
        with suppress(StoreError):
            assert await get(store, "folder/secret") == b"inside"
        with suppress(StoreError):
            await put(store, f"folder/{turn}", b"x")
        await store.delete([f"folder/{turn - 1}"])
    stop.set()
    await asyncio.gather(swapping, return_exceptions=True)  # a folder made by a writer can be in the way of the swap
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


async def test_the_root_may_be_a_link_which_is_resolved_once(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "root").symlink_to("real")
    store = FilesystemStore(tmp_path / "root")
    await store.open()
    (tmp_path / "root").unlink()
    (tmp_path / "root").symlink_to("other")
    await put(store, "k", b"abc")
    assert (tmp_path / "real/k").read_bytes() == b"abc"
    await store.close()


async def test_h09_a_folder_that_was_replaced_is_an_error_and_no_deletion(store: FilesystemStore, tmp_path: Path) -> None:
    await put(store, "k", b"abc")
    (tmp_path / "root").rename(tmp_path / "unmounted")
    for _ in range(2):
        with pytest.raises(StoreMisconfigured):
            await store.head("k")
        with pytest.raises(StoreMisconfigured):
            await listed(store)
        assert isinstance((await store.delete(["k"]))["k"], StoreMisconfigured)
        (tmp_path / "root").mkdir(exist_ok=True)  # as a mount point that lost its disk
    await store.open()
    assert await listed(store) == []


async def test_a_folder_that_is_missing_or_none_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing", tmp_path / "file", tmp_path / "file/below", Path("relative")):
        store = FilesystemStore(path)
        with pytest.raises(StoreMisconfigured):
            await store.open()
        await store.close()


async def test_only_regular_files_are_objects(store: FilesystemStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root/pipe")
    for call in (store.head("pipe"), get(store, "pipe")):
        with pytest.raises(ObjectNotFound):
            await call
    assert isinstance((await store.delete(["pipe"]))["pipe"], KeyInvalid)
    assert await listed(store) == []


async def test_a_file_that_shrinks_while_it_is_read_is_truncated(store: FilesystemStore, tmp_path: Path) -> None:
    await put(store, "k", some_bytes(8 * MIB))
    pieces = store.read("k")
    await anext(pieces)
    os.truncate(tmp_path / "root/k", 3 * MIB)
    with pytest.raises(ObjectTruncated):
        _ = [piece async for piece in pieces]


WRITE_AND_WAIT = """
import asyncio, sys
from pathlib import Path
from stores.filesystem import FilesystemOptions, FilesystemStore

async def main():
    store = FilesystemStore(Path(sys.argv[1]), options=FilesystemOptions(named_temporaries=sys.argv[2] == "named"))
    await store.open()
    async with store.write("folder/k") as writer:
        for _ in range(5):
            await writer.append([bytes(1024 * 1024)])
        print("written", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("temporaries", ["anonymous", "named"])
async def test_h01_a_writer_that_is_killed_leaves_nothing_that_is_listed(
    store: FilesystemStore, tmp_path: Path, temporaries: str
) -> None:
    root = tmp_path / "root"
    arguments = [sys.executable, "-c", WRITE_AND_WAIT, str(root), temporaries]
    writer = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
    assert writer.stdout
    assert await writer.stdout.readline() == b"written\n"
    writer.kill()
    await writer.wait()
    assert await listed(store) == []
    left = [path.name for path in root.iterdir()]
    assert len(left) == (1 if temporaries == "named" else 0)
    assert store.remove_stale_temporaries() == 0
    assert store.remove_stale_temporaries(older_than_s=-1) == len(left)
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_of_the_system_has_a_meaning(number: int) -> None:
    error = from_os_error(OSError(number, "text with /a/path"), key="k")
    assert type(error) is not StoreError
    assert "/a/path" not in error.message


def test_errors_of_the_system_mean_what_they_say() -> None:
    meanings = {"ENOSPC": StoreFull, "EDQUOT": StoreFull, "EROFS": StoreAccessDenied, "EIO": StoreUnavailable}
    for name, kind in {**meanings, "ESTALE": StoreUnavailable, "EACCES": StoreAccessDenied, "ENAMETOOLONG": KeyInvalid}.items():
        assert type(from_os_error(OSError(getattr(errno, name), ""), key=None)) is kind
    assert type(from_os_error(FileNotFoundError("without a number"), key=None)) is ObjectNotFound
