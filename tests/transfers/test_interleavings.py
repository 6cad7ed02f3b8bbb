"""What happens between two steps of a transfer, made to happen there."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from mediastore.catalog.errors import PidTaken
from mediastore.catalog.queries import Inserted, NewMedia
from mediastore.catalog.schemas import MediaCreate
from mediastore.catalog.service import Catalog
from mediastore.clock import utc_now
from mediastore.placement import objects
from mediastore.placement.objects import Doomed
from mediastore.transfers.declared import Declared, about_record, always
from mediastore.transfers.purge import Purger
from stores.protocol import Store
from tests.retention.conftest import CALLER, Scene, scene

__all__ = ["scene"]
TAKE = "INSERT INTO media (pid, owner, access, store, status) VALUES ($1, 'another', 'private', $2, 'pending')"
BYTES = Declared(size=5, media_type="text/plain", filename=None, digests={})


async def body() -> AsyncIterator[bytes]:
    yield b"bytes"


async def test_an_upload_to_a_pid_that_others_make_and_withdraw_again_and_again_is_taken(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, rounds = Catalog.insert, []

    async def raced(catalog: Catalog, connection: Any, new: NewMedia, **given: Any) -> Inserted:
        if len(rounds) == 5:
            return await insert(catalog, connection, new, **given)
        rounds.append(new.pid)
        await scene.sql(TAKE, new.pid, scene.store)
        try:
            return await insert(catalog, connection, new, **given)
        finally:
            await scene.sql("DELETE FROM media WHERE pid = $1", new.pid)

    monkeypatch.setattr(Catalog, "insert", raced)
    received = await scene.services.uploads.receive(
        "raced", body(), declared=BYTES, about=about_record(b"{}"), precondition=always, caller=CALLER
    )
    assert (received.created, received.media.status, len(rounds)) == (True, "ready", 5)


async def test_a_pid_that_was_taken_and_withdrawn_before_anyone_asked_why_is_no_store_that_went_away(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for a single create and in a batch: the PID was taken at that moment, and the store is there."""
    left_out = Catalog.left_out

    async def late(catalog: Catalog, connection: Any, news: Sequence[NewMedia]) -> Any:
        await scene.sql("DELETE FROM media WHERE pid = 'brief'")
        return await left_out(catalog, connection, news)

    monkeypatch.setattr(Catalog, "left_out", late)
    await scene.services.catalog.create(MediaCreate(pid="brief"), caller=CALLER)
    with pytest.raises(PidTaken):
        await scene.services.catalog.create(MediaCreate(pid="brief"), caller=CALLER)


async def test_h16_the_database_away_after_bytes_went_is_told_as_soon_as_it_is_back(scene: Scene) -> None:
    """Not after the claim on the rows has ended, which takes minutes."""
    await scene.seed(5, expired=False)
    claims = "UPDATE stored_object SET state = 'purging' WHERE state = 'stored' RETURNING id"
    async with scene.services.database.connection() as connection:
        ids = [row["id"] for row in await connection.fetch(claims)]
        doomed = await objects.doomed_of(connection, ids)
    back: list[asyncio.Task[None]] = []

    class Cut(Purger):
        async def _remove(self, store: Store, group: Sequence[Doomed]) -> Any:
            answers = await super()._remove(store, group)
            back.append(await cut_off(scene, for_s=2))
            return answers

    purger = Cut(scene.services.database, registry=scene.services.registry, clock=utc_now)
    purged = await purger.purge(scene.store, doomed)
    assert (purged.gone, purged.failed) == (5, 0)
    await asyncio.gather(*back)
    assert [row["state"] for row in await scene.sql("SELECT state FROM stored_object")] == ["purged"] * 5


async def cut_off(scene: Scene, *, for_s: float) -> "asyncio.Task[None]":
    """Let nobody into the database, and throw out who is in; the task ends when it is open again."""
    [[name]] = await scene.sql("SELECT current_database()")
    admin = await asyncpg.connect(scene.url, database="postgres")
    await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)

    async def open_again() -> None:
        await asyncio.sleep(for_s)
        await admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        await admin.close()

    return asyncio.create_task(open_again())
