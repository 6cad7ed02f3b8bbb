"""Stores and S3 configs by number and place."""

import pytest

from mediastore.accounts.errors import LoginRequired, NotAllowed
from mediastore.accounts.schemas import NOBODY, Caller, Identity
from mediastore.catalog.numbers import Numbers
from mediastore.database import Database
from mediastore.placement.directory import Directory

RITA = Caller(identity=Identity(name="rita"))
ADMIN = Caller(identity=Identity(name="ada", role="administrator", scopes=("read", "write", "admin")))


async def test_places_have_lasting_numbers_and_their_endpoints_but_no_keys(database_url: str) -> None:
    database = Database(database_url, pool_size=2)
    directory = Directory(database)
    try:
        async with database.transaction() as connection:
            await connection.execute(
                """
                INSERT INTO s3_config (name, endpoint_url, addressing_style, access_key_sealed, secret_key_sealed)
                VALUES ('z', 'https://s3.example.org', 'path', 'a', 'b'), ('a', NULL, 'path', NULL, NULL)
                """
            )
            await connection.execute(
                "INSERT INTO store (name, kind, bucket, s3_config) SELECT 'zz', 's3', 'b', id FROM s3_config WHERE name = 'z'"
            )
            await connection.execute("INSERT INTO store (name, kind) VALUES ('m', 'memory')")
        places = await directory.places(caller=RITA)
        assert [(place.name, place.kind, place.bucket, place.endpoint_url) for place in places] == [
            ("zz", "s3", "b", "https://s3.example.org"),
            ("m", "memory", None, None),
        ]
        assert places[0].id < places[1].id
        services = await directory.services(caller=ADMIN)
        assert [(service.name, service.endpoint_url) for service in services] == [("z", "https://s3.example.org"), ("a", None)]
        with pytest.raises(NotAllowed):
            await directory.services(caller=RITA)
        with pytest.raises(LoginRequired):
            await directory.places(caller=Caller(identity=NOBODY))
        assert await Numbers(database).of([]) == {}
        assert await Numbers(database).of(["nowhere"]) == {}
    finally:
        await database.close()
