"""Jobs are written down with what makes them necessary."""

import asyncio

from tests.jobs.scene import Scene, Text, eventually


async def test_a_job_is_enqueued_when_its_transaction_commits(scene: Scene) -> None:
    async with scene.database.transaction() as connection:
        await scene.queue.enqueue(connection, "note", Text("a"))
        assert await scene.queued() == []  # others do not see it yet
    [job] = await scene.queued()
    assert (job["entrypoint"], job["payload"], job["status"]) == ("note", b'{"text":"a"}', "queued")


async def test_a_job_is_not_enqueued_when_its_transaction_rolls_back(scene: Scene) -> None:
    async with scene.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await scene.queue.enqueue(connection, "note", Text("a"))
        await transaction.rollback()
    assert await scene.queued() == []


async def test_a_second_job_of_a_key_is_none_and_does_not_break_the_transaction(scene: Scene) -> None:
    await scene.enqueue("note", "first", dedupe_key="k")
    async with scene.database.transaction() as connection:
        await scene.queue.enqueue(connection, "note", Text("second"), dedupe_key="k")
        await scene.queue.enqueue(connection, "note", Text("other"), dedupe_key="l")
        await scene.queue.enqueue(connection, "note", Text("other"), dedupe_key="l")
    assert [job["payload"] for job in await scene.queued()] == [b'{"text":"first"}', b'{"text":"other"}']


async def test_a_key_is_free_again_when_its_job_is_done_but_not_while_it_runs(scene: Scene) -> None:
    await scene.enqueue("slow", "first", dedupe_key="k")
    async with scene.working():
        await eventually(lambda: scene.noted("begun"))
        await scene.enqueue("slow", "second", dedupe_key="k")
        assert len(await scene.queued()) == 1
        await scene.allow("first")
        await eventually(lambda: scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer)"))
        await scene.allow("third")
        await scene.enqueue("slow", "third", dedupe_key="k")
        await eventually(lambda: scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer)"))
    assert await scene.noted() == ["first", "third"]


async def test_two_transactions_with_one_key_make_one_job(scene: Scene) -> None:
    await asyncio.gather(*(scene.enqueue("note", str(number), dedupe_key="k") for number in range(8)))
    assert len(await scene.queued()) == 1


async def test_a_delayed_job_waits(scene: Scene) -> None:
    await scene.enqueue("note", "late", delay_s=1.5)
    async with scene.working():
        await scene.enqueue("note", "early")
        await eventually(lambda: scene.value("SELECT count(*) = 2 FROM noted"))
    assert await scene.noted() == ["early", "late"]
    took = await scene.value("SELECT max(at) - min(created) FROM noted, pgqueuer_log")
    assert took.total_seconds() >= 1.5


async def test_a_local_job_is_left_to_the_workers_inside_servers(scene: Scene) -> None:
    await scene.enqueue("note", "local", local=True)
    await scene.enqueue("note", "shared")
    async with scene.working():
        await eventually(lambda: scene.value("SELECT count(*) = 1 FROM pgqueuer"))
    assert await scene.noted() == ["shared"]
    await scene.enqueue("note", "for others")
    async with scene.working(shared=False, local=True):
        await eventually(lambda: scene.value("SELECT count(*) = 2 FROM noted"))
    assert await scene.noted() == ["shared", "local"]
    assert [job["payload"] for job in await scene.queued()] == [b'{"text":"for others"}']
