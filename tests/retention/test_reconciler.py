"""What lies in a store beside what its rows say: every difference found, and nothing done upon a first impression."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mediastore.retention import reconcile_queries as queries
from tests.retention.upkeep_scene import CALLER, DAY_S, HOUR_S, Scene, running_scene


@pytest.fixture
async def scene(database_url: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with running_scene(database_url, tmp_path) as scene:
        yield scene


class TestAsItShouldBe:
    async def test_a_store_that_is_as_its_rows_say_has_nothing_to_report(self, scene: Scene) -> None:
        for number in range(5):
            await scene.put(f"a{number}")
        run = await scene.reconcile()
        counts = run.counted()
        assert (counts.listed, counts.rows, counts.bytes_listed) == (5, 5, 25)
        assert (counts.unknown, counts.absent, counts.missing, counts.differing, counts.late) == (0, 0, 0, 0, 0)
        assert (run.stopped_by, await scene.findings(), await scene.problem()) == (None, [], None)

    async def test_an_empty_store_is_as_it_should_be(self, scene: Scene) -> None:
        assert (await scene.reconcile()).stopped_by is None

    async def test_windows_of_every_size_see_every_key_once(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(7):
            await scene.put(f"w{number}")
        for number in range(9):
            await scene.write(f"{number:02}/unknown-é-{number}\U0001f40b")
        for rows, listed in ((1, 1), (1, 5), (5, 1), (3, 2), (7, 16)):
            monkeypatch.setattr("mediastore.retention.windows.ROWS", rows)
            monkeypatch.setattr("mediastore.retention.windows.LISTED", listed)
            counts = (await scene.reconcile()).counted()
            assert (counts.listed, counts.rows, counts.young, counts.absent) == (16, 7, 9, 0), (rows, listed)

    async def test_keys_are_in_the_order_of_their_bytes_whatever_the_collation(self, scene: Scene) -> None:
        keys = ["B", "a", "a/b", "a-b", "a0", "Z/é", "Z/z", "é", "\uffee", "\U0001f40b", "\ue000x"]
        store = await scene.store()
        for key in keys:
            await scene.sql("INSERT INTO stored_object (store, key, media_type, state) VALUES ($1, $2, '', 'purged')", store, key)
        async with scene.services.database.transaction() as connection:
            rows = await queries.rows_after(connection, store, "", 100)
            explain = queries.ROWS_AFTER.replace("$1", "1").replace("$2", "'a'").replace("$3", "9")
            plan = " ".join(row[0] for row in await connection.fetch(f"EXPLAIN {explain}"))
        assert [row.key for row in rows] == sorted(keys, key=str.encode)
        assert "stored_object_listing_idx" in plan
        assert "Sort" not in plan


class TestBytesWithoutARow:
    async def test_young_ones_are_left_alone_and_older_ones_reported(self, scene: Scene) -> None:
        await scene.write("00/young")
        await scene.write("00/old")
        scene.age("00/old")
        run = await scene.reconcile()
        assert (run.counted().young, run.counted().unknown) == (1, 1)
        [found] = await scene.findings()
        assert (found["kind"], found["key"], found["size"], found["times_seen"]) == ("unknown_object", "00/old", 8, 1)
        await scene.reconcile()
        [found] = await scene.findings()
        assert (found["times_seen"], found["decision"]) == (2, None)
        assert await scene.keys() == ["00/old", "00/young"], "reporting is all that is done by default"

    async def test_what_claims_to_come_from_the_future_is_reported_too(self, scene: Scene) -> None:
        await scene.write("00/future")
        scene.age("00/future", days=-1000)
        assert (await scene.reconcile()).counted().unknown == 1

    async def test_what_is_gone_the_next_time_is_no_finding_any_more(self, scene: Scene) -> None:
        await scene.write("00/old")
        scene.age("00/old")
        await scene.reconcile()
        await scene.remove("00/old")
        await scene.reconcile()
        assert await scene.findings() == []

    async def test_the_policy_removes_what_was_reported_for_as_long_as_the_grace(self, scene: Scene) -> None:
        await scene.policy(unknown="remove")
        await scene.put("kept")
        await scene.write("00/old")
        scene.age("00/old")
        assert (await scene.reconcile()).counted().removed == 0, "reported first, by our own clock"
        scene.clock.forward(DAY_S + 1)
        await scene.write("00/young")
        assert (await scene.reconcile()).counted().removed == 1
        [row] = await scene.sql("SELECT state FROM stored_object WHERE key = '00/old'")
        assert row["state"] == "purging", "law 2: the row comes first"
        await scene.clean()
        assert await scene.sql("SELECT FROM stored_object WHERE key = '00/old'") == []
        assert sorted(await scene.keys()) == sorted(["00/young", await scene.key_of("kept")])
        [found] = [found for found in await scene.findings() if found["key"] == "00/old"]
        assert (found["decision"], found["decided_by"]) == ("remove", "system")
        assert found["done_at"] is not None

    async def test_the_policy_quarantines_and_the_end_of_quarantine_removes(self, scene: Scene) -> None:
        await scene.policy(unknown="quarantine")
        await scene.write("00/old")
        scene.age("00/old")
        await scene.reconcile()
        scene.clock.forward(DAY_S + 1)
        assert (await scene.reconcile()).counted().quarantined == 1
        await scene.clean()
        assert await scene.keys() == ["00/old"]
        await scene.sql("UPDATE stored_object SET next_attempt_at = now() - interval '1 year' WHERE state = 'quarantined'")
        await scene.clean()
        assert await scene.keys() == []
        assert (await scene.reconcile()).counted().unknown == 0

    async def test_more_than_can_be_right_waits_for_an_administrators_word(self, scene: Scene) -> None:
        """A store in somebody else's bucket, or rows that were restored from an old backup."""
        await scene.policy(unknown="remove")
        await scene.put("kept")
        for number in range(12):
            await scene.write(f"00/{number:02}")
            scene.age(f"00/{number:02}")
        await scene.reconcile()
        scene.clock.forward(DAY_S + 1)
        run = await scene.reconcile()
        assert (run.stopped_by, run.counted().removed, len(await scene.keys())) == ("too_many_unknown", 0, 13)
        assert "12 objects" in (await scene.problem() or "")
        run = await scene.reconcile(believe_unknown=True)
        assert (run.stopped_by, run.counted().removed, await scene.problem()) == (None, 12, None)
        await scene.clean()
        assert await scene.keys() == [await scene.key_of("kept")]

    async def test_an_upload_that_ends_meanwhile_is_not_unknown(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        """Its row was not read yet, or came after; the rows are asked again before anything counts."""
        rows_after = queries.rows_after

        async def older_rows(*arguments: object) -> list[queries.ObjectRow]:
            rows = await rows_after(*arguments)  # type: ignore[arg-type]  # handed on as they came
            return [row for row in rows if row.key != hidden]

        await scene.put("seen-late")
        hidden = await scene.key_of("seen-late")
        scene.age(hidden)
        monkeypatch.setattr(queries, "rows_after", older_rows)
        run = await scene.reconcile()
        assert (run.counted().unknown, await scene.findings()) == (0, [])


class TestLateBytes:
    async def test_h02_bytes_that_come_to_a_purged_key_go_again(self, scene: Scene) -> None:
        await scene.put("late")
        await scene.put("kept")
        key = await scene.key_of("late")
        await scene.services.catalog.delete("late", revisions=None, caller=CALLER)
        await scene.clean()
        await scene.write(key, b"late")
        assert (await scene.reconcile()).counted().late == 1
        await scene.clean()
        assert await scene.keys() == [await scene.key_of("kept")]
        assert (await scene.reconcile()).counted().late == 0

    @pytest.mark.parametrize("state", ["purging", "writing", "verifying", "quarantined"])
    async def test_rows_on_their_way_are_left_to_those_who_move_them(self, scene: Scene, state: str) -> None:
        await scene.put("kept")
        store = await scene.store()
        for key in ("00/there", "00/not-there"):
            await scene.sql(
                "INSERT INTO stored_object (store, key, media_type, state, next_attempt_at) "
                "VALUES ($1, $2, '', $3, now() + interval '1 day')",
                store, key, state,
            )  # fmt: skip
        await scene.write("00/there")
        scene.age("00/there")
        counts = (await scene.reconcile()).counted()
        assert (counts.unknown, counts.absent, counts.late, counts.differing) == (0, 0, 0, 0)
        rows = await scene.sql("SELECT state FROM stored_object WHERE key IN ('00/there', '00/not-there')")
        assert {row["state"] for row in rows} == {state}


class TestRowsWithoutBytes:
    async def test_what_is_not_there_is_asked_for_three_times_and_then_lost(self, scene: Scene) -> None:
        await scene.put("gone")
        await scene.put("kept")
        await scene.remove(await scene.key_of("gone"))
        run = await scene.reconcile()
        assert (run.counted().absent, run.counted().missing, run.stopped_by) == (1, 0, None)
        assert await scene.status("gone") == "ready"
        await scene.ask_again()
        [absence] = await scene.sql("SELECT asked FROM absence")
        assert absence["asked"] == 1, "not due yet"
        scene.clock.forward(HOUR_S / 2 + 1)
        await scene.ask_again()
        [absence] = await scene.sql("SELECT asked FROM absence")
        assert (absence["asked"], await scene.status("gone")) == (2, "ready")
        scene.clock.forward(HOUR_S / 2 + 1)
        await scene.ask_again()
        assert (await scene.status("gone"), await scene.status("kept")) == ("lost", "ready")
        assert (await scene.history("gone"))[-1] == "lost"
        assert await scene.sql("SELECT FROM absence") == []
        [row] = await scene.sql("SELECT o.state, o.fixity FROM stored_object o JOIN media m ON m.id = o.media WHERE pid = 'gone'")
        assert (row["state"], row["fixity"]) == ("missing", "missing")

    async def test_an_older_version_is_missing_and_its_record_stays_ready(self, scene: Scene) -> None:
        await scene.put("versions", b"one")
        await scene.put("kept")
        older = await scene.key_of("versions")
        await scene.put("versions", b"two")
        await scene.remove(older)
        await scene.reconcile()
        for _ in range(2):
            scene.clock.forward(HOUR_S / 2 + 1)
            await scene.ask_again()
        assert await scene.status("versions") == "ready"
        assert (await scene.history("versions"))[-1] == "missing"
        states = [item.state for item in await scene.services.catalog.versions("versions", caller=CALLER)]
        assert states == ["stored", "missing"]

    async def test_h15_what_is_there_when_asked_for_is_not_missing(self, scene: Scene) -> None:
        await scene.put("back")
        await scene.put("kept")
        key = await scene.key_of("back")
        await scene.remove(key)
        await scene.reconcile()
        await scene.write(key, b"bytes")
        scene.clock.forward(HOUR_S / 2 + 1)
        await scene.ask_again()
        assert (await scene.sql("SELECT FROM absence"), await scene.status("back")) == ([], "ready")

    async def test_what_is_found_again_is_read_and_then_ready(self, scene: Scene) -> None:
        key = await self._lost(scene, "back")
        await scene.write(key, b"bytes")
        run = await scene.reconcile()
        assert (run.counted().found, await scene.status("back")) == (1, "ready")
        assert (await scene.history("back"))[-2:] == ["lost", "found"]

    async def test_other_bytes_of_the_same_size_are_not_believed(self, scene: Scene) -> None:
        key = await self._lost(scene, "other")
        await scene.write(key, b"BYTES")
        run = await scene.reconcile()
        assert (run.counted().found, await scene.status("other")) == (0, "lost")
        [found] = await scene.findings()
        assert (found["kind"], found["key"]) == ("content_differs", key)

    async def test_a_record_deleted_meanwhile_is_not_lost(self, scene: Scene) -> None:
        await scene.put("deleted")
        await scene.put("kept")
        await scene.remove(await scene.key_of("deleted"))
        await scene.reconcile()
        await scene.services.catalog.delete("deleted", revisions=None, caller=CALLER)
        scene.clock.forward(2 * HOUR_S)
        await scene.ask_again()
        assert await scene.sql("SELECT FROM absence") == []

    async def test_a_sweep_while_it_runs_is_no_loss(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        """The rows were read as stored, and purged before the listing came to their keys."""
        for number in range(12):
            await scene.put(f"s{number}")
        rows_after = queries.rows_after

        async def and_then(*arguments: object) -> list[queries.ObjectRow]:
            rows = await rows_after(*arguments)  # type: ignore[arg-type]  # handed on as they came
            await scene.remove(*(row.key for row in rows))
            await scene.sql("UPDATE stored_object SET state = 'purged'")
            return rows

        monkeypatch.setattr(queries, "rows_after", and_then)
        run = await scene.reconcile()
        assert (run.counted().absent, run.stopped_by) == (0, None)

    async def _lost(self, scene: Scene, pid: str) -> str:
        await scene.put(pid)
        await scene.put("kept")
        key = await scene.key_of(pid)
        await scene.remove(key)
        await scene.reconcile()
        for _ in range(2):
            scene.clock.forward(HOUR_S / 2 + 1)
            await scene.ask_again()
        assert await scene.status(pid) == "lost"
        return key


class TestAStoreWithAProblem:
    async def test_another_folder_in_its_place_loses_nothing(self, scene: Scene) -> None:
        """As after a restart without the disk mounted: the folder is there, and empty."""
        for number in range(20):
            await scene.put(f"m{number}")
        scene.folder.rename(scene.folder.with_name("away"))
        scene.folder.mkdir()
        await scene.services.registry.close()
        for _ in range(4):
            run = await scene.reconcile()
            assert run.stopped_by == "nothing_found"
            scene.clock.forward(HOUR_S)
            await scene.ask_again()
        assert await scene.sql("SELECT FROM media WHERE status <> 'ready'") == []
        assert "20" in (await scene.problem() or "")
        scene.folder.rmdir()
        scene.folder.with_name("away").rename(scene.folder)
        await scene.services.registry.close()
        assert ((await scene.reconcile()).stopped_by, await scene.problem()) == (None, None)

    @pytest.mark.parametrize("objects", [1, 3])
    async def test_none_of_a_few_objects_is_no_loss_either(self, scene: Scene, objects: int) -> None:
        for number in range(objects):
            await scene.put(f"f{number}")
        await scene.remove(*await scene.keys())
        for _ in range(4):
            assert (await scene.reconcile()).stopped_by == "nothing_found"
            scene.clock.forward(HOUR_S)
        assert await scene.sql("SELECT FROM media WHERE status <> 'ready'") == []

    async def test_more_than_a_share_is_no_loss(self, scene: Scene) -> None:
        for number in range(40):
            await scene.put(f"s{number}")
        await scene.remove(*(await scene.keys())[:12])
        for _ in range(4):
            run = await scene.reconcile()
            assert run.stopped_by == "too_many_missing"
            scene.clock.forward(HOUR_S)
            await scene.ask_again()
        assert await scene.sql("SELECT FROM media WHERE status <> 'ready'") == []
        assert await scene.sql("SELECT FROM absence") == [], "what such a store says is no evidence"

    async def test_an_administrators_word_lets_it_go_on(self, scene: Scene) -> None:
        for number in range(3):
            await scene.put(f"w{number}")
        await scene.remove(*await scene.keys())
        assert (await scene.reconcile()).stopped_by == "nothing_found"
        assert (await scene.reconcile(believe_missing=True)).stopped_by is None
        for _ in range(2):
            scene.clock.forward(HOUR_S / 2 + 1)
            await scene.ask_again()
        assert [await scene.status(f"w{number}") for number in range(3)] == ["lost"] * 3

    async def test_between_two_asks_the_place_may_be_exchanged(self, scene: Scene) -> None:
        """One is missing indeed; then the whole folder is exchanged, and the later asks say nothing of it."""
        for number in range(20):
            await scene.put(f"x{number}")
        gone = await scene.key_of("x7")
        await scene.remove(gone)
        await scene.reconcile()
        scene.folder.rename(scene.folder.with_name("away"))
        scene.folder.mkdir()
        await scene.services.registry.close()
        for _ in range(3):
            scene.clock.forward(HOUR_S)
            await scene.ask_again()
            if await scene.problem():
                break
        assert await scene.status("x7") == "ready"
        assert "same bucket or folder" in (await scene.problem() or "")
        scene.folder.rmdir()
        scene.folder.with_name("away").rename(scene.folder)
        await scene.services.registry.close()
        run = await scene.services.reconciler.run(await scene.store())
        assert run is not None, "asked for at once, so that it shows when it is over"
        assert (run.stopped_by, await scene.problem()) == (None, None)

    async def test_after_other_settings_the_asking_begins_anew(self, scene: Scene) -> None:
        await scene.put("a")
        await scene.put("kept")
        await scene.remove(await scene.key_of("a"))
        await scene.reconcile()
        scene.clock.forward(HOUR_S / 2 + 1)
        await scene.ask_again()
        await scene.policy(missing_period_s=3600)
        scene.clock.forward(HOUR_S / 2 + 1)
        await scene.ask_again()
        [absence] = await scene.sql("SELECT asked FROM absence")
        assert (absence["asked"], await scene.status("a")) == (1, "ready")

    async def test_a_store_that_does_not_answer_is_reported(self, scene: Scene) -> None:
        await scene.put("a")
        scene.folder.rename(scene.folder.with_name("away"))
        run = await scene.reconcile()
        assert (run.stopped_by, await scene.status("a")) == ("store", "ready")


class TestOtherSizes:
    async def test_another_size_is_a_finding_and_no_loss(self, scene: Scene) -> None:
        await scene.put("size")
        await scene.put("kept")
        key = await scene.key_of("size")
        (scene.folder / key).write_bytes(b"longer than before")
        run = await scene.reconcile()
        assert run.counted().differing == 1
        [found] = await scene.findings()
        assert (found["kind"], found["size"]) == ("size_differs", 18)
        assert await scene.status("size") == "ready"
        [row] = await scene.sql("SELECT pid FROM stored_object o JOIN media m ON m.id = o.media WHERE recheck_at <= now()")
        assert row["pid"] == "size"


class TestTakingOver:
    async def test_two_at_once_are_one(self, scene: Scene) -> None:
        await scene.put("a")
        store = await scene.store()
        async with scene.services.database.connection() as connection:
            await queries.ask_for_run(connection, store, asked_by="admin")
            await queries.ask_for_run(connection, store, asked_by="admin")
        results = await asyncio.gather(*(scene.services.reconciler.run(store) for _ in range(3)), return_exceptions=True)
        assert len([result for result in results if isinstance(result, queries.RunRow)]) == 1
        [row] = await scene.sql("SELECT count(*) FROM reconciliation")
        assert row["count"] == 1

    async def test_who_was_taken_over_from_writes_nothing_when_it_wakes(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It stalls with what it has found, longer than its lease."""
        await scene.put("a")
        await scene.write("00/old")
        scene.age("00/old")
        stalled, go_on = asyncio.Event(), asyncio.Event()
        rows_after = queries.rows_after

        async def stall(*arguments: object) -> list[queries.ObjectRow]:
            rows = await rows_after(*arguments)  # type: ignore[arg-type]  # handed on as they came
            if not stalled.is_set():
                stalled.set()
                await go_on.wait()
            return rows

        monkeypatch.setattr(queries, "rows_after", stall)
        store = await scene.store()
        async with scene.services.database.connection() as connection:
            await queries.ask_for_run(connection, store, asked_by="admin")
        first = asyncio.create_task(scene.services.reconciler.run(store))
        await stalled.wait()
        await scene.sql("UPDATE upkeep SET held_until = now() - interval '1 s'")
        second = await scene.services.reconciler.run(store)
        assert second is not None
        assert second.counted().unknown == 1
        go_on.set()
        with pytest.raises(Exception, match="taken this work over"):
            await first
        [found] = await scene.findings()
        assert found["times_seen"] == 1
        [row] = await scene.sql("SELECT counts FROM reconciliation")
        assert b'"listed": 2' in bytes(row["counts"])

    async def test_who_takes_over_goes_on_where_the_other_was_killed(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(9):
            await scene.put(f"k{number}")
        monkeypatch.setattr("mediastore.retention.windows.ROWS", 2)
        rows_after, calls = queries.rows_after, list[str]()

        async def counted(connection: object, store: int, after: str, limit: int) -> list[queries.ObjectRow]:
            calls.append(after)
            if len(calls) == 3:
                raise asyncio.CancelledError
            return await rows_after(connection, store, after, limit)  # type: ignore[arg-type]  # handed on as they came

        monkeypatch.setattr(queries, "rows_after", counted)
        store = await scene.store()
        async with scene.services.database.connection() as connection:
            await queries.ask_for_run(connection, store, asked_by="admin")
        with pytest.raises(asyncio.CancelledError):
            await scene.services.reconciler.run(store)
        run = await scene.services.reconciler.run(store)
        assert run is not None
        assert (run.counted().listed, run.counted().rows) == (9, 9)
        assert calls[3] == calls[2] != "", "not from the beginning"
