"""Killed in the middle by SIGKILL: another process takes the comparison over, and goes on with it."""

import asyncio
import sys
from pathlib import Path

import pytest

from mediastore.retention import reconcile_queries as queries
from mediastore.retention.upkeep_errors import UpkeepBusy
from tests.retention.upkeep_scene import running_scene

ROOT = Path(__file__).parents[2]


async def test_h12_a_comparison_whose_process_was_killed_is_gone_on_with(database_url: str, tmp_path: Path) -> None:
    async with running_scene(database_url, tmp_path) as scene:
        for number in range(30):
            await scene.put(f"k{number}")
        await scene.remove((await scene.keys())[2])
        await scene.write("00/unknown")
        scene.age("00/unknown")
        store = await scene.store()
        async with scene.services.database.connection() as connection:
            await queries.ask_for_run(connection, store, asked_by="admin")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.retention.reconcile_process", database_url, str(tmp_path), str(store)),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(60):
                while (line := await process.stdout.readline()) != b"half-way\n":
                    assert line
            with pytest.raises(UpkeepBusy):
                await scene.services.reconciler.run(store)
        finally:
            process.kill()
            await process.communicate()
        [row] = await scene.sql("SELECT after_key, ended_at, counts FROM reconciliation")
        assert (row["after_key"] != "", row["ended_at"]) == (True, None)
        assert b'"listed": 30' not in bytes(row["counts"])
        await scene.sql("UPDATE upkeep SET held_until = now()")  # a minute later
        run = await scene.services.reconciler.run(store)
        assert run is not None
        counts = run.counted()
        assert (counts.listed, counts.rows, counts.absent, counts.unknown, run.stopped_by) == (30, 30, 1, 1, None)
        [found] = await scene.findings()
        assert (found["key"], found["times_seen"]) == ("00/unknown", 1)
