"""A real PostgreSQL for tests: databases are made on it from a template, and dropped again."""

import asyncio
import secrets
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg

Result = TypeVar("Result")


class DatabaseServer:
    """Makes databases with names that no other run uses. `url` names any database of a server on which we may make some."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._prefix = f"mediastore_test_{secrets.token_hex(4)}"
        self._made = 0

    @contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """The URL of a new database: empty, or a copy of the one at the URL `template`, to which nobody may be connected."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        copy = f' TEMPLATE "{database_name(template)}" STRATEGY file_copy' if template else " TEMPLATE template0 ENCODING 'UTF8'"
        run(self._execute(f'CREATE DATABASE "{name}"{copy}'))
        try:
            yield urlsplit(self.url)._replace(path=f"/{name}").geturl()
        finally:
            run(self._execute(f'DROP DATABASE "{name}" WITH (FORCE)'))

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def database_name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def run(work: Coroutine[object, object, Result]) -> Result:
    """Like asyncio.run, but leaves the event loop of the test alone. Not for use inside a running loop."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
