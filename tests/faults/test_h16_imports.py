"""The database leaves while an import runs: it waits, and takes again what may or may not have been taken."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import asyncpg

from mediastore.embedded import EmbeddedPostgres
from tests.database import run
from tests.faults.test_h16_database_away import postgres, site_on

__all__ = ["postgres"]

LINES = 20_000


async def cut_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mediastore'")
    finally:
        await connection.close()


def lines(first: int, count: int) -> bytes:
    return b"".join(b'{"pid": "h16/%d", "metadata": {"n": %d}}\n' % (n, n) for n in range(first, first + count))


def test_h16_an_import_outlives_the_connections_to_its_database(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    with site_on(postgres) as site:
        stop = threading.Event()

        def cut() -> None:
            while not stop.wait(0.15):
                run(cut_connections(site.database_url))

        cutter = threading.Thread(target=cut)
        token = site.admin.headers["authorization"]
        cutter.start()

        def body() -> Any:
            for first in range(0, LINES, 1000):
                yield lines(first, 1000)
                if first == LINES // 2:
                    stop.set()  # so that it comes to its end on a busy machine, too

        try:
            answer = site.admin.post("/media/import", content=body(), headers={"Authorization": token}, timeout=120)
        finally:
            stop.set()
            cutter.join()
        last = json.loads(answer.text.splitlines()[-1])
        assert "done" in last, last
        done = last["done"]
        assert (done["created"] + done["unchanged"], done["failed"]) == (LINES, 0)
        assert records(site.database_url) == (LINES, LINES)


def test_h16_an_import_waits_for_a_database_that_is_away(postgres: EmbeddedPostgres) -> None:
    with site_on(postgres) as site:

        def body() -> Any:
            yield lines(0, 1000)
            time.sleep(1)
            postgres.stop()
            yield lines(1000, 1000)
            time.sleep(3)
            postgres.__enter__()
            yield lines(2000, 500)

        answer = site.admin.post("/media/import", content=body(), timeout=120)
        last = json.loads(answer.text.splitlines()[-1])
        assert last.get("done", {}).get("lines") == 2500, last
        assert records(site.database_url) == (2500, 2500)


def records(url: str) -> tuple[int, int]:
    async def count() -> tuple[int, int]:
        connection = await asyncpg.connect(url)
        try:
            row = await connection.fetchrow("SELECT count(*), count(DISTINCT pid) FROM media WHERE pid LIKE 'h16/%'")
        finally:
            await connection.close()
        assert row is not None
        return row[0], row[1]

    return run(count())
