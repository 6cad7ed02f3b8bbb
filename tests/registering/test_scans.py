"""Every object of a store that no row names becomes a record: once, whatever interrupts it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mediastore.catalog.pids import check_pid
from mediastore.jobs.errors import RetryLater
from mediastore.registering import scans
from mediastore.registering.errors import PatternInvalid, ScanEnded, ScanNotFound
from mediastore.registering.pid_patterns import PidPattern
from mediastore.registering.schemas import Scan
from stores.errors import KeyInvalid, StoreUnavailable
from tests.registering.scene import begin_scan, content, is_sound, run_scan, scanned, waiting
from tests.retention.upkeep_scene import CALLER, Scene


def fill(scene: Scene, *keys: str) -> None:
    for key in keys:
        path = scene.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"bytes of {key}")


async def shown(scene: Scene, id: int) -> Scan:
    return await scene.services.scans.show("local", id, caller=CALLER)


def figures(scan: Scan) -> tuple[int, ...]:
    counts = scan.counts
    return (counts.listed, counts.named, counts.young, counts.waiting, counts.done, counts.failed)


@pytest.mark.parametrize(
    ("pattern", "pid"),
    [
        ("{key}", "a/b/c.tar.gz"),
        ("x:{rest}", "x:b/c.tar.gz"),
        ("{name}", "c.tar.gz"),
        ("cast/{stem}", "cast/c.tar"),
        ("{stem}-{name}", "c.tar-c.tar.gz"),
    ],
)
def test_a_pattern_makes_pids(pattern: str, pid: str) -> None:
    assert PidPattern(pattern, prefix="a/").pid("a/b/c.tar.gz") == check_pid(pid)


def test_what_a_key_says_is_no_pattern() -> None:
    assert PidPattern("p-{name}", prefix="").pid("a/{key}{stem}") == "p-{key}{stem}"
    assert PidPattern("{stem}", prefix="").pid("a/.hidden") == ".hidden"


@pytest.mark.parametrize(
    "pattern", ["all", "{pid}", "{key", "{key}}", "{}", "/{key}", "{key}/", "a//{name}", "../{key}", "\n{key}"]
)
def test_patterns_that_give_no_pids_are_refused(pattern: str) -> None:
    with pytest.raises(PatternInvalid):
        PidPattern(pattern, prefix="")


async def test_a_store_becomes_records(scene: Scene) -> None:
    await scene.put("ours")
    fill(scene, "in/a.csv", "in/deep/b.csv", "in/c", "out/d")
    scan = await scanned(scene, prefix="in/", pid_pattern="cast/{rest}", tags=["found"], access="internal", media_type="text/x")
    assert (scan.status, scan.asked_by, figures(scan)) == ("done", "admin", (3, 0, 0, 0, 3, 0))
    record = await scene.services.catalog.read("cast/deep/b.csv", caller=CALLER)
    assert (record.tags, record.access, record.store, await content(scene, record.pid)) == (
        ["found"],
        "internal",
        "local",
        b"bytes of in/deep/b.csv",
    )
    assert record.content is not None
    assert (record.content.filename, record.content.media_type) == ("b.csv", "text/x")
    whole = await scanned(scene)
    assert figures(whole) == (5, 4, 0, 0, 1, 0), "what a row names is left alone"
    assert figures(await scanned(scene)) == (5, 5, 0, 0, 0, 0)
    await is_sound(scene)
    listed, more = await scene.services.scans.page("local", cursor=None, limit=2, caller=CALLER)
    assert (len(listed), more) == (2, listed[-1].id)


async def test_what_cannot_be_a_record_is_told_and_left_alone(scene: Scene) -> None:
    await scene.put("taken")
    fill(scene, "a/same", "b/same", "c/taken", "d/odd\u200bname", "e/good")
    scan = await scanned(scene, pid_pattern="{name}")
    assert figures(scan) == (6, 1, 0, 0, 2, 3)
    problems = {item.key: (item.problem or {})["code"] for item in scan.problems}
    assert problems == {"b/same": "pid_taken", "c/taken": "pid_taken", "d/odd\u200bname": "pid_invalid"}
    failed, _ = await scene.services.registrations.page(
        "local", scan=scan.id, status="failed", cursor=None, limit=10, caller=CALLER
    )
    assert {item.key for item in failed} == problems.keys()
    again = await scanned(scene, pid_pattern="{key}", prefix="b/")
    assert figures(again) == (1, 0, 0, 0, 1, 0), "another scan may do better"
    assert len(await scene.keys()) == 6
    await is_sound(scene)


async def test_what_may_still_be_written_is_left_for_later(scene: Scene) -> None:
    fill(scene, "old", "new")
    scene.age("old")
    assert figures(await scanned(scene, min_age_s=3600)) == (2, 0, 1, 0, 1, 0)
    scene.clock.forward(3601)
    assert figures(await scanned(scene, min_age_s=3600)) == (2, 1, 0, 0, 1, 0)


async def test_h12_a_scan_goes_on_where_it_was_cut(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "PAGE", 4)
    fill(scene, *(f"k{number:02}" for number in range(10)))
    id = await begin_scan(scene)
    settle, calls = scene.services.registrations.settle, 0

    async def cut(registration: int) -> Any:
        nonlocal calls
        calls += 1
        if calls == 6:
            raise asyncio.CancelledError  # as if the process had ended
        return await settle(registration)

    scene.services.registrations.settle = cut  # type: ignore[method-assign]  # a fault, for this test alone
    with pytest.raises(asyncio.CancelledError):
        await run_scan(scene, id)
    half = await shown(scene, id)
    assert (half.status, half.counts.listed) == ("running", 4)
    assert half.counts.waiting >= 1
    scene.services.registrations.settle = settle  # type: ignore[method-assign]  # a fault, for this test alone
    await run_scan(scene, id)
    assert figures(await shown(scene, id)) == (10, 0, 0, 0, 10, 0)
    assert len(await scene.sql("SELECT FROM media WHERE version = 1")) == 10
    assert len(await scene.sql("SELECT FROM history WHERE action = 'registered'")) == 10
    await is_sound(scene)


async def test_h08_two_workers_at_one_scan_register_each_object_once(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "PAGE", 7)
    fill(scene, *(f"k{number:02}" for number in range(40)))
    id = await begin_scan(scene)
    await asyncio.gather(*(run_scan(scene, id) for _ in range(3)))
    await run_scan(scene, id)
    scan = await shown(scene, id)
    assert (scan.status, scan.counts.listed, scan.counts.done, scan.counts.failed) == ("done", 40, 40, 0)
    assert len(await scene.sql("SELECT FROM stored_object")) == 40
    await is_sound(scene)


async def test_a_store_that_is_away_is_waited_for(scene: Scene) -> None:
    fill(scene, "a", "b")
    id = await begin_scan(scene)
    store = await scene.opened()
    listing = store.list

    async def away(**_: Any) -> AsyncIterator[Any]:
        raise StoreUnavailable("no answer")
        yield

    store.list = away  # type: ignore[method-assign]  # a fault, for this test alone
    with pytest.raises(RetryLater):
        await run_scan(scene, id)
    store.list = listing  # type: ignore[method-assign]  # a fault, for this test alone
    await scene.sql("DELETE FROM pgqueuer")
    for _ in range(2):
        await scene.services.scans.look_after()
    assert len(await scene.sql("SELECT FROM pgqueuer WHERE entrypoint = 'scan_store'")) == 1
    await run_scan(scene, id)
    assert (await shown(scene, id)).counts.done == 2
    scene.clock.forward(91 * 86_400)
    await scene.services.scans.look_after()
    await scene.services.scans.look_after()
    with pytest.raises(ScanNotFound):
        await shown(scene, id)


async def test_a_scan_can_be_stopped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scans, "PAGE", 2)
    fill(scene, *(f"k{number}" for number in range(6)))
    id = await begin_scan(scene)
    settle = scene.services.registrations.settle

    async def stopping(registration: int) -> Any:
        scene.services.registrations.settle = settle  # type: ignore[method-assign]  # a fault, for this test alone
        await scene.services.scans.stop("local", id, caller=CALLER)
        return await settle(registration)

    scene.services.registrations.settle = stopping  # type: ignore[method-assign]  # a fault, for this test alone
    await run_scan(scene, id)
    scan = await shown(scene, id)
    assert (scan.status, scan.reason, scan.counts.done) == ("stopped", "admin stopped it", 2), "what was begun is finished"
    await is_sound(scene)
    with pytest.raises(ScanEnded):
        await scene.services.scans.stop("local", id, caller=CALLER)


async def test_who_is_no_administrator_any_more_scans_nothing(scene: Scene) -> None:
    fill(scene, "a")
    id = await begin_scan(scene)
    await scene.sql("UPDATE scan SET caller = 'eve'")
    await run_scan(scene, id)
    assert (await shown(scene, id)).status == "stopped"
    assert await scene.sql("SELECT FROM media") == []


async def test_what_makes_no_sense_is_refused(scene: Scene) -> None:
    with pytest.raises(PatternInvalid):
        await begin_scan(scene, pid_pattern="same")
    for prefix in ("../", "/", "a//", "a\0"):
        with pytest.raises(KeyInvalid):
            await begin_scan(scene, prefix=prefix)
    assert await scene.sql("SELECT FROM scan") == []


async def test_one_key_waits_for_nobody_else(scene: Scene, later: None) -> None:
    fill(scene, "a", "b")
    id = await waiting(scene, "a", pid="by-key")
    assert figures(await scanned(scene)) == (2, 1, 0, 0, 1, 0)
    await scene.services.registrations.settle(id)
    await is_sound(scene)


async def test_thousands_of_objects(scene: Scene) -> None:
    """Cut once on the way. `--durations` tells how long it took."""
    count = 2_000
    fill(scene, *(f"{number % 16:02}/{number:05}.dat" for number in range(count)))
    id = await begin_scan(scene, pid_pattern="many/{stem}")
    work = asyncio.create_task(run_scan(scene, id))
    while (await shown(scene, id)).counts.listed < 300:  # noqa: ASYNC110 - what is waited for is in the database
        await asyncio.sleep(0.05)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await run_scan(scene, id)
    assert figures(await shown(scene, id)) == (count, 0, 0, 0, count, 0)
    assert len(await scene.sql("SELECT FROM media WHERE status = 'ready' AND version = 1")) == count
