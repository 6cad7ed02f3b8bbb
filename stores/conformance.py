"""What every store has to do. A store's test module inherits `StoreConformance` and gives it a `store` fixture, empty and open.

Needs pytest and pytest-asyncio in auto mode. Missing features are proven too: whoever lacks one raises `FeatureMissing`.
"""

import asyncio
import functools
import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from stores.conformance_direct import DirectConformance
from stores.conformance_steps import (
    INVALID_KEYS,
    MIB,
    ODD_KEYS,
    cancel_when,
    chunks_of,
    get,
    listed,
    open_uploads,
    put,
    put_range,
    resident_bytes,
    some_bytes,
)
from stores.digests import Digester, digest_stream
from stores.errors import (
    FeatureMissing,
    KeyInvalid,
    ObjectExists,
    ObjectNotFound,
    PartsInvalid,
    RangeInvalid,
    StoreError,
    StoreUnavailable,
)
from stores.protocol import Store

LARGE_BYTES = 192 * MIB
LARGE_MEMORY_BYTES = 48 * MIB


class StoreConformance(DirectConformance):
    """Each test gets a store of its own."""

    keeps_bytes_in_memory = False
    """Whether the store is the process's own memory, which a large object fills by right."""
    many = 2500
    """Objects to list and delete at once; more than fit into a page."""

    def leftovers(self, store: Store) -> Sequence[str]:  # noqa: ARG002 - a store with none has nothing to look at
        """Whatever lies in the store's place besides its objects: temporary files, folders. Called in a thread."""
        return ()

    async def fill(self, store: Store, keys: Sequence[str]) -> None:
        """Put small objects there, by the quickest way."""
        for start in range(0, len(keys), 32):
            await asyncio.gather(*(put(store, key, b"x") for key in keys[start : start + 32]))

    async def test_what_is_written_is_read_back_whole(self, store: Store) -> None:
        for size in (0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB + 7):
            key = f"sizes/{size}"
            await put(store, key, some_bytes(size))
            assert await get(store, key) == some_bytes(size)

    async def test_h11_sizes_around_the_part_size_are_stored_as_they_are(self, store: Store) -> None:
        for size in (5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 13 * MIB + 5):
            for declared in (size, None):
                key = f"{size}-{declared}"
                await put(store, key, some_bytes(size), declared=declared)
                read = await digest_stream(store.read(key), ["sha256"])
                assert (read.size, read.digests["sha256"]) == (size, hashlib.sha256(some_bytes(size)).hexdigest())
        assert not await open_uploads(store)

    async def test_h11_empty_objects_are_objects(self, store: Store) -> None:
        for declared in (0, None):
            async with store.write(f"empty-{declared}", size=declared) as writer:
                assert (await writer.commit()).size == 0
            assert (await store.head(f"empty-{declared}")).size == 0
            assert await get(store, f"empty-{declared}") == b""

    async def test_pieces_are_never_larger_than_a_mebibyte(self, store: Store) -> None:
        await put(store, "k", some_bytes(3 * MIB))
        assert all([0 < len(piece) <= MIB async for piece in store.read("k")])

    async def test_commit_and_head_say_what_is_there(self, store: Store) -> None:
        before = datetime.now(UTC) - timedelta(seconds=5)
        for size in (11, 11 * MIB):
            key = f"objects/{size}"
            async with store.write(key, size=size, media_type="text/csv") as writer:
                await writer.append(chunks_of(some_bytes(size)))
                committed = await writer.commit()
            info = await store.head(key)
            assert (info.key, info.size) == (committed.key, committed.size) == (key, size)
            assert before < info.modified_at < datetime.now(UTC) + timedelta(seconds=5)
            assert info.media_type in {None, "text/csv"}

    async def test_h05_checksums_that_a_store_attests_are_those_of_the_bytes(self, store: Store) -> None:
        for size in (0, 1000, 11 * MIB):
            await put(store, f"k{size}", some_bytes(size))
            attested = (await store.head(f"k{size}")).checksums
            assert attested == (await digest_stream(store.read(f"k{size}"), attested)).digests

    async def test_a_second_object_at_a_key_is_refused_and_changes_nothing(self, store: Store) -> None:
        for size in (10, 11 * MIB):
            key = f"taken-{size}"
            await put(store, key, some_bytes(size))
            for other in (b"other", some_bytes(size, seed=2)):
                with pytest.raises(ObjectExists):
                    await put(store, key, other)
            assert await get(store, key) == some_bytes(size)
        assert not await self._remains(store, except_keys={"taken-10", f"taken-{11 * MIB}"})

    async def test_of_racing_writers_one_wins_and_its_bytes_are_intact(self, store: Store) -> None:
        if not store.features.create_if_absent:
            pytest.skip("this store declares that it can't refuse a racing second writer")
        for size, writers in ((100, 8), (6 * MIB, 4)):
            key = f"raced-{size}"
            outcomes = await asyncio.gather(
                *(put(store, key, some_bytes(size, seed=seed)) for seed in range(writers)), return_exceptions=True
            )
            winners = [seed for seed, outcome in enumerate(outcomes) if outcome is None]
            assert len(winners) == 1, outcomes
            assert all(isinstance(outcome, ObjectExists) for outcome in outcomes if outcome is not None), outcomes
            assert await get(store, key) == some_bytes(size, seed=winners[0])
        assert not await self._remains(store, except_keys={"raced-100", f"raced-{6 * MIB}"})

    async def test_nothing_is_seen_of_an_object_before_its_commit(self, store: Store) -> None:
        async with store.write("k") as writer:
            for _ in range(12):
                await writer.append([some_bytes(MIB)])
                with pytest.raises(ObjectNotFound):
                    await store.head("k")
                with pytest.raises(ObjectNotFound):
                    await get(store, "k")
            assert await listed(store) == []
            await writer.commit()
        assert await listed(store) == ["k"]

    @pytest.mark.parametrize("size", [0, 100, 3 * MIB, 12 * MIB])
    async def test_leaving_a_write_without_commit_leaves_nothing(self, store: Store, size: int) -> None:
        async with store.write("left/k") as writer:
            await writer.append(chunks_of(some_bytes(size)))

        async def fail() -> None:
            async with store.write("failed/k") as writer:
                await writer.append(chunks_of(some_bytes(size)))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await fail()
        assert not await self._remains(store)

    @pytest.mark.parametrize("after_bytes", [0, 1, 3 * MIB, 7 * MIB, 12 * MIB])
    async def test_a_cancelled_write_leaves_nothing(self, store: Store, after_bytes: int) -> None:
        reached = asyncio.Event()

        async def write_and_wait() -> None:
            async with store.write("deep/er/k") as writer:
                await writer.append(chunks_of(some_bytes(after_bytes)))
                reached.set()
                await asyncio.Event().wait()

        await cancel_when(reached.wait, write_and_wait)
        assert not await self._remains(store)
        await put(store, "deep/er/k", b"again")

    async def test_a_write_cancelled_at_any_await_leaves_nothing_or_the_whole_object(self, store: Store) -> None:
        content = some_bytes(6 * MIB)
        for turns in (1, 2, 3, 5, 8, 13, 40, 120, 400):
            key = f"cancelled/{turns}"

            async def some_turns(turns: int = turns) -> None:
                for _ in range(turns):
                    await asyncio.sleep(0)

            await cancel_when(some_turns, functools.partial(put, store, key, content))
            if await listed(store, prefix=key):
                assert await get(store, key) == content
                await store.delete([key])
            assert not await self._remains(store), turns

    async def test_a_write_is_over_after_its_commit(self, store: Store) -> None:
        async with store.write("k") as writer:
            await writer.append([b"abc"])
            await writer.commit()
            with pytest.raises(StoreUnavailable):
                await writer.append([b"def"])
            with pytest.raises(StoreUnavailable):
                await writer.commit()
        assert await get(store, "k") == b"abc"

    async def test_odd_keys_name_objects_like_any_other(self, store: Store) -> None:
        for key in ODD_KEYS:
            await put(store, key, key.encode())
        for key in ODD_KEYS:
            assert await get(store, key) == key.encode()
            assert (await store.head(key)).key == key
        assert await listed(store) == sorted(ODD_KEYS, key=str.encode)
        first, *others = ODD_KEYS
        assert await store.delete([first]) == {first: None}
        assert await listed(store) == sorted(others, key=str.encode)
        assert await store.delete(others) == dict.fromkeys(others)
        assert await listed(store) == []

    async def test_h14_keys_that_could_mean_another_place_are_refused(self, store: Store) -> None:
        for key in INVALID_KEYS:
            with pytest.raises(KeyInvalid):
                await put(store, key, b"x")
            with pytest.raises(KeyInvalid):
                await store.head(key)
            with pytest.raises(KeyInvalid):
                await get(store, key)
            assert isinstance((await store.delete([key]))[key], KeyInvalid)
        assert not await self._remains(store)

    async def test_objects_below_objects_are_as_declared(self, store: Store) -> None:
        await put(store, "a", b"1")
        await put(store, "c/d/e", b"2")
        if store.features.nested_keys:
            await put(store, "a/b", b"3")
            await put(store, "c/d", b"4")
            assert await listed(store) == ["a", "a/b", "c/d", "c/d/e"]
            assert [await get(store, key) for key in ("a", "a/b", "c/d", "c/d/e")] == [b"1", b"3", b"4", b"2"]
        else:
            for key in ("a/b", "a/b/c", "c/d"):
                with pytest.raises((KeyInvalid, ObjectExists)):
                    await put(store, key, b"3")
                with pytest.raises(ObjectNotFound):
                    await store.head(key)
            assert not await self._remains(store, except_keys={"a", "c/d/e"})

    async def test_ranges_are_exact_at_their_edges(self, store: Store) -> None:
        content = some_bytes(2 * MIB + 3)
        size = len(content)
        await put(store, "k", content)
        good = [(0, 0), (0, 1), (0, None), (0, size), (size - 1, size), (size - 1, None), (size, None), (size, size), (5, 5)]
        for start, end in [*good, (MIB - 1, MIB + 1), (1, size - 1)]:
            assert await get(store, "k", start=start, end=end) == content[start:end], (start, end)
        for start, end in [(0, size + 1), (size + 1, None), (size + 1, size + 2), (2, 1), (-1, None), (-1, 2), (size, size + 1)]:
            with pytest.raises(RangeInvalid):
                await get(store, "k", start=start, end=end)

    async def test_ranges_of_an_empty_object(self, store: Store) -> None:
        await put(store, "empty", b"")
        assert await get(store, "empty", start=0, end=0) == b""
        for start, end in [(0, 1), (1, None), (1, 1)]:
            with pytest.raises(RangeInvalid):
                await get(store, "empty", start=start, end=end)

    async def test_a_reader_that_stops_early_leaves_the_store_usable(self, store: Store) -> None:
        await put(store, "k", some_bytes(8 * MIB))
        for _ in range(60):  # more than any pool of connections or threads
            pieces = store.read("k")
            await anext(pieces)
            await pieces.aclose()  # type: ignore[attr-defined]  # every store's is a generator
        assert await get(store, "k", start=8 * MIB - 1) == some_bytes(8 * MIB)[-1:]

    async def test_what_is_not_there_is_not_found(self, store: Store) -> None:
        await put(store, "folder/k", b"x")
        for key in ("nothing", "folder", "folde", "folder/k/below", "folder/none"):
            with pytest.raises(ObjectNotFound):
                await store.head(key)
            for start, end in ((0, None), (3, 5), (0, 0)):
                with pytest.raises(ObjectNotFound):
                    await get(store, key, start=start, end=end)

    async def test_deleting_removes_exactly_the_keys(self, store: Store) -> None:
        kept = ["a1", "ab", "b", "folder/x", "folder/y", "[ab]c"]
        gone = ["a*", "a?", "[ab]", "folder/*"]
        for key in (*kept, *gone):
            await put(store, key, b"x")
        answers = await store.delete([*gone, "missing", "missing/below", "a*"])
        assert answers == dict.fromkeys([*gone, "missing", "missing/below"])
        await store.delete(["folder", "fold", "folder/x/below"])  # names of no object, whatever the answer
        assert sorted(await listed(store)) == sorted(kept)
        assert await store.delete([]) == {}

    async def test_a_key_can_be_written_again_while_its_folder_is_being_emptied(self, store: Store) -> None:
        async def write_and_delete(name: int) -> None:
            for turn in range(10):
                await put(store, f"shared/folder/{name}-{turn}", b"x")
                assert set((await store.delete([f"shared/folder/{name}-{turn}"])).values()) == {None}

        await asyncio.gather(*(write_and_delete(name) for name in range(6)))
        assert not await self._remains(store)

    async def test_h11_listing_and_deleting_go_past_one_page(self, store: Store) -> None:
        keys = sorted(
            [f"a/{number:04}" for number in range(self.many)] + ["a-b", "a.b", "a0", "b/a/c", "b/a-c", "b", "ä"], key=str.encode
        )
        keys = [key for key in keys if store.features.nested_keys or key != "b"]
        await self.fill(store, keys)
        assert await listed(store) == keys
        assert await listed(store, prefix="a/") == [key for key in keys if key.startswith("a/")]
        assert await listed(store, prefix="a/10") == [key for key in keys if key.startswith("a/10")]
        assert await listed(store, prefix="none") == await listed(store, prefix="../") == []
        for after in ("a/1020", "a/1020x", "a0", "b/a-c", "zz", "ä", "ö"):
            assert await listed(store, start_after=after) == [key for key in keys if key.encode() > after.encode()], after
        assert await listed(store, prefix="a/1", start_after="a/1020") == [
            key for key in keys if key.startswith("a/1") and key > "a/1020"
        ]
        doomed = [key for key in keys if key.startswith("a/")]
        answers = await store.delete([*doomed, *(f"missing/{number}" for number in range(10))])
        assert len(answers) == self.many + 10
        assert set(answers.values()) == {None}
        assert await listed(store) == [key for key in keys if key not in doomed]

    async def test_memory_stays_bounded_however_large_the_object(self, store: Store) -> None:
        if self.keeps_bytes_in_memory:
            pytest.skip("this store is the process's memory")
        piece = some_bytes(MIB)
        await put(store, "warm", piece * 6)
        before = peak = resident_bytes()
        written, read = Digester(["crc32c"]), Digester(["crc32c"])
        async with store.write("large", size=LARGE_BYTES) as writer:
            for _ in range(LARGE_BYTES // MIB):
                await written.update([piece])
                await writer.append([piece])
                peak = max(peak, resident_bytes())
            await writer.commit()
        async for received in store.read("large"):
            await read.update([received])
            peak = max(peak, resident_bytes())
        assert read.size == LARGE_BYTES
        assert await read.digests() == await written.digests()
        assert peak - before < LARGE_MEMORY_BYTES

    async def test_multipart_uploads_are_as_declared(self, store: Store) -> None:
        announced: list[str] = []
        seen: list[bool] = []

        async def on_upload_id(upload_id: str) -> None:
            announced.append(upload_id)
            seen.append(not await listed(store))

        async with store.write("k", on_upload_id=on_upload_id) as writer:
            await writer.append(chunks_of(some_bytes(12 * MIB)))
            if store.features.multipart:
                assert seen == [True]
                assert await open_uploads(store) == [("k", announced[0])]
                await store.abort_upload("k", announced[0])
                await store.abort_upload("k", announced[0])
                assert await open_uploads(store) == []
                with pytest.raises(StoreError):
                    await writer.commit()
            else:
                assert announced == []
                assert await open_uploads(store) == []
                with pytest.raises(FeatureMissing):
                    await store.abort_upload("k", "some-id")
        assert not await self._remains(store)

    async def test_h04_an_error_of_the_caller_who_is_told_the_upload_id_leaves_nothing(self, store: Store) -> None:
        if not store.features.multipart:
            pytest.skip("this store declares that it has no multipart uploads")

        async def refuse(upload_id: str) -> None:
            raise ZeroDivisionError(upload_id)

        with pytest.raises(ZeroDivisionError):
            await put(store, "k", some_bytes(12 * MIB), on_upload_id=refuse)
        assert not await self._remains(store)

    async def test_ranges_are_written_in_any_order_and_at_once(self, store: Store) -> None:
        content, cut = some_bytes(9 * MIB + 7), 2 * MIB + 4096
        spans = [(start, content[start : start + cut]) for start in range(0, len(content), cut)]
        if not store.features.ranged:
            with pytest.raises(FeatureMissing):
                await put_range(store, "folder/k", 0, b"abc")
            assert not await self._remains(store)
            return
        await put_range(store, "folder/k", *spans[-1])
        assert (await store.head("folder/k")).size == len(content)
        await asyncio.gather(*(put_range(store, "folder/k", *span) for span in spans[:-1]))
        assert await get(store, "folder/k") == content
        await put_range(store, "folder/k", *spans[1])
        assert await get(store, "folder/k") == content
        assert await store.delete(["folder/k"]) == {"folder/k": None}
        assert not await self._remains(store)

    async def test_no_range_is_left_by_its_bytes(self, store: Store) -> None:
        if not store.features.ranged:
            pytest.skip("this store declares that it takes whole objects only")
        await put_range(store, "k", 0, b"a" * 30)
        for size in (MIB, 9):
            async with store.write_range("k", offset=10, size=10) as writer:
                await writer.append([b"b" * size])
                with pytest.raises(PartsInvalid):
                    await writer.commit()
        async with store.write_range("k", offset=20, size=10) as writer:
            await writer.append([b"d" * 9])
        assert (await get(store, "k"))[:10] == b"a" * 10
        assert (await get(store, "k"))[20:] == b"a" * 10, "what was not committed is nowhere said to be there"
        with pytest.raises(KeyInvalid):
            await put_range(store, "../k", 0, b"abc")

    async def test_a_range_of_an_object_that_was_deleted_meanwhile_is_no_success(self, store: Store) -> None:
        if not store.features.ranged:
            pytest.skip("this store declares that it takes whole objects only")
        async with store.write_range("folder/k", offset=0, size=2 * MIB) as writer:
            await writer.append([some_bytes(MIB)])
            await writer.append([some_bytes(MIB)])
            await store.delete(["folder/k"])
            with pytest.raises(StoreUnavailable):
                await writer.commit()
        assert not await self._remains(store)

    async def test_local_paths_are_as_declared(self, store: Store) -> None:
        await put(store, "folder/k", b"abc")
        if store.features.local_path:
            assert await asyncio.to_thread(store.local_path("folder/k").read_bytes) == b"abc"
            with pytest.raises(KeyInvalid):
                store.local_path("../k")
        else:
            with pytest.raises(FeatureMissing):
                store.local_path("folder/k")

    async def test_a_store_that_is_closed_says_so_and_can_be_opened_again(self, store: Store) -> None:
        await put(store, "k", b"abc")
        await store.close()
        await store.close()
        with pytest.raises(StoreUnavailable):
            await store.head("k")
        assert isinstance((await store.delete(["k"]))["k"], StoreUnavailable)
        await store.open()
        await store.open()
        assert await get(store, "k") == b"abc"

    async def _remains(self, store: Store, *, except_keys: Collection[str] = ()) -> list[object]:
        keys = [key for key in await listed(store) if key not in except_keys]
        return [*keys, *await open_uploads(store), *await asyncio.to_thread(self.leftovers, store)]
