"""A server that speaks AMPLIfy, with that system's usual identifier types."""

from collections.abc import Iterator

import pytest

from tests.database import DatabaseServer
from tests.dialects.amplify.scene import SETTINGS, Client, client_of
from tests.server import Server, running_server


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    with database_server.database(template=template_database) as url, running_server(url, SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    """The administrator's."""
    with client_of(server) as admin:
        for name, pattern in (("DEMO", ""), ("BIN", "[a-z0-9_]+"), ("DEMO2", "")):
            assert admin.good("POST", "/identifier", {"name": name, "pattern": pattern}) == {"name": name, "pattern": pattern}
        yield admin
