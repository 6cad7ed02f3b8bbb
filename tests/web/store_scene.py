"""Stores with something to see: growth, records that are due, bytes of nobody, bytes that have changed, a brake."""

import os
import time
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from tests.database import run
from tests.server import Server

NASTY = "<img src=x onerror=alert(1)> \u202egpj.exe"
"""A file name that is text, whatever it looks like."""
GROWTH = """
INSERT INTO store_day (store, day, object_count, byte_count)
SELECT s.id, current_date - n, 400 - 3 * n, (6000 - 45 * n + 250 * sin(n / 5.0)) * 1000000
FROM store s, generate_series(1, 120) AS n WHERE s.name = $1
"""


def sql(url: str, statement: str, *given: Any) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement, *given)
        finally:
            await connection.close()

    run(execute())


def add_store(admin: httpx.Client, name: str, **settings: Any) -> None:
    answer = admin.post("/stores", json={"name": name, "kind": "filesystem", **settings})
    assert answer.status_code == 201, answer.text


def put(admin: httpx.Client, store: str, *names: str) -> None:
    for name in names:
        answer = admin.put(f"/content/{store}/{name}", content=name.encode() * 40, params={"store": store})
        assert answer.status_code == 201, answer.text


def expire(url: str, store: str, *, days: int) -> None:
    """All of a store's records, so many days ago."""
    expiry = "UPDATE media SET expires_at = now() - make_interval(days => $2) FROM store s WHERE s.id = store AND s.name = $1"
    sql(url, expiry, store, days)


def grow(url: str, store: str) -> None:
    sql(url, GROWTH, store)


def stray(server: Server, store: str, name: str) -> Path:
    """A file that nobody knows, a month old."""
    path = server.home / "stores" / store / "00" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"nobody's")
    then = time.time() - 30 * 86_400
    os.utime(path, (then, then))
    return path


def files(server: Server, store: str) -> list[Path]:
    return [path for path in (server.home / "stores" / store).rglob("*") if path.is_file()]


def spoil(server: Server, store: str) -> None:
    """Other bytes, of the same size, in the only object of a store."""
    [path] = files(server, store)
    path.chmod(0o600)
    path.write_bytes(b"\0" * path.stat().st_size)
