"""A server that speaks EDI staging, with a store for it, and people who use it."""

from collections.abc import Iterator

import httpx
import pytest

from tests.database import DatabaseServer
from tests.dialects.staging.staging import add_staging_store
from tests.server import Server, add_user, running_server

SETTINGS = {"MEDIASTORE_DIALECTS": "staging", "MEDIASTORE_IDENTITY_CACHE_S": "0", "MEDIASTORE_LOG_LEVEL": "debug"}


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    with database_server.database(template=template_database) as url, running_server(url, SETTINGS) as running:
        with running.client() as admin:
            add_staging_store(admin)
            add_user(admin, "ann")
            add_user(admin, "bob")
            add_user(admin, "rita", role="reader")
        yield running


@pytest.fixture
def ann(server: Server) -> Iterator[httpx.Client]:
    """A client of the dialect whose every call has `?token=`."""
    with of(server, "ann") as client:
        yield client


@pytest.fixture
def bob(server: Server) -> Iterator[httpx.Client]:
    with of(server, "bob") as client:
        yield client


def of(server: Server, name: str) -> httpx.Client:
    return httpx.Client(base_url=f"{server.url}/staging", params={"token": server.token(name)}, timeout=60)
