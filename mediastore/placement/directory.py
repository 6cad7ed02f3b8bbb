"""Stores and S3 configs by their numbers and their places, for faces whose clients know them by those and not by our names."""

from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.database import Database
from mediastore.placement import queries


class Place(Struct, frozen=True, kw_only=True):
    """A store: its lasting number, its name, and where it is."""

    id: int
    name: str
    kind: str
    bucket: str | None
    prefix: str
    path: str | None
    endpoint_url: str | None


class Service(Struct, frozen=True, kw_only=True):
    """An S3 config, without its keys."""

    id: int
    name: str
    endpoint_url: str | None


class Directory:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def places(self, *, caller: Caller) -> list[Place]:
        """All stores, in the order in which they were made. What of it is told to whom is up to the face."""
        require(caller.identity, "read", to="list stores")
        async with self._database.connection() as connection:
            rows = await queries.stores(connection)
            urls = {row.id: row.endpoint_url for row in await queries.s3_configs(connection)}
        return [
            Place(
                id=row.id,
                name=row.name,
                kind=row.kind,
                bucket=row.bucket,
                prefix=row.prefix,
                path=row.path,
                endpoint_url=None if row.s3_config is None else urls.get(row.s3_config),
            )
            for row in sorted(rows, key=lambda row: row.id)
        ]

    async def services(self, *, caller: Caller) -> list[Service]:
        """All S3 configs, in the order in which they were made, for administrators."""
        require(caller.identity, "admin", to="list S3 configs")
        async with self._database.connection() as connection:
            rows = await queries.s3_configs(connection)
        rows = sorted(rows, key=lambda row: row.id)
        return [Service(id=row.id, name=row.name, endpoint_url=row.endpoint_url) for row in rows]
