"""One PostgreSQL, reached through one pool; every foreign error is translated here, where it enters.

DatabaseError
├── DatabaseUnavailable     no connection, or it was lost half-way; retryable
├── QueryTooSlow            cut at the time limit
├── ValueRefused            PostgreSQL can't hold the value
├── ConstraintViolated      a named constraint said no; services turn the name into an error of theirs
└── SchemaOutdated          migrations are missing
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TypeAlias

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy
from piccolo.apps.migrations.commands.forwards import run_forwards
from piccolo.apps.migrations.tables import Migration
from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

from mediastore.errors import MediastoreError

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record] | asyncpg.Connection[asyncpg.Record]"

MIGRATION_LOCK = 6_334_785_112
"""Advisory lock number of whoever migrates: any constant of our own."""

MIGRATIONS = Path(__file__).parent / "migrations"


class DatabaseError(MediastoreError):
    code = "database_error"


class DatabaseUnavailable(DatabaseError):
    code = "database_unavailable"
    retryable = True


class QueryTooSlow(DatabaseError):
    code = "query_too_slow"


class ValueRefused(DatabaseError):
    code = "value_refused"


class SchemaOutdated(DatabaseError):
    code = "schema_outdated"


class ConstraintViolated(DatabaseError):
    code = "constraint_violated"

    def __init__(self, constraint: str) -> None:
        super().__init__(f"the database's rule {constraint} was broken", constraint=constraint)
        self.constraint = constraint


IDLE_S = 300
"""A connection that nobody used for so long is not trusted: a firewall may have forgotten it without telling."""


class Database:
    """The pool. Sessions carry no state of ours (no SET, LISTEN or session locks), so handing one back costs no round trip.

    Nor does it cost the pool's book-keeping, which takes about as long as asking for a record: what comes back stays at hand for
    whoever comes next, and goes to the pool only where somebody waits there.
    """

    def __init__(self, url: str, *, pool_size: int = 10, wait_s: float = 5, query_timeout_s: float = 15) -> None:
        self._url = url
        self._pool_size = pool_size
        self._wait_s = wait_s
        self._query_timeout_s = query_timeout_s
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._closing: asyncpg.Pool[asyncpg.Record] | None = None
        self._at_hand: list[tuple[PoolConnectionProxy[asyncpg.Record], float]] = []
        """Connections, and since when each is idle; the last used is the last."""
        self._waiting = 0
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Open the pool; raises `DatabaseUnavailable` when there is no database. Later calls retry."""
        async with self._opening:
            if self._pool is None:
                with translated():
                    self._pool = await asyncpg.create_pool(
                        self._url,
                        min_size=1,
                        max_size=self._pool_size,
                        timeout=self._wait_s,
                        command_timeout=self._query_timeout_s + 5,
                        init=_prepare,
                        reset=_keep,
                        server_settings={
                            "application_name": "mediastore",
                            "statement_timeout": str(int(self._query_timeout_s * 1000)),
                            "idle_in_transaction_session_timeout": str(int(self._query_timeout_s * 1000)),
                            "timezone": "UTC",
                        },
                    )

    async def close(self) -> None:
        """Close the pool, waiting a little for what still runs; what asks for a connection meanwhile is refused."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            self._closing = pool
            try:
                while self._at_hand:
                    connection, _ = self._at_hand.pop()
                    await pool.release(connection)
                await asyncio.wait_for(pool.close(), timeout=5)
            except TimeoutError:
                pool.terminate()
            finally:
                self._closing = None

    def connection(self) -> "Borrowed":
        """A connection for single statements, each a transaction of its own."""
        return Borrowed(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside one transaction: committed at the end of the block, rolled back by any exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection outside the pool, for locks that last as long as it does. The caller closes it."""
        with translated():
            return await asyncpg.connect(self._url, timeout=self._wait_s)

    async def migrated(self) -> bool:
        """Whether every migration that this code brings was applied."""
        async with self.connection() as connection:
            return set(migration_ids()) <= set(await _applied(connection))

    async def borrow(self) -> "PoolConnectionProxy[asyncpg.Record]":
        """A connection of the pool, for `give_back` or `put_down`. After that it is somebody else's: nobody may keep it."""
        if self._pool is None and self._closing is None:
            await self.open()
        if self._pool is None:
            raise DatabaseUnavailable("the server is stopping")
        while self._at_hand:
            connection, since = self._at_hand.pop()
            if not _let_go_of_old(connection, since):
                return connection
        self._waiting += 1
        try:
            with translated():
                return await self._pool.acquire(timeout=self._wait_s)
        finally:
            self._waiting -= 1

    async def give_back(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        """After what went well: it stays at hand, unless somebody waits for the pool."""
        with suppress(asyncpg.InterfaceError):  # asyncpg has closed it, and taken it back by itself
            if self._waiting == 0 and self._pool is not None and not connection.is_in_transaction():
                self._at_hand.append((connection, monotonic()))
                if _let_go_of_old(*self._at_hand[0]):  # of a crowd that has gone
                    self._at_hand.pop(0)
                return
        await self.put_down(connection)

    async def put_down(self, connection: "PoolConnectionProxy[asyncpg.Record]") -> None:
        """Give it to the pool, which looks whether it still can be used."""
        if (pool := self._pool or self._closing) is not None:
            await pool.release(connection)


def _let_go_of_old(connection: "PoolConnectionProxy[asyncpg.Record]", since: float) -> bool:
    """Whether it is closed, or was idle for too long and is closed now."""
    with suppress(asyncpg.InterfaceError):  # as above
        if not connection.is_closed() and monotonic() - since < IDLE_S:
            return False
        connection.terminate()
    return True


class Borrowed:
    """`async with` a connection of the pool; errors of the block come out as ours."""

    __slots__ = ("_connection", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> Connection:
        self._connection = await self._database.borrow()
        return self._connection

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            await self._database.give_back(self._connection)
            return
        with translated():
            try:
                await self._database.put_down(self._connection)
            finally:
                raise error


def collided(error: DatabaseUnavailable) -> bool:
    """Whether PostgreSQL ended this transaction because of another one: all of it is undone, and can be done again at once."""
    return isinstance(error.__cause__, asyncpg.TransactionRollbackError)


@contextmanager
def translated() -> Iterator[None]:  # noqa: C901 - one list, most specific first
    """Turn errors of asyncpg and the network into ours, most specific first."""
    try:
        yield
    except MediastoreError:
        raise
    except asyncpg.IntegrityConstraintViolationError as error:
        raise ConstraintViolated(error.constraint_name or error.column_name or "unnamed") from error
    except (asyncpg.QueryCanceledError, asyncpg.IdleInTransactionSessionTimeoutError) as error:
        raise QueryTooSlow("the database took longer than the time limit; ask for less at a time") from error
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError, asyncpg.StatementTooComplexError) as error:
        raise ValueRefused(f"the database can't hold this value: {str(error).splitlines()[0]}") from error
    except asyncpg.InterfaceError as error:
        if isinstance(error, ValueError):  # asyncpg.DataError of the client side: a value that does not fit its parameter
            raise ValueRefused(f"the database can't hold this value: {str(error).splitlines()[0]}") from error
        raise DatabaseUnavailable("the connection to the database was lost") from error
    except (asyncpg.TransactionRollbackError, asyncpg.LockNotAvailableError) as error:
        raise DatabaseUnavailable("others changed the same rows at the same moment; try again") from error
    except asyncpg.UndefinedTableError as error:
        raise SchemaOutdated("the database lacks tables; run `mediastore migrate`") from error
    except (
        asyncpg.PostgresConnectionError,
        asyncpg.OperatorInterventionError,
        asyncpg.InsufficientResourcesError,
        asyncpg.InternalClientError,  # what a connection that dies in the middle of an answer looks like
        asyncpg.ObjectNotInPrerequisiteStateError,  # a database that is closed to connections, for maintenance
        asyncpg.InvalidCatalogNameError,  # a database that is not there, as while it is restored
    ) as error:
        raise DatabaseUnavailable("the database is not available") from error
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise DatabaseUnavailable("the database refused our credentials") from error
    except TimeoutError as error:
        raise DatabaseUnavailable("no connection to the database became free in time") from error
    except OSError as error:
        raise DatabaseUnavailable("the database can't be reached") from error


async def _prepare(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    # JSON passes through unparsed: most records are read to be sent on, not to be looked into.
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_json_out, decoder=_json_in)


async def _keep(_: object) -> None:
    """Nothing to reset."""


def _json_in(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _json_out(value: object) -> str:
    if isinstance(value, msgspec.Raw):
        return bytes(value).decode()
    return msgspec.json.encode(value).decode()


# Piccolo finds its engine through a module's `DB`, named by an environment variable: `piccolo_conf.py` and this one have it.

APP = "mediastore"
APP_REGISTRY = AppRegistry(apps=["mediastore.piccolo_app"])
DB: PostgresEngine | None = None


def migration_ids() -> list[str]:
    """The migrations that this code brings, oldest first."""
    return sorted(path.stem for path in MIGRATIONS.glob("mediastore_*.py"))


async def migrate(url: str) -> list[str]:
    """Apply the missing migrations, one process at a time however many start at once; returns their names."""
    global DB  # noqa: PLW0603 - where Piccolo looks for it
    os.environ["PICCOLO_CONF"] = "mediastore.database"
    with translated():
        lock = await asyncpg.connect(url, timeout=30)
    try:
        await lock.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        before = await _applied(lock)
        DB = await asyncio.to_thread(PostgresEngine, config={"dsn": url})
        Migration._meta.db = DB  # noqa: SLF001 - Piccolo remembers the engine of the last time there
        with redirect_stdout(StringIO()):  # Piccolo reports by print
            result = await run_forwards(APP)
        if not result.success:
            raise SchemaOutdated(f"migration failed: {result.message}")
        return [name for name in await _applied(lock) if name not in before]
    finally:
        await lock.close()


async def _applied(connection: Connection) -> list[str]:
    if not await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL"):
        return []
    rows = await connection.fetch("SELECT name FROM migration WHERE app_name = $1 ORDER BY name", APP)
    return [row["name"] for row in rows]
