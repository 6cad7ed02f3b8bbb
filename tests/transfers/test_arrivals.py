"""Uploads of unknown size by clients that know nothing but a URL: found, verified and completed without a call of theirs."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import msgspec
import pytest

from mediastore.catalog.schemas import Media
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.jobs.errors import RetryLater
from mediastore.placement.schemas import Quota, S3ConfigCreate, StoreChange, StoreCreate
from mediastore.services import Services
from mediastore.settings import Settings
from mediastore.transfers.arrivals import AT_ONCE
from mediastore.transfers.completion import UploadJob
from mediastore.transfers.declared import about_record
from mediastore.transfers.direct import Asker
from mediastore.transfers.errors import UploadEnded, UploadTooLarge
from mediastore.transfers.requests import Site
from mediastore.transfers.schemas import Upload
from stores.config import S3Access, StoreConfig
from stores.errors import StoreUnavailable
from stores.faults import Fault, FaultyStore, Operation
from stores.kinds import StoreKind, load_kinds
from tests.buckets import keys_in, make_bucket
from tests.retention.conftest import CALLER

SITE = Site(api_url="http://here/api/v1")
STORES = ("local", "bucket")


class Place:
    """The services of one server, with the stores `local` and, in S3, `bucket`."""

    def __init__(self, services: Services, access: S3Access, bucket: str) -> None:
        self.services = services
        self.access = access
        self.bucket = bucket

    async def begin(self, pid: str, store: str) -> Upload:
        about = about_record(msgspec.json.encode({"store": store}))
        asker = Asker(caller=CALLER, token=None, site=SITE)
        upload = await self.services.direct_uploads.begin_unsized(pid, about, asker=asker)
        assert (upload.size, upload.headers, upload.parts, upload.status) == (None, {}, [], "open")
        return upload

    async def put(self, upload: Upload, content: bytes) -> None:
        """As a plain client does, with headers that nobody asked for."""
        parts = urlsplit(str(upload.url))
        if not str(upload.url).startswith(SITE.api_url):
            async with httpx.AsyncClient() as client:
                answer = await client.put(str(upload.url), content=content, headers={"Content-Type": "text/plain"})
            assert answer.status_code == 200, answer.text
            return

        async def body() -> AsyncIterator[bytes]:
            yield content

        [token] = parse_qs(parts.query)["token"]
        id = UUID(parts.path.split("/")[-3])
        await self.services.part_receiver.receive(id, 1, body(), token=token, size=None, digests={})

    async def read(self, pid: str) -> Media:
        return await self.services.catalog.read(pid, caller=CALLER)

    async def content(self, pid: str) -> bytes:
        found = await self.services.downloads.find(pid, version=None, caller=CALLER)
        return b"".join([piece async for piece in await self.services.downloads.stream(found, start=0, end=found.size)])

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        async with self.services.database.connection() as connection:
            return list(await connection.fetch(statement, *values))

    async def queued(self) -> list[str]:
        return [row["entrypoint"] for row in await self.sql("SELECT entrypoint FROM pgqueuer ORDER BY id")]

    async def file(self) -> Path:
        """The one that came to `local`."""
        [row] = await self.sql("SELECT key FROM stored_object WHERE media IS NULL AND state = 'writing'")
        [found] = self.services.settings.home.rglob(row["key"])
        return found

    async def state(self, upload: Upload) -> tuple[str, str | None]:
        [row] = await self.sql("SELECT state, reason FROM upload WHERE id = $1", upload.id)
        return row["state"], row["reason"]


@asynccontextmanager
async def opened(
    url: str, home: Path, access: S3Access, *, kinds: Mapping[str, StoreKind] | None = None, **settings: Any
) -> AsyncIterator[Place]:
    services = Services(
        Settings(database_url=url, secret_key="for tests alone", home=home, allow_private_endpoints=True, **settings),
        kinds=kinds,
    )
    await services.accounts.ensure_administrator("correct horse battery")
    await services.placement.add_store(StoreCreate(name="local", kind="filesystem"), actor=NOT_A_PERSON)
    bucket = await asyncio.to_thread(make_bucket, access)
    config = S3ConfigCreate(
        name="c",
        endpoint_url=access.endpoint_url,
        region=access.region,
        access_key=access.access_key,
        secret_key=access.secret_key,
    )
    await services.placement.create_s3_config(config, caller=CALLER)
    await services.placement.create_store(StoreCreate(name="bucket", kind="s3", bucket=bucket, s3_config="c"), caller=CALLER)
    try:
        yield Place(services, access, bucket)
    finally:
        await services.sweeper.close()
        await services.cleanup.close()
        await services.close()


@pytest.fixture
async def place(database_url: str, tmp_path: Path, ministack: S3Access) -> AsyncIterator[Place]:
    async with opened(database_url, tmp_path, ministack) as place:
        yield place


@pytest.mark.parametrize("content", [b"", b"egg salad"], ids=["empty", "some"])
@pytest.mark.parametrize("store", STORES)
async def test_what_came_is_the_content_as_soon_as_somebody_looks(place: Place, store: str, content: bytes) -> None:
    upload = await place.begin("p", store)
    assert await place.services.arrivals.look(["p"])
    assert (await place.read("p")).status == "pending"
    await place.put(upload, content)
    assert await place.services.arrivals.look(["p", "another"])
    assert not await place.services.arrivals.look(["p", "another"])
    record = await place.read("p")
    assert (record.status, record.version, await place.content("p")) == ("ready", 1, content)
    assert record.content is not None
    assert {"md5", "sha256"} <= set(msgspec.json.decode(bytes(record.content.checksums)))  # type: ignore[arg-type]  # Raw
    await place.services.cleanup.run_once()
    if store == "bucket":
        assert len(await asyncio.to_thread(keys_in, place.access, place.bucket)) == 1, "where it landed is empty again"


@pytest.mark.parametrize("store", STORES)
async def test_without_anybody_looking_a_job_finds_it(place: Place, store: str) -> None:
    upload = await place.begin("p", store)
    await place.put(upload, b"egg salad")
    if store == "local":
        assert await place.queued() == ["complete_arrived"], "enqueued with the row that says that the bytes are there"
        await place.services.arrivals.complete(msgspec.json.encode(UploadJob(upload=upload.id)))
    else:
        await place.services.arrivals.look_around()
    assert (await place.read("p")).status == "ready"
    await place.services.arrivals.complete(msgspec.json.encode(UploadJob(upload=upload.id)))
    await place.services.arrivals.look_around()
    assert (await place.read("p")).version == 1


@pytest.mark.parametrize("store", STORES)
async def test_asked_for_twice_either_url_works(place: Place, store: str) -> None:
    for pid, used in (("first", 0), ("second", 1)):
        uploads = [await place.begin(pid, store), await place.begin(pid, store)]
        await place.put(uploads[used], pid.encode())
        await place.services.arrivals.look([pid])
        assert await place.content(pid) == pid.encode()
        await place.put(uploads[1 - used], b"the other")
        await place.services.arrivals.look([pid])
        assert ((await place.read(pid)).version, await place.content(pid)) == (2, b"the other")


@pytest.mark.parametrize("store", STORES)
async def test_many_who_look_at_once_complete_it_once(place: Place, store: str) -> None:
    upload = await place.begin("p", store)
    await place.put(upload, b"egg salad")
    await asyncio.gather(*(place.services.arrivals.look(["p"]) for _ in range(6)))
    assert ((await place.read("p")).version, await place.content("p")) == (1, b"egg salad")
    assert [row["state"] for row in await place.sql("SELECT state FROM stored_object WHERE version IS NOT NULL")] == ["stored"]


async def test_what_is_large_is_verified_by_a_job(database_url: str, tmp_path: Path, ministack: S3Access) -> None:
    async with opened(database_url, tmp_path, ministack, verify_inline_bytes=5) as place:
        upload = await place.begin("p", "bucket")
        await place.put(upload, b"more than five")
        await place.services.arrivals.look(["p"])
        assert (await place.read("p")).status == "pending"
        assert await place.queued() == ["verify_upload"]
        await place.services.completion.verify(msgspec.json.encode(UploadJob(upload=upload.id)))
        assert await place.content("p") == b"more than five"


@pytest.mark.parametrize("store", STORES)
async def test_h13_more_than_may_be_is_given_up(database_url: str, tmp_path: Path, ministack: S3Access, store: str) -> None:
    async with opened(database_url, tmp_path, ministack, max_upload_bytes=5) as place:
        upload = await place.begin("p", store)
        if store == "local":
            with pytest.raises(UploadTooLarge):
                await place.put(upload, b"more than five")
            assert await place.state(upload) == ("open", None)
            return
        await place.put(upload, b"more than five")
        await place.services.arrivals.look(["p"])
        await place.services.completion.verify(msgspec.json.encode(UploadJob(upload=upload.id)))
        assert await place.state(upload) == ("failed", "upload_too_large")
        assert (await place.read("p")).status == "failed"
        await place.services.cleanup.run_once()
        assert await asyncio.to_thread(keys_in, place.access, place.bucket) == []


@pytest.mark.parametrize("store", STORES)
async def test_h13_what_the_quota_does_not_hold_is_given_up(place: Place, store: str) -> None:
    await place.services.placement.change_store(store, StoreChange(quota=Quota(bytes=5)), caller=CALLER)
    upload = await place.begin("p", store)
    await place.put(upload, b"more than five")
    await place.services.arrivals.look(["p"])
    await place.services.completion.verify(msgspec.json.encode(UploadJob(upload=upload.id)))
    assert await place.state(upload) == ("failed", "quota_exceeded")


@pytest.mark.parametrize("store", STORES)
async def test_h02_bytes_that_come_after_the_content_was_verified_change_nothing(place: Place, store: str) -> None:
    upload = await place.begin("p", store)
    await place.put(upload, b"first")
    await place.services.arrivals.look(["p"])
    if store == "local":
        with pytest.raises(UploadEnded):
            await place.put(upload, b"later")
    else:
        await place.put(upload, b"later")
    await place.services.arrivals.look(["p"])
    await place.services.arrivals.look_around()
    assert ((await place.read("p")).version, await place.content("p")) == (1, b"first")


async def test_an_account_that_is_gone_publishes_nothing(place: Place) -> None:
    upload = await place.begin("p", "bucket")
    await place.put(upload, b"egg salad")
    await place.sql("UPDATE account SET disabled = true")
    await place.services.arrivals.look(["p"])
    assert await place.state(upload) == ("failed", "credentials_wrong")


async def test_nothing_that_ever_comes_is_given_up_in_time(database_url: str, tmp_path: Path, ministack: S3Access) -> None:
    async with opened(database_url, tmp_path, ministack, upload_idle_s=0.001, upload_grace_s=0) as place:
        upload = await place.begin("p", "bucket")
        await place.sql("UPDATE upload SET expires_at = now() - interval '1 hour'")
        await place.services.completion.settle(msgspec.json.encode(UploadJob(upload=upload.id)))
        assert await place.state(upload) == ("failed", "expired")


async def test_h15_what_is_on_disk_is_what_came_or_is_no_content(place: Place) -> None:
    """With no size that was declared, it is compared with what passed."""
    upload = await place.begin("p", "local")
    await place.put(upload, b"egg salad")
    os.truncate(await place.file(), 3)
    await place.services.arrivals.look(["p"])
    assert (await place.read("p")).status == "pending"
    await place.sql("UPDATE upload SET verifying_at = now() - interval '1 hour'")
    await place.services.completion.verify(msgspec.json.encode(UploadJob(upload=upload.id)))
    assert await place.state(upload) == ("failed", "size_mismatch")


async def test_h15_bytes_that_a_store_does_not_show_at_once_are_not_thrown_away(place: Place) -> None:
    upload = await place.begin("p", "local")
    await place.put(upload, b"egg salad")
    there = await place.file()
    away = there.rename(there.with_name("away"))
    await place.services.arrivals.look(["p"])
    assert (await place.state(upload), (await place.read("p")).status) == (("open", None), "pending")
    with pytest.raises(RetryLater):
        await place.services.arrivals.complete(msgspec.json.encode(UploadJob(upload=upload.id)))
    away.rename(there)
    await place.services.arrivals.look(["p"])
    assert await place.content("p") == b"egg salad"


class Faulty:
    """A kind of store whose newest one can be told to lie."""

    def __init__(self, inner: StoreKind) -> None:
        self._inner = inner
        self.stores: list[FaultyStore] = []

    def from_config(self, config: StoreConfig) -> FaultyStore:
        self.stores.append(FaultyStore(self._inner.from_config(config)))
        return self.stores[-1]


async def test_h15_a_size_that_a_store_tells_wrongly_is_not_believed(
    database_url: str, tmp_path: Path, ministack: S3Access
) -> None:
    """Of what another run had copied when it was killed nothing is known but what the store says, and what is read."""
    s3 = Faulty(load_kinds()["s3"])
    async with opened(database_url, tmp_path, ministack, kinds={**load_kinds(), "s3": s3}) as place:
        upload = await place.begin("p", "bucket")
        await place.put(upload, b"egg salad")
        [row] = await place.sql("SELECT key FROM stored_object WHERE media IS NOT NULL")
        async with s3.stores[-1].write(row["key"]) as writer:
            await writer.append([b"egg salad"])
            await writer.commit()
        s3.stores[-1].inject(Fault(operation="head", size=3, times=None))
        await place.services.arrivals.look(["p"])
        assert (await place.read("p")).status == "pending"


async def test_h15_a_store_that_is_away_is_not_asked_for_everything_while_somebody_waits(
    database_url: str, tmp_path: Path, ministack: S3Access
) -> None:
    s3 = Faulty(load_kinds()["s3"])
    async with opened(database_url, tmp_path, ministack, kinds={**load_kinds(), "s3": s3}) as place:
        pids = [f"p{number}" for number in range(40)]
        for pid in pids:
            await place.begin(pid, "bucket")
        asked = 0

        async def count(operation: Operation) -> None:
            nonlocal asked
            asked += operation == "head"

        s3.stores[-1]._on_operation = count  # from here on
        s3.stores[-1].inject(Fault(operation="head", error=StoreUnavailable("away"), delay_s=0.01, times=None))
        local = await place.begin("here", "local")
        await place.put(local, b"egg salad")
        await place.services.arrivals.look([*pids, "here"])
        assert asked <= AT_ONCE
        assert await place.content("here") == b"egg salad", "others are looked for"
