"""Servers that speak BitStore: one that keeps its files in S3, and one that keeps them on its disk."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store, in_bucket
from tests.database import DatabaseServer
from tests.dialects.bitstore.client import issuers_file
from tests.server import Server, running_server


def settings(folder: Path, **more: str) -> dict[str, str]:
    return {
        "MEDIASTORE_DIALECTS": "bitstore",
        "MEDIASTORE_ISSUERS_FILE": str(issuers_file(folder)),
        "MEDIASTORE_IDENTITY_CACHE_S": "0",
        **more,
    }


def allow_acls(access: S3Access, bucket: str) -> None:
    """As docs/dialects/bitstore.md says: new buckets forbid them."""

    async def allow(client: Any) -> None:
        await client.delete_public_access_block(Bucket=bucket)
        rules = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
        await client.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=rules)

    in_bucket(access, bucket, allow)


@pytest.fixture(scope="module")
def server(
    database_server: DatabaseServer, template_database: str, ministack: S3Access, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    chosen = settings(tmp_path_factory.mktemp("bitstore"), MEDIASTORE_BITSTORE_STORE="bucket")
    with (
        database_server.database(template=template_database) as url,
        running_server(url, chosen) as running,
        running.client() as admin,
    ):
        allow_acls(ministack, add_s3_store(admin, ministack, "bucket", prefix="raw/"))
        yield running


@pytest.fixture(scope="module")
def plain(
    database_server: DatabaseServer, template_database: str, ministack: S3Access, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One whose bucket is as new buckets are, with keys like paths."""
    chosen = settings(
        tmp_path_factory.mktemp("bitstore"),
        MEDIASTORE_BITSTORE_STORE="bucket",
        MEDIASTORE_BITSTORE_OBJECT_ACLS="no",
        MEDIASTORE_BITSTORE_KEY_PATTERN="base/{owner}/{dataset}/{path}",
        MEDIASTORE_BITSTORE_PID_PREFIX="hub:",
        MEDIASTORE_BITSTORE_PREFIX="/",
    )
    with (
        database_server.database(template=template_database) as url,
        running_server(url, chosen) as running,
        running.client() as admin,
    ):
        add_s3_store(admin, ministack, "bucket")
        yield running


@pytest.fixture(scope="module")
def on_disk(
    database_server: DatabaseServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    chosen = settings(tmp_path_factory.mktemp("bitstore"))
    with database_server.database(template=template_database) as url, running_server(url, chosen) as running:
        yield running


@pytest.fixture
def disk_admin(on_disk: Server) -> Iterator[httpx.Client]:
    with on_disk.client() as client:
        yield client
