"""From somebody else's name of a record to the record."""

from mediastore.accounts.schemas import Caller
from mediastore.catalog import identifier_type_queries, queries
from mediastore.catalog.errors import IdentifierTypeNotFound, RecordNotFound
from mediastore.catalog.schemas import Media
from mediastore.catalog.service import gone
from mediastore.clock import Clock
from mediastore.database import Database

MOST = 100
MOST_BYTES = 16 * 1024 * 1024
"""So many records of one name are listed, or those with so much metadata."""


class Resolver:
    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def resolve(self, type: str, value: str, *, caller: Caller) -> list[Media]:
        """The records that have this identifier, or this PID of this type: one, or several where the type allows that.

        Raises `RecordNotFound` where there is none that the caller may read, `RecordGone` where all have expired, and, to those
        who are logged in, `IdentifierTypeNotFound`.
        """
        identity, now = caller.identity, self._clock()
        may_read = "read" in identity.scopes
        async with self._database.connection() as connection:
            rows = await queries.medias_by_identifier(
                connection,
                type=type,
                value=value,
                administrator=identity.administrator and may_read,
                name=identity.name if may_read else "",
                principals=identity.principals if may_read else [],
                now=now,
                limit=MOST,
                most_bytes=MOST_BYTES,
            )
            if not rows and identity.known and await identifier_type_queries.identifier_type(connection, type) is None:
                raise IdentifierTypeNotFound(f"there is no identifier type {type!r}; GET /identifier-types lists them", name=type)
        live = [row for row in rows if row.status_at(now) != "expired"]
        if not live and rows:
            raise gone(rows[0], "expired")
        if not live:
            hint = "" if identity.known else "; you are not logged in"
            raise RecordNotFound(f"no record that you may read has the {type} {value}{hint}", type=type, value=value)
        return [row.shown(now) for row in live]
