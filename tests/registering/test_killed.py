"""Killed by SIGKILL at each step: another process goes on, each object is registered once, and no bytes are lost."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.registering.scan_process import STEPS
from tests.registering.scene import begin_scan, is_sound, run_scan
from tests.retention.upkeep_scene import CALLER, Scene

ROOT = Path(__file__).parents[2]
COUNT = 13


@pytest.mark.parametrize("step", STEPS)
async def test_h12_a_scan_whose_process_was_killed_is_gone_on_with(
    scene: Scene, database_url: str, tmp_path: Path, step: str
) -> None:
    for number in range(COUNT):
        await scene.write(f"in/{number:02}", b"somebody's")
    id = await begin_scan(scene, pid_pattern="p/{name}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.registering.scan_process", database_url, str(tmp_path), str(id), step),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while (line := await process.stdout.readline()) != b"half-way\n":
                assert line
    finally:
        process.kill()
        await process.communicate()
    half = await scene.services.scans.show("local", id, caller=CALLER)
    assert half.status == "running"
    assert half.counts.done < COUNT
    await run_scan(scene, id)
    counts = (await scene.services.scans.show("local", id, caller=CALLER)).counts
    assert (counts.listed, counts.named, counts.done, counts.failed) == (COUNT, 0, COUNT, 0)
    assert len(await scene.sql("SELECT FROM history WHERE action = 'registered'")) == COUNT
    assert len(await scene.sql("SELECT FROM media WHERE status = 'ready' AND version = 1")) == COUNT
    assert len(await scene.keys()) == COUNT
    await is_sound(scene)
