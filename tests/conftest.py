"""What tests of every folder share: a real PostgreSQL, migrated once, and a database of its own for each test that asks.

MEDIASTORE_TEST_DATABASE_URL names a server to use, as a role that may make databases. Without it each test process starts an
embedded PostgreSQL of its own, in a folder that goes away with it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mediastore.database import migrate
from mediastore.embedded import EmbeddedPostgres
from stores.config import S3Access
from tests.database import DatabaseServer, run
from tests.server import Server, running_server

ROOT_KEY = "ministack-key"
ROOT_SECRET = "ministack-secret"


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    url = os.environ.get("MEDIASTORE_TEST_DATABASE_URL")
    if url:
        yield DatabaseServer(url)
        return
    with (
        tempfile.TemporaryDirectory(prefix="mediastore-test-") as folder,
        EmbeddedPostgres(Path(folder), fsync=False) as postgres,
    ):
        yield DatabaseServer(postgres.url)


@pytest.fixture(scope="session")
def template_database(database_server: DatabaseServer) -> Iterator[str]:
    """The URL of a migrated database to copy. Nothing may stay connected to it."""
    with database_server.database() as url:
        run(migrate(url))
        yield url


@pytest.fixture
def database_url(database_server: DatabaseServer, template_database: str) -> Iterator[str]:
    """The URL of a migrated database that this test has to itself."""
    with database_server.database(template=template_database) as url:
        yield url


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    """A server that the tests of a module share: they use names of their own."""
    with database_server.database(template=template_database) as url, running_server(url) as running:
        yield running


@pytest.fixture
def admin(server: Server) -> Iterator[httpx.Client]:
    """A client of the shared server, logged in as its administrator."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Access]:
    """A server that looks at signatures, expiry, checksums and policies; moto accepts any."""
    folder = tmp_path_factory.mktemp("ministack")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        environment = os.environ | {
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
            "SERVICES": "s3,sts,iam",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "ERROR",
        }
        server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "hypercorn", "--bind", f"fd://{listening.fileno()}", "ministack.app:app"],
            env=environment,
            cwd=folder,
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    yield S3Access(endpoint_url=f"http://127.0.0.1:{port}", region="us-east-1", access_key=ROOT_KEY, secret_key=ROOT_SECRET)
    os.killpg(server.pid, signal.SIGKILL)  # its worker is a process of its own
    server.wait(30)
