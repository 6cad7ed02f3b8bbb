"""PIDs as files: `mediastore://PID` for whatever reads and writes by fsspec."""

import csv
import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest

from mediastore.client.filesystem import MediastoreFileSystem
from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.server import Server

MIB = 1024 * 1024


@pytest.fixture
def fs(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MediastoreFileSystem]:
    monkeypatch.setenv("MEDIASTORE_URL", server.url)
    monkeypatch.setenv("MEDIASTORE_API_KEY", server.token())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    fs = fsspec.filesystem("mediastore")
    assert isinstance(fs, MediastoreFileSystem)
    yield fs
    fs.client.close()


def test_a_pid_is_written_and_read_by_its_url(fs: MediastoreFileSystem) -> None:
    with fsspec.open("mediastore://url/table.csv", "w", newline="") as file:
        csv.writer(file).writerows([["depth"], ["12.5"]])
    with fsspec.open("mediastore://url/table.csv", "r", newline="") as file:
        assert list(csv.reader(file)) == [["depth"], ["12.5"]]
    assert fs.info("url/table.csv")["media_type"] == "text/csv"


def test_a_file_that_is_closed_is_a_version_and_one_that_failed_is_none(fs: MediastoreFileSystem) -> None:
    fs.pipe("atomic/1", b"first")
    for opened in (fs.open("atomic/1", "wb"), fsspec.open("mediastore://atomic/1", "wb")):
        with suppress(ZeroDivisionError), opened as file:
            file.write(b"half of it")
            raise ZeroDivisionError
    forgotten = fs.open("atomic/1", "wb")
    forgotten.write(b"half of it")
    del forgotten
    gc.collect()
    assert (fs.cat("atomic/1"), fs.info("atomic/1")["version"]) == (b"first", 1)
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:  # one that was there before says nothing of the file
        with fs.open("atomic/1", "wb") as file:
            file.write(b"second")
    assert (fs.cat("atomic/1"), fs.info("atomic/1")["version"]) == (b"second", 2)


def test_who_has_it_open_goes_on_reading_the_same_content(fs: MediastoreFileSystem) -> None:
    fs.pipe("same/1", b"a" * 3 * MIB)
    with fs.open("same/1", "rb", block_size=MIB) as file:
        assert file.read(MIB) == b"a" * MIB
        fs.pipe("same/1", b"b" * 3 * MIB)
        assert file.read() == b"a" * 2 * MIB


def test_folders_are_what_lies_below_slashes(fs: MediastoreFileSystem) -> None:
    for name in ("tree/a", "tree/b/c", "tree/b/d", "tree/e*f/g", "trees/h"):
        fs.pipe(name, b"1")
    assert fs.ls("tree", detail=False) == ["tree/a", "tree/b", "tree/e*f"]
    assert fs.ls("mediastore://tree/b/", detail=False) == ["tree/b/c", "tree/b/d"]
    assert fs.ls("tree/e*f", detail=False) == ["tree/e*f/g"]
    assert sorted(fs.find("tree")) == ["tree/a", "tree/b/c", "tree/b/d", "tree/e*f/g"]
    assert fs.glob("tree/b/*") == ["tree/b/c", "tree/b/d"]
    assert fs.isdir("tree/b")
    assert not fs.exists("tree/x")
    with pytest.raises(FileNotFoundError):
        fs.ls("nowhere")


def test_what_is_not_yours_is_not_there(fs: MediastoreFileSystem, server: Server) -> None:
    fs.pipe("secret/1", b"x")
    nobody = MediastoreFileSystem(server.url, credential="")
    with pytest.raises((FileNotFoundError, PermissionError)):
        nobody.cat("secret/1")


def test_parts_are_read_straight_from_the_store(fs: MediastoreFileSystem, server: Server, ministack: S3Access) -> None:
    with server.client() as admin:
        add_s3_store(admin, ministack, "parts")
    content = os.urandom(3 * MIB)
    fs.client.put(content, "parts/1", store="parts")
    assert fs.cat_file("parts/1", 5, 9) == content[5:9]
    assert fs.cat_file("parts/1", -4) == content[-4:]
    with fs.open("parts/1", "rb", block_size=MIB) as file:
        file.seek(2 * MIB)
        assert file.read() == content[2 * MIB :]
        file.seek(10)
        assert file.read(10) == content[10:20]
