"""PgQueuer's way to our database."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self, TypeVar

import asyncpg
import msgspec
import structlog
from pgqueuer.core.tm import TaskManager
from pgqueuer.ports.driver import Driver, NotifyCallback

from mediastore.database import Connection, Database, DatabaseError, DatabaseUnavailable, QueryTooSlow, translated
from mediastore.jobs.names import NAMES

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 4
LISTEN_PAUSE_S = 2

Result = TypeVar("Result")

LOOK = msgspec.json.encode(
    {
        "type": "table_changed_event",
        "channel": NAMES.channel,
        "operation": "insert",
        "table": NAMES.queue_table,
        "sent_at": "1970-01-01T00:00:00Z",
    }
)
"""What a notification says when there may be something to do."""


class PatientDriver(Driver):
    """Waits for a database that is away, statement by statement, so that nobody notices; once `stop` is set, statements fail.

    Each of the worker's statements may run twice: the answer of the first may have been lost with the connection.
    """

    def __init__(self, database: Database, *, stop: asyncio.Event) -> None:
        self._database = database
        self._stop = stop
        self._listening: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("mediastore.jobs")

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        rows = await self._patiently(lambda connection: connection.fetch(query, *args))
        return [{name: _plain(value) for name, value in row.items()} for row in rows]

    async def execute(self, query: str, *args: object) -> str:
        return await self._patiently(lambda connection: connection.execute(query, *args))

    async def notify(self, channel: str, payload: str) -> None:
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Returns at once. Until the listening has begun, and wherever a pooler makes it deaf, polling does the work."""
        self._listening.add(asyncio.create_task(self._listen(channel, callback)))

    @property
    def shutdown(self) -> asyncio.Event:
        return self._stop

    @property
    def tm(self) -> TaskManager:
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        self._listening.clear()

    async def _patiently(self, ask: Callable[[Connection], Awaitable[Result]]) -> Result:
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                async with self._database.connection() as connection:
                    return await ask(connection)
            except (DatabaseUnavailable, QueryTooSlow) as error:
                if self._stop.is_set():
                    raise
                if pause_s == FIRST_PAUSE_S:
                    self._log.warning("the worker waits for the database", reason=error.message)
            await wait(self._stop, pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _listen(self, channel: str, callback: NotifyCallback) -> None:
        """On a connection of its own, and on a new one when that ends."""

        def heard(_: object, __: object, ___: object, payload: object) -> None:
            callback(str(payload))

        while True:
            with suppress(DatabaseError):
                connection = await self._database.connect()
                ended = asyncio.Event()
                try:
                    connection.add_termination_listener(lambda _, ended=ended: ended.set())
                    with translated():
                        await connection.add_listener(channel, heard)
                    callback(LOOK)
                    await ended.wait()
                finally:
                    await _close(connection)
            await asyncio.sleep(LISTEN_PAUSE_S)


async def wait(event: asyncio.Event, at_most_s: float) -> None:
    """Until the event, or for so long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()


async def _close(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    with suppress(DatabaseError), translated():
        await connection.close(timeout=2)


def _plain(value: Any) -> object:
    return bytes(value) if isinstance(value, msgspec.Raw) else value
