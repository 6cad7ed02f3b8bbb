"""The same of objects that somebody has put into a bucket."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mediastore.placement.schemas import StoreChange
from mediastore.registering.errors import NothingThere
from mediastore.transfers.errors import BytesChanged, DigestMismatch
from stores.config import S3Access
from stores.s3 import S3Store
from tests.registering.scene import content, is_sound, register, registered, scanned
from tests.retention.upkeep_scene import CALLER, Scene, add_bucket, running_scene


@pytest.fixture
async def bucket(database_url: str, tmp_path: Path, ministack: S3Access) -> AsyncIterator[tuple[Scene, Any, str]]:
    """A scene with a store `bucket`, and a client and the bucket's name for what others do there."""
    async with running_scene(database_url, tmp_path, local=False) as scene:
        name = f"bucket-{uuid.uuid4().hex}"
        await add_bucket(scene, ministack, name)
        client = await S3Store(ministack, name)._connect()
        try:
            yield scene, client, name
        finally:
            await client.close()


async def test_an_object_of_others_becomes_a_record(bucket: tuple[Scene, Any, str]) -> None:
    scene, client, name = bucket
    await client.put_object(Bucket=name, Key="2024/a.csv", Body=b"depth\n3\n", ContentType="text/csv; charset=utf-8")
    await client.put_object(Bucket=name, Key="2024/b.csv", Body=b"depth\n4\n")
    record = await registered(scene, "2024/a.csv", store="bucket", pid="cast/7")
    assert record.content is not None
    assert (record.content.media_type, record.content.size, record.store) == ("text/csv; charset=utf-8", 8, "bucket")
    assert await content(scene, "cast/7") == b"depth\n3\n"
    with pytest.raises(DigestMismatch):
        await register(scene, "2024/b.csv", store="bucket", pid="cast/8", checksums={"md5": "0" * 32})
    with pytest.raises(NothingThere):
        await register(scene, "2024", store="bucket")
    other = await registered(scene, "2024/b.csv", store="bucket", pid="cast/8")
    assert other.content is not None
    assert other.content.media_type == "text/csv"
    await is_sound(scene, "bucket")
    await scene.services.catalog.delete("cast/7", revisions=None, caller=CALLER)
    await scene.clean()
    assert await scene.keys("bucket") == ["2024/b.csv"]


async def test_bytes_that_others_put_there_while_they_are_read_are_refused(bucket: tuple[Scene, Any, str]) -> None:
    scene, client, name = bucket
    await client.put_object(Bucket=name, Key="a", Body=b"x" * 3_000_000)
    store = await scene.opened("bucket")
    read = store.read

    async def changing(key: str, **range: Any) -> AsyncIterator[bytes]:
        async for piece in read(key, **range):
            yield piece
        await client.put_object(Bucket=name, Key="a", Body=b"y" * 3_000_000)

    store.read = changing  # type: ignore[method-assign]  # a fault, for this test alone
    with pytest.raises(BytesChanged):
        await register(scene, "a", store="bucket", pid="a")
    store.read = read  # type: ignore[method-assign]  # a fault, for this test alone
    await registered(scene, "a", store="bucket", pid="a")
    await is_sound(scene, "bucket")


async def test_a_folder_of_a_bucket_is_scanned(bucket: tuple[Scene, Any, str]) -> None:
    scene, client, name = bucket
    await scene.services.placement.change_store("bucket", StoreChange(prefix="ours/"), caller=CALLER)
    for number in range(120):
        await client.put_object(Bucket=name, Key=f"ours/in/{number:03}.dat", Body=f"{number}".encode())
    await client.put_object(Bucket=name, Key="theirs/in/000.dat", Body=b"not in this store")
    scan = await scanned(scene, store="bucket", prefix="in/", pid_pattern="{stem}")
    assert (scan.counts.listed, scan.counts.done, scan.counts.failed) == (120, 120, 0)
    assert await content(scene, "119") == b"119"
    await is_sound(scene, "bucket")
