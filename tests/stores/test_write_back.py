import os
from pathlib import Path

import pytest

from stores import write_back
from stores.conformance import MIB
from stores.conformance_steps import get, some_bytes
from stores.filesystem import FilesystemStore
from stores.write_back import WriteBack


async def test_a_large_object_is_on_its_way_to_the_disk_before_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def begin(_descriptor: int, start: int, size: int, _flags: int) -> int:
        asked.append((start, size))
        return -1  # as where a file system won't

    monkeypatch.setattr(write_back, "_sync_file_range", begin)
    assert await stored(tmp_path, 20 * MIB)
    ends = [start + size for start, size in asked]
    assert [start for start, _ in asked] == [0, *ends[:-1]], "each byte is asked for once"
    assert 12 * MIB < ends[-1] <= 20 * MIB


@pytest.mark.parametrize("size", [0, 1, 20 * MIB])
async def test_a_system_without_it_stores_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(write_back, "_sync_file_range", None)
    assert await stored(tmp_path, size)


def test_what_can_not_be_written_back_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for descriptor in (writing, -1):
        WriteBack().grown(descriptor, 20 * MIB)
    os.close(writing)


async def stored(folder: Path, size: int) -> bool:
    """Whether an object of this size that comes in pieces is read as it was written."""
    store = FilesystemStore(folder)
    await store.open()
    try:
        body = some_bytes(size)
        async with store.write("k") as writer:
            for start in range(0, size, 300_000):
                await writer.append([body[start : start + 300_000]])
            await writer.commit()
        return await get(store, "k") == body
    finally:
        await store.close()
