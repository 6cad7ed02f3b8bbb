"""What happens between the steps of a direct upload: the steps are taken one by one, and something else in between."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import pytest

from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity
from mediastore.catalog.errors import RecordNotFound
from mediastore.catalog.schemas import Media, MediaChange, MediaCreate
from mediastore.database import DatabaseUnavailable
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.jobs.errors import RetryLater
from mediastore.placement.schemas import StoreChange, StoreCreate
from mediastore.services import Services
from mediastore.settings import Settings
from mediastore.transfers.completion import UploadJob
from mediastore.transfers.declared import Declared, about_record, always
from mediastore.transfers.direct import Asker
from mediastore.transfers.errors import UploadEnded, UploadInterrupted
from mediastore.transfers.requests import Site
from mediastore.transfers.schemas import Upload, UploadBegin, UploadComplete

MIB = 1024 * 1024
NEVER = -1
"""Inline bytes, so that a job verifies all that has come in several parts."""
CALLER = Caller(identity=Identity(name="admin", role="administrator", scopes=ALL_SCOPES), request_id=None, address="")
ASKER = Asker(caller=CALLER, token=None, site=Site(api_url="http://test/api/v1"))


class Scene:
    """The services of a server, and the calls of a client."""

    def __init__(self, services: Services) -> None:
        self.services = services

    async def begin(self, pid: str, *contents: bytes, **record: Any) -> Upload:
        size = sum(map(len, contents))
        method: Any = {"method": "multipart", "part_size": len(contents[0])} if len(contents) > 1 else {"method": "put"}
        asked = UploadBegin(pid=pid, size=size, **method)
        return await self.services.direct_uploads.begin(asked, about_record(msgspec.json.encode(record)), asker=ASKER)

    async def send(self, upload: Upload, number: int, content: bytes) -> str:
        async def body() -> AsyncIterator[bytes]:
            yield content

        token = (upload.parts[number - 1].url or "").partition("token=")[2]
        return await self.services.part_receiver.receive(upload.id, number, body(), token=token, size=None, digests={})

    async def complete(self, upload: Upload) -> Media | Upload:
        return await self.services.direct_uploads.complete(upload.id, UploadComplete(), asker=ASKER)

    async def put(self, pid: str, content: bytes) -> Media:
        async def body() -> AsyncIterator[bytes]:
            yield content

        declared = Declared(size=len(content), media_type="text/plain", filename=None, digests={})
        received = await self.services.uploads.receive(
            pid, body(), declared=declared, about=about_record(b"{}"), precondition=always, caller=CALLER
        )
        return received.media

    async def verify(self, upload: Upload) -> None:
        await self.services.completion.verify(job(upload))

    async def content(self, pid: str) -> bytes:
        found = await self.services.downloads.find(pid, version=None, caller=CALLER)
        return b"".join([piece async for piece in await self.services.downloads.stream(found, start=0, end=found.size)])

    async def clean(self) -> None:
        await self.services.cleanup.run_once()

    async def sql(self, statement: str, *values: Any) -> list[asyncpg.Record]:
        async with self.services.database.connection() as connection:
            return list(await connection.fetch(statement, *values))


def job(upload: Upload) -> bytes:
    return msgspec.json.encode(UploadJob(upload=UUID(str(upload.id))))


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    services = Services(Settings(database_url=database_url, secret_key="for tests alone", home=tmp_path))
    await services.accounts.ensure_administrator("correct horse battery")
    await services.placement.add_store(StoreCreate(name="local", kind="filesystem", checksums=("sha256",)), actor=NOT_A_PERSON)
    yield Scene(services)
    await services.cleanup.close()
    await services.close()


async def test_a_part_sent_again_while_it_becomes_the_content_is_not_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await scene.begin("again", b"first")
    await scene.send(upload, 1, b"first")
    verified = scene.services.completion._verified

    async def and_then(*args: Any) -> Any:
        stored = await verified(*args)
        await scene.send(upload, 1, b"other")
        return stored

    monkeypatch.setattr(scene.services.completion, "_verified", and_then)
    with pytest.raises(UploadInterrupted):
        await scene.complete(upload)
    monkeypatch.undo()
    assert isinstance(await scene.complete(upload), Media)
    await scene.clean()
    assert await scene.content("again") == b"other"


async def test_a_part_whose_answer_was_lost_stays_the_content_that_it_became(scene: Scene) -> None:
    upload = await scene.begin("lost-answer", b"bytes")
    etag = await scene.send(upload, 1, b"bytes")
    assert isinstance(await scene.complete(upload), Media)
    object = int(etag.removeprefix("part-"))
    assert await scene.services.part_receiver._ledger.give_up_part(object, reason="CancelledError")
    await scene.clean()
    assert await scene.content("lost-answer") == b"bytes"


async def test_a_forgotten_upload_does_not_cover_newer_content(scene: Scene) -> None:
    await scene.put("newer", b"old")
    upload = await scene.begin("newer", b"forgotten", access="public", tags=["forgotten"])
    await scene.send(upload, 1, b"forgotten")
    await scene.put("newer", b"new")
    await scene.sql("UPDATE upload SET expires_at = now() - interval '2 days' WHERE id = $1", upload.id)
    await scene.services.completion.settle(job(upload))
    shown = await scene.services.direct_uploads.show(upload.id, asker=ASKER)
    assert shown.status == "failed"
    [row] = await scene.sql("SELECT reason FROM upload WHERE id = $1", upload.id)
    assert row["reason"] == "superseded"
    record = await scene.services.catalog.read("newer", caller=CALLER)
    assert (record.version, record.access, record.tags) == (2, "private", [])
    assert await scene.content("newer") == b"new"


async def test_a_forgotten_upload_is_adopted_while_its_record_waits(scene: Scene) -> None:
    upload = await scene.begin("waiting", b"whole")
    await scene.send(upload, 1, b"whole")
    half = await scene.begin("half", b"x" * 5 * MIB, b"y")
    await scene.send(half, 2, b"y")
    await scene.sql("UPDATE upload SET expires_at = now() - interval '2 days'")
    for one in (upload, half):
        await scene.services.completion.settle(job(one))
    assert await scene.content("waiting") == b"whole"
    assert (await scene.services.direct_uploads.show(half.id, asker=ASKER)).status == "failed"
    assert (await scene.services.catalog.read("half", caller=CALLER)).status == "pending", "the name stays its owner's"


async def test_what_is_completed_later_lies_above_though_it_is_verified_sooner(scene: Scene) -> None:
    scene.services.completion._inline_bytes = NEVER
    first, second = b"a" * 5 * MIB, b"b"
    upload = await scene.begin("order", first, second, tags=["older"])
    await scene.send(upload, 1, first)
    await scene.send(upload, 2, second)
    assert isinstance(await scene.complete(upload), Upload), "a job verifies"
    await scene.put("order", b"newer")
    await scene.verify(upload)
    record = await scene.services.catalog.read("order", caller=CALLER)
    assert (record.version, record.tags) == (2, ["older"]), "the tags came with the record, which the upload made"
    assert await scene.content("order") == b"newer"
    older = await scene.services.downloads.find("order", version=1, caller=CALLER)
    assert dict(older.checksums)["sha256"] == hashlib.sha256(first + second).hexdigest()
    assert [item.version for item in await scene.services.catalog.versions("order", caller=CALLER)] == [2, 1]


async def test_parts_do_not_change_once_they_are_put_together(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.services.completion._inline_bytes = NEVER
    first, second = b"a" * 5 * MIB, b"b"
    upload = await scene.begin("frozen", first, second)
    await scene.send(upload, 1, first)
    await scene.send(upload, 2, second)

    async def killed(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("the process ended here, with the parts put together")

    assert isinstance(await scene.complete(upload), Upload)
    monkeypatch.setattr(scene.services.completion, "_publish", killed)
    with pytest.raises(RetryLater):
        await scene.verify(upload)
    with pytest.raises(UploadEnded):
        await scene.send(upload, 2, b"c")
    monkeypatch.undo()
    await scene.verify(upload)
    assert await scene.content("frozen") == first + second


async def test_a_store_that_is_switched_off_for_a_while_costs_nobody_their_upload(scene: Scene) -> None:
    scene.services.completion._inline_bytes = NEVER
    first, second = b"a" * 5 * MIB, b"b"
    upload = await scene.begin("patient", first, second)
    await scene.send(upload, 1, first)
    await scene.send(upload, 2, second)
    await scene.complete(upload)
    await scene.services.placement.change_store("local", StoreChange(enabled=False), caller=CALLER)
    await scene.sql("UPDATE upload SET verifying_at = now() - interval '3 days'")
    with pytest.raises(RetryLater) as later:
        await scene.verify(upload)
    assert later.value.delay_s == 600, "less often, the longer it takes"
    await scene.services.placement.change_store("local", StoreChange(enabled=True), caller=CALLER)
    await scene.verify(upload)
    assert await scene.content("patient") == first + second


async def test_a_cancel_that_did_not_happen_is_not_said_to_have(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await scene.begin("not-cancelled", b"bytes")

    async def away(*_: Any, **__: Any) -> Any:
        raise DatabaseUnavailable("the database is not available")

    monkeypatch.setattr("mediastore.transfers.queries.fail_upload", away)
    with pytest.raises(DatabaseUnavailable):
        await scene.services.direct_uploads.cancel(upload.id, asker=ASKER)


async def test_a_record_goes_with_the_last_of_the_uploads_that_made_it(scene: Scene) -> None:
    for reverse in (False, True):
        uploads = [await scene.begin("shared", b"bytes") for _ in range(2)]
        for upload in sorted(uploads, key=lambda upload: upload.id, reverse=reverse):
            assert (await scene.services.catalog.read("shared", caller=CALLER)).status == "pending"
            await scene.services.direct_uploads.cancel(upload.id, asker=ASKER)
        with pytest.raises(RecordNotFound):
            await scene.services.catalog.read("shared", caller=CALLER)


@pytest.mark.parametrize("kept", ["made by hand", "touched", "interrupted"])
async def test_a_record_stays_that_is_more_than_the_uploads_into_it(scene: Scene, kept: str) -> None:
    if kept == "made by hand":
        await scene.services.catalog.create(MediaCreate(pid="kept"), caller=CALLER)
    uploads = [await scene.begin("kept", b"bytes") for _ in range(2)]
    if kept == "touched":
        await scene.services.catalog.change("kept", MediaChange(tags=["touched"]), revisions=None, caller=CALLER)
    if kept == "interrupted":
        await scene.sql("UPDATE upload SET expires_at = now() - interval '2 days' WHERE id = $1", uploads[0].id)
        await scene.services.completion.settle(job(uploads[0]))
    for upload in uploads:
        await scene.services.direct_uploads.cancel(upload.id, asker=ASKER)
    assert (await scene.services.catalog.read("kept", caller=CALLER)).status == "pending"


async def test_late_bytes_at_the_key_of_a_cancelled_upload_go_a_day_later(scene: Scene) -> None:
    upload = await scene.begin("late", b"late")
    [row] = await scene.sql("SELECT o.id, o.key, o.store FROM upload u JOIN stored_object o ON o.id = u.stored_object")
    await scene.services.direct_uploads.cancel(upload.id, asker=ASKER)
    await scene.clean()
    store = await scene.services.registry.get(row["store"])
    async with store.write(row["key"]) as writer:
        await writer.append([b"late"])
        await writer.commit()
    await scene.clean()
    assert (await store.head(row["key"])).size == 4
    [waiting] = await scene.sql("SELECT state, next_attempt_at - now() > interval '23 hours' AS later FROM stored_object")
    assert (waiting["state"], waiting["later"]) == ("purging", True)
    await scene.sql("UPDATE stored_object SET next_attempt_at = now(), doomed_at = doomed_at - interval '2 days'")
    await scene.clean()
    assert [info.key async for info in store.list()] == []
    assert [found["state"] for found in await scene.sql("SELECT state FROM stored_object")] == ["purged"]
