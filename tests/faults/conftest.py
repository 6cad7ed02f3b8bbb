"""Servers with settings that make faults quick to see, an S3 server of their own, and the rows and bytes at hand."""

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from tests.database import DatabaseServer
from tests.faults.harness import Proxy, Site
from tests.server import running_server

QUICK = {
    "MEDIASTORE_UPLOAD_STALE_S": "2",
    "MEDIASTORE_CLEANUP_INTERVAL_S": "0.5",
    "MEDIASTORE_BODY_IDLE_TIMEOUT_S": "2",
    "MEDIASTORE_LOGIN_ATTEMPTS": "1000",
}
Sites: TypeAlias = Callable[..., AbstractContextManager[Site]]


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The URL of an S3 server."""
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent.parent / "stores" / "serve_moto.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin
    assert server.stdout
    yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    server.stdin.close()
    server.stdout.close()
    server.wait(30)


@pytest.fixture(scope="session")
def sites(database_server: DatabaseServer, template_database: str, moto: str) -> Sites:
    """Makes servers with a store `bucket` beside `local` and `scratch`; `proxied` puts a proxy before the bucket."""

    @contextmanager
    def make(*, s3: bool = True, proxied: bool = False, environment: Mapping[str, str] | None = None) -> Iterator[Site]:
        with ExitStack() as stack:
            url = stack.enter_context(database_server.database(template=template_database))
            server = stack.enter_context(running_server(url, {**QUICK, **(environment or {})}))
            site = Site(server, url, moto_url=moto)
            stack.callback(site.close)
            if s3:
                endpoint = moto
                if proxied:
                    site.proxy = Proxy(int(moto.rpartition(":")[2]))
                    stack.callback(site.proxy.close)
                    endpoint = f"http://127.0.0.1:{site.proxy.port}"
                add_bucket(site, endpoint)
            yield site

    return make


def add_bucket(site: Site, endpoint: str) -> None:
    """A new bucket as the store `bucket`."""
    site.bucket = f"b-{uuid.uuid4().hex}"
    assert httpx.put(f"{site.moto_url}/{site.bucket}").status_code == 200
    config = {
        "name": "moto",
        "endpoint_url": endpoint,
        "region": "us-east-1",
        "access_key": "test",
        "secret_key": "test",
        "addressing_style": "path",
    }
    assert site.admin.post("/s3-configs", json=config).status_code == 201
    store = {"name": "bucket", "kind": "s3", "bucket": site.bucket, "s3_config": "moto"}
    answer = site.admin.post("/stores", json=store)
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def shared_site(sites: Sites) -> Iterator[Site]:
    with sites() as made:
        yield made


@pytest.fixture
def site(shared_site: Site) -> Site:
    """A server that the tests of a module share; what an earlier test has left there is not looked at."""
    shared_site.ignore_leftovers()
    return shared_site
