"""Digests of streams: read in any usual spelling, reckoned in threads while the bytes go on elsewhere."""

import asyncio
import base64
import binascii
import hashlib
from collections import deque
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, get_args

import google_crc32c
import msgspec

from stores.errors import DigestInvalid

Algorithm: TypeAlias = Literal["md5", "sha1", "sha256", "sha512", "crc32c"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)

_DIGEST_BYTES: Mapping[str, int] = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64, "crc32c": 4}
_GROUP_BYTES = 1024 * 1024
_OUTSTANDING = 2  # groups: one being hashed and one waiting, so that the threads never run dry


def parse_algorithm(name: str) -> Algorithm:
    """The algorithm of this name, exactly as listed in `ALGORITHMS`; raises `DigestInvalid` for any other."""
    for algorithm in ALGORITHMS:
        if name == algorithm:
            return algorithm
    raise DigestInvalid(f"Unknown digest algorithm {name[:40]!r}; known are {', '.join(ALGORITHMS)}")


def parse_digest(algorithm: str, text: str) -> str:
    """The digest as lower-case hex, from hex in any case or padded base64 (RFC 4648, section 4), white space around it ignored.

    Raises `DigestInvalid` for anything else: an S3 ETag such as `…-3`, another length, an unknown algorithm.
    """
    length = _DIGEST_BYTES[parse_algorithm(algorithm)]
    stripped = text.strip()
    try:
        # CRC-32C is the one whose hex and base64 are equally long, but its base64 ends in `==`, which is not hex.
        raw = binascii.unhexlify(stripped) if len(stripped) == 2 * length and "=" not in stripped else _from_base64(stripped)
    except (ValueError, UnicodeEncodeError):
        raw = b""
    if len(raw) != length:
        base64_length = len(base64.b64encode(bytes(length)))
        raise DigestInvalid(
            f"{stripped[:140]!r} is no {algorithm} digest: give {2 * length} hexadecimal digits "
            f"or {base64_length} characters of base64 with padding"
        )
    return raw.hex()


class Digester:
    """Digests of one stream by several algorithms at once, in threads of the loop's default executor.

    Each algorithm takes the groups strictly in order, one thread hop a group, and waits for no other. A cancelled caller leaves
    it sound: a group was taken wholly or not at all.
    """

    def __init__(self, algorithms: Iterable[str]) -> None:
        self._lanes = {name: _Lane(_begin(parse_algorithm(name))) for name in algorithms}
        self.size = 0
        """Bytes taken so far."""

    async def update(self, chunks: Sequence[bytes]) -> None:
        """Take the next bytes; about 1 MiB together is the fast size. Returns while they are being hashed, as soon as at most
        one earlier group is not done yet, so that the caller's own work overlaps with the hashing.
        """
        group = tuple(chunks)
        self.size += sum(map(len, group))
        for lane in self._lanes.values():
            lane.take(group)
        for lane in self._lanes.values():
            await lane.wait(outstanding=_OUTSTANDING)

    async def digests(self) -> dict[str, str]:
        """Lower-case hex by algorithm, of all bytes taken. More may be taken afterwards."""
        for lane in self._lanes.values():
            await lane.wait(outstanding=0)
        return {name: lane.hexdigest() for name, lane in self._lanes.items()}


class StreamDigests(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a stream to its end has shown."""

    size: int
    """Bytes."""
    digests: Mapping[str, str]
    """Lower-case hex by algorithm."""


async def digest_stream(stream: AsyncIterable[bytes], algorithms: Iterable[str]) -> StreamDigests:
    """Read the stream to its end and drop it, hashing while the next bytes come in. Errors of the stream pass through."""
    digester = Digester(algorithms)
    group: list[bytes] = []
    filled = 0
    async for piece in stream:
        group.append(piece)
        filled += len(piece)
        if filled >= _GROUP_BYTES:
            await digester.update(group)
            group, filled = [], 0
    await digester.update(group)
    return StreamDigests(size=digester.size, digests=await digester.digests())


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _Crc32c:
    """CRC-32C (RFC 3720, appendix B.4) in the manner of hashlib, big-endian as S3 writes it."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = google_crc32c.extend(self._value, data)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


class _Lane:
    """One algorithm: its groups in order, each in a thread."""

    def __init__(self, begun: _Hash) -> None:
        self._hash = begun
        self._tasks: deque[asyncio.Task[None]] = deque()

    def take(self, group: Sequence[bytes]) -> None:
        before = self._tasks[-1] if self._tasks else None
        self._tasks.append(asyncio.create_task(self._hash_after(before, group)))

    async def wait(self, *, outstanding: int) -> None:
        while len(self._tasks) > outstanding:
            await asyncio.wait([self._tasks[0]])  # a cancelled wait leaves the task running
            self._tasks.popleft().result()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    async def _hash_after(self, before: asyncio.Task[None] | None, group: Sequence[bytes]) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        if group:
            await asyncio.to_thread(self._update, group)

    def _update(self, group: Sequence[bytes]) -> None:
        # One by one: to take the interpreter's lock for each piece costs less than to join them, for a body's pieces are large.
        for piece in group:
            self._hash.update(piece)


def _begin(algorithm: Algorithm) -> _Hash:
    if algorithm == "crc32c":
        return _Crc32c()
    return hashlib.new(algorithm, usedforsecurity=False)


def _from_base64(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("not canonical base64")
    return raw
