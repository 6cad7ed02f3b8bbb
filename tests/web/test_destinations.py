"""What the page Upload is told of stores, and what its policy lets it reach."""

import re

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.server import PASSWORD, Server, add_user

OURS = {"Sec-Fetch-Site": "same-origin"}
GONE = "http://127.0.0.1:9"
"""Nothing listens at discard's port."""


def page(server: Server, name: str) -> httpx.Response:
    with httpx.Client(base_url=server.url) as client:
        assert client.post("/login", data={"name": name, "password": PASSWORD}, headers=OURS).status_code == 303
        return client.get("/upload", headers={"Accept": "text/html"})


@pytest.fixture(scope="module", autouse=True)
def people(server: Server, ministack: S3Access) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        add_user(admin, "rita", role="reader")
        add_s3_store(admin, ministack, "bucket")
        add_s3_store(admin, ministack, "off", prefix="off/")
        admin.patch("/stores/off", json={"enabled": False})
        config = {"name": "gone", "endpoint_url": GONE, "region": "x", "access_key": "a", "secret_key": "b"}
        assert admin.post("/s3-configs", json=config).status_code == 201
        store = {"name": "gone", "kind": "s3", "bucket": "b", "s3_config": "gone"}
        assert admin.post("/stores", json=store).status_code == 201


def test_people_are_told_the_names_of_stores_and_their_browsers_the_hosts(server: Server, ministack: S3Access) -> None:
    shown = page(server, "ann")
    assert shown.status_code == 200
    assert re.findall(r'<option value="([^"]+)"[^>]*>[^<]*(?=</option>)', shown.text.partition("</select>")[0]) == [
        "local",
        "bucket",
        "gone",
        "scratch",
    ]
    policy = shown.headers["content-security-policy"]
    assert f"connect-src 'self' {ministack.endpoint_url};" in policy, "a store that is away keeps nobody from the others"
    for secret in ("bucket-", "config-", ministack.endpoint_url or ""):
        assert secret not in shown.text


def test_only_the_page_s_own_worker_works_there_and_none_elsewhere(server: Server) -> None:
    policy = page(server, "ann").headers["content-security-policy"]
    assert f"worker-src {server.url}/console-assets/upload-digest.js;" in policy
    assert httpx.get(f"{server.url}/console-assets/upload-digest.js").status_code == 200
    assert "worker-src 'none';" in httpx.get(f"{server.url}/login").headers["content-security-policy"]


def test_who_may_not_upload_is_told_so(server: Server) -> None:
    assert page(server, "rita").status_code == 403
    answer = httpx.get(f"{server.url}/upload", headers={"Accept": "text/html"})
    assert (answer.status_code, "Log in" in answer.text) == (401, True)
