"""The floors that are servers: the least that any server on these parts must do. Each is a factory for Granian.

BENCH_DATABASE_URL names the database, BENCH_FILE the file that is sent, BENCH_STORE the store of new records.
"""

import os
from typing import Any

import asyncpg
import msgspec
import uuid_utils
from litestar import Litestar, Request, get, post

from mediastore.catalog.queries import MEDIA_BY_PID
from mediastore.catalog.schemas import MediaCreate

JSON_COLUMNS = ("metadata", "identifiers", "checksums")
INSERT_MEDIA = """
INSERT INTO media (pid, metadata, tags, owner, access, store, status) VALUES ($1, $2, $3, $4, $5, $6, 'pending')
RETURNING id, created_at
"""
INSERT_HISTORY = """
INSERT INTO history (kind, subject, media, revision, actor, action, changes)
VALUES ('media', $1, $2, 1, $3, 'created', $4)
"""


class Pool:
    """asyncpg's pool, opened with the application. Nothing is reset between uses, as in the server itself."""

    def __init__(self) -> None:
        self.pool: asyncpg.Pool[asyncpg.Record] = asyncpg.create_pool(
            os.environ["BENCH_DATABASE_URL"], min_size=1, max_size=10, reset=_keep
        )

    async def open(self) -> None:
        await self.pool


async def _keep(_: object) -> None:
    """Nothing to reset."""


def read_record() -> Litestar:
    """One fetchrow of the server's own statement, one encode, no authentication."""
    database = Pool()
    encoder = msgspec.json.Encoder()

    @get("/media/{pid:str}", media_type="application/json")
    async def read(pid: str) -> bytes:
        row = await database.pool.fetchrow(MEDIA_BY_PID, pid)
        assert row is not None
        record = dict(row)
        for name in JSON_COLUMNS:
            record[name] = msgspec.Raw(record[name])
        return encoder.encode(record)

    return Litestar([read], on_startup=[database.open], openapi_config=None, logging_config=None)


def create_record() -> Litestar:
    """Parse, then one insert and one history row in a transaction, one encode."""
    database = Pool()
    store = int(os.environ["BENCH_STORE"])
    decoder = msgspec.json.Decoder(MediaCreate)
    encoder = msgspec.json.Encoder()

    @post("/media", media_type="application/json")
    async def create(request: Request[Any, Any, Any]) -> bytes:
        asked = decoder.decode(await request.body())
        pid, metadata = str(uuid_utils.uuid7()), bytes(asked.metadata).decode()  # type: ignore[arg-type]  # always sent
        async with database.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(INSERT_MEDIA, pid, metadata, asked.tags, "admin", asked.access, store)
            assert row is not None
            await connection.execute(INSERT_HISTORY, pid, row["id"], "admin", metadata)
        return encoder.encode({"pid": pid, "metadata": asked.metadata, "tags": asked.tags, "created_at": row["created_at"]})

    return Litestar([create], on_startup=[database.open], openapi_config=None, logging_config=None)


def file_sent() -> Any:
    """The file by pathsend, whatever is asked for."""
    path = os.environ["BENCH_FILE"]
    start = {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"content-length", str(os.stat(path).st_size).encode())],  # noqa: PTH116 - a path as text, as ASGI wants it
    }

    async def application(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send(start)
            await send({"type": "http.response.pathsend", "path": path})

    return application


def body_dropped() -> Any:
    """The body read to its end and dropped."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return application
