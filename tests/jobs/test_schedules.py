"""The clock makes jobs, each once, however many workers look at it."""

import asyncio
import itertools
from datetime import timedelta

from mediastore.jobs.timetable import Timetable
from mediastore.jobs.work import Schedule
from tests.jobs.scene import Scene, WorkerProcess, eventually

DUE = "UPDATE pgqueuer_schedules SET next_run = now() - interval '1 hour'"
YEARLY = "0 0 1 1 *"


async def nothing() -> None:
    pass


async def test_a_tick_makes_one_job_with_two_workers(scene: Scene) -> None:
    with WorkerProcess(scene.url, schedules=True), WorkerProcess(scene.url, schedules=True):
        await eventually(lambda: scene.value("SELECT count(*) >= 4 FROM noted"))
    ticks = [row["created"] for row in await scene.fetch("SELECT created FROM pgqueuer_log WHERE status = 'queued'")]
    seconds = sorted(tick.replace(microsecond=0) for tick in ticks)
    assert all(early < late for early, late in itertools.pairwise(seconds)), seconds


async def test_workers_that_look_at_the_same_moment_make_one_job(scene: Scene) -> None:
    tables = [
        Timetable(scene.database, queue=scene.queue, schedules=[Schedule(name="yearly", every=YEARLY, run=nothing)])
        for _ in range(3)
    ]
    await asyncio.gather(*(table.run_once() for table in tables))
    assert await scene.queued() == []  # the first tick is still to come
    for _ in range(20):
        await scene.value(DUE)
        waits = await asyncio.gather(*(table.run_once() for table in tables))
        assert all(0 < wait_s <= 30 for wait_s in waits)
        [job] = await scene.queued()
        assert job["entrypoint"] == "yearly"
        await scene.value("DELETE FROM pgqueuer")


async def test_a_tick_waits_for_the_job_of_the_one_before_and_replaces_one_that_is_held(scene: Scene) -> None:
    table = Timetable(scene.database, queue=scene.queue, schedules=[Schedule(name="yearly", every=YEARLY, run=nothing)])
    await table.run_once()
    await scene.value(DUE)
    await table.run_once()
    [before] = await scene.queued()
    await scene.value(DUE)
    await table.run_once()
    assert [job["id"] for job in await scene.queued()] == [before["id"]]
    await scene.value("UPDATE pgqueuer SET status = 'failed'")
    await scene.value(DUE)
    await table.run_once()
    [after] = await scene.queued()
    assert (after["status"], after["id"] > before["id"]) == ("queued", True)


async def test_a_schedule_that_fails_is_tried_again_and_held_like_any_job(scene: Scene) -> None:
    async def fail() -> None:
        raise ValueError

    failing = Schedule(name="yearly", every=YEARLY, run=fail, attempts=1)
    await Timetable(scene.database, queue=scene.queue, schedules=[failing]).run_once()
    await scene.value(DUE)
    async with scene.working(schedules=[failing]):
        await eventually(lambda: scene.value("SELECT status = 'failed' FROM pgqueuer WHERE entrypoint = 'yearly'"))
    assert await scene.value("SELECT failures FROM job_failure WHERE job = 'yearly'") == 1


async def test_a_missed_tick_is_made_up_for_once(scene: Scene) -> None:
    hourly = Schedule(name="hourly", every="0 * * * *", run=nothing)
    table = Timetable(scene.database, queue=scene.queue, schedules=[hourly])
    await table.run_once()
    await scene.value("UPDATE pgqueuer_schedules SET next_run = now() - interval '5 days'")
    await table.run_once()
    assert len(await scene.queued()) == 1
    following = await scene.value("SELECT next_run - now() FROM pgqueuer_schedules")
    assert timedelta(0) < following <= timedelta(hours=1)
