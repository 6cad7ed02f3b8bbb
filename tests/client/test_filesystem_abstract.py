"""fsspec's own suite for file systems, where it applies."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fsspec.tests import abstract

from mediastore.client.errors import Gone
from mediastore.client.filesystem import MediastoreFileSystem
from tests.server import Server

NUMBERS = itertools.count()


class Files(MediastoreFileSystem):
    """The suite deletes names and uses them again. What it shows until then counts; the rest does not apply."""

    def put_file(self, lpath: str, rpath: str, **named: Any) -> None:
        try:
            super().put_file(lpath, rpath, **named)
        except FileExistsError as error:
            if not isinstance(error.__cause__, Gone):
                raise
            pytest.skip("it uses a name again that it deleted, and a PID is for good")


class Fixtures(abstract.AbstractFixtures):  # type: ignore[misc]  # fsspec brings no types
    @pytest.fixture
    def fs(self, server: Server) -> Iterator[MediastoreFileSystem]:
        fs = Files(server.url, credential=server.token())
        yield fs
        fs.client.close()

    @pytest.fixture
    def fs_path(self) -> str:
        return f"abstract/{next(NUMBERS)}"

    @pytest.fixture
    def fs_join(self) -> Callable[..., str]:
        return lambda *parts: "/".join(parts)

    @pytest.fixture
    def supports_empty_directories(self) -> bool:
        return False


class TestOpen(abstract.AbstractOpenTests, Fixtures): ...  # type: ignore[misc]  # as above


class TestPipe(abstract.AbstractPipeTests, Fixtures): ...  # type: ignore[misc]  # as above


class TestGet(abstract.AbstractGetTests, Fixtures): ...  # type: ignore[misc]  # as above


class TestPut(abstract.AbstractPutTests, Fixtures): ...  # type: ignore[misc]  # as above


class TestCopy(abstract.AbstractCopyTests, Fixtures): ...  # type: ignore[misc]  # as above
