"""Buckets in a real S3 server, and stores of a running Mediastore in them."""

import asyncio
import uuid
from typing import Any

import httpx

from stores.config import S3Access
from stores.s3 import S3Store


def make_bucket(access: S3Access) -> str:
    """A bucket of its own for a test; returns its name."""
    name = f"bucket-{uuid.uuid4().hex}"

    async def create(client: Any) -> None:
        await client.create_bucket(Bucket=name)

    in_bucket(access, name, create)
    return name


def in_bucket(access: S3Access, name: str, work: Any) -> Any:
    """What `work` returns, a coroutine function of the S3 client."""

    async def run() -> Any:
        client = await S3Store(access, name)._connect()
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())


def add_s3_store(admin: httpx.Client, access: S3Access, name: str, **settings: Any) -> str:
    """A store in a bucket of its own; returns the bucket."""
    bucket = make_bucket(access)
    config = {
        "name": f"config-{bucket[-8:]}",
        "endpoint_url": access.endpoint_url,
        "region": access.region,
        "access_key": access.access_key,
        "secret_key": access.secret_key,
    }
    assert (answer := admin.post("/s3-configs", json=config)).status_code == 201, answer.text
    store = {"name": name, "kind": "s3", "bucket": bucket, "s3_config": config["name"], **settings}
    assert (answer := admin.post("/stores", json=store)).status_code == 201, answer.text
    return bucket


def keys_in(access: S3Access, bucket: str) -> list[str]:
    """Every key in the bucket."""

    async def listed(client: Any) -> list[str]:
        answer = await client.list_objects_v2(Bucket=bucket)
        return [item["Key"] for item in answer.get("Contents", ())]

    found: list[str] = in_bucket(access, bucket, listed)
    return found
