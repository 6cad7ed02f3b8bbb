"""What a sweep removes, what keeps things from it, and what stops it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mediastore.catalog.errors import RecordGone, RecordHeld
from mediastore.catalog.schemas import MediaChange
from mediastore.clock import utc_now
from mediastore.database import Database
from mediastore.placement.errors import StoreInvalid
from mediastore.placement.schemas import Retention, StoreChange
from mediastore.retention.errors import RehearsalInvalid, SweepBraked, SweepRunning
from mediastore.retention.schemas import HoldCreate, SweepRequest
from mediastore.retention.sweeper import Step
from tests.retention.conftest import CALLER, SIZE, Scene

STEPS: tuple[Step, ...] = ("begun", "weighed", "locked", "decided", "removed", "finished")


class Killed(BaseException):
    """The process ended here: nothing that comes after may run."""


async def test_what_has_expired_goes_and_nothing_else(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(30, expired=True)
    await scene.seed(40, expired=False, first=30)
    report = await scene.sweep()
    assert (report.state, report.found, report.removed, report.objects, report.bytes_freed) == ("done", 30, 30, 30, 30 * SIZE)
    await scene.consistent()
    assert len(scene.files()) == 40
    with pytest.raises(RecordGone) as gone:
        await scene.services.catalog.read("r/0", caller=CALLER)
    assert "because it had expired" in gone.value.message
    [receipt] = gone.value.fields["receipts"]  # type: ignore[misc]  # a list
    assert (receipt.state, receipt.size) == ("purged", SIZE)
    assert b'"rule": "expired"' in bytes(receipt.receipt)
    again = await scene.sweep()
    assert (again.found, again.removed) == (0, 0)


async def test_the_grace_is_for_restoring_and_leaves_no_trace(scene: Scene) -> None:
    await scene.policy(grace_s=7200)
    await scene.seed(1, expired=True)
    assert (await scene.sweep()).found == 0
    outlook = await scene.services.holds.outlook("r/0", caller=CALLER)
    assert (outlook.status, outlook.restorable, outlook.decided_by) == ("expired", True, "expiry")
    change = MediaChange(expires_at=None)
    record = await scene.services.catalog.change("r/0", change, revisions=None, caller=CALLER)
    assert (record.status, record.expires_at) == ("ready", None)
    await scene.policy()
    assert (await scene.sweep()).found == 0
    assert (await scene.services.holds.outlook("r/0", caller=CALLER)).sentence == "It is kept for good: it has no expiry."


async def test_holds_and_exemptions_keep_records(scene: Scene) -> None:
    await scene.policy(exempt_tags=("keep",), exempt_where='$.camera == "CAM-3"')
    await scene.seed(5, expired=True)
    await scene.seed(5, expired=True, first=5, tags=["raw", "keep"])
    await scene.seed(5, expired=True, first=10, metadata='{"camera": "CAM-3"}')
    holds = [await scene.services.holds.place(f"r/{n}", HoldCreate(reason="paper"), caller=CALLER) for n in (0, 1, 1)]
    report = await scene.sweep()
    assert (report.removed, report.held, report.exempt) == (3, 2, 10)
    await scene.consistent()
    with pytest.raises(RecordHeld):
        await scene.services.catalog.delete("r/0", revisions=None, caller=CALLER)
    await scene.services.holds.lift("r/1", str(holds[1].id), caller=CALLER)
    assert (await scene.sweep()).removed == 0, "another hold stands on it"
    for pid, hold in (("r/1", holds[2]), ("r/0", holds[0])):
        await scene.services.holds.lift(pid, str(hold.id), caller=CALLER)
        await scene.services.holds.lift(pid, str(hold.id), caller=CALLER)
    assert (await scene.sweep()).removed == 2


async def test_a_hold_ends_by_itself(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(1, expired=True)
    await scene.services.holds.place("r/0", HoldCreate(reason="x", until=utc_now() + timedelta(hours=1)), caller=CALLER)
    assert (await scene.sweep()).held == 1
    await scene.sql("UPDATE hold SET until = now() - interval '1 second'")
    assert (await scene.sweep()).removed == 1


async def test_old_versions_go_sooner(scene: Scene) -> None:
    await scene.policy(old_versions_ttl_s=3600)
    await scene.seed(3, expired=False)
    await scene.sql("UPDATE media SET expires_at = NULL")
    await scene.sql(
        "INSERT INTO stored_object (media, store, key, media_type, state, version, size, stored_at, superseded_at) "
        "SELECT id, store, 'old/' || id, 'text/plain', 'stored', 0, 5, now(), now() - make_interval(hours => id::int) FROM media"
    )
    rehearsal = await scene.sweep(dry_run=True)
    assert {(item.rule, item.version is None) for item in rehearsal.items} <= {("old version", True), ("old version", False)}
    report = await scene.sweep()
    assert report.removed == rehearsal.found >= 1
    states = await scene.sql("SELECT state, count(*) AS n FROM stored_object WHERE version = 0 GROUP BY state")
    assert {row["state"]: row["n"] for row in states}["purged"] == report.removed
    events = await scene.sql("SELECT action FROM history WHERE action = 'version_removed'")
    assert len(events) == report.removed
    await scene.sql("DELETE FROM stored_object WHERE version = 0 AND state = 'stored'")
    await scene.consistent()


async def test_a_run_bound_to_a_rehearsal_removes_that_and_nothing_else(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(5, expired=True)
    rehearsal = await scene.sweep(dry_run=True)
    assert [item.pid for item in rehearsal.items] == [f"r/{n}" for n in range(5)]
    assert len(scene.files()) == 5
    await scene.seed(5, expired=True, first=5)
    await scene.services.catalog.change("r/0", MediaChange(expires_at=None), revisions=None, caller=CALLER)
    await scene.services.holds.place("r/1", HoldCreate(reason="x"), caller=CALLER)
    report = await scene.sweep(rehearsal=rehearsal.id)
    assert (report.removed, report.held) == (3, 1)
    left = await scene.sql("SELECT pid FROM media WHERE deleted_at IS NULL ORDER BY id")
    assert [row["pid"] for row in left] == ["r/0", "r/1", *(f"r/{n}" for n in range(5, 10))]
    await scene.consistent()
    with pytest.raises(RehearsalInvalid):
        await scene.sweep(rehearsal=report.id)
    await scene.sql("UPDATE sweep SET started_at = now() - interval '8 days'")
    with pytest.raises(RehearsalInvalid):
        await scene.sweep(rehearsal=rehearsal.id)


@pytest.mark.parametrize(
    ("policy", "limit"),
    [
        ({"max_objects_per_run": 149}, "max_objects_per_run"),
        ({"max_bytes_per_run": 149 * SIZE}, "max_bytes_per_run"),
        ({"max_share_per_run": 0.49}, "max_share_per_run"),
    ],
)
async def test_the_brake_stops_before_anything_is_gone(scene: Scene, policy: dict[str, Any], limit: str) -> None:
    await scene.policy(**policy)
    await scene.seed(150, expired=True)
    await scene.seed(150, expired=False, first=150)
    report = await scene.sweep()
    assert (report.state, report.stopped_by, report.removed) == ("stopped", limit, 0)
    assert len(scene.files()) == 300
    health = await scene.services.health.ready()
    assert (health.status, health.brakes) == ("degraded", {"local": f"sweeps wait for an administrator's word: {limit}"})
    [event] = await scene.sql("SELECT action, changes FROM history WHERE kind = 'store' AND action = 'brake'")
    assert limit.encode() in bytes(event["changes"])
    with pytest.raises(SweepBraked):
        await scene.sweep()
    await scene.services.sweeper.sweep_due(scene.store)
    assert len(scene.files()) == 300, "nor on schedule"
    rehearsal = await scene.sweep(dry_run=True)
    assert rehearsal.found == 150
    done = await scene.sweep(rehearsal=rehearsal.id)
    assert (done.state, done.removed) == ("done", 150)
    assert (await scene.services.health.ready()).status == "ok"
    await scene.consistent()


async def test_a_released_brake_lets_one_run_through(scene: Scene) -> None:
    await scene.policy(max_objects_per_run=1)
    await scene.seed(3, expired=True)
    assert (await scene.sweep()).state == "stopped"
    assert (await scene.sweep(release_brake=True)).removed == 3
    await scene.seed(3, expired=True, first=3)
    assert (await scene.sweep()).state == "stopped"


async def test_what_is_exactly_the_budget_goes(scene: Scene) -> None:
    await scene.policy(max_objects_per_run=100, max_bytes_per_run=100 * SIZE)
    await scene.seed(100, expired=True)
    assert (await scene.sweep()).removed == 100


async def test_h09_a_clock_ten_years_ahead_removes_nothing(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(10, expired=True)
    scene.services.sweeper._clock = lambda: utc_now() + timedelta(days=3650)
    report = await scene.sweep()
    assert (report.state, report.stopped_by, report.removed) == ("stopped", "clock", 0)
    assert "disagree" in (report.detail or "")
    assert len(scene.files()) == 10


@pytest.mark.parametrize(
    "retention",
    [
        {"exempt_where": "$.camera =="},
        {"exempt_where": "no path at all ("},
        {"exempt_where": "$.camera"},
        {"exempt_where": '$ ? (@.camera == "CAM-3")'},
        {"exempt_where": '$.camera ? (@ == "CAM-3")'},
        {"exempt_where": '$.camera == "x" && $variable == 1'},
        {"default_ttl_s": 10, "max_ttl_s": 5},
    ],
)
async def test_h09_a_policy_that_makes_no_sense_is_refused(scene: Scene, retention: dict[str, Any]) -> None:
    with pytest.raises(StoreInvalid):
        await scene.services.placement.change_store("local", StoreChange(retention=Retention(**retention)), caller=CALLER)


@pytest.mark.parametrize(
    "path",
    [
        '$.camera == "$variable" || $."$x" == 1',
        '$.camera == "CAM-3"',
        "strict $.depth > 3",
        "exists($.keep)",
        '$.camera like_regex "^CAM" && !($.raw == true)',
    ],
)
async def test_a_path_that_says_yes_or_no_is_a_policy(scene: Scene, path: str) -> None:
    await scene.policy(exempt_where=path)


async def test_an_exemption_that_can_t_be_told_of_a_record_is_none_and_stops_no_sweep(scene: Scene) -> None:
    """PostgreSQL raises where a time with a zone meets one without, however a path is asked."""
    await scene.policy(exempt_where='$.until.datetime() > "2026-01-01T00:00:00".datetime()')
    for first, until in ((0, "2026-06-01T00:00:00+01:00"), (5, "2025-06-01T00:00:00"), (10, "soon")):
        await scene.seed(5, expired=True, first=first, metadata=f'{{"until": "{until}"}}')
    report = await scene.sweep()
    assert (report.state, report.removed, report.exempt) == ("done", 10, 5)
    await scene.consistent()
    assert (await scene.services.holds.outlook("r/0", caller=CALLER)).decided_by == "exempt_where"


async def test_one_sweep_at_a_time(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(3, expired=True)
    go, decided = asyncio.Event(), asyncio.Event()

    async def wait(step: Step) -> None:
        if step == "decided":
            decided.set()
            await go.wait()

    slow = scene.another(on_step=wait)
    task = asyncio.create_task(slow.sweep("local", SweepRequest(), requested_by="admin"))
    await decided.wait()
    with pytest.raises(SweepRunning):
        await scene.sweep()
    await scene.services.sweeper.sweep_due(scene.store)
    assert len(await scene.sql("SELECT FROM sweep")) == 1
    go.set()
    assert (await task).removed == 3
    await scene.consistent()


@pytest.mark.parametrize("step", STEPS)
async def test_h07_killed_at_any_step_another_process_finishes_it(scene: Scene, step: Step) -> None:
    await scene.policy(max_objects_per_run=60)
    await scene.seed(50, expired=True)
    await scene.seed(60, expired=False, first=50)

    async def kill(at: Step) -> None:
        if at == step:
            raise Killed

    dead = scene.another(on_step=kill, lease_s=0.2)
    with pytest.raises((Killed, BaseExceptionGroup)):
        await dead.sweep("local", SweepRequest(), requested_by="admin")
    await asyncio.sleep(0.3)
    assert await scene.sql("SELECT FROM sweep WHERE lease_until < now() OR state <> 'running'")
    await scene.services.sweeper.sweep_due(scene.store)
    await scene.consistent()
    assert len(scene.files()) == 60
    reports = await scene.sql("SELECT state, removed, object_count, bytes_freed FROM sweep ORDER BY id")
    assert sum(row["removed"] for row in reports) == 50
    assert all(row["state"] == "done" for row in reports)
    assert sum(row["bytes_freed"] for row in reports) == 50 * SIZE, "receipts add up"


async def test_h07_killed_when_the_bytes_are_gone_and_no_row_says_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.policy()
    await scene.seed(50, expired=True)

    async def killed(*_: object) -> None:
        raise Killed

    dead = scene.another(lease_s=0.2)
    monkeypatch.setattr(dead._purger, "_note", killed)
    with pytest.raises((Killed, BaseExceptionGroup)):
        await dead.sweep("local", SweepRequest(), requested_by="admin")
    assert scene.files() == set()
    [row] = await scene.sql("SELECT count(*) AS n FROM stored_object WHERE state = 'purging' AND receipt IS NULL")
    assert row["n"] == 50
    await asyncio.sleep(0.3)
    await scene.services.sweeper.sweep_due(scene.store)
    await scene.consistent()
    [report] = await scene.sql("SELECT state, removed, object_count, bytes_freed, failed FROM sweep")
    assert tuple(report) == ("done", 50, 50, 50 * SIZE, 0)


async def test_h08_a_stalled_sweeper_that_wakes_is_fenced(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.policy()
    monkeypatch.setattr("mediastore.retention.sweeper.BATCH", 10)
    await scene.seed(50, expired=True)
    asleep, wake = asyncio.Event(), asyncio.Event()

    async def stall(step: Step) -> None:
        if step == "decided" and not asleep.is_set():
            asleep.set()
            await wake.wait()

    stalled = scene.another(on_step=stall, lease_s=0.2)
    monkeypatch.setattr(stalled, "_beat", lambda _: asyncio.sleep(3600))
    task = asyncio.create_task(stalled.sweep("local", SweepRequest(), requested_by="admin"))
    await asleep.wait()
    await asyncio.sleep(0.3)
    await scene.services.sweeper.sweep_due(scene.store)
    removed = await scene.sql("SELECT removed, bytes_freed, state FROM sweep")
    assert [(row["removed"], row["bytes_freed"], row["state"]) for row in removed] == [(50, 50 * SIZE, "done")]
    wake.set()
    await task
    after = await scene.sql("SELECT removed, bytes_freed, state FROM sweep")
    assert [tuple(row) for row in after] == [tuple(row) for row in removed], "the late one added nothing"
    await scene.consistent()


async def test_h06_whatever_keeps_a_record_counts_to_the_last_moment(scene: Scene) -> None:
    """Between the selection and the decision, while the sweep holds no lock yet, others change the records."""
    await scene.policy()
    await scene.seed(4, expired=True)
    database = Database(scene.url)
    async with database.transaction() as connection:
        await connection.execute("UPDATE media SET expires_at = now() + interval '1 day' WHERE pid = 'r/0'")
        await connection.execute("SELECT FROM media WHERE pid = 'r/1' FOR UPDATE")
        sweep = asyncio.create_task(scene.sweep())
        await asyncio.sleep(0.5)
        await connection.execute(
            "INSERT INTO hold (id, media, placed_by, reason) "
            "SELECT gen_random_uuid(), id, 'bob', 'x' FROM media WHERE pid = 'r/1'"
        )
    report = await sweep
    assert report.removed == 2, "what somebody else has locked is passed over"
    assert (await scene.sweep()).held == 1
    await database.close()
    left = await scene.sql("SELECT pid FROM media WHERE deleted_at IS NULL ORDER BY pid")
    assert [row["pid"] for row in left] == ["r/0", "r/1"]
    await scene.consistent()


async def extend(scene: Scene, pid: str) -> None:
    change = MediaChange(expires_at=utc_now() + timedelta(days=1))
    await scene.services.catalog.change(pid, change, revisions=None, caller=CALLER)


async def keep_for_good(scene: Scene, pid: str) -> None:
    await scene.services.catalog.change(pid, MediaChange(expires_at=None), revisions=None, caller=CALLER)


async def hold(scene: Scene, pid: str) -> None:
    await scene.services.holds.place(pid, HoldCreate(reason="x"), caller=CALLER)


async def exempt(scene: Scene, pid: str) -> None:
    await scene.services.catalog.change(pid, MediaChange(tags=["keep"]), revisions=None, caller=CALLER)


@pytest.mark.parametrize("keep", [extend, keep_for_good, hold, exempt])
async def test_h06_who_was_told_that_a_record_is_kept_keeps_it(
    scene: Scene, keep: Callable[[Scene, str], Awaitable[None]]
) -> None:
    """At each step of a sweep, be it that the action has to wait for its lock: it succeeds and the record stays, or neither."""
    await scene.policy(exempt_tags=("keep",))
    kept = 0
    for number, step in enumerate(STEPS * 3):
        await scene.seed(2, expired=True, first=2 * number)
        pid = f"r/{2 * number}"
        tasks: list[asyncio.Task[None]] = []

        async def meanwhile(at: Step, step: Step = step, pid: str = pid, tasks: list[asyncio.Task[None]] = tasks) -> None:
            if at == step and not tasks:
                tasks.append(asyncio.create_task(keep(scene, pid)))
                await asyncio.wait(tasks, timeout=0.05)

        await scene.another(on_step=meanwhile).sweep("local", SweepRequest(), requested_by="admin")
        [outcome] = await asyncio.gather(*tasks, return_exceptions=True)
        [row] = await scene.sql("SELECT deleted_at IS NULL AS there FROM media WHERE pid = $1", pid)
        assert row["there"] == (outcome is None), (step, outcome)
        assert outcome is None or isinstance(outcome, RecordGone), outcome
        kept += row["there"]
    assert 0 < kept < len(STEPS) * 3
    await scene.consistent()


async def test_h06_five_hundred_meetings_and_nothing_that_was_kept_is_gone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others change the records in any order, all at once, while two sweepers, one after the other, go through them."""
    monkeypatch.setattr("mediastore.retention.sweeper.BATCH", 10)
    await scene.policy(exempt_tags=("keep",), max_share_per_run=1)
    await scene.seed(500, expired=True)
    deeds = [extend, keep_for_good, hold, exempt]
    numbers = list(range(500))
    random.Random(6).shuffle(numbers)
    turns = asyncio.Semaphore(6)
    under_way = asyncio.Event()

    async def decided(step: Step) -> None:
        if step == "decided":
            under_way.set()

    async def meet(number: int) -> bool:
        async with turns:
            try:
                await deeds[number % len(deeds)](scene, f"r/{number}")
            except RecordGone:
                return False
            return True

    async def sweep_twice() -> None:
        for _ in range(2):
            await scene.another(on_step=decided).sweep("local", SweepRequest(), requested_by="admin")

    sweeping = asyncio.create_task(sweep_twice())
    await under_way.wait()
    kept = dict(zip(numbers, await asyncio.gather(*(meet(number) for number in numbers)), strict=True))
    await sweeping
    rows = await scene.sql("SELECT pid, deleted_at IS NULL AS there FROM media")
    there = {int(row["pid"].removeprefix("r/")): row["there"] for row in rows}
    assert there == kept, "who was told that it is kept, keeps it, and no one else"
    assert 0 < sum(kept.values()) < 500, "they met"
    await scene.consistent()


async def test_what_a_store_does_not_let_go_of_is_tried_again(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(5, expired=True)
    folder = next((scene.home / "stores" / "local" / "k").glob("*"))
    victim = next(folder.iterdir())
    victim.unlink()
    victim.mkdir()
    (victim / "in the way").write_bytes(b"")
    report = await scene.sweep()
    assert (report.removed, report.failed) == (5, 1)
    [row] = await scene.sql("SELECT state, attempts FROM stored_object WHERE state = 'purging'")
    assert row["attempts"] == 1
    (victim / "in the way").unlink()
    victim.rmdir()
    await scene.sql("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")
    await scene.services.cleanup.run_once()
    await scene.consistent()


async def test_a_sweep_costs_what_is_due_and_not_what_is_there(scene: Scene, tmp_path: Path) -> None:
    """The plan of the selection names the index, however many records live."""
    await scene.policy()
    await scene.seed(2000, expired=False)
    await scene.seed(10, expired=True, first=2000)
    await scene.sql("ANALYZE media")
    plan = await scene.sql(
        "EXPLAIN SELECT m.id FROM media m WHERE m.store = $1 AND m.expires_at < now() AND m.deleted_at IS NULL "
        "AND (m.expires_at, m.id) > ('-infinity', 0) ORDER BY m.expires_at, m.id LIMIT 1000",
        scene.store,
    )
    assert "media_expires_at_idx" in "\n".join(row[0] for row in plan)


async def test_bytes_that_come_late_do_not_change_the_receipt(scene: Scene) -> None:
    await scene.policy()
    await scene.seed(1, expired=True)
    await scene.sweep()
    [before] = await scene.sql("SELECT receipt, key FROM stored_object")
    await scene.services.completion._ledger.doom_again(store=scene.store, key=before["key"], reason="late")
    await scene.services.cleanup.run_once()
    [after] = await scene.sql("SELECT receipt, state FROM stored_object")
    assert (bytes(after["receipt"]), after["state"]) == (bytes(before["receipt"]), "purged")
