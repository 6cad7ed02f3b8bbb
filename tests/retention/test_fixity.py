"""Stored bytes are read again and compared: oldest first, slowly, and one bad reading is none."""

from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from mediastore.placement.schemas import Upkeep
from mediastore.retention.fixity import Report, age_s
from mediastore.retention.reading import ByteRate
from mediastore.retention.upkeep_errors import UpkeepBusy
from stores.errors import ObjectTruncated, StoreUnavailable
from tests.retention.upkeep_scene import CALLER, DAY_S, HOUR_S, Scene, running_scene

MIB = 1024 * 1024


@pytest.fixture
async def scene(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    monkeypatch.setattr("mediastore.retention.reading.SECOND_LOOK_S", 0)
    async with running_scene(database_url, tmp_path) as scene:
        yield scene


async def run(scene: Scene, **options: Any) -> Report:
    return await scene.services.fixity.run(await scene.store(), **options)


async def later(scene: Scene, days: float = 91) -> Report:
    scene.clock.forward(days * DAY_S)
    return await run(scene)


async def fixity_of(scene: Scene, pid: str) -> str | None:
    return (await scene.services.catalog.versions(pid, caller=CALLER))[0].fixity


async def damage(scene: Scene, pid: str, content: bytes = b"BYTES") -> Path:
    file = scene.folder / await scene.key_of(pid)
    file.chmod(0o600)
    file.write_bytes(content)
    return file


async def test_nothing_is_read_before_its_time(scene: Scene) -> None:
    await scene.put("a")
    assert await later(scene, 89) == Report()
    assert await fixity_of(scene, "a") is None


async def test_everything_is_read_once_in_the_period(scene: Scene) -> None:
    for number in range(5):
        await scene.put(f"a{number}")
    report = await later(scene)
    assert (report.ok, report.bytes_read) == (5, 25)
    assert await fixity_of(scene, "a3") == "ok"
    assert await run(scene) == Report()
    assert (await later(scene)).ok == 5


async def test_the_oldest_comparison_comes_first(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in ("first", "second", "third"):
        await scene.put(pid)
        scene.clock.forward(60)
    keys = [await scene.key_of(pid) for pid in ("first", "second", "third")]
    store, read = await scene.opened(), list[str]()
    heads = store.head

    async def noted(key: str) -> Any:
        read.append(key)
        return await heads(key)

    monkeypatch.setattr(store, "head", noted)
    await later(scene)
    assert read == keys


async def test_bytes_that_became_others_are_a_mismatch_in_history_and_stay(scene: Scene) -> None:
    await scene.put("a")
    file = await damage(scene, "a")
    report = await later(scene)
    assert (report.mismatch, report.ok) == (1, 0)
    assert (await fixity_of(scene, "a"), (await scene.history("a"))[-1]) == ("mismatch", "fixity")
    assert (await scene.status("a"), file.read_bytes()) == ("ready", b"BYTES")
    await later(scene, 1.1)
    assert (await scene.history("a")).count("fixity") == 1, "said once"
    file.write_bytes(b"bytes")
    await later(scene, 1.1)
    assert (await fixity_of(scene, "a"), (await scene.history("a")).count("fixity")) == ("ok", 2)


async def test_another_size_is_a_mismatch(scene: Scene) -> None:
    await scene.put("a")
    await damage(scene, "a", b"more bytes")
    assert (await later(scene)).mismatch == 1


async def short(key: str) -> AsyncIterator[bytes]:
    yield b"by"
    raise ObjectTruncated("short", key=key)


async def other(_: str) -> AsyncIterator[bytes]:
    yield b"BYTES"


@pytest.mark.parametrize("bad", [short, other])
async def test_h15_one_bad_reading_is_read_again(scene: Scene, monkeypatch: pytest.MonkeyPatch, bad: Any) -> None:
    await scene.put("a")
    store = await scene.opened()
    read, readings = store.read, list[str]()

    def once_bad(key: str, **options: Any) -> AsyncIterator[bytes]:
        readings.append(key)
        return bad(key) if len(readings) == 1 else read(key, **options)

    monkeypatch.setattr(store, "read", once_bad)
    assert (await later(scene)).ok == 1
    assert len(readings) == 2


async def test_a_store_that_does_not_give_the_bytes_says_nothing_of_them(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        await scene.put(f"a{number}")
    store = await scene.opened()

    async def away(key: str) -> Any:
        raise StoreUnavailable("away", key=key)

    with monkeypatch.context() as patched:
        patched.setattr(store, "head", away)
        report = await later(scene)
    assert (report.error, report.ok) == (3, 0), "the fault is the store's: the others wait"
    results = [await fixity_of(scene, f"a{number}") for number in range(6)]
    assert sorted(map(str, results)) == ["None"] * 3 + ["error"] * 3
    assert (await run(scene)).ok == 3
    scene.clock.forward(HOUR_S + 1)
    assert (await run(scene)).ok == 3, "within the hour, not the next period"


async def test_a_store_that_can_not_be_opened_says_nothing_of_its_objects(scene: Scene) -> None:
    await scene.put("a")
    scene.clock.forward(91 * DAY_S)
    await scene.services.registry.close()
    scene.folder.rename(scene.folder.with_name("away"))
    assert await run(scene) == Report()
    assert await fixity_of(scene, "a") is None
    [row] = await scene.sql("SELECT id FROM stored_object")
    reading = await scene.services.fixity.check_object(row["id"])
    assert reading is not None
    assert reading.result == await fixity_of(scene, "a") == "error"


async def test_what_is_not_there_is_missing_and_lost_after_the_usual_asks(scene: Scene) -> None:
    await scene.put("gone")
    await scene.put("kept")
    await scene.remove(await scene.key_of("gone"))
    report = await later(scene)
    assert (report.missing, report.ok) == (1, 1)
    assert (await fixity_of(scene, "gone"), await scene.status("gone")) == ("missing", "ready")
    for _ in range(2):
        scene.clock.forward(HOUR_S / 2 + 1)
        await scene.ask_again()
    assert (await scene.status("gone"), await scene.status("kept")) == ("lost", "ready")


async def test_another_size_in_the_listing_is_read_at_once(scene: Scene) -> None:
    await scene.put("a")
    await scene.put("kept")
    await damage(scene, "a", b"longer than before")
    await scene.reconcile()
    report = await run(scene)
    assert (report.mismatch, report.ok) == (1, 0)


async def test_reading_takes_its_time(scene: Scene) -> None:
    await scene.policy(fixity_bytes_per_s=4 * MIB)
    for number in range(3):
        await scene.put(f"a{number}", bytes(2 * MIB))
    begun = monotonic()
    assert (await later(scene)).bytes_read == 6 * MIB
    assert monotonic() - begun >= 0.4, "6 MiB at 4 MiB/s, of which a second's worth may go at once"


async def test_a_rate_is_kept_over_many_takes() -> None:
    rate, begun = ByteRate(1000), monotonic()
    for _ in range(12):
        await rate.take(50)
    assert 0.5 <= monotonic() - begun < 10


def test_what_takes_long_to_read_is_begun_sooner() -> None:
    policy = Upkeep(fixity_period_s=90 * DAY_S, fixity_bytes_per_s=MIB)
    assert age_s(policy, 0) == 90 * DAY_S
    assert age_s(policy, 30 * DAY_S * MIB) == 45 * DAY_S
    assert age_s(policy, 900 * DAY_S * MIB) == pytest.approx(9 * DAY_S)


async def test_it_can_be_switched_off(scene: Scene) -> None:
    await scene.policy(fixity_period_s=0)
    await scene.put("a")
    assert await later(scene, 1000) == Report()


async def test_two_at_once_are_one(scene: Scene) -> None:
    await scene.put("a")
    store = await scene.store()
    await scene.sql(
        "INSERT INTO upkeep (store, task, token, held_until) VALUES ($1, 'fixity', 5, now() + interval '1 minute')", store
    )
    with pytest.raises(UpkeepBusy):
        await later(scene)
    await scene.sql("UPDATE upkeep SET held_until = now() - interval '1 s'")
    assert (await run(scene)).ok == 1, "taken over from one that was killed"


async def test_an_older_result_does_not_cover_a_newer_one(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.put("a")
    await damage(scene, "a")
    store = await scene.opened()
    read = store.read
    [row] = await scene.sql("SELECT id FROM stored_object")
    nested = False

    async def mended_meanwhile(key: str) -> AsyncIterator[bytes]:
        nonlocal nested
        old = b"".join([piece async for piece in read(key)])
        if not nested:
            nested = True
            await damage(scene, "a", b"bytes")
            scene.clock.forward(1)
            await scene.services.fixity.check_object(row["id"])
            await damage(scene, "a", old)
        yield old

    monkeypatch.setattr(store, "read", mended_meanwhile)
    await scene.services.fixity.check_object(row["id"])
    assert await fixity_of(scene, "a") == "ok"


async def test_versions_show_when_and_how(scene: Scene) -> None:
    await scene.put("a", b"one")
    await scene.put("a", b"two")
    shown = await scene.services.catalog.versions("a", caller=CALLER)
    assert [(item.fixity, item.checked_at == item.stored_at) for item in shown] == [(None, True)] * 2
    await later(scene)
    shown = await scene.services.catalog.versions("a", caller=CALLER)
    assert [item.fixity for item in shown] == ["ok", "ok"]
    assert all(item.checked_at is not None and item.checked_at > item.stored_at for item in shown)
