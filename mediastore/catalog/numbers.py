"""The lasting numbers of records, for faces whose clients know records by them."""

from collections.abc import Sequence

from mediastore.catalog import number_queries
from mediastore.catalog.number_queries import Numbered
from mediastore.database import Database


class Numbers:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, pids: Sequence[str]) -> dict[str, Numbered]:
        """By PID. Of records that the caller was given by another service: nobody's right to read is asked here."""
        if not pids:
            return {}
        async with self._database.connection() as connection:
            return await number_queries.numbered(connection, pids)
