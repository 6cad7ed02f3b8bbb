"""The same of stores in S3: another bucket loses nothing, uploads of nobody are aborted."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stores.config import S3Access
from tests.retention.upkeep_scene import CALLER, DAY_S, HOUR_S, Scene, add_bucket, make_bucket, running_scene


class Bucket:
    def __init__(self, scene: Scene, access: S3Access, name: str) -> None:
        self.scene = scene
        self.access = access
        self.name = name

    async def uploads(self) -> list[str]:
        return [upload.key async for upload in (await self.scene.opened("bucket")).list_uploads()]


@pytest.fixture
async def bucket(database_url: str, tmp_path: Path, ministack: S3Access) -> AsyncIterator[Bucket]:
    async with running_scene(database_url, tmp_path, local=False) as scene:
        name = f"bucket-{uuid.uuid4().hex}"
        await add_bucket(scene, ministack, name)
        yield Bucket(scene, ministack, name)


async def test_every_difference_is_found_and_mended(bucket: Bucket) -> None:
    scene = bucket.scene
    await scene.policy("bucket", unknown="remove")
    for pid in ("kept", "gone", "late"):
        await scene.put(pid, store="bucket")
    late = await scene.key_of("late")
    await scene.services.catalog.delete("late", revisions=None, caller=CALLER)
    await scene.clean()
    await scene.write(late, store="bucket")
    await scene.write("00/unknown", store="bucket")
    await scene.remove(await scene.key_of("gone"), store="bucket")
    run = await scene.reconcile("bucket")
    counts = run.counted()
    assert (run.stopped_by, counts.listed, counts.young, counts.absent, counts.late) == (None, 3, 1, 1, 1)
    for _ in range(2):
        scene.clock.forward(HOUR_S / 2 + 1)
        await scene.ask_again("bucket")
    assert (await scene.status("gone"), await scene.status("kept")) == ("lost", "ready")
    scene.clock.forward(DAY_S)
    assert (await scene.reconcile("bucket")).counted().unknown == 1
    scene.clock.forward(DAY_S)
    assert (await scene.reconcile("bucket")).counted().removed == 1
    await scene.clean()
    assert await scene.keys("bucket") == [await scene.key_of("kept")]


@pytest.mark.parametrize("objects", [2, 25])
async def test_the_wrong_bucket_loses_nothing(bucket: Bucket, objects: int) -> None:
    scene = bucket.scene
    await scene.policy("bucket", unknown="remove")
    for number in range(objects):
        await scene.put(f"p{number}", store="bucket")
    assert (await scene.reconcile("bucket")).stopped_by is None
    other = f"other-{uuid.uuid4().hex}"
    await make_bucket(bucket.access, other)
    await scene.sql("UPDATE store SET bucket = $1, revision = revision + 1 WHERE name = 'bucket'", other)
    for number in range(3):
        await scene.write(f"somebody/else/{number}", store="bucket")
    store = await scene.opened("bucket")
    upload = await store.begin_multipart("somebody/else/open", media_type="text/plain")
    for _ in range(4):
        assert (await scene.reconcile("bucket")).stopped_by in {"nothing_found", "too_many_missing"}
        for _ in range(3):
            scene.clock.forward(HOUR_S / 2 + 1)
            await scene.ask_again("bucket")
        scene.clock.forward(DAY_S)
    assert await scene.sql("SELECT FROM media WHERE status <> 'ready'") == []
    assert await scene.sql("SELECT FROM stored_object WHERE state <> 'stored'") == []
    assert len(await scene.keys("bucket")) == 3, "nor do others lose anything"
    assert await bucket.uploads() == ["somebody/else/open"]
    await store.abort_upload("somebody/else/open", upload)
    assert await scene.problem("bucket")
    await scene.sql("UPDATE store SET bucket = $1, revision = revision + 1 WHERE name = 'bucket'", bucket.name)
    assert (await scene.reconcile("bucket")).stopped_by is None
    assert await scene.problem("bucket") is None


async def test_open_uploads_of_nobody_are_aborted_after_we_have_known_them_for_the_grace(bucket: Bucket) -> None:
    scene = bucket.scene
    await scene.put("kept", store="bucket")
    store = await scene.opened("bucket")
    await store.begin_multipart("00/nobody", media_type="text/plain")
    ours = await scene.store("bucket")
    known = await store.begin_multipart("00/known", media_type="text/plain")
    await store.begin_multipart("00/not-yet-noted", media_type="text/plain")
    await store.begin_multipart(await scene.key_of("kept"), media_type="text/plain")
    for key, upload in (("00/known", known), ("00/not-yet-noted", None)):
        await scene.sql(
            "WITH o AS (INSERT INTO stored_object (store, key, media_type, state) VALUES ($1, $2, '', 'writing') RETURNING id) "
            "INSERT INTO upload (id, stored_object, method, state, caller, created_record, s3_upload_id) "
            "SELECT gen_random_uuid(), id, 'multipart', 'open', 'admin', false, $3 FROM o",
            ours, key, upload,
        )  # fmt: skip
    assert (await scene.reconcile("bucket")).counted().unknown_uploads == 2
    assert len(await bucket.uploads()) == 4
    scene.clock.forward(DAY_S + 1)
    assert (await scene.reconcile("bucket")).counted().aborted == 2
    assert await bucket.uploads() == ["00/known", "00/not-yet-noted"]


async def test_open_uploads_are_only_reported_where_the_policy_says_so(bucket: Bucket) -> None:
    scene = bucket.scene
    await scene.policy("bucket", unknown_uploads="report")
    await (await scene.opened("bucket")).begin_multipart("00/nobody", media_type="text/plain")
    for _ in range(2):
        assert (await scene.reconcile("bucket")).counted().aborted == 0
        scene.clock.forward(DAY_S + 1)
    assert await bucket.uploads() == ["00/nobody"]


async def test_objects_in_a_bucket_are_read_again(bucket: Bucket) -> None:
    scene = bucket.scene
    for pid in ("kept", "gone"):
        await scene.put(pid, b"x" * 100_000, store="bucket")
    await scene.remove(await scene.key_of("gone"), store="bucket")
    scene.clock.forward(91 * DAY_S)
    report = await scene.services.fixity.run(await scene.store("bucket"))
    assert (report.ok, report.missing, report.bytes_read) == (1, 1, 100_000)
