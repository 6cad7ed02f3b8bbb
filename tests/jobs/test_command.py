"""`mediastore worker`, and the worker inside a server, as real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mediastore.services import Services
from mediastore.settings import Settings
from stores.errors import StoreUnavailable
from tests.jobs.scene import Scene, eventually
from tests.server import SECRET_KEY, running_server

AGED = """
INSERT INTO pgqueuer_log (created, job_id, status, priority, entrypoint) VALUES (now() - $1 * interval '1 s', 1, 'queued', 0, 'x')
"""
AGED_LINES = "SELECT count(*) FROM pgqueuer_log WHERE entrypoint = 'x'"


@contextmanager
def worker_command(url: str, home: Path, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """Running, from its first line on."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from mediastore.cli import main; main()", "worker"],
        env={**clean_environment(), "MEDIASTORE_DATABASE_URL": url, "MEDIASTORE_SECRET_KEY": SECRET_KEY, **environment},
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "Mediastore does jobs; Ctrl-C or SIGTERM ends it\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def clean_environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MEDIASTORE_")}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_alone_does_jobs_and_ends_in_order(scene: Scene, tmp_path: Path, number: signal.Signals) -> None:
    await scene.value(AGED, 700_000.0)
    await scene.value(AGED, 500_000.0)
    with worker_command(scene.url, tmp_path) as process:
        await scene.enqueue("forget_job_log")
        await eventually(lambda: is_forgotten(scene, left=1))
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert list(tmp_path.iterdir()) == []


async def test_a_worker_alone_starts_and_stops_without_a_database(tmp_path: Path) -> None:
    with worker_command("postgresql://nobody@127.0.0.1:1/none", tmp_path) as process:
        process.terminate()
        assert process.wait(timeout=20) == 0


async def test_a_worker_alone_leaves_memory_stores_to_servers(scene: Scene) -> None:
    with running_server(scene.url) as server, server.client() as admin:
        assert admin.put("/content/remembered", content=b"in memory", params={"store": "scratch"}).status_code == 201
        alone = Services(Settings(database_url=scene.url, secret_key=SECRET_KEY), in_server=False)
        try:
            with pytest.raises(StoreUnavailable, match="worker alone"):
                await alone.registry.get(await scene.value("SELECT id FROM store WHERE name = 'scratch'"))
        finally:
            await alone.close()
        assert admin.get("/content/remembered").content == b"in memory"


async def test_a_server_does_jobs_and_its_stop_is_in_order(scene: Scene) -> None:
    with running_server(scene.url) as server:
        await scene.value(AGED, 700_000.0)
        await scene.enqueue("forget_job_log")
        await eventually(lambda: is_forgotten(scene, left=0))
        metrics = httpx.get(f"{server.url}/metrics").text
        assert 'mediastore_jobs{job="forget_job_log",status="waiting"} 0.0' in metrics
        server.stop()
        assert "stumbled" not in server.log.read_text()


async def test_a_server_with_workers_elsewhere_leaves_jobs_to_them(scene: Scene) -> None:
    with running_server(scene.url, {"MEDIASTORE_WORKER_INSIDE": "no"}) as server:
        await eventually(lambda: scene.value("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query ILIKE 'LISTEN %')"))
        await scene.enqueue("forget_job_log")
        metrics = httpx.get(f"{server.url}/metrics").text
        assert 'mediastore_jobs{job="forget_job_log",status="waiting"} 1.0' in metrics
        assert await scene.value("SELECT NOT EXISTS (SELECT FROM pgqueuer_schedules)")


async def is_forgotten(scene: Scene, *, left: int) -> bool:
    return bool(await scene.value(AGED_LINES) == left)
