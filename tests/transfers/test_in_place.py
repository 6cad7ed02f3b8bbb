"""Parts that come to their places: whatever comes twice, breaks off or is late, the content is what was received last."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mediastore.catalog.schemas import Checksum, Media
from mediastore.transfers import part_queries
from mediastore.transfers.errors import DigestInvalid, DigestMismatch, UploadCut, UploadEnded, UploadIncomplete, UploadInterrupted
from mediastore.transfers.running import RunningDigests
from mediastore.transfers.schemas import PartSent, Upload, UploadComplete
from stores.errors import StoreUnavailable
from tests.transfers.test_direct_races import ASKER, CALLER, MIB, Scene, scene

__all__ = ["scene"]
PART = 5 * MIB
CONTENTS = [bytes([number]) * PART for number in range(1, 4)] + [b"end"]
OTHER = b"x" * PART


def files(folder: Path) -> list[Path]:
    return [found for found in (folder / "stores/local").rglob("*") if found.is_file()]


async def begun(scene: Scene, pid: str) -> Upload:
    return await scene.begin(pid, *CONTENTS)


async def all_sent(scene: Scene, pid: str) -> Upload:
    upload = await begun(scene, pid)
    for number in (4, 2, 1, 3):
        await scene.send(upload, number, CONTENTS[number - 1])
    return upload


async def broken_off(scene: Scene, upload: Upload, number: int) -> None:
    """A connection ends after other bytes than those that are to come."""

    async def body() -> AsyncIterator[bytes]:
        yield b"?" * 2 * MIB
        raise UploadCut("the connection ended before the body did")

    token = (upload.parts[number - 1].url or "").partition("token=")[2]
    with pytest.raises(UploadCut):
        await scene.services.part_receiver.receive(upload.id, number, body(), token=token, size=None, digests={})


async def is_whole(scene: Scene, upload: Upload, contents: list[bytes] = CONTENTS) -> None:
    """It becomes the content, and nothing else stays."""
    media = await scene.complete(upload)
    assert isinstance(media, Media)
    assert media.content is not None
    checksums = msgspec.json.decode(media.content.checksums, type=dict[str, Checksum])
    assert checksums["sha256"].value == hashlib.sha256(b"".join(contents)).hexdigest()
    assert await scene.content(upload.pid) == b"".join(contents)
    await scene.clean()
    assert await scene.sql("SELECT FROM upload_part") == []
    left = "state <> 'stored' AND NOT (state = 'purging' AND next_attempt_at > now() + interval '1 hour')"
    assert await scene.sql(f"SELECT FROM stored_object WHERE {left}") == [], "but what is looked for once more a day later"


async def places(scene: Scene, upload: Upload) -> dict[int, bool]:
    """Of the parts that were received, whether each is in its place."""
    rows = await scene.sql(
        "SELECT number, in_place FROM upload_part WHERE upload = $1 AND received_at IS NOT NULL ORDER BY number", upload.id
    )
    return {row["number"]: row["in_place"] for row in rows}


async def test_the_file_that_the_parts_came_to_is_the_content_as_it_is(scene: Scene, tmp_path: Path) -> None:
    upload = await all_sent(scene, "as-it-is")
    assert await places(scene, upload) == dict.fromkeys(range(1, 5), True)
    [file] = files(tmp_path)
    inode = file.stat().st_ino
    await is_whole(scene, upload)
    assert [found.stat().st_ino for found in files(tmp_path)] == [inode]


async def test_parts_come_at_once(scene: Scene) -> None:
    upload = await begun(scene, "at-once")
    await asyncio.gather(*(scene.send(upload, number, content) for number, content in enumerate(CONTENTS, 1)))
    assert all((await places(scene, upload)).values())
    await is_whole(scene, upload)


async def test_what_was_read_while_parts_came_is_not_read_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await all_sent(scene, "read-once")
    row = await scene.services.completion._row(upload.id)
    assert row is not None
    for _ in range(200):
        if scene.services.completion._running.left(row) == 0:
            break
        await asyncio.sleep(0.05)
    store = await scene.services.registry.get(row.store)
    read: list[tuple[int, int | None]] = []
    of_store = store.read

    def reads(key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        read.append((start, end))
        return of_store(key, start=start, end=end)

    monkeypatch.setattr(store, "read", reads)
    assert isinstance(await scene.complete(upload), Media)
    assert read == [(sum(map(len, CONTENTS)), None)], "only whether there is more"


async def test_a_process_that_knows_nothing_of_the_parts_reads_them(scene: Scene) -> None:
    upload = await all_sent(scene, "another-process")
    scene.services.completion._running.close()
    scene.services.completion._running = RunningDigests()
    await is_whole(scene, upload)


async def test_a_part_that_came_twice_is_what_came_last(scene: Scene) -> None:
    upload = await all_sent(scene, "twice")
    await scene.send(upload, 2, OTHER)
    assert await places(scene, upload) == {1: True, 2: False, 3: True, 4: True}
    await is_whole(scene, upload, [CONTENTS[0], OTHER, *CONTENTS[2:]])


async def test_a_part_that_broke_off_is_sent_to_its_place_again(scene: Scene) -> None:
    upload = await begun(scene, "broken-off")
    await broken_off(scene, upload, 1)
    for number in (2, 3, 4):
        await scene.send(upload, number, CONTENTS[number - 1])
    await broken_off(scene, upload, 1)
    await scene.send(upload, 1, CONTENTS[0])
    assert all((await places(scene, upload)).values())
    await is_whole(scene, upload)


async def test_the_place_of_a_writer_that_may_live_is_left_to_it(scene: Scene) -> None:
    """It hangs for longer than anybody waits for it, and writes when all have forgotten it."""
    upload = await begun(scene, "late-writer")
    begun_to_come, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        begun_to_come.set()
        yield b"?" * MIB
        await go_on.wait()
        yield b"?" * (PART - MIB)

    token = (upload.parts[0].url or "").partition("token=")[2]
    late = asyncio.create_task(scene.services.part_receiver.receive(upload.id, 1, body(), token=token, size=None, digests={}))
    await asyncio.wait_for(begun_to_come.wait(), 10)
    await scene.sql("UPDATE upload_part SET last_activity = now() - interval '1 day'")
    await scene.clean()
    for number, content in enumerate(CONTENTS, 1):
        await scene.send(upload, number, content)
    assert await places(scene, upload) == {1: False, 2: True, 3: True, 4: True}
    assert isinstance(await scene.complete(upload), Media)
    go_on.set()
    with pytest.raises(UploadEnded):
        await late
    await scene.clean()
    await is_whole(scene, upload)


async def test_a_part_sent_again_while_all_become_the_content_is_not_lost(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await all_sent(scene, "again")
    verified = scene.services.completion._verified

    async def and_then(*args: Any) -> Any:
        stored = await verified(*args)
        await scene.send(upload, 1, OTHER)
        return stored

    monkeypatch.setattr(scene.services.completion, "_verified", and_then)
    with pytest.raises(UploadInterrupted):
        await scene.complete(upload)
    monkeypatch.undo()
    await is_whole(scene, upload, [OTHER, *CONTENTS[1:]])


async def test_what_is_cancelled_leaves_nothing_whoever_still_writes(scene: Scene, tmp_path: Path) -> None:
    upload = await all_sent(scene, "cancelled")
    other = await begun(scene, "cancelled-too")

    async def body() -> AsyncIterator[bytes]:
        yield b"?" * 2 * MIB
        await scene.services.direct_uploads.cancel(other.id, asker=ASKER)
        await scene.clean()
        yield b"?" * 3 * MIB

    token = (other.parts[0].url or "").partition("token=")[2]
    with pytest.raises(StoreUnavailable, match="taken away"):
        await scene.services.part_receiver.receive(other.id, 1, body(), token=token, size=None, digests={})
    await scene.services.direct_uploads.cancel(upload.id, asker=ASKER)
    await scene.clean()
    assert files(tmp_path) == []


async def test_a_reading_that_fails_while_parts_come_is_done_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await begun(scene, "bad-reading")
    row = await scene.services.completion._row(upload.id)
    assert row is not None
    store = await scene.services.registry.get(row.store)
    of_store = store.read

    async def fails(key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        failed.set()
        async for piece in of_store(key, start=start, end=end):
            yield piece
            raise UploadCut("the disk is away for a moment")

    failed = asyncio.Event()
    with monkeypatch.context() as patched:
        patched.setattr(store, "read", fails)
        for number, content in enumerate(CONTENTS, 1):
            await scene.send(upload, number, content)
        await asyncio.wait_for(failed.wait(), 10)
        await asyncio.sleep(0.05)
    await is_whole(scene, upload)


async def test_a_slow_part_that_comes_while_others_were_named_is_not_taken_for_them(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(scene, "named")
    begun_to_come, go_on = asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        begun_to_come.set()
        await go_on.wait()
        yield OTHER

    token = (upload.parts[0].url or "").partition("token=")[2]
    late = asyncio.create_task(scene.services.part_receiver.receive(upload.id, 1, body(), token=token, size=None, digests={}))
    await asyncio.wait_for(begun_to_come.wait(), 10)
    sent = [PartSent(number=n, etag=await scene.send(upload, n, content)) for n, content in enumerate(CONTENTS, 1)]
    is_settled = part_queries.is_settled

    async def and_then(*args: Any) -> bool:
        go_on.set()
        await late
        return await is_settled(*args)

    monkeypatch.setattr(part_queries, "is_settled", and_then)
    with pytest.raises(UploadIncomplete) as incomplete:
        await scene.services.direct_uploads.complete(upload.id, UploadComplete(parts=sent), asker=ASKER)
    assert incomplete.value.fields["missing"] == [1]
    monkeypatch.undo()
    await scene.send(upload, 1, CONTENTS[0])
    await is_whole(scene, upload)


async def test_a_writer_that_opens_the_place_when_all_is_purged_and_is_stopped_leaves_nothing(
    scene: Scene, tmp_path: Path
) -> None:
    upload = await begun(scene, "opens-late")
    begun_to_come, go_on, wrote = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        begun_to_come.set()
        await go_on.wait()
        yield b"?" * MIB
        yield b"?" * MIB  # the first is with its thread now
        wrote.set()
        await asyncio.sleep(3600)

    token = (upload.parts[0].url or "").partition("token=")[2]
    late = asyncio.create_task(scene.services.part_receiver.receive(upload.id, 1, body(), token=token, size=None, digests={}))
    await asyncio.wait_for(begun_to_come.wait(), 10)
    for number, content in enumerate(CONTENTS, 1):
        await scene.send(upload, number, content)
    assert isinstance(await scene.complete(upload), Media)
    await scene.clean()
    go_on.set()
    await asyncio.wait_for(wrote.wait(), 10)
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late
    assert len(files(tmp_path)) == 2, "the bytes that came late"
    await scene.sql("UPDATE upload_part SET last_activity = now() - interval '9 days'")
    await scene.clean()
    later = "UPDATE stored_object SET next_attempt_at = now(), doomed_at = doomed_at - interval '9 days' WHERE state = 'purging'"
    await scene.sql(later)
    await scene.clean()
    assert len(files(tmp_path)) == 1
    assert await scene.content("opens-late") == b"".join(CONTENTS)


async def test_claims_that_come_while_another_call_publishes_are_compared(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = await all_sent(scene, "claimed-meanwhile")
    verified = scene.services.completion._verified
    claimed = UploadComplete(checksums={"sha512": "0" * 128})

    async def and_then(*args: Any) -> Any:
        stored = await verified(*args)
        monkeypatch.undo()
        with pytest.raises(DigestMismatch):
            await scene.services.direct_uploads.complete(upload.id, claimed, asker=ASKER)
        return stored

    monkeypatch.setattr(scene.services.completion, "_verified", and_then)
    with pytest.raises(UploadInterrupted):
        await scene.complete(upload)
    assert (await scene.services.catalog.read("claimed-meanwhile", caller=CALLER)).status == "failed"


async def test_claims_that_come_too_late_are_compared_with_what_is_known(scene: Scene) -> None:
    upload = await all_sent(scene, "claimed-late")
    assert isinstance(await scene.complete(upload), Media)
    right = hashlib.sha256(b"".join(CONTENTS)).hexdigest()

    async def again(**checksums: str) -> Media | Upload:
        return await scene.services.direct_uploads.complete(upload.id, UploadComplete(checksums=checksums), asker=ASKER)

    assert isinstance(await again(sha256=right), Media)
    with pytest.raises(DigestInvalid):
        await again(sha256="0" * 64)
    with pytest.raises(UploadEnded):
        await again(sha512="0" * 128)


async def test_a_digest_that_nobody_reckoned_ahead_is_no_quick_one(scene: Scene) -> None:
    upload = await all_sent(scene, "other-algorithm")
    row = await scene.services.completion._row(upload.id)
    assert row is not None
    await scene.services.completion._running.catch_up(row, within_s=10)
    assert scene.services.completion._running.left(row) == 0
    claimed = msgspec.structs.replace(row, claims=msgspec.Raw(b'{"sha512": "00"}'))
    assert scene.services.completion._running.left(claimed) == row.size


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_the_content_is_what_was_received_last(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    upload = await begun(scene, f"chance-{seed}")
    last: dict[int, bytes] = {}

    async def once(number: int) -> None:
        size = len(CONTENTS[number - 1])
        if chance.random() < 0.3:
            if size > 2 * MIB:
                await broken_off(scene, upload, number)
            return
        content = bytes([chance.randrange(256)]) * size
        await scene.send(upload, number, content)
        last[number] = content

    for _ in range(6):
        await asyncio.gather(*(once(number) for number in chance.sample(range(1, 5), chance.randint(1, 4))))
        if chance.random() < 0.2:
            scene.services.completion._running.close()
        if chance.random() < 0.3:
            await scene.clean()
    for number in set(range(1, 5)) - set(last):
        await scene.send(upload, number, CONTENTS[number - 1])
        last[number] = CONTENTS[number - 1]
    await is_whole(scene, upload, [last[number] for number in range(1, 5)])
