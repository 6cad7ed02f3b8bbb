"""A look into a server's database, past its API."""

from typing import Any

import asyncpg

from tests.database import run
from tests.server import Server


def rows(server: Server, statement: str, *arguments: object) -> list[dict[str, Any]]:
    """What a statement finds in the database of a running server."""
    return run(fetched(server, statement, *arguments))


async def fetched(server: Server, statement: str, *arguments: object) -> list[dict[str, Any]]:
    """The same inside an event loop."""
    connection = await asyncpg.connect(database_url(server))
    try:
        return [dict(row) for row in await connection.fetch(statement, *arguments)]
    finally:
        await connection.close()


def whole_table(server: Server, table: str) -> str:
    """Every row of a table as text, to look for what must not be there."""
    return "\n".join(str(row["text"]) for row in rows(server, f"SELECT t::text AS text FROM {table} t"))


def database_url(server: Server) -> str:
    return server._environment["MEDIASTORE_DATABASE_URL"]
