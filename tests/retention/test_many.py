"""A hundred thousand records, three servers and three workers, one killed in the middle of a sweep and one stalled."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.database import DatabaseServer, run
from tests.faults.harness import eventually
from tests.faults.test_h12_two_servers import Worker
from tests.retention.conftest import POINT, SEED, SIZE
from tests.server import Server

RECORDS = 100_000
EXPIRED = 30_000
HELD = 1_500
LEASE_S = 2
HOLD = """
INSERT INTO hold (id, media, placed_by, reason)
SELECT gen_random_uuid(), id, 'admin', 'paper' FROM media WHERE expires_at < now() AND id % 20 = 0 RETURNING media
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def database_url_of_many(database_server: DatabaseServer, template_database: str) -> Iterator[str]:
    with database_server.database(template=template_database) as url:
        yield url


def test_exactly_the_right_bytes_are_gone(database_url_of_many: str, tmp_path: Path) -> None:
    settings = {
        "MEDIASTORE_WORKER_INSIDE": "no",
        "MEDIASTORE_SWEEP_LEASE_S": str(LEASE_S),
        "MEDIASTORE_FILESYSTEM_ROOTS": str(tmp_path / "shared"),
        "MEDIASTORE_CLEANUP_INTERVAL_S": "1",
    }
    with ExitStack() as stack:
        servers, workers = [], []
        for number in range(3):
            home = tmp_path / f"server-{number}"
            home.mkdir()
            servers.append(Server(database_url_of_many, home=home, environment=settings).start())
            stack.callback(servers[-1].kill)
        for number in range(3):
            home = tmp_path / f"worker-{number}"
            home.mkdir()
            workers.append(Worker(servers[0], home))
            stack.callback(workers[-1].kill)
        clients = [stack.enter_context(server.client()) for server in servers]
        policy = {"grace_s": 0, "max_objects_per_run": 10**6, "max_share_per_run": 1, "sweep_interval_s": 31_536_000}
        clients[0].patch("/stores/local", json={"retention": policy}).raise_for_status()
        clients[0].post("/stores/local/sweep").raise_for_status()
        due, kept = run(seed(database_url_of_many, tmp_path / "shared" / "local"))
        assert (len(due), len(due) + len(kept)) == (EXPIRED - HELD, RECORDS)

        # The first server is killed in the middle, the second one, which goes on, stalls; the third one ends it.
        id = begin(clients[0])
        half(clients[2], id, 3_000)
        servers[0].kill()
        time.sleep(LEASE_S + 0.5)
        assert begin(clients[1]) == id, "the same sweep, with the same budget"
        half(clients[2], id, 10_000)
        assert servers[1].process is not None
        os.killpg(servers[1].process.pid, signal.SIGSTOP)
        time.sleep(LEASE_S + 0.5)
        assert begin(clients[2]) == id
        half(clients[2], id, 20_000)
        os.killpg(servers[1].process.pid, signal.SIGCONT)

        def ended() -> dict[str, Any] | None:
            report = clients[2].get(f"/stores/local/sweeps/{id}").json()
            return report if report["state"] != "running" else None

        report = eventually(ended, within_s=240)
        assert (report["state"], report["removed"], report["held"]) == ("done", EXPIRED - HELD, HELD)
        eventually(
            lambda: rows(database_url_of_many, "SELECT count(*) AS n FROM stored_object WHERE state = 'purging'")[0]["n"] == 0
        )
        there = {int(path.name) for path in (tmp_path / "shared" / "local").rglob("*") if path.is_file()}
        assert there == kept
        assert there.isdisjoint(due)
        check(database_url_of_many, id, due)


def check(url: str, id: int, due: set[int]) -> None:
    """Receipts add up, each object was removed once, and nothing that is ready lacks its bytes."""
    [receipts] = rows(
        url,
        "SELECT count(*) AS n, count(DISTINCT media) AS medias, sum(size)::int AS bytes, count(receipt) AS told "
        "FROM stored_object WHERE state = 'purged' AND (receipt ->> 'sweep')::bigint = $1",
        id,
    )
    assert tuple(receipts) == (len(due), len(due), len(due) * SIZE, len(due))
    [sweep] = rows(url, "SELECT bytes_freed, failed FROM sweep WHERE id = $1", id)
    assert tuple(sweep) == (len(due) * SIZE, 0)
    [history] = rows(url, "SELECT count(*) AS n, count(DISTINCT media) AS medias FROM history WHERE action = 'deleted'")
    assert tuple(history) == (len(due), len(due))
    lacking = (
        "SELECT m.id FROM media m JOIN stored_object o ON o.id = m.current_object WHERE m.status = 'ready' AND o.state <> $1"
    )
    assert rows(url, lacking, "stored") == []
    [counted] = rows(url, "SELECT sum(object_count)::int AS n FROM store_usage")
    assert counted["n"] == RECORDS - len(due)


def begin(client: httpx.Client) -> int:
    """Begin a sweep, or go on with one, and leave it running; its number."""
    try:
        answer = client.post("/stores/local/sweep", timeout=0.5)
        assert answer.status_code in {200, 202}, answer.text
        return int(answer.json()["id"])
    except httpx.ReadTimeout:
        [newest] = client.get("/stores/local/sweeps?limit=1").json()["items"]
        return int(newest["id"])


def half(client: httpx.Client, id: int, removed: int) -> None:
    eventually(lambda: client.get(f"/stores/local/sweeps/{id}").json()["removed"] >= removed, within_s=120)


def rows(url: str, statement: str, *values: Any) -> list[asyncpg.Record]:
    async def fetch() -> list[asyncpg.Record]:
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(statement, *values))
        finally:
            await connection.close()

    found: list[asyncpg.Record] = run(fetch())
    return found


async def seed(url: str, folder: Path) -> tuple[set[int], set[int]]:
    """Records with bytes, 30 % of them expired and 5 % of those held; the ids of those that are to go and of those that stay."""
    connection = await asyncpg.connect(url)
    store = await connection.fetchval("SELECT id FROM store WHERE name = 'local'")
    ids = {}
    for expired, first, number in ((True, 0, EXPIRED), (False, EXPIRED, RECORDS - EXPIRED)):
        seconds = -3600.0 if expired else 3600.0
        found = await connection.fetch(SEED, store, first, number, seconds, [], "{}", SIZE, timeout=300)
        ids[expired] = {row["id"] for row in found}
    await connection.execute(POINT, timeout=300)
    held = {row["media"] for row in await connection.fetch(HOLD)}
    await connection.execute("ANALYZE")
    await connection.close()
    await asyncio.to_thread(write, folder, ids[True] | ids[False])
    return ids[True] - held, ids[False] | held


def write(folder: Path, medias: set[int]) -> None:
    for number in range(256):
        (folder / "k" / f"{number:03}").mkdir(parents=True, exist_ok=True)
    for media in medias:
        (folder / "k" / f"{media % 256:03}" / str(media)).write_bytes(b"x" * SIZE)
