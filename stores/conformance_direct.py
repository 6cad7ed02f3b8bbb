"""What every store has to do about transfers between clients and itself, past this server; `StoreConformance` holds it.

Clients are played by Python's own HTTP client, which sends what it was given and nothing else.
"""
# ruff: noqa: S101 - a suite of assertions

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest

from stores.conformance_steps import MIB, exchange, get, listed, open_uploads, put, send, some_bytes
from stores.errors import FeatureMissing, KeyInvalid, ObjectExists, ObjectNotFound, ObjectTooLarge, PartsInvalid, UploadNotFound
from stores.parts import MAX_PART, MAX_PARTS, MAX_SINGLE
from stores.protocol import ObjectInfo, Store

TEXT = "text/csv"
ORIGIN = "https://data.example"


class DirectConformance:
    """Each test gets a store of its own. Signatures are another matter: not every server for tests looks at them."""

    async def test_what_a_store_lacks_for_direct_uploads_raises_at_once(self, store: Store) -> None:
        calls: list[Callable[[], Awaitable[object]]] = []
        if not store.features.presigned:
            calls += [
                lambda: store.presign_get("k", expires_s=60),
                lambda: store.presign_put("k", expires_s=60, size=1, media_type=TEXT),
                lambda: store.presign_post("k", expires_s=60, size=1, media_type=TEXT),
                lambda: store.cors(ORIGIN),
            ]
        if not (store.features.presigned and store.features.multipart):
            calls += [
                lambda: store.begin_multipart("k", media_type=TEXT),
                lambda: store.presign_part("k", "id", 1, size=1, expires_s=60),
                lambda: store.list_parts("k", "id"),
                lambda: store.complete_multipart("k", "id", [(1, "etag")]),
            ]
        for call in calls:
            with pytest.raises(FeatureMissing):
                await call()
        assert await listed(store) == []

    async def test_presigned_downloads_are_the_object(self, store: Store) -> None:
        _needs(store, parts=False)
        await put(store, "folder/k", b"abc")
        url = await store.presign_get("folder/k", expires_s=60, filename="a.csv", media_type=TEXT)
        answer = await exchange("GET", url)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"abc", TEXT)

    @pytest.mark.parametrize("size", [0, 1, 3 * MIB + 7])
    async def test_h11_what_a_client_puts_is_the_object(self, store: Store, size: int) -> None:
        _needs(store, parts=False)
        content = some_bytes(size)
        digests = {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha256", "sha512")}
        for key, known in (("with/digests", digests), ("ünï/without?", {})):
            request = await store.presign_put(key, expires_s=60, size=size, media_type=TEXT, digests=known)
            assert (request.method, request.fields) == ("PUT", {})
            assert "Signature" not in repr(request)
            assert (await send(request, content)).status == 200
            info = await store.head(key)
            assert (info.size, info.media_type) == (size, TEXT)
            assert known.items() >= info.checksums.items()
            assert await get(store, key) == content

    @pytest.mark.parametrize("size", [0, 1, 3 * MIB + 7])
    async def test_h11_what_a_client_posts_is_the_object(self, store: Store, size: int) -> None:
        _needs(store, parts=False)
        content = some_bytes(size)
        digests = {name: hashlib.new(name, content).hexdigest() for name in ("md5", "sha256")}
        for key, known in (("with/digests", digests), ("ünï/without?", {})):
            request = await store.presign_post(key, expires_s=60, size=size, media_type=TEXT, digests=known)
            assert (request.method, request.headers) == ("POST", {})
            assert (await send(request, content)).status in {200, 201, 204}
            info = await store.head(key)
            assert (info.size, info.media_type) == (size, TEXT)
            assert await get(store, key) == content

    async def test_a_second_put_by_the_same_url_changes_nothing(self, store: Store) -> None:
        _needs(store, parts=False)
        if not store.features.create_if_absent:
            pytest.skip("this store declares that it can't refuse a second writer")
        request = await store.presign_put("k", expires_s=60, size=3, media_type=TEXT)
        assert [(await send(request, body)).status for body in (b"abc", b"xyz")] == [200, 412]
        assert await get(store, "k") == b"abc"

    async def test_a_put_without_a_size_takes_any_bytes_with_any_headers_and_others_over_them(self, store: Store) -> None:
        _needs(store, parts=False)
        request = await store.presign_put("k", expires_s=60, size=None, media_type=TEXT)
        assert (request.method, request.headers, request.fields) == ("PUT", {}, {})
        for content, headers in ((b"", {}), (b"abc", {"Content-Type": "text/plain"}), (some_bytes(3 * MIB), {})):
            assert (await send(msgspec.structs.replace(request, headers=headers), content)).status == 200
            assert await get(store, "k") == content

    async def test_h11_what_one_request_or_part_can_not_hold_is_refused_before_bytes(self, store: Store) -> None:
        _needs(store)
        for sign in (store.presign_put, store.presign_post):
            with pytest.raises(ObjectTooLarge):
                await sign("k", expires_s=60, size=MAX_SINGLE + 1, media_type=TEXT)
            with pytest.raises(KeyInvalid):
                await sign("../k", expires_s=60, size=1, media_type=TEXT)
            with pytest.raises(FeatureMissing):
                await sign("k", expires_s=60, size=1, media_type="text/csv\r\nX: y")
        for number, size in ((0, 1), (MAX_PARTS + 1, 1), (1, MAX_PART + 1), (1, -1)):
            with pytest.raises(PartsInvalid):
                await store.presign_part("k", "id", number, size=size, expires_s=60)

    @pytest.mark.parametrize("sizes", [(0,), (1,), (5 * MIB, 1), (6 * MIB, 6 * MIB, 3)])
    async def test_h11_parts_that_clients_send_become_one_object(self, store: Store, sizes: Sequence[int]) -> None:
        _needs(store)
        content = some_bytes(sum(sizes))
        upload_id = await store.begin_multipart("folder/k", media_type=TEXT)
        assert await open_uploads(store) == [("folder/k", upload_id)]
        etags = await send_parts(store, "folder/k", upload_id, content, sizes)
        there = await store.list_parts("folder/k", upload_id)
        assert [(part.number, part.size, part.etag) for part in there] == [
            (number, size, etags[number]) for number, size in enumerate(sizes, start=1)
        ]
        with pytest.raises(ObjectNotFound):
            await store.head("folder/k")
        named = [(number, f'"{etag}"') for number, etag in reversed(etags.items())]
        info = await store.complete_multipart("folder/k", upload_id, named, size=len(content))
        assert (info.key, info.size, info.media_type) == ("folder/k", len(content), TEXT)
        assert await get(store, "folder/k") == content
        assert await open_uploads(store) == []
        for size in (None, len(content)):
            assert await store.complete_multipart("folder/k", upload_id, named, size=size) == info
        with pytest.raises(UploadNotFound):
            await store.list_parts("folder/k", upload_id)

    async def test_h13_an_upload_can_be_completed_many_times_at_once(self, store: Store) -> None:
        _needs(store)
        sizes = (5 * MIB, 10)
        upload_id = await store.begin_multipart("k", media_type=TEXT)
        etags = await send_parts(store, "k", upload_id, some_bytes(sum(sizes)), sizes)
        answers = await asyncio.gather(*(store.complete_multipart("k", upload_id, [*etags.items()]) for _ in range(6)))
        assert {info.size for info in answers} == {sum(sizes)}
        assert await get(store, "k") == some_bytes(sum(sizes))

    async def test_h13_of_racing_uploads_to_a_key_one_becomes_its_object(self, store: Store) -> None:
        _needs(store)
        if not store.features.create_if_absent:
            pytest.skip("this store declares that it can't refuse a racing second writer")

        async def upload(seed: int) -> ObjectInfo:
            upload_id = await store.begin_multipart("k", media_type=TEXT)
            etags = await send_parts(store, "k", upload_id, some_bytes(100, seed=seed), (100,))
            return await store.complete_multipart("k", upload_id, [*etags.items()], size=100)

        outcomes = await asyncio.gather(*(upload(seed) for seed in range(4)), return_exceptions=True)
        winners = [seed for seed, outcome in enumerate(outcomes) if isinstance(outcome, ObjectInfo)]
        assert len(winners) == 1, outcomes
        assert sum(isinstance(outcome, ObjectExists) for outcome in outcomes) == len(outcomes) - 1, outcomes
        assert await get(store, "k") == some_bytes(100, seed=winners[0])

    async def test_h04_an_upload_that_is_gone_is_told_from_one_that_is_open(self, store: Store) -> None:
        _needs(store)
        upload_id = await store.begin_multipart("k", media_type=TEXT)
        assert await store.list_parts("k", upload_id) == []
        etags = await send_parts(store, "k", upload_id, b"abc", (3,))
        await store.abort_upload("k", upload_id)
        with pytest.raises(UploadNotFound):
            await store.list_parts("k", upload_id)
        with pytest.raises(UploadNotFound):
            await store.complete_multipart("k", upload_id, [*etags.items()], size=3)
        await store.abort_upload("k", upload_id)
        await put(store, "k", b"another object")
        with pytest.raises(ObjectExists):
            await store.complete_multipart("k", upload_id, [*etags.items()], size=3)
        assert await get(store, "k") == b"another object"

    async def test_h11_parts_that_make_no_object_are_named_and_can_be_mended(self, store: Store) -> None:
        _needs(store)
        content = some_bytes(5 * MIB + 4)
        upload_id = await store.begin_multipart("k", media_type=TEXT)
        first = await send_parts(store, "k", upload_id, content, (4, 5 * MIB))
        both = [*first.items()]
        for named, size, reason in (
            ([], None, "one part"),
            (both, None, "smaller is part 1"),
            ([*both, both[0]], None, "twice"),
            ([*both, (3, "etag"), (7, "etag")], None, "part 3, 7"),
            ([both[0], (2, first[1])], None, "part 2"),
            ([(0, "etag")], None, "part 0"),
            ([both[1]], 1, "not 1"),
        ):
            with pytest.raises(PartsInvalid, match=reason):
                await store.complete_multipart("k", upload_id, named, size=size)
        assert await open_uploads(store) == [("k", upload_id)]
        second = await send_parts(store, "k", upload_id, content, (5 * MIB, 4))
        await store.complete_multipart("k", upload_id, [*second.items()], size=len(content))
        assert await get(store, "k") == content

    async def test_cors_is_answered(self, store: Store) -> None:
        _needs(store, parts=False)
        answer = await store.cors(ORIGIN)
        assert answer is None or ORIGIN in answer


async def send_parts(store: Store, key: str, upload_id: str, content: bytes, sizes: Sequence[int]) -> dict[int, str]:
    """Send the parts, last one first, and answer their etags by number, ascending."""
    etags: dict[int, str] = {}
    for number in range(len(sizes), 0, -1):
        start = sum(sizes[: number - 1])
        part = content[start : start + sizes[number - 1]]
        digests = {"md5": hashlib.md5(part, usedforsecurity=False).hexdigest()}
        request = await store.presign_part(key, upload_id, number, size=len(part), expires_s=60, digests=digests)
        answer = await send(request, part)
        assert answer.status == 200, answer
        etags[number] = answer.etag
    return dict(sorted(etags.items()))


def _needs(store: Store, *, parts: bool = True) -> None:
    if not store.features.presigned or (parts and not store.features.multipart):
        pytest.skip("this store declares that clients can't send it objects, or parts, by themselves")
