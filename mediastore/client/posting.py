"""Few bytes to a server: in one request, together with what is said of their record."""

from collections.abc import Mapping
from typing import Any

import httpx
import msgspec

from mediastore.catalog.schemas import Media
from mediastore.client.progress import Progress
from mediastore.client.transport import Transport, decoded

SMALL = 1024 * 1024
"""Bytes of a content that is sent so. More is worth going on with, and worth going straight to a store."""
LARGEST_FIELD = 256 * 1024
"""What a server surely takes as a field of a form."""
TEXTS = frozenset({"pid_type", "store", "access", "filename", "media_type"})
"""Fields that forms give as they are. The others are JSON."""
NOT_IN_FORMS = frozenset({"size", "method", "part_size", "public_at", "expires_at"})


class Posting:
    """One upload of one small content. The server compares its checksum before anybody sees it."""

    def __init__(self, transport: Transport, *, progress: Progress) -> None:
        self._transport = transport
        self._progress = progress

    async def run(self, content: bytes, form: Mapping[str, str]) -> Media:
        """The record once its bytes are verified. When the answer is lost it is sent again: the record may then have two versions
        with the same bytes. Raises what the transport does.
        """
        files = {"file": (None, content, "application/octet-stream")}
        encoded = httpx.Request("POST", self._transport.url("/content"), data=form, files=files)
        body = encoded.read()

        async def once() -> Media:
            headers = {**await self._transport.authorization(), "Content-Type": encoded.headers["content-type"]}
            async with self._transport.open("POST", str(encoded.url), headers=headers, content=body) as answer:
                return decoded(await answer.aread(), Media)

        self._progress.add(0)  # nothing was there
        media = await self._transport.patiently(once)
        self._progress.add(len(content))
        return media


def form_of(fields: Mapping[str, Any]) -> dict[str, str] | None:
    """Fields of an `UploadBegin` as those of a form; None for what a form can't say, and where it could not be sent twice:
    without a PID each would make a record.
    """
    if "pid" not in fields:
        return None
    found: dict[str, str] = {}
    for name, value in fields.items():
        if name in TEXTS | {"pid"}:
            found[name] = value
        elif name not in NOT_IN_FORMS:
            found[name] = msgspec.json.encode(value).decode()
        elif name != "size":
            return None
        if not found.get(name, "-") or len(found.get(name, "")) > LARGEST_FIELD:
            return None
    return found
