"""The steps that the conformance suite, and tests of what is built on stores, are made of."""

import asyncio
import http.client
import random
import resource
import secrets
import sys
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from stores.protocol import OnUploadId, SignedRequest, Store

MIB = 1024 * 1024

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


async def put_range(store: Store, key: str, offset: int, content: bytes) -> None:
    """Write a range of an object and commit it."""
    async with store.write_range(key, offset=offset, size=len(content)) as writer:
        await writer.append(chunks_of(content))
        await writer.commit()


async def get(store: Store, key: str, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(key, start=start, end=end)])


async def listed(store: Store, *, prefix: str = "", start_after: str = "") -> list[str]:
    return [info.key async for info in store.list(prefix=prefix, start_after=start_after)]


async def open_uploads(store: Store) -> list[tuple[str, str]]:
    return [(upload.key, upload.upload_id) async for upload in store.list_uploads()]


class Answer(NamedTuple):
    """What a server said to a plain HTTP client; the names of its headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers["etag"].strip('"')


async def send(request: SignedRequest, body: bytes) -> Answer:
    """Send these bytes by the request, as a client that knows nothing but HTTP."""
    if request.method == "PUT":
        return await exchange(request.method, request.url, headers=request.headers, body=body)
    boundary = secrets.token_hex(16)
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in request.fields.items()
    )
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **request.headers}
    form = head.encode() + body + f"\r\n--{boundary}--\r\n".encode()
    return await exchange(request.method, request.url, headers=headers, body=form)


async def exchange(method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    return await asyncio.to_thread(_exchange, method, url, headers or {}, body)


def _exchange(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=30)
    try:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, body, dict(headers))
        answer = connection.getresponse()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


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
