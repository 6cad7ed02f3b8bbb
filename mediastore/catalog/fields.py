"""Declared metadata fields: places in the metadata with a type, and an index that a job builds while others write."""

from collections.abc import Mapping

import asyncpg
import msgspec
import structlog
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import field_queries as queries
from mediastore.catalog.errors import MetadataFieldExists, MetadataFieldInvalid, MetadataFieldNotFound
from mediastore.catalog.field_paths import parse_path
from mediastore.catalog.field_queries import FieldRow
from mediastore.catalog.field_schemas import MetadataField, MetadataFieldCreate
from mediastore.catalog.filter_queries import field_expression
from mediastore.catalog.orders import FACETS, ORDERS
from mediastore.database import Connection, ConstraintViolated, Database, translated
from mediastore.events import queries as events
from mediastore.events.schemas import Change
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue

INDEX = "index_metadata_field"
BUSY_S = 5


class IndexJob(Struct, frozen=True, kw_only=True):
    """The field whose index is to be as it should: there, or gone with its field."""

    field: int


class MetadataFields:
    def __init__(self, database: Database, *, jobs: JobQueue) -> None:
        self._database = database
        self._jobs = jobs
        self._log = structlog.get_logger("mediastore.catalog")

    async def list(self, *, caller: Caller) -> list[MetadataField]:
        require(caller.identity, "read", to="list declared fields")
        async with self._database.connection() as connection:
            return [row.shown() for row in await queries.fields(connection)]

    async def read(self, name: str, *, caller: Caller) -> MetadataField:
        require(caller.identity, "read", to="read a declared field")
        async with self._database.connection() as connection:
            return (await _found(connection, name)).shown()

    async def create(self, request: MetadataFieldCreate, *, caller: Caller) -> MetadataField:
        """Declare a field, and have its index built. Searches may name it at once; they are quick when it is `ready`."""
        require(caller.identity, "admin", to="declare metadata fields")
        if request.name in ORDERS or request.name in FACETS:
            raise MetadataFieldInvalid(
                f"{request.name} is something that every record has; choose another name", name=request.name
            )
        path = parse_path(request.path or request.name)
        try:
            async with self._database.transaction() as connection:
                row = await queries.insert_field(
                    connection, name=request.name, path=path, type=request.type, description=request.description
                )
                await self._note(connection, row, "created", caller=caller)
                await self._jobs.enqueue(connection, INDEX, IndexJob(field=row.id))
        except ConstraintViolated as error:
            if error.constraint != "metadata_field_name_key":
                raise
            raise MetadataFieldExists(f"there is a declared field {request.name} already", name=request.name) from error
        return row.shown()

    async def delete(self, name: str, *, caller: Caller) -> None:
        """Searches by the field are refused from now on; its index goes a moment later. Metadata stays as it is."""
        require(caller.identity, "admin", to="delete declared fields")
        async with self._database.transaction() as connection:
            row = await _found(connection, name, lock=True)
            await queries.delete_field(connection, row.id)
            await self._note(connection, row, "deleted", caller=caller)
            await self._jobs.enqueue(connection, INDEX, IndexJob(field=row.id))

    async def index(self, payload: bytes) -> None:
        """The job: build the index of a field that is there, drop that of one that is gone, mend what a stop left half done."""
        id = msgspec.json.decode(payload, type=IndexJob).field
        # A connection of its own: building takes longer than a statement may, and the lock lasts as long as it does.
        connection = await self._database.connect()
        try:
            with translated():
                if not await queries.try_lock(connection, id):
                    raise RetryLater("another process is at work on this index", delay_s=BUSY_S)
                await self._settle(connection, id)
        finally:
            await connection.close()

    async def _settle(self, connection: "asyncpg.Connection[asyncpg.Record]", id: int) -> None:
        row = await queries.field_by_id(connection, id)
        valid = await queries.index_is_valid(connection, id)
        if row is None or valid is False:
            await queries.drop_index(connection, id)
        if row is None:
            return
        try:
            if not valid:
                await queries.build_index(connection, id, field_expression(row.field, metadata="metadata"))
        except asyncpg.PostgresError as error:
            # The job is tried again, and then says how it went.
            await queries.set_state(connection, id, "failed", problem=str(error).splitlines()[0][:500])
            raise
        if row.state != "ready":
            await queries.set_state(connection, id, "ready")
            self._log.info("a declared field has its index", field=row.name)

    async def _note(self, connection: Connection, row: FieldRow, action: str, *, caller: Caller) -> None:
        facts: Mapping[str, object] = {"path": row.path, "type": row.type, "description": row.description}
        made = action == "created"
        await events.append(
            connection,
            kind="metadata_field",
            subject=row.name,
            actor=caller.identity.name,
            action=action,
            changes={name: Change(after=value) if made else Change(before=value) for name, value in facts.items()},
            request_id=caller.request_id,
        )


async def _found(connection: Connection, name: str, *, lock: bool = False) -> FieldRow:
    row = await queries.field(connection, name, lock=lock)
    if row is None:
        names = ", ".join(item.name for item in await queries.fields(connection)) or "none yet"
        raise MetadataFieldNotFound(f"there is no declared field {name!r}; there are: {names}", name=name)
    return row
