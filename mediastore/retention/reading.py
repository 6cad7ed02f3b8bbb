"""Bytes read back and compared with what was verified of them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from time import monotonic

import msgspec
from msgspec import Raw, Struct

from mediastore.catalog.schemas import Checksum
from mediastore.retention.upkeep_schemas import Fixity
from stores.digests import ALGORITHMS, StreamDigests, digest_stream
from stores.errors import ObjectNotFound, StoreError
from stores.protocol import Store

SECOND_LOOK_S = 1.0
"""Between a bad reading and the next one."""
SMALLEST_SHARE = 16 * 1024
"""Bytes that any object counts for, so that many small ones are no rush of requests."""


class Reading(Struct, frozen=True, kw_only=True):
    """What came of reading an object."""

    result: Fixity
    detail: str | None = None
    read: int = 0
    """Bytes."""


class ByteRate:
    """A token bucket: `take` returns when so many bytes may be read, on average `per_s` a second."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._free_at = monotonic()

    async def take(self, size: int) -> None:
        """A second's worth may go at once; whatever is taken has to be waited for by the next one."""
        now = monotonic()
        self._free_at = max(self._free_at, now - 1) + size / self._per_s
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


async def read_back(store: Store, key: str, *, size: int, checksums: Raw, rate: ByteRate | None) -> Reading:
    """Read an object and compare it. One bad reading is no result: it is read again, and the second one counts.

    Raises nothing of the store's own: a store that does not give the bytes is an `error`, which says nothing of the bytes.
    """
    known = msgspec.json.decode(checksums, type=dict[str, Checksum])
    digests: dict[str, str] = {name: checksum.value for name, checksum in known.items() if name in ALGORITHMS}
    first = await _once(store, key, size=size, digests=digests, rate=rate)
    if first.result == "ok":
        return first
    await asyncio.sleep(SECOND_LOOK_S)
    second = await _once(store, key, size=size, digests=digests, rate=rate)
    return msgspec.structs.replace(second, read=first.read + second.read)


async def _once(store: Store, key: str, *, size: int, digests: Mapping[str, str], rate: ByteRate | None) -> Reading:
    seen = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal seen
        async for piece in store.read(key):
            seen += len(piece)
            if rate is not None:
                await rate.take(len(piece))
            yield piece

    try:
        info = await store.head(key)
        if info.size != size:
            return Reading(result="mismatch", detail=f"the store has {info.size} bytes where {size} were verified")
        if rate is not None:
            await rate.take(max(0, SMALLEST_SHARE - size))
        found = await digest_stream(pieces(), digests)
    except ObjectNotFound:
        return Reading(result="missing", detail="the store has no object there", read=seen)
    except StoreError as error:
        return Reading(result="error", detail=f"the store does not give the bytes ({error.code})", read=seen)
    wrong = _difference(found, size=size, digests=digests)
    return Reading(result="ok" if wrong is None else "mismatch", detail=wrong, read=seen)


def _difference(found: StreamDigests, *, size: int, digests: Mapping[str, str]) -> str | None:
    if found.size != size:
        return f"{found.size} bytes came where {size} were verified"
    for algorithm, digest in digests.items():
        if found.digests[algorithm] != digest:
            return f"the {algorithm} is {found.digests[algorithm]}, and was {digest} when it was verified"
    return None
