"""H07: stores that delete and answer as if they had not, for some objects and for whole calls.

Memory and files are wrapped in a store that fails as it is told to; a bucket lies behind a proxy that exchanges its answers.
"""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import pytest

from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement.schemas import Retention, StoreChange, StoreCreate
from mediastore.retention.schemas import Sweep, SweepRequest
from stores.config import S3Access, StoreConfig
from stores.errors import StoreAccessDenied, StoreError, StoreUnavailable
from stores.faults import Fault, FaultyStore
from stores.kinds import StoreKind, load_kinds
from tests.faults.harness import Proxy
from tests.retention.upkeep_scene import CALLER, Scene, add_bucket, running_scene

Kind: TypeAlias = Literal["filesystem", "memory", "s3"]
Answer: TypeAlias = Literal["time-out", "403", "404"]
Scope: TypeAlias = Literal["two keys", "whole call"]
CONTENT = b"ten bytes!"
RECORDS = 5
CODES = {"time-out": "RequestTimeout", "403": "AccessDenied", "404": "NoSuchKey"}


ERRORS: Mapping[str, StoreError] = {
    "time-out": StoreUnavailable("The store did not answer"),
    "403": StoreAccessDenied("The store refused these credentials or what they may do"),
}


class Faulty:
    """A kind of store whose only one can be told to fail."""

    def __init__(self, inner: StoreKind) -> None:
        self._inner = inner
        self.store: FaultyStore | None = None

    def from_config(self, config: StoreConfig) -> FaultyStore:
        self.store = FaultyStore(self._inner.from_config(config))
        return self.store


class Place:
    """A store with records that have expired, and how to have it lie about what it deletes."""

    def __init__(self, scene: Scene, kind: Kind, *, faulty: Faulty | None = None, proxy: Proxy | None = None) -> None:
        self.scene = scene
        self.kind = kind
        self._faulty = faulty
        self._proxy = proxy

    async def lie(self, answer: Answer, about: Sequence[str], *, among: Sequence[str]) -> None:
        """From here on all is deleted that is to be deleted, and this is answered of some, or to the whole call."""
        if self._faulty is not None:
            assert self._faulty.store is not None
            if answer == "404":  # the file system says so by itself
                await self.scene.remove(*about, store="place")
            else:
                answers = dict.fromkeys(about, ERRORS[answer])
                self._faulty.store.inject(Fault(operation="delete", times=None, answers=answers))
            return
        assert self._proxy is not None
        if about != among:
            self._proxy.lie = Exchanged(200, told_of_each(answer, about, among=among))
        elif answer == "time-out":
            self._proxy.on_answer = lambda line, _: b"?delete" in line
        else:
            self._proxy.lie = Exchanged(int(answer), f"<Error><Code>{CODES[answer]}</Code></Error>")

    def tell_the_truth(self) -> None:
        if self._faulty is not None and self._faulty.store is not None:
            self._faulty.store._waiting.clear()
        if self._proxy is not None:
            self._proxy.lie = self._proxy.on_answer = None

    async def sweep(self) -> Sweep:
        return await self.scene.services.sweeper.request("place", SweepRequest(), caller=CALLER, wait_s=60)

    async def report(self, id: int) -> Sweep:
        """As it is once receipts that came later are added up."""
        await self.scene.services.sweep_schedule.enqueue_due()
        return await self.scene.services.sweeper.report("place", id)

    async def objects(self) -> list[Any]:
        return await self.scene.sql(
            "SELECT key, state, attempts, state_reason, purge_problem, receipt, "
            "extract(epoch FROM next_attempt_at - now())::int AS in_s FROM stored_object ORDER BY key"
        )

    async def try_again(self) -> None:
        """As if the time had come."""
        await self.scene.sql("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")
        await self.scene.clean()


class Exchanged:
    """Answers to bulk deletions are these; the deletions took place."""

    def __init__(self, status: int, body: str) -> None:
        self._answer = (
            f"HTTP/1.1 {status} So\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )

    def __call__(self, line: bytes, answer: bytes) -> bytes:
        if b"?delete" not in line:
            return answer
        return self._answer if answer.startswith(b"HTTP/") else b""


def told_of_each(answer: Answer, about: Sequence[str], *, among: Sequence[str]) -> str:
    wrong = "".join(f"<Error><Key>{key}</Key><Code>{CODES[answer]}</Code></Error>" for key in about)
    right = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in among if key not in about)
    return f"<DeleteResult>{wrong}{right}</DeleteResult>"


@pytest.fixture(params=["filesystem", "memory", "s3"])
async def place(request: pytest.FixtureRequest, database_url: str, tmp_path: Path, ministack: S3Access) -> AsyncIterator[Place]:
    kind: Kind = request.param
    kinds = dict(load_kinds())
    faulty, proxy = None, None
    if kind == "s3":
        proxy = Proxy(int((ministack.endpoint_url or "").rpartition(":")[2]))
    else:
        faulty = kinds[kind] = Faulty(kinds[kind])
    async with running_scene(database_url, tmp_path, kinds=kinds, local=False) as scene:
        if proxy is not None:
            access = msgspec.structs.replace(ministack, endpoint_url=f"http://127.0.0.1:{proxy.port}")
            await add_bucket(scene, access, f"bucket-{uuid.uuid4().hex}", name="place")
        else:
            await scene.services.placement.add_store(StoreCreate(name="place", kind=kind), actor=NOT_A_PERSON)
        await scene.services.placement.change_store("place", StoreChange(retention=Retention(grace_s=0)), caller=CALLER)
        for number in range(RECORDS):
            await scene.put(f"r{number}", CONTENT, store="place")
        await scene.sql("UPDATE media SET expires_at = now() - interval '1 hour'")
        yield Place(scene, kind, faulty=faulty, proxy=proxy)
    if proxy is not None:
        proxy.close()


async def test_h07_an_object_that_a_store_does_not_mention_is_not_taken_for_gone(database_url: str, tmp_path: Path) -> None:
    kinds = dict(load_kinds())
    faulty = kinds["memory"] = Faulty(kinds["memory"])
    async with running_scene(database_url, tmp_path, kinds=kinds, local=False) as scene:
        await scene.services.placement.add_store(StoreCreate(name="place", kind="memory"), actor=NOT_A_PERSON)
        await scene.put("r", CONTENT, store="place")
        assert faulty.store is not None

        async def nothing(_: Sequence[str]) -> Mapping[str, None]:
            return {}

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(faulty.store, "delete", nothing)
            await scene.services.catalog.delete("r", revisions=None, caller=CALLER)
            await scene.clean()
        [row] = await scene.sql("SELECT state, purge_problem, receipt FROM stored_object")
        assert (row["state"], row["receipt"]) == ("purging", None)
        assert "did not say" in row["purge_problem"]


@pytest.mark.parametrize("scope", ["two keys", "whole call"])
@pytest.mark.parametrize("answer", ["time-out", "403", "404"])
async def test_h07_what_a_store_deleted_and_denied_comes_to_its_end(place: Place, answer: Answer, scope: Scope) -> None:
    scene = place.scene
    keys = await scene.keys("place")
    about = keys if scope == "whole call" else keys[:2]
    await place.lie(answer, about, among=keys)
    denied = 0 if answer == "404" else len(about)
    report = await place.sweep()
    assert (report.state, report.removed, report.objects, report.bytes) == ("done", RECORDS, RECORDS, RECORDS * len(CONTENT))
    assert (report.failed, report.bytes_freed) == (denied, (RECORDS - denied) * len(CONTENT)), "nothing that was not confirmed"
    assert await scene.keys("place") == []
    for row in await place.objects():
        if denied and row["key"] in about:
            assert (row["state"], row["attempts"], row["receipt"]) == ("purging", 1, None)
            assert row["purge_problem"]
            assert 5 <= row["in_s"] <= 10
        else:
            assert row["state"] == "purged"
    await scene.clean()
    assert {row["attempts"] for row in await place.objects()} == ({0, 1} if 0 < denied < RECORDS else {1 if denied else 0})
    for waits_s in (20, 40):  # still denied: later and later
        await place.try_again()
        assert all(waits_s - 5 <= row["in_s"] <= waits_s for row in await place.objects() if row["state"] == "purging")
    place.tell_the_truth()
    await place.try_again()
    rows = await place.objects()
    assert [(row["state"], row["purge_problem"]) for row in rows] == [("purged", None)] * RECORDS
    receipts = [msgspec.json.decode(row["receipt"]) for row in rows]
    assert {(told["rule"], told["answer"], told["size"], told["bytes_freed"], told["sweep"]) for told in receipts} == {
        ("expired", "gone", len(CONTENT), len(CONTENT), report.id)
    }
    settled = await place.report(report.id)
    assert (settled.failed, settled.bytes_freed, settled.bytes_kept) == (0, RECORDS * len(CONTENT), 0)
    assert await place.report(report.id) == settled, "adding up again adds nothing"
    assert [tuple(row) for row in await scene.sql("SELECT DISTINCT status, current_object FROM media")] == [("deleted", None)]
    [used] = await scene.sql("SELECT sum(object_count)::int AS objects, sum(byte_count)::int AS bytes FROM store_usage")
    assert tuple(used) == (0, 0)
