"""An object that lies in a store becomes a record's content: verified, or not at all, and its bytes stay in any case."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from mediastore.accounts.errors import NotAllowed
from mediastore.accounts.schemas import Caller, Identity
from mediastore.catalog.errors import PidTaken, RecordGone, RecordInvalid, RecordNotFound
from mediastore.catalog.schemas import Media, MediaCreate
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.placement.errors import QuotaExceeded, StoreNotFound
from mediastore.placement.schemas import Quota, StoreChange, StoreCreate
from mediastore.registering.errors import KeyNamed, NothingThere, ObjectUnreadable, RegistrationEnded, RegistrationNotFound
from mediastore.registering.schemas import RegistrationAsk
from mediastore.transfers.errors import BytesChanged, DigestMismatch
from stores.errors import KeyInvalid, StoreUnavailable
from tests.registering.scene import about, content, do, is_sound, register, registered, shown, waiting
from tests.retention.upkeep_scene import CALLER, Scene

BYTES = b"somebody's"


async def test_an_object_becomes_a_record_where_it_lies(scene: Scene) -> None:
    await scene.write("2024/a b.csv", BYTES)
    sha512 = hashlib.sha512(BYTES).hexdigest()
    record = await registered(
        scene, "2024/a b.csv", pid="cast/7", tags=["raw"], metadata={"depth": 3}, checksums={"sha512": sha512.upper()}
    )
    assert (record.pid, record.status, record.version, record.store, record.tags) == ("cast/7", "ready", 1, "local", ["raw"])
    assert record.content is not None
    assert (record.content.size, record.content.filename, record.content.media_type) == (10, "a b.csv", "text/csv")
    assert await content(scene, "cast/7") == BYTES
    [row] = await scene.sql("SELECT key, checksums FROM stored_object")
    assert row["key"] == "2024/a b.csv"
    assert sha512.encode() in bytes(row["checksums"]), "computed, since it was claimed"
    assert b"claimed" not in bytes(row["checksums"])
    assert await scene.history("cast/7") == ["created", "registered"]
    past = await scene.services.history.as_it_was("cast/7", 2, caller=CALLER)
    assert (past.version, past.status, past.content is not None) == (1, "ready", True)
    await is_sound(scene)
    run = await scene.reconcile()
    assert (run.counted().unknown, run.counted().absent) == (0, 0)
    await scene.services.catalog.delete("cast/7", revisions=None, caller=CALLER)
    await scene.clean()
    assert await scene.keys() == [], "the object is the record's: it goes with it"


async def test_a_record_gets_a_pid_a_name_and_a_type_of_its_own(scene: Scene) -> None:
    await scene.write("x/plain", BYTES)
    await scene.write("x/page.html", BYTES)
    record = await registered(scene, "x/plain", filename="other.bin", access="public")
    assert record.content is not None
    assert (record.content.media_type, record.content.filename, record.access) == (
        "application/octet-stream",
        "other.bin",
        "public",
    )
    assert len(record.pid) >= 36
    other = await registered(scene, "x/page.html", media_type="text/plain")
    assert other.content is not None
    assert other.content.media_type == "text/plain", "what is said counts"


async def test_an_empty_object_is_content_too(scene: Scene) -> None:
    await scene.write("empty", b"")
    record = await registered(scene, "empty", pid="empty")
    assert record.content is not None
    assert (record.content.size, await content(scene, "empty")) == (0, b"")


async def test_a_record_that_is_there_gets_a_new_version(scene: Scene) -> None:
    await scene.put("kept", b"first")
    await scene.write("new", b"second")
    record = await registered(scene, "new", pid="kept", tags=["newer"])
    assert (record.version, record.tags, await content(scene, "kept")) == (2, ["newer"], b"second")
    assert await scene.history("kept") == ["created", "content", "registered"]
    await scene.services.catalog.delete("kept", revisions=None, caller=CALLER)
    await scene.write("third", b"third")
    with pytest.raises(RecordGone):
        await register(scene, "third", pid="kept")
    await scene.clean()
    assert await scene.keys() == ["third"]


async def test_what_was_uploaded_meanwhile_lies_above(scene: Scene, later: None) -> None:
    await scene.put("kept", b"first")
    await scene.write("slow", b"slow")
    id = await waiting(scene, "slow", pid="kept", tags=["slow"])
    await scene.put("kept", b"quick")
    await do(scene, id)
    record = await scene.services.catalog.read("kept", caller=CALLER)
    assert (record.version, record.tags, await content(scene, "kept")) == (3, [], b"quick")
    versions = await scene.services.catalog.versions("kept", caller=CALLER)
    assert [(item.version, item.current) for item in versions] == [(3, True), (2, False), (1, False)]
    past = await scene.services.history.as_it_was("kept", record.revision, caller=CALLER)
    assert (past.version, past.action) == (3, "older_content")
    await is_sound(scene)


WRONG: list[tuple[dict[str, str], type[Exception]]] = [
    ({"sha256": hashlib.sha256(b"others").hexdigest()}, DigestMismatch),
    ({"md5": hashlib.md5(BYTES).hexdigest(), "sha1": "0" * 40}, DigestMismatch),
]


@pytest.mark.parametrize(("claims", "error"), WRONG)
async def test_h05_claims_are_compared_and_a_lie_changes_nothing(
    scene: Scene, claims: dict[str, str], error: type[MediastoreError]
) -> None:
    await scene.write("a", BYTES)
    with pytest.raises(error) as caught:
        await register(scene, "a", pid="new", checksums=claims)
    wrong = caught.value.fields["algorithm"]
    assert caught.value.fields["claimed"] == claims[str(wrong)]
    assert caught.value.fields["computed"] == hashlib.new(str(wrong), BYTES).hexdigest()
    with pytest.raises(RecordNotFound):
        await scene.services.catalog.read("new", caller=CALLER)
    await scene.clean()
    assert (await scene.keys(), await scene.sql("SELECT FROM stored_object")) == (["a"], []), "the bytes stay, and are nobody's"
    [failed], _ = await scene.services.registrations.page(
        "local", scan=None, status="failed", cursor=None, limit=10, caller=CALLER
    )
    assert failed.problem is not None
    assert (failed.problem["code"], failed.problem["computed"]) == ("digest_mismatch", caught.value.fields["computed"])
    assert (await registered(scene, "a", pid="new")).status == "ready", "and can be registered rightly"


async def test_a_record_without_content_says_why_it_failed(scene: Scene) -> None:
    await scene.services.catalog.create(MediaCreate(pid="waits"), caller=CALLER)
    await scene.write("a", BYTES)
    with pytest.raises(DigestMismatch):
        await register(scene, "a", pid="waits", checksums={"md5": "0" * 32})
    record = await scene.services.catalog.read("waits", caller=CALLER)
    assert (record.status, "md5" in (record.status_reason or "")) == ("failed", True)
    await scene.put("kept", b"first")
    with pytest.raises(DigestMismatch):
        await register(scene, "a", pid="kept", checksums={"md5": "0" * 32})
    assert await scene.status("kept") == "ready", "what a reader sees has not changed"


async def test_one_bad_reading_is_not_believed(scene: Scene) -> None:
    await scene.write("a", BYTES)
    store = await scene.opened()
    read, calls = store.read, 0

    def bad_once(key: str, **range: Any) -> AsyncIterator[bytes]:
        nonlocal calls
        calls += 1
        return _pieces(b"some0ody's") if calls == 1 else read(key, **range)

    store.read = bad_once  # type: ignore[method-assign]  # a fault, for this test alone
    record = await registered(scene, "a", pid="a", checksums={"md5": hashlib.md5(BYTES).hexdigest()})
    assert (record.status, calls) == ("ready", 2)
    store.read = read  # type: ignore[method-assign]  # a fault, for this test alone
    await is_sound(scene)


async def _pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _grow(scene: Scene) -> None:
    with (scene.folder / "a").open("ab") as file:
        file.write(b" and more")


def _shrink(scene: Scene) -> None:
    os.truncate(scene.folder / "a", 100_000)


def _overwrite(scene: Scene) -> None:
    (scene.folder / "a").write_bytes(b"y" * 3_000_000)
    os.utime(scene.folder / "a", (1, 1))


def _replace(scene: Scene) -> None:
    (scene.folder / "other").write_bytes(b"z" * 3_000_000)
    (scene.folder / "other").rename(scene.folder / "a")


@pytest.mark.parametrize("change", [_grow, _shrink, _overwrite, _replace])
async def test_bytes_that_change_while_they_are_read_are_refused(scene: Scene, change: Callable[[Scene], None]) -> None:
    scene.folder.mkdir(exist_ok=True)
    (scene.folder / "a").write_bytes(b"x" * 3_000_000)
    await scene.opened()
    store = await scene.opened()
    read = store.read

    async def changing(key: str, **range: Any) -> AsyncIterator[bytes]:
        first = True
        async for piece in read(key, **range):
            yield piece
            if first:
                change(scene)
            first = False

    store.read = changing  # type: ignore[method-assign]  # a fault, for this test alone
    with pytest.raises(BytesChanged):
        await register(scene, "a", pid="a")
    store.read = read  # type: ignore[method-assign]  # a fault, for this test alone
    with pytest.raises(RecordNotFound):
        await scene.services.catalog.read("a", caller=CALLER)
    assert await scene.keys() == ["a"]
    assert (await registered(scene, "a", pid="a")).status == "ready", "once nobody writes any more"
    await is_sound(scene)


async def test_an_object_that_goes_away_while_it_waits_is_no_record(scene: Scene, later: None) -> None:
    await scene.write("a", BYTES)
    id = await waiting(scene, "a", pid="a")
    await scene.remove("a")
    await do(scene, id)
    failed = await shown(scene, id)
    assert failed.problem is not None
    assert (failed.status, failed.problem["code"]) == ("failed", "nothing_there")
    await is_sound(scene)


KEYS = [
    "../outside",
    "a/../../outside",
    "/etc/passwd",
    "a//b",
    ".",
    "..",
    "a\0b",
    "a\\b",
    "x" * 1025,
    "ä" * 513,
    "a/" + "x" * 256,
    ".tmp-1",
    "a\nb",
]


@pytest.mark.parametrize("key", KEYS)
async def test_h14_no_key_leads_out_of_the_store(scene: Scene, key: str) -> None:
    (scene.folder.parent / "outside").write_text("secret")
    with pytest.raises((KeyInvalid, msgspec.ValidationError)):
        await register(scene, key)
    assert await scene.sql("SELECT FROM registration") == []


async def test_h14_links_folders_and_pipes_are_no_objects(scene: Scene) -> None:
    await scene.write("there/object", BYTES)
    outside = scene.folder.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")
    (scene.folder / "link").symlink_to(outside / "file")
    (scene.folder / "folder").symlink_to(outside)
    os.mkfifo(scene.folder / "pipe")
    for key in ("link", "folder/file", "pipe", "there", "no-such", "%2e%2e/outside/file"):
        with pytest.raises((NothingThere, ObjectUnreadable)):
            await asyncio.wait_for(register(scene, key), 10)
    assert await scene.sql("SELECT FROM media") == []


async def test_h14_a_file_that_becomes_a_link_is_not_followed(scene: Scene, later: None) -> None:
    await scene.write("a", BYTES)
    id = await waiting(scene, "a", pid="a")
    (scene.folder.parent / "outside").write_bytes(BYTES)
    (scene.folder / "a").unlink()
    (scene.folder / "a").symlink_to(scene.folder.parent / "outside")
    await do(scene, id)
    assert (await shown(scene, id)).status == "failed"
    assert await scene.sql("SELECT FROM media") == []


async def test_what_a_row_names_is_not_registered_again(scene: Scene) -> None:
    await scene.put("ours")
    await scene.write("a", BYTES)
    await registered(scene, "a", pid="a")
    for key in (await scene.key_of("ours"), "a"):
        with pytest.raises(KeyNamed) as caught:
            await register(scene, key, pid="again")
        assert caught.value.fields["pid"] in {"ours", "a"}
    await scene.services.catalog.delete("a", revisions=None, caller=CALLER)
    for _ in range(2):  # doomed, then purged
        with pytest.raises(KeyNamed):
            await _registered_again(scene)
        await scene.clean()
    assert await scene.sql("SELECT FROM media WHERE pid = 'again'") == []


async def _registered_again(scene: Scene) -> None:
    if "a" not in await scene.keys():
        await scene.write("a", BYTES)
    await register(scene, "a", pid="again")


async def test_h13_of_many_at_once_one_wins(scene: Scene) -> None:
    await scene.write("a", BYTES)
    outcomes = await asyncio.gather(*(register(scene, "a", pid=f"p{number}") for number in range(8)), return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Media)]
    assert len(won) == 1
    assert {type(outcome) for outcome in outcomes if not isinstance(outcome, Media)} == {KeyNamed}
    assert len(await scene.sql("SELECT FROM media")) == 1
    await is_sound(scene)


async def test_h13_of_many_at_once_for_one_pid_none_is_lost(scene: Scene) -> None:
    for number in range(6):
        await scene.write(f"k{number}", BYTES)
    outcomes = await asyncio.gather(*(register(scene, f"k{number}", pid="one") for number in range(6)), return_exceptions=True)
    won = [outcome for outcome in outcomes if isinstance(outcome, Media)]
    assert {type(outcome) for outcome in outcomes if not isinstance(outcome, Media)} <= {PidTaken}
    record = await scene.services.catalog.read("one", caller=CALLER)
    assert record.version == len(won) >= 1
    await is_sound(scene)


async def test_h12_two_jobs_on_one_registration_make_one_version(scene: Scene, later: None) -> None:
    await scene.write("a", BYTES)
    id = await waiting(scene, "a", pid="a")
    await asyncio.gather(*(do(scene, id) for _ in range(4)))
    await do(scene, id)
    assert (await scene.services.catalog.read("a", caller=CALLER)).version == 1
    assert await scene.history("a") == ["created", "registered"]
    await is_sound(scene)


async def test_a_store_that_is_away_is_waited_for(scene: Scene) -> None:
    await scene.write("a", BYTES)
    store = await scene.opened()
    head = store.head

    async def away(_: str) -> Any:
        raise StoreUnavailable("no answer")

    store.head = away  # type: ignore[method-assign]  # a fault, for this test alone
    id = await waiting(scene, "a", pid="a")
    with pytest.raises(RetryLater):
        await do(scene, id)
    await scene.services.placement.change_store("local", StoreChange(enabled=False), caller=CALLER)
    with pytest.raises(RetryLater, match="switched off"):
        await do(scene, id)
    await scene.services.placement.change_store("local", StoreChange(enabled=True), caller=CALLER)
    assert (await shown(scene, id)).status == "waiting"
    store.head = head  # type: ignore[method-assign]  # a fault, for this test alone
    await do(scene, id)
    await is_sound(scene)


async def test_h12_a_job_that_got_lost_is_made_again(scene: Scene, later: None) -> None:
    await scene.write("a", BYTES)
    id = await waiting(scene, "a", pid="a")
    jobs = await scene.sql("SELECT entrypoint FROM pgqueuer")
    assert [job["entrypoint"] for job in jobs] == ["register_object"]
    await scene.sql("DELETE FROM pgqueuer")
    await scene.services.scans.look_after()
    assert await scene.sql("SELECT FROM pgqueuer") == []
    scene.clock.forward(301)
    for _ in range(2):
        await scene.services.scans.look_after()
    assert len(await scene.sql("SELECT FROM pgqueuer WHERE entrypoint = 'register_object'")) == 1
    await do(scene, id)
    scene.clock.forward(91 * 86_400)
    await scene.services.scans.look_after()
    with pytest.raises(RegistrationNotFound):
        await shown(scene, id)
    assert await scene.status("a") == "ready"


async def test_one_that_waits_can_be_cancelled_and_the_bytes_stay(scene: Scene, later: None) -> None:
    await scene.write("a", BYTES)
    id = await waiting(scene, "a", pid="a")
    assert [row["state"] for row in await scene.sql("SELECT state FROM stored_object")] == ["verifying"]
    await scene.services.registrations.cancel("local", id, caller=CALLER)
    with pytest.raises(RegistrationEnded):
        await scene.services.registrations.cancel("local", id, caller=CALLER)
    await do(scene, id)
    await scene.clean()
    assert (await scene.keys(), await scene.sql("SELECT FROM media")) == (["a"], [])
    await is_sound(scene)


async def test_a_record_deleted_while_its_bytes_are_read_keeps_nothing(scene: Scene, later: None) -> None:
    await scene.write("a", BYTES)
    id = await waiting(scene, "a", pid="a")
    await scene.services.catalog.delete("a", revisions=None, caller=CALLER)
    await scene.clean()
    await do(scene, id)
    await scene.clean()
    failed = await shown(scene, id)
    assert failed.problem is not None
    assert (failed.status, failed.problem["code"]) == ("failed", "record_gone")
    assert (await scene.keys(), await scene.sql("SELECT FROM stored_object")) == (["a"], [])


async def test_h14_who_is_no_administrator_any_more_registers_nothing(scene: Scene, later: None) -> None:
    await scene.write("a", BYTES)
    id = await waiting(scene, "a", pid="a")
    await scene.sql("UPDATE registration SET caller = 'eve'")
    await do(scene, id)
    assert (await shown(scene, id)).status == "failed"
    editor = Caller(identity=Identity(name="eve", role="editor", scopes=("read", "write")))
    ask = RegistrationAsk(key="a")
    with pytest.raises(NotAllowed):
        await scene.services.registrations.begin("local", ask, about({}), caller=editor)


async def test_the_quota_holds_before_and_after_reading(scene: Scene, later: None) -> None:
    for key in ("a", "b", "c"):
        await scene.write(key, BYTES)
    await scene.services.placement.change_store("local", StoreChange(quota=Quota(bytes=15)), caller=CALLER)
    first, second = await waiting(scene, "a", pid="a"), await waiting(scene, "b", pid="b")
    await do(scene, first)
    await do(scene, second)
    failed = await shown(scene, second)
    assert failed.problem is not None
    assert (failed.status, failed.problem["code"]) == ("failed", "quota_exceeded")
    with pytest.raises(QuotaExceeded):
        await register(scene, "c", pid="c")
    assert len(await scene.keys()) == 3
    [used] = (await scene.services.quotas.usage("local", caller=CALLER)).owners
    assert (used.used.bytes, used.used.objects) == (10, 1)
    await is_sound(scene)


async def test_what_makes_no_sense_is_refused(scene: Scene) -> None:
    await scene.write("a", BYTES)
    with pytest.raises(StoreNotFound):
        await register(scene, "a", store="elsewhere")
    with pytest.raises(RecordInvalid):
        await register(scene, "a", pid_type="NO-SUCH")
    with pytest.raises(RegistrationNotFound):
        await shown(scene, 4711)
    assert await scene.sql("SELECT FROM stored_object") == []


async def test_objects_of_a_memory_store_are_registered_where_they_live(scene: Scene) -> None:
    await scene.services.placement.add_store(StoreCreate(name="quick", kind="memory", checksums=("sha256",)), actor="system")
    await scene.write("a", BYTES, store="quick")
    record = await registered(scene, "a", store="quick", pid="a")
    assert (record.store, await content(scene, "a")) == ("quick", BYTES)
    scene.services.registrations._inline_bytes = -1
    await scene.write("b", BYTES, store="quick")
    id = await waiting(scene, "b", store="quick", pid="b")
    [job] = await scene.sql("SELECT entrypoint FROM pgqueuer WHERE payload = $1", f'{{"registration":{id}}}'.encode())
    assert job["entrypoint"] == "register_object@server"
    await do(scene, id)
    await is_sound(scene, "quick")
