"""What workers promise: each job is done, and what can't be done is told; whoever dies, stops or goes away."""

import asyncio
import itertools
import signal
import tempfile
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from mediastore.database import DatabaseError, migrate
from mediastore.embedded import EmbeddedPostgres
from mediastore.jobs.driver import PatientDriver
from mediastore.jobs.execution import delay_s, told
from mediastore.jobs.worker import POLL_S
from mediastore.placement.errors import StoreInvalid
from tests.jobs.scene import Scene, Text, WorkerProcess, eventually

TERMINATE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"


async def test_two_hundred_jobs_by_two_workers_are_done_once_each(scene: Scene) -> None:
    texts = [f"{number:03}" for number in range(200)]
    with WorkerProcess(scene.url), WorkerProcess(scene.url):
        await eventually(lambda: is_listening(scene, workers=2))
        async with scene.database.transaction() as connection:
            for text in texts:
                await scene.queue.enqueue(connection, "note", Text(text))
        await eventually(lambda: scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer)"))
    assert sorted(await scene.noted()) == texts
    assert await scene.value("SELECT count(DISTINCT process) FROM noted") == 2


async def test_a_failing_job_is_tried_again_later_then_held_with_its_error(scene: Scene) -> None:
    await scene.enqueue("fail", "a secret")
    async with scene.working():
        await eventually(lambda: scene.value("SELECT attempts = 1 FROM pgqueuer"))
        [job] = await scene.queued()
        wait = await scene.value("SELECT extract(epoch FROM execute_after - updated) FROM pgqueuer")
        assert 0.7 <= wait <= 1.3
        await eventually(lambda: scene.value("SELECT status = 'failed' FROM pgqueuer"))
    [job] = await scene.queued()
    assert (job["attempts"], bytes(job["headers"])) == (2, b'{"error": "ValueError"}')  # a foreign error may quote anything
    first, second = [row["at"] for row in await scene.fetch("SELECT at FROM noted ORDER BY at")]
    assert (second - first).total_seconds() >= 0.7
    assert await scene.value("SELECT failures FROM job_failure WHERE job = 'fail'") == 2
    assert "secret" not in str(await scene.fetch("SELECT * FROM pgqueuer_log"))


async def test_retry_later_is_no_failure(scene: Scene) -> None:
    await scene.enqueue("later", "a")  # a single failure would hold it
    async with scene.working():
        await eventually(lambda: scene.value("SELECT count(*) >= 3 FROM noted"))
        [job] = await scene.queued()
        assert (job["attempts"], bytes(job["headers"])) == (0, b'{"error": "not yet"}')
        await scene.allow("a")
        await eventually(lambda: scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer)"))
    assert await scene.noted() == ["a"]
    assert await scene.value("SELECT NOT EXISTS (SELECT FROM job_failure)")


async def test_a_limited_job_runs_one_at_a_time_of_all_workers(scene: Scene) -> None:
    await scene.enqueue("single", "a")
    await scene.enqueue("single", "b")
    await scene.enqueue("note", "c")
    async with scene.working(), scene.working():
        await eventually(lambda: scene.noted("done"))
        assert await scene.noted("begun") == ["a"]
        await scene.allow("b")
        await asyncio.sleep(0.5)  # long enough for the second worker to take it, if it could
        assert await scene.noted("begun") == ["a"]
        await scene.allow("a")
        await eventually(lambda: scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer)"))
    assert await scene.noted("begun") == ["a", "b"]


async def test_a_job_of_a_killed_worker_is_done_by_another_in_bounded_time(scene: Scene) -> None:
    await scene.enqueue("slow", "a")
    lost_s = 3.0
    with WorkerProcess(scene.url, lost_s=lost_s) as first:
        await eventually(lambda: scene.noted("begun"))
        with WorkerProcess(scene.url, lost_s=lost_s) as second:
            first.process.kill()
            killed = time.monotonic()
            await scene.allow("a")
            await eventually(scene.noted)
            assert time.monotonic() - killed < lost_s + lost_s / 4 + 5
            assert await scene.value("SELECT process FROM noted WHERE step = 'done'") == second.process.pid
    assert [job["attempts"] for job in await scene.queued()] in ([], [0])


async def test_a_living_worker_keeps_a_job_that_takes_longer_than_the_silence_of_a_dead_one(scene: Scene) -> None:
    await scene.enqueue("slow", "a")
    with WorkerProcess(scene.url, lost_s=1), WorkerProcess(scene.url, lost_s=1):
        await eventually(lambda: scene.noted("begun"))
        await asyncio.sleep(3)  # three times what would make it lost
        await scene.allow("a")
        await eventually(lambda: scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer)"))
    assert await scene.noted("begun") == ["a"]


async def test_a_worker_that_is_told_to_stop_finishes_what_runs_and_begins_nothing(scene: Scene) -> None:
    await scene.enqueue("slow", "a")
    with WorkerProcess(scene.url) as worker:
        await eventually(lambda: scene.noted("begun"))
        worker.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)  # the signal is there before the next job
        await scene.enqueue("note", "b")
        await scene.allow("a")
        assert await asyncio.to_thread(worker.process.wait, 20) == 0
    assert await scene.noted() == ["a"]
    assert [(job["entrypoint"], job["status"]) for job in await scene.queued()] == [("note", "queued")]


async def test_a_worker_hands_back_what_it_does_not_finish_in_its_grace(scene: Scene) -> None:
    await scene.enqueue("slow", "a")
    with WorkerProcess(scene.url, grace_s=0.5, lost_s=60) as first:
        await eventually(lambda: scene.noted("begun"))
        async with scene.working(lost_s=60):
            first.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(first.process.wait, 20) == 0
            ended = time.monotonic()
            await eventually(lambda: scene.value("SELECT count(*) = 2 FROM noted WHERE step = 'begun'"))
            assert time.monotonic() - ended < POLL_S - 1, "it was found by polling, not at once"
            [job] = await scene.queued()
            assert (job["attempts"], job["headers"]) == (0, None)
            await scene.allow("a")
            await eventually(scene.noted)


async def test_a_cancelled_worker_loses_no_job(scene: Scene) -> None:
    """PgQueuer itself deletes the job of a task that was cancelled."""
    await scene.enqueue("slow", "a")
    task = asyncio.create_task(scene.worker().run(asyncio.Event()))
    await eventually(lambda: scene.noted("begun"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [job] = await scene.queued()
    assert (job["status"], job["attempts"]) == ("queued", 0)


async def test_a_worker_goes_on_when_all_connections_are_cut(scene: Scene) -> None:
    async with scene.working(lost_s=60):
        for number in range(4):
            await eventually(lambda: is_listening(scene))
            cutter = await asyncpg.connect(scene.url)
            assert await cutter.fetchval(TERMINATE, cutter.get_server_pid()) > 0
            await cutter.close()
            await eventually(lambda: is_reachable(scene))
            await scene.enqueue("note", str(number))
            await eventually(lambda number=number: is_done(scene, number + 1))
    assert await scene.noted() == ["0", "1", "2", "3"]


async def test_a_worker_without_notifications_finds_jobs_by_looking(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """As behind a pooler in transaction mode."""

    async def deaf(*_: object) -> None:
        pass

    monkeypatch.setattr(PatientDriver, "_listen", deaf)
    async with scene.working(lost_s=4):
        await asyncio.sleep(0.5)  # it has looked, and sleeps
        await scene.enqueue("note", "a")
        await eventually(scene.noted, within_s=4)


@pytest.mark.parametrize("how", ["in order", "crashed"])
async def test_h16_a_worker_waits_for_a_database_that_is_away(how: str) -> None:
    """It begins without one, and keeps what it has in hand: nothing is lost, done twice or held."""
    with tempfile.TemporaryDirectory(prefix="ms-jobs-") as folder:
        postgres = EmbeddedPostgres(Path(folder))  # by default what is committed survives a crash, as it should
        with postgres:
            await migrate(url := postgres.url)
        scene, stop = Scene(url), asyncio.Event()
        with capture_logs() as log:
            working = asyncio.create_task(scene.worker(lost_s=60).run(stop))
            await eventually(lambda: has_said(log, "the worker waits for the database"))
        with postgres:
            async with scene:
                await scene.enqueue("note", "first")
                await eventually(scene.noted)
                await scene.enqueue("later", "second")
                await eventually(lambda: scene.noted("asked"))
            if how == "crashed":
                assert postgres._process is not None
                postgres._process.kill()
        await asyncio.sleep(1)  # the job comes up while the database is away
        with postgres:
            async with scene:
                await scene.allow("second")
                await eventually(lambda: is_done(scene, 2))
                await eventually(lambda: scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer)"))
                assert await scene.noted() == ["first", "second"]
                stop.set()
                await working


async def test_a_worker_stops_while_the_database_is_away() -> None:
    scene = Scene("postgresql://nobody@127.0.0.1:1/none")
    stop = asyncio.Event()
    working = asyncio.create_task(scene.worker().run(stop))
    await asyncio.sleep(0.3)
    stop.set()
    async with asyncio.timeout(5):
        await working


async def test_a_worker_waits_for_migrations(empty_database_url: str) -> None:
    scene = Scene(empty_database_url)
    async with scene.working():
        await asyncio.sleep(0.3)
        await migrate(scene.url)
        async with scene:
            await scene.enqueue("note", "a")
            await eventually(scene.noted)


def test_delays_grow_from_a_second_to_ten_minutes() -> None:
    delays = [delay_s(failures) for failures in range(1, 30)]
    assert 0.75 <= delays[0] <= 1.25
    assert all(450 <= delay <= 750 for delay in delays[6:])
    assert all(early * 1.5 < late for early, late in itertools.pairwise(delays[:6]))
    assert len(set(delays)) == len(delays)


def test_what_is_told_of_an_error_holds_no_secret() -> None:
    assert told(ValueError("password=x")) == "ValueError"
    assert told(StoreInvalid("no such folder: /x\0y")) == "no such folder: /x y"
    assert "s3cret" not in told(StoreInvalid("can't reach https://me:s3cret@s3.example.org/?X-Amz-Signature=s3cret"))
    assert len(told(StoreInvalid("x" * 10_000))) == 1000
    assert told(StoreInvalid("\ud800")) == "?"


async def is_done(scene: Scene, count: int) -> bool:
    return len(await scene.noted()) == count


async def is_reachable(scene: Scene) -> bool:
    try:
        return bool(await scene.value("SELECT true"))
    except DatabaseError:
        return False


async def is_listening(scene: Scene, *, workers: int = 1) -> bool:
    query = "SELECT count(*) = $1 FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN %'"
    return bool(await scene.value(query, workers))


async def has_said(log: list[MutableMapping[str, Any]], event: str) -> bool:
    return any(entry["event"] == event for entry in log)
