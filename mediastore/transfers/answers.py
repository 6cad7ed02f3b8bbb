"""Downloads as HTTP answers: headers that keep browsers safe, whole files handed to the server, the rest streamed."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from litestar.response import Response

from mediastore.http.conditions import http_date
from mediastore.transfers.claims import repr_digest
from mediastore.transfers.downloads import Download
from stores.disposition import attachment

PATHSEND = "http.response.pathsend"

Lines: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""The headers of an answer."""

SHOWN_INLINE = frozenset(
    {
        "application/json",
        "application/pdf",
        "audio/mpeg",
        "audio/ogg",
        "audio/wav",
        "image/avif",
        "image/gif",
        "image/jpeg",
        "image/png",
        "image/webp",
        "text/csv",
        "text/plain",
        "video/mp4",
        "video/ogg",
        "video/webm",
    }
)
"""Types that a browser shows and never executes. Everything else, HTML and SVG above all, is a download."""


@lru_cache(maxsize=1_000)
def content_headers(download: Download) -> Lines:
    """What is true of every answer about these bytes: made of the given facts alone, so that it can be remembered."""
    headers = {
        "Content-Type": download.media_type,
        "ETag": download.etag,
        "Last-Modified": http_date(download.stored_at),
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(download),
        "Cache-Control": "public, no-cache" if download.public else "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Cross-Origin-Resource-Policy": "same-site",
    }
    if digest := repr_digest(dict(download.checksums)):
        headers["Repr-Digest"] = digest
    return lines(headers)


def lines(headers: Mapping[str, str]) -> Lines:
    """These headers as ASGI has them."""
    return tuple((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items())


def disposition(download: Download) -> str:
    """The file's name, and whether a browser may show it."""
    header = attachment(download.filename)
    shown = download.media_type.partition(";")[0].strip().lower() in SHOWN_INLINE
    return header.replace("attachment", "inline", 1) if shown else header


class Bytes:
    """An answer with a body of bytes: a file of this machine, or a stream, or none for HEAD and 304. An ASGI application."""

    def __init__(
        self,
        status: int,
        headers: Lines,
        *,
        length: int | None = None,
        file: Path | None = None,
        stream: AsyncIterator[bytes] | None = None,
    ) -> None:
        if length is not None:
            headers = (*headers, (b"content-length", b"%d" % length))
        self.status = status
        self._start = {"type": "http.response.start", "status": status, "headers": headers}
        self._file = file
        self._stream = stream

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send(self._start)
        if self._file is not None:
            await send({"type": PATHSEND, "path": str(self._file)})
        elif self._stream is not None:
            # Raises when the store ends early: the connection is cut, and a short answer never looks whole.
            async with aclosing(self._stream) as pieces:  # type: ignore[type-var]  # all our streams are generators
                async for piece in pieces:
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Sent(Response[None]):
    """The same as what Litestar expects of a handler."""

    def __init__(self, answer: Bytes) -> None:
        super().__init__(None, status_code=answer.status)
        self._answer = answer

    def to_asgi_response(self, *_: Any, **__: Any) -> Any:
        return self._answer
