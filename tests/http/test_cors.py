"""Pages of other origins: what they may do here, and what a bucket lacks for them."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store, in_bucket
from tests.database import DatabaseServer
from tests.server import Server, running_server
from tests.transfers.sending import begin

PORTAL = "https://portal.example.org"
RULES = {
    "CORSRules": [
        {
            "AllowedOrigins": [PORTAL],
            "AllowedMethods": ["GET", "HEAD", "PUT", "POST"],
            "AllowedHeaders": ["*"],
            "ExposeHeaders": ["ETag"],
        }
    ]
}


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    settings = {"MEDIASTORE_CORS_ORIGINS": PORTAL}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        yield running


def preflight(url: str, origin: str, method: str = "PUT") -> httpx.Response:
    return httpx.options(
        url,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )


def test_a_page_of_a_known_origin_may_begin_and_send(server: Server, admin: httpx.Client) -> None:
    allowed = preflight(f"{server.url}/api/v1/uploads", PORTAL, "POST")
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == PORTAL
    assert "access-control-allow-credentials" not in allowed.headers
    assert {"authorization", "content-type"} <= set(allowed.headers["access-control-allow-headers"].lower().split(", ")) or (
        allowed.headers["access-control-allow-headers"] == "*"
    )
    upload = begin(admin, pid="from-a-page", size=3)
    assert preflight(upload["url"], PORTAL).headers["access-control-allow-origin"] == PORTAL
    sent = httpx.put(upload["url"], content=b"abc", headers={"Origin": PORTAL})
    assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (200, PORTAL)
    assert "etag" in sent.headers["access-control-expose-headers"].lower()
    refused = httpx.put(upload["url"], content=b"abcd", headers={"Origin": PORTAL})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (422, PORTAL), "errors can be read, too"


def test_a_page_reads_content(server: Server, admin: httpx.Client) -> None:
    admin.put("/content/read-by-a-page?access=public", content=b"abc").raise_for_status()
    answer = httpx.get(f"{server.url}/api/v1/content/read-by-a-page", headers={"Origin": PORTAL})
    assert (answer.content, answer.headers["access-control-allow-origin"]) == (b"abc", PORTAL)


def test_pages_of_other_origins_may_not(server: Server) -> None:
    assert (
        "access-control-allow-origin" not in preflight(f"{server.url}/api/v1/uploads", "https://evil.example.org", "POST").headers
    )
    answer = httpx.get(f"{server.url}/health/live", headers={"Origin": "https://evil.example.org"})
    assert "access-control-allow-origin" not in answer.headers


def test_the_probe_says_what_a_bucket_lacks(admin: httpx.Client, ministack: S3Access) -> None:
    bucket = add_s3_store(admin, ministack, "bucket")
    before = admin.post("/stores/bucket/probe").json()
    cors = before["steps"][-1]
    assert (before["ok"], cors["step"], cors["ok"]) == (False, "cors", False)
    assert PORTAL in cors["detail"]

    async def allow(client: Any) -> None:
        await client.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)

    in_bucket(ministack, bucket, allow)
    after = admin.post("/stores/bucket/probe").json()
    assert (after["ok"], after["steps"][-1]["ok"]) == (True, True)
    assert [step["step"] for step in admin.post("/stores/local/probe").json()["steps"]][-1] == "gone"
