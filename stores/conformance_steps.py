"""The steps that the conformance suite, and tests of what is built on stores, are made of."""

import asyncio
import random
import resource
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias

from stores.protocol import OnUploadId, Store

ODD_KEYS = (
    "with space/and more",
    "ünï/cødé/日本語 🜁",
    "e\u0301 combining",
    "star*/que?stion/[a-z]",
    "plus+and%41percent%2Fslash",
    "query?versionId=7&x=y#part",
    "quotes'\"<&>;`$(x)",
    "pre",
    "prefix",
    "a-b",
    "a/b",
    "a.b",
    "...",
    "c:d/~/x@{1}",
    "n" * 255 + "/" + "m" * 255,
    "/".join("k" * 7 for _ in range(100)),
)
INVALID_KEYS = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "a/../b",
    "./a",
    "a\x00b",
    "a\nb",
    "a\\b",
    "\udc80",
    "x" * 256,
    "a/" * 520,
)


async def put(
    store: Store, key: str, content: bytes, *, declared: int | None = None, on_upload_id: OnUploadId | None = None
) -> None:
    """Write an object and commit it."""
    async with store.write(key, size=declared, on_upload_id=on_upload_id) as writer:
        await writer.append(chunks_of(content))
        await writer.commit()


async def get(store: Store, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, start=start, end=end)])


async def listed(store: Store, *, prefix: str = "", start_after: str = "") -> list[str]:
    return [info.key async for info in store.list(prefix=prefix, start_after=start_after)]


async def open_uploads(store: Store) -> list[tuple[str, str]]:
    return [(upload.key, upload.upload_id) async for upload in store.list_uploads()]


Step: TypeAlias = Callable[[], Coroutine[Any, Any, object]]


async def cancel_when(reached: Step, work: Step) -> None:
    """Begin the work, cancel it as soon as that point is reached, and wait for its end."""
    task = asyncio.create_task(work())
    point = asyncio.create_task(reached())
    await asyncio.wait([task, point], return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    point.cancel()
    await asyncio.gather(task, point, return_exceptions=True)


def some_bytes(size: int, *, seed: int = 1) -> bytes:
    """The same for the same seed, with a period that no part size is a multiple of."""
    block = random.Random(seed).randbytes(65_537)  # noqa: S311 - content, not a secret
    return (block * (size // len(block) + 1))[:size]


def chunks_of(content: bytes) -> list[bytes]:
    """In pieces as a network gives them."""
    return [content[start : start + 200_000] for start in range(0, len(content), 200_000)]


def resident_bytes() -> int:
    """How much memory this process has in use, or on systems that don't tell, has had at most."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    # In KiB, but in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
