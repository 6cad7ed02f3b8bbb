"""H12: two servers and two workers on one database; uploads begun on one, completed on the other, a worker killed in between."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.database import DatabaseServer
from tests.faults.harness import eventually
from tests.server import Server
from tests.transfers.sending import begin, send

UPLOADS = 200
SETTINGS = {
    "MEDIASTORE_WORKER_INSIDE": "no",
    "MEDIASTORE_WORKER_LOST_S": "3",
    "MEDIASTORE_WORKER_CONCURRENCY": "2",
    "MEDIASTORE_VERIFY_INLINE_BYTES": "0",
}


class Worker:
    """`mediastore worker` in a process of its own."""

    def __init__(self, server: Server, home: Path) -> None:
        self.log = home / "worker.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from mediastore.cli import main; main()", "worker"],
                env={**server._environment, "MEDIASTORE_HOME": str(home)},
                cwd=home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def verified(self) -> list[str]:
        """The uploads that it began to verify."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line["upload"] for line in lines if line.get("event") == "verifying"]

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)


@pytest.fixture
def servers(database_server: DatabaseServer, template_database: str, tmp_path: Path) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        url = stack.enter_context(database_server.database(template=template_database))
        running = []
        for name in ("one", "two"):
            home = tmp_path / name
            home.mkdir()
            running.append(Server(url, home=home, environment=SETTINGS).start())
            stack.callback(running[-1].kill)
        yield running


def test_none_is_forgotten_and_none_verified_twice(servers: list[Server], ministack: S3Access, tmp_path: Path) -> None:
    first, second = (server.client() for server in servers)
    add_s3_store(first, ministack, "bucket")
    workers = []
    for name in ("w1", "w2"):
        (tmp_path / name).mkdir()
        workers.append(Worker(servers[0], tmp_path / name))

    def uploaded(number: int) -> str:
        upload = begin(first, pid=f"both/{number}", store="bucket", size=1000, method="put")
        assert [answer.status_code for answer in send(upload, bytes([number]) * 1000)] == [200]
        answer = second.post(f"/uploads/{upload['id']}/complete")
        assert answer.status_code == 202, answer.text
        return str(upload["id"])

    try:
        with ThreadPoolExecutor(6) as pool:
            ids = pool.map(uploaded, range(UPLOADS))
            begun = eventually(lambda: workers[0].verified()[20:] and workers[0].verified(), within_s=120)
            workers[0].kill()
            all_ids = list(ids)
        assert begun

        def finished() -> list[dict[str, Any]] | None:
            items = statuses(second)
            return items if all(item["status"] == "completed" for item in items) else None

        items = eventually(finished, within_s=120, what="all completed")
        assert sorted(item["id"] for item in items) == sorted(all_ids)
        assert len(items) == UPLOADS
    finally:
        for worker in workers:
            worker.kill()
    times = Counter(workers[0].verified() + workers[1].verified())
    assert set(times) == set(all_ids)
    again = [upload for upload, number in times.items() if number > 1]
    # What the dead worker had in its hands, and nothing else.
    assert len(again) <= int(SETTINGS["MEDIASTORE_WORKER_CONCURRENCY"])
    assert set(again) <= set(workers[0].verified())
    assert all(number <= 2 for number in times.values())
    for number in (0, 99, 199):
        assert second.get(f"/media/both/{number}").json()["status"] == "ready"
        assert [item["version"] for item in first.get(f"/versions/both/{number}").json()["items"]] == [1]
    first.close()
    second.close()


def statuses(client: httpx.Client) -> list[dict[str, Any]]:
    page: dict[str, Any] = client.get("/uploads?limit=1000").json()
    return list(page["items"])
