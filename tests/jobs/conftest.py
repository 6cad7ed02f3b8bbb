"""A queue for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.database import DatabaseServer
from tests.jobs.scene import Scene


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with Scene(database_url) as made:
        yield made


@pytest.fixture
def empty_database_url(database_server: DatabaseServer) -> Iterator[str]:
    """Not migrated."""
    with database_server.database() as url:
        yield url
