"""From a stream of bytes to an object in a store, hashed as it passes."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing

from msgspec import Struct

from mediastore.transfers.errors import DigestMismatch, SizeMismatch, UploadTooLarge, UploadUnverified
from stores.digests import Digester
from stores.protocol import OnUploadId, Store, Writer

GROUP = 1024 * 1024
"""Bytes that go to the hash threads and the store together."""


class Written(Struct, frozen=True, kw_only=True):
    """An object that the store holds, as it was sent."""

    size: int
    digests: Mapping[str, str]
    """Lower-case hex by algorithm, of the bytes that passed."""


async def store_stream(
    store: Store,
    key: str,
    body: AsyncIterator[bytes],
    *,
    algorithms: Iterable[str],
    size: int | None,
    claimed: Mapping[str, str],
    largest: int,
    media_type: str | None = None,
    on_upload_id: OnUploadId | None = None,
) -> Written:
    """Write the body to the key, durably, unless it is not what was declared: `size` bytes with the digests `claimed`.

    Raises `UploadTooLarge`, `SizeMismatch` and `DigestMismatch` before there is an object, and `UploadUnverified` when what the
    store says of the object is not what was sent.
    """
    writing = store.write(key, size=size, media_type=media_type, on_upload_id=on_upload_id)
    return await _written(writing, body, algorithms=algorithms, size=size, claimed=claimed, largest=largest)


async def store_range(
    store: Store, key: str, body: AsyncIterator[bytes], *, offset: int, size: int, claimed: Mapping[str, str]
) -> Written:
    """The same for a range of an object, which nobody else may write to. What is refused may be there all the same."""
    writing = store.write_range(key, offset=offset, size=size)
    return await _written(writing, body, algorithms=(), size=size, claimed=claimed, largest=size)


async def _written(
    writing: AbstractAsyncContextManager[Writer],
    body: AsyncIterator[bytes],
    *,
    algorithms: Iterable[str],
    size: int | None,
    claimed: Mapping[str, str],
    largest: int,
) -> Written:
    digester = Digester({*algorithms, *claimed})
    async with writing as writer:
        async with aclosing(grouped(body)) as groups:
            async for group in groups:
                await digester.update(group)
                if digester.size > largest:
                    raise UploadTooLarge(f"this store takes at most {largest} bytes in one object", limit=largest)
                await writer.append(group)
        digests = await digester.digests()
        compare(size=size, claimed=claimed, received=digester.size, digests=digests)
        info = await writer.commit()
    if info.size != digester.size:
        raise UploadUnverified(f"the store holds {info.size} bytes where {digester.size} were sent; try again")
    for algorithm, digest in info.checksums.items():
        if digests.get(algorithm, digest) != digest:
            raise UploadUnverified(f"the store says {algorithm} {digest}, but {digests[algorithm]} was sent; try again")
    return Written(size=info.size, digests=digests)


def compare(*, size: int | None, claimed: Mapping[str, str], received: int, digests: Mapping[str, str]) -> None:
    """Raise `SizeMismatch` or `DigestMismatch` unless the bytes are what was declared. A digest that is not known is no match."""
    if size is not None and size != received:
        raise SizeMismatch(f"{size} bytes were declared and {received} came", declared=size, received=received)
    for algorithm, digest in claimed.items():
        if digests.get(algorithm) != digest:
            raise DigestMismatch(
                f"the {algorithm} of what came is {digests.get(algorithm)}, but {digest} was claimed; nothing was kept",
                algorithm=algorithm,
                claimed=digest,
                computed=digests.get(algorithm),
            )


async def grouped(body: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
    """The body in groups of about 1 MiB, empty pieces left out."""
    group: list[bytes] = []
    size = 0
    async for piece in body:
        if piece:
            group.append(piece)
            size += len(piece)
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group
