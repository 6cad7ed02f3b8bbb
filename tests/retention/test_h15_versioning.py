"""H15: a bucket with versioning, where deleting only adds a marker: whatever tells of it says that nothing was freed."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mediastore.catalog.errors import RecordGone
from mediastore.placement.schemas import Retention, StoreChange
from mediastore.retention import sweep_queries
from mediastore.retention.schemas import SweepRequest
from stores.config import S3Access
from stores.s3 import S3Store
from tests.retention.upkeep_scene import CALLER, Scene, add_bucket, running_scene

CONTENT = b"ten bytes!"


@pytest.fixture
async def versioned(database_url: str, tmp_path: Path, ministack: S3Access) -> AsyncIterator[Scene]:
    async with running_scene(database_url, tmp_path, local=False) as scene:
        name = f"bucket-{uuid.uuid4().hex}"
        await add_bucket(scene, ministack, name)
        await client(await scene.opened("bucket")).put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": "Enabled"}
        )
        await scene.services.placement.change_store("bucket", StoreChange(retention=Retention(grace_s=0)), caller=CALLER)
        yield scene


def client(store: Any) -> Any:
    assert isinstance(store, S3Store)
    return store._opened().client


async def receipts(scene: Scene, pid: str) -> list[dict[str, Any]]:
    """As those who could read the record see them."""
    with pytest.raises(RecordGone) as gone:
        await scene.services.catalog.read(pid, caller=CALLER)
    return [msgspec.json.decode(one.receipt) for one in gone.value.fields["receipts"]]  # type: ignore[attr-defined]  # a list


async def test_h15_a_sweep_frees_nothing_where_the_bucket_keeps_old_versions(versioned: Scene) -> None:
    for pid in ("a", "b"):
        await versioned.put(pid, CONTENT, store="bucket")
    await versioned.sql("UPDATE media SET expires_at = now() - interval '1 hour'")
    report = await versioned.services.sweeper.request("bucket", SweepRequest(), caller=CALLER, wait_s=60)
    assert (report.state, report.removed, report.failed, report.bytes) == ("done", 2, 0, 2 * len(CONTENT))
    assert (report.bytes_freed, report.bytes_kept) == (0, 2 * len(CONTENT))
    [told] = await receipts(versioned, "a")
    assert (told["answer"], told["bytes_freed"], told["size"], told["rule"]) == ("delete marker", 0, len(CONTENT), "expired")
    async with versioned.services.database.connection() as connection:
        [total] = [one for one in await sweep_queries.totals(connection) if one.store == "bucket"]
    assert (total.objects, total.bytes) == (2, 0), "nor do the metrics claim it"
    assert await versioned.keys("bucket") == []
    run = await versioned.reconcile("bucket")
    assert (run.stopped_by, run.counted().unknown, run.counted().young, run.counted().late) == (None, 0, 0, 0)


async def test_h15_the_receipt_of_a_user_says_it_too(versioned: Scene) -> None:
    await versioned.put("mine", CONTENT, store="bucket")
    await versioned.services.catalog.delete("mine", revisions=None, caller=CALLER)
    await versioned.clean()
    [told] = await receipts(versioned, "mine")
    assert (told["answer"], told["bytes_freed"], told["size"]) == ("delete marker", 0, len(CONTENT))


async def test_h15_the_probe_says_what_to_do(versioned: Scene) -> None:
    probe = await versioned.services.probe.probe("bucket")
    [step] = [step for step in probe.steps if step.step == "delete"]
    assert probe.ok, "the store can be used"
    assert "NoncurrentVersionExpiration" in step.detail


async def test_what_was_missing_before_has_freed_nothing(versioned: Scene) -> None:
    await versioned.put("lost", CONTENT, store="bucket")
    await versioned.sql("UPDATE stored_object SET state = 'missing', fixity = 'missing'")
    await versioned.services.catalog.delete("lost", revisions=None, caller=CALLER)
    await versioned.clean()
    [told] = await receipts(versioned, "lost")
    assert (told["size"], told["bytes_freed"]) == (len(CONTENT), 0)
