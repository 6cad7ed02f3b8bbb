"""A database with a queue, jobs that write down what they do, and workers for them: in this process, or in ones of their own."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import asyncpg
import msgspec
from msgspec import Struct

from mediastore.database import Database
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from mediastore.jobs.work import Job, Schedule
from mediastore.jobs.worker import CONNECTIONS, Worker

ROOT = Path(__file__).parents[2]
TABLES = """
CREATE TABLE IF NOT EXISTS noted (text text, step text, process int, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE IF NOT EXISTS allowed (text text);
"""


class Text(Struct, frozen=True):
    text: str


class Scene:
    """`jobs` names what the workers of tests can do; `noted` is the table that those jobs write to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url, pool_size=3)
        self.queue = JobQueue()

    async def __aenter__(self) -> Self:
        async with self.database.connection() as connection:
            await connection.execute(TABLES)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.database.close()

    async def enqueue(self, job: str, text: str = "", **options: Any) -> None:
        async with self.database.transaction() as connection:
            await self.queue.enqueue(connection, job, Text(text), **options)

    async def fetch(self, query: str, *args: object) -> "list[asyncpg.Record]":
        async with self.database.connection() as connection:
            return await connection.fetch(query, *args)

    async def value(self, query: str, *args: object) -> Any:
        async with self.database.connection() as connection:
            return await connection.fetchval(query, *args)

    async def noted(self, step: str = "done") -> list[str]:
        """The texts of jobs that came so far, in that order."""
        return [row["text"] for row in await self.fetch("SELECT text FROM noted WHERE step = $1 ORDER BY at", step)]

    async def allow(self, text: str) -> None:
        """Let a `slow` job go on."""
        await self.value("INSERT INTO allowed VALUES ($1)", text)

    async def queued(self) -> "list[asyncpg.Record]":
        return await self.fetch("SELECT * FROM pgqueuer ORDER BY id")

    def worker(self, **options: Any) -> Worker:
        settings: dict[str, Any] = {
            "jobs": jobs(self.database),
            "schedules": (),
            "queue": self.queue,
            "concurrency": 8,
            "grace_s": 20,
            "lost_s": 4,
        }
        return Worker(Database(self.url, pool_size=CONNECTIONS), **settings | options)

    @asynccontextmanager
    async def working(self, **options: Any) -> AsyncIterator[asyncio.Event]:
        """A worker in this process for the length of the block. Gives the event that stops it."""
        stop = asyncio.Event()
        task = asyncio.create_task(self.worker(**options).run(stop))
        try:
            yield stop
        finally:
            stop.set()
            await task


def jobs(database: Database) -> Sequence[Job]:
    """`note` is done at once, `slow` when it is allowed, `fail` never, `later` when it is allowed, without failing."""

    async def note(text: str, step: str) -> None:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO noted (text, step, process) VALUES ($1, $2, $3)", text, step, os.getpid())

    async def is_allowed(text: str) -> bool:
        async with database.connection() as connection:
            return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM allowed WHERE text = $1)", text))

    async def do_note(payload: bytes) -> None:
        await note(text_of(payload), "done")

    async def do_slow(payload: bytes) -> None:
        text = text_of(payload)
        await note(text, "begun")
        while not await is_allowed(text):  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.05)
        await note(text, "done")

    async def do_fail(payload: bytes) -> None:
        await note(text_of(payload), "failed")
        raise ValueError(f"no good: {text_of(payload)}")

    async def do_later(payload: bytes) -> None:
        text = text_of(payload)
        if not await is_allowed(text):
            await note(text, "asked")
            raise RetryLater("not yet", delay_s=0.1)
        await note(text, "done")

    return [
        Job(name="note", run=do_note),
        Job(name="slow", run=do_slow),
        Job(name="fail", run=do_fail, attempts=2),
        Job(name="later", run=do_later, attempts=1),
        Job(name="single", run=do_slow, concurrency=1),
    ]


def schedule(database: Database) -> Schedule:
    """Writes down each second that it ran."""

    async def run() -> None:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO noted (text, step, process) VALUES ('tick', 'done', $1)", os.getpid())

    return Schedule(name="tick", every="* * * * * *", run=run)


def text_of(payload: bytes) -> str:
    return msgspec.json.decode(payload, type=Text).text


async def eventually(look: Callable[[], Awaitable[Any]], *, within_s: float = 20) -> Any:
    """What `look` gives as soon as that is true; AssertionError after so long."""
    deadline = time.monotonic() + within_s
    while not (found := await look()):
        assert time.monotonic() < deadline, f"not within {within_s} s, last: {found!r}"
        await asyncio.sleep(0.05)
    return found


class WorkerProcess:
    """A worker for the jobs of tests, in a process of its own, that has begun when this is made."""

    def __init__(self, url: str, *, lost_s: float = 4, grace_s: float = 20, schedules: bool = False) -> None:
        arguments = msgspec.json.encode({"url": url, "lost_s": lost_s, "grace_s": grace_s, "schedules": schedules}).decode()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.worker_process", arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "working\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
