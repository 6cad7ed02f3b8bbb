"""The body of an upload, as it comes."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from litestar import Request

from mediastore.transfers.errors import UploadStalled, UploadTooLarge
from mediastore.transfers.routes import BodyLimits, body_of

LIMITS = BodyLimits(idle_timeout_s=0.2, max_content_bytes=100_000)


def request_of(pieces: Iterable[bytes]) -> Request[Any, Any, Any]:
    """One whose client sends these pieces, and then neither more nor an end."""
    waiting = iter(pieces)

    async def receive() -> Any:
        piece = next(waiting, None)
        if piece is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": True}

    return Request({"type": "http", "headers": []}, receive=receive)


@pytest.mark.parametrize("size", [1_000, 33_000, 100_001, 300_000])
async def test_h11_too_much_is_refused_at_once_however_it_is_cut(size: int) -> None:
    pieces = [bytes(size)] * (100_000 // size + 1)
    with pytest.raises(UploadTooLarge):
        async for _ in body_of(request_of(pieces), LIMITS, most=LIMITS.max_content_bytes):
            pass


async def test_h01_silence_is_told_as_silence() -> None:
    with pytest.raises(UploadStalled):
        async for _ in body_of(request_of([bytes(100_000)]), LIMITS, most=LIMITS.max_content_bytes):
            pass
