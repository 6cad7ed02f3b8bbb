"""On whose word a sweep goes on, and what is not that word any more."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from mediastore.catalog.schemas import MediaChange, MediaCreate
from mediastore.clock import utc_now
from mediastore.placement.errors import StoreInvalid
from mediastore.placement.schemas import Retention
from mediastore.retention.errors import RehearsalInvalid, SweepRunning
from mediastore.retention.schemas import HoldCreate, SweepRequest
from mediastore.retention.sweeper import Step, Sweeper
from mediastore.transfers.declared import Declared, about_record, always
from mediastore.transfers.errors import SizeMismatch
from tests.retention.conftest import CALLER, SIZE, Scene


class Killed(BaseException):
    """The process ended here: nothing that comes after may run."""


def dying(scene: Scene, at: Step) -> Sweeper:
    """A sweeper whose process ends at this step."""

    async def die(step: Step) -> None:
        if step == at:
            raise Killed

    return scene.another(on_step=die, lease_s=0.1)


async def die_at(scene: Scene, step: Step, asked: SweepRequest) -> None:
    with pytest.raises((Killed, BaseExceptionGroup)):
        await dying(scene, step).sweep("local", asked, requested_by="admin")
    await asyncio.sleep(0.2)


async def brake(scene: Scene) -> object:
    [row] = await scene.sql("SELECT brake FROM store WHERE name = 'local'")
    return row["brake"]


@pytest.mark.parametrize("step", ["begun", "decided"])
async def test_h09_a_bound_run_does_not_go_on_with_one_that_was_not_bound(scene: Scene, step: Step) -> None:
    await scene.policy()
    await scene.seed(3, expired=True)
    rehearsal = await scene.sweep(dry_run=True)
    if step == "decided":  # by the one who dies; the clean-up removes their bytes
        await scene.seed(2, expired=True, first=3)
        await scene.sql("UPDATE media SET expires_at = now() + interval '1 hour' WHERE pid IN ('r/0', 'r/1', 'r/2')")
        await die_at(scene, step, SweepRequest())
        await scene.sql(
            "UPDATE media m SET expires_at = i.due_at FROM sweep_item i WHERE i.media = m.id AND i.sweep = $1", rehearsal.id
        )
    else:
        await die_at(scene, step, SweepRequest())
    await scene.seed(5, expired=True, first=5)
    report = await scene.sweep(rehearsal=rehearsal.id)
    assert (report.rehearsal, report.state, report.removed) == (rehearsal.id, "done", 3)
    left = await scene.sql("SELECT pid FROM media WHERE deleted_at IS NULL ORDER BY pid")
    assert [row["pid"] for row in left] == [f"r/{number}" for number in range(5, 10)]
    [dead] = await scene.sql("SELECT state, detail FROM sweep WHERE NOT dry_run AND rehearsal IS NULL")
    assert (dead["state"], "ended" in dead["detail"]) == ("failed", True)
    await scene.sql("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")
    await scene.services.cleanup.run_once()
    await scene.consistent()


async def test_a_released_brake_does_not_carry_over_to_who_did_not_release_it(scene: Scene) -> None:
    await scene.policy(max_objects_per_run=2)
    await scene.seed(5, expired=True)
    await die_at(scene, "begun", SweepRequest(release_brake=True))
    report = await scene.sweep()
    assert (report.state, report.stopped_by, report.removed) == ("stopped", "max_objects_per_run", 0)


async def test_the_schedule_goes_on_with_what_an_administrator_has_allowed(scene: Scene) -> None:
    await scene.policy(max_objects_per_run=2)
    await scene.seed(5, expired=True)
    await die_at(scene, "begun", SweepRequest(release_brake=True))
    await scene.services.sweeper.sweep_due(scene.store)
    assert scene.files() == set()


async def test_h09_what_was_restored_and_has_expired_anew_is_not_what_was_rehearsed(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(2, expired=True)
    rehearsal = await scene.sweep(dry_run=True)
    await scene.services.catalog.change("r/0", MediaChange(expires_at=None), revisions=None, caller=CALLER)
    await scene.sql("UPDATE media SET expires_at = now() - interval '1 second' WHERE pid = 'r/0'")
    assert (await scene.sweep(rehearsal=rehearsal.id)).removed == 1
    [left] = await scene.sql("SELECT pid FROM media WHERE deleted_at IS NULL")
    assert left["pid"] == "r/0"


async def test_a_brake_stays_where_the_sweep_that_would_release_it_can_not_begin(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(1, expired=True)
    await scene.sql(
        "INSERT INTO sweep (store, dry_run, approved, requested_by, state, runner, lease_until, cutoff) "
        "VALUES ($1, false, false, 'x', 'running', gen_random_uuid(), now() + interval '1 hour', now())",
        scene.store,
    )
    await scene.sql(
        """UPDATE store SET brake = '{"sweep": 1, "stopped_by": "clock", "reason": "x", "at": "2026-01-01T00:00:00Z"}'"""
    )
    with pytest.raises(SweepRunning):
        await scene.sweep(release_brake=True)
    assert await brake(scene) is not None


async def test_h08_a_stalled_sweeper_that_wakes_pulls_no_brake(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.policy(max_objects_per_run=1)
    await scene.seed(2, expired=True)
    asleep, wake = asyncio.Event(), asyncio.Event()

    async def stall(step: Step) -> None:
        if step == "begun":
            asleep.set()
            await wake.wait()

    stalled = scene.another(on_step=stall, lease_s=0.1)
    monkeypatch.setattr(stalled, "_beat", lambda _: asyncio.sleep(3600))
    task = asyncio.create_task(stalled.sweep("local", SweepRequest(), requested_by="admin"))
    await asleep.wait()
    await asyncio.sleep(0.2)
    assert (await scene.sweep(release_brake=True)).removed == 2
    await scene.seed(3, expired=True, first=2)
    wake.set()
    await task
    assert await brake(scene) is None


async def test_h12_a_rehearsal_whose_process_died_comes_to_an_end(scene: Scene) -> None:
    await scene.policy()
    await die_at(scene, "begun", SweepRequest(dry_run=True))
    await scene.services.sweep_schedule.enqueue_due()
    [row] = await scene.sql("SELECT state, finished_at FROM sweep")
    assert row["state"] == "failed"
    assert row["finished_at"] is not None


async def test_h12_a_sweep_whose_process_died_ends_where_no_other_may_run(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(1, expired=True)
    await die_at(scene, "decided", SweepRequest())
    await scene.sql("UPDATE store SET enabled = false")
    await scene.services.sweep_schedule.enqueue_due()
    [row] = await scene.sql("SELECT state, removed, failed FROM sweep")
    assert tuple(row) == ("failed", 1, 1)
    await scene.sql("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")
    await scene.services.cleanup.run_once()
    await scene.services.sweep_schedule.enqueue_due()
    [row] = await scene.sql("SELECT state, failed, bytes_freed FROM sweep")
    assert tuple(row) == ("failed", 0, 10)


async def test_a_rehearsal_pulls_no_brake(scene: Scene) -> None:
    await scene.policy()
    scene.services.sweeper._clock = lambda: utc_now() + timedelta(days=3650)
    report = await scene.sweep(dry_run=True)
    assert (report.state, report.stopped_by) == ("stopped", "clock")
    assert await brake(scene) is None


async def test_h09_records_without_bytes_count_too(scene: Scene) -> None:
    await scene.policy(max_objects_per_run=10)
    await scene.seed(5, expired=True)
    for number in range(11):
        await scene.services.catalog.create(MediaCreate(pid=f"empty/{number}"), caller=CALLER)
    await scene.sql("UPDATE media SET expires_at = now() - interval '2 hours' WHERE pid LIKE 'empty/%'")
    report = await scene.sweep()
    assert (report.state, report.stopped_by, report.removed) == ("stopped", "max_objects_per_run", 0)


async def test_h09_both_clocks_ten_years_ahead_remove_nothing(scene: Scene) -> None:
    """As on the machine that is server and database: the last sweep, to all appearance, was ten years ago."""
    await scene.policy()
    await scene.sweep()
    await scene.seed(10, expired=True)
    await scene.sql("UPDATE sweep SET started_at = started_at - interval '10 years'")
    await scene.sql("UPDATE store SET created_at = created_at - interval '10 years'")
    await scene.services.sweeper.sweep_due(scene.store)
    [row] = await scene.sql("SELECT state, stopped_by, removed, detail FROM sweep ORDER BY id DESC LIMIT 1")
    assert (row["state"], row["stopped_by"], row["removed"]) == ("stopped", "clock", 0)
    assert "3,65" in row["detail"]
    assert len(scene.files()) == 10
    assert (await scene.sweep(release_brake=True)).removed == 10


async def test_a_hold_keeps_a_record_whose_first_upload_failed(scene: Scene) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        await scene.services.holds.place("held", HoldCreate(reason="paper"), caller=CALLER)

    declared = Declared(size=8, media_type="text/plain", filename=None, digests={})
    with pytest.raises(SizeMismatch):
        await scene.services.uploads.receive(
            "held", body(), declared=declared, about=about_record(b"{}"), precondition=always, caller=CALLER
        )
    assert (await scene.services.catalog.read("held", caller=CALLER)).held


async def test_lists_of_old_rehearsals_go_when_another_is_begun(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(2, expired=True)
    old = await scene.sweep(dry_run=True)
    recent = await scene.sweep(dry_run=True)
    await scene.sql("UPDATE sweep SET started_at = now() - interval '91 days' WHERE id = $1", old.id)
    new = await scene.sweep(dry_run=True)
    listed = await scene.sql("SELECT DISTINCT sweep FROM sweep_item ORDER BY sweep")
    assert [row["sweep"] for row in listed] == [recent.id, new.id]
    assert (await scene.services.sweeper.report("local", old.id)).found == 2


async def test_a_policy_is_rehearsed_before_it_is_the_stores(scene: Scene) -> None:
    await scene.policy(grace_s=86_400)
    await scene.seed(3, expired=True)
    await scene.seed(2, expired=True, first=3, tags=["keep"])
    assert (await scene.sweep(dry_run=True)).found == 0
    asked = Retention(grace_s=0, exempt_tags=("keep",), max_objects_per_run=2)
    rehearsal = await scene.sweep(dry_run=True, retention=asked)
    assert (rehearsal.state, rehearsal.found, rehearsal.exempt, rehearsal.stopped_by) == ("done", 3, 2, "max_objects_per_run")
    assert "another policy than the store's" in (rehearsal.detail or "")
    assert (await scene.services.placement.read_store("local", caller=CALLER)).retention == Retention(grace_s=86_400)
    assert (await scene.sweep(rehearsal=rehearsal.id)).removed == 0, "what is removed is due by the store's own policy"
    await scene.policy(exempt_tags=("keep",), max_objects_per_run=2)
    assert (await scene.sweep(rehearsal=rehearsal.id)).removed == 3
    await scene.consistent()


async def test_a_rehearsed_policy_is_held_to_the_rules_of_a_saved_one(scene: Scene) -> None:
    with pytest.raises(StoreInvalid, match="says yes or no"):
        await scene.sweep(dry_run=True, retention=Retention(exempt_where="$.camera =="))
    with pytest.raises(StoreInvalid, match="above max_ttl_s"):
        await scene.sweep(dry_run=True, retention=Retention(default_ttl_s=10, max_ttl_s=5))
    with pytest.raises(RehearsalInvalid, match="can only be rehearsed"):
        await scene.sweep(retention=Retention())
    assert await scene.sql("SELECT FROM sweep") == []


async def test_a_rehearsal_says_what_the_brake_would_do(scene: Scene) -> None:
    await scene.policy(max_bytes_per_run=SIZE)
    await scene.seed(1, expired=True)
    assert (await scene.sweep(dry_run=True)).stopped_by is None
    await scene.seed(1, expired=True, first=1)
    rehearsal = await scene.sweep(dry_run=True)
    assert (rehearsal.state, rehearsal.stopped_by) == ("done", "max_bytes_per_run")
    assert (await scene.services.placement.read_store("local", caller=CALLER)).brake is None, "a rehearsal pulls no brake"
    assert (await scene.sweep()).stopped_by == "max_bytes_per_run"
