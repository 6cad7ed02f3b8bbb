"""Bytes to a server or straight to its stores: begun, sent in parts, completed; gone on with where an earlier run was killed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec import Raw

from mediastore.catalog.schemas import Media
from mediastore.client.errors import (
    STALE,
    AnswerStrange,
    Conflict,
    FileUnfit,
    Gone,
    NotFound,
    NotLoggedIn,
    ServerAway,
    ServerRefused,
    StoreRefused,
)
from mediastore.client.progress import Progress
from mediastore.client.sources import Source, pieces
from mediastore.client.transport import Transport
from mediastore.client.upload_state import Begun, UploadState
from mediastore.transfers.schemas import Part, PartAsked, PartsAsked, PartSent, Upload, UploadComplete

T = TypeVar("T")
AT_ONCE = 4
FRESH_URLS = 3
"""How often a part gets another URL before what its store says of them is believed."""


class Sending:
    """One upload of one source. `state`: None where it can't be gone on with."""

    def __init__(self, transport: Transport, source: Source, *, state: UploadState | None, progress: Progress) -> None:
        self._transport = transport
        self._source = source
        self._state = state
        self._progress = progress
        self._sent: dict[int, str] = {}
        self._resumed = False
        self._passed: dict[int, asyncio.Event] = {}
        """Set for each part that the server has."""

    async def run(self, wanted: Mapping[str, Any], *, sha256: str | None, resume: bool = True) -> Media:
        """The record once its bytes are verified. `wanted`: the fields of `UploadBegin` that are given. `sha256`: None for one
        that is to be reckoned while the bytes are sent.

        Raises what the transport does, `StoreRefused` and `FileUnfit`.
        """
        upload = await self._begun(wanted, sha256, resume=resume)
        try:
            reckoned = await self._sent_and_reckoned(upload, reckon=sha256 is None)
            await asyncio.to_thread(self._source.check)
        except FileUnfit:
            await self._cancel(upload.id)
            raise
        try:
            media = await self._completed(upload, {} if reckoned is None else {"sha256": reckoned})
        except ServerRefused as error:
            if not (self._resumed and says_other_bytes(error)):
                raise
            # What an earlier run sent was of other bytes, though the file looked the same.
            self._forget()
            self._resumed = False
            self._progress.add(-self._progress.done)
            return await self.run(wanted, sha256=sha256, resume=False)
        self._forget()
        return media

    async def _sent_and_reckoned(self, upload: Upload, *, reckon: bool) -> str | None:
        """Send what is missing. The SHA-256 of all, if it is to be reckoned: of each part when it has been sent, and so read."""
        self._passed = {part.number: asyncio.Event() for part in upload.parts}
        if not reckon:
            await self._send(upload)
            return None
        reckoning = asyncio.create_task(self._reckon(upload))
        try:
            await self._send(upload)
            return await reckoning
        finally:
            reckoning.cancel()
            await asyncio.wait([reckoning])
            if not reckoning.cancelled():
                reckoning.exception()  # told by `await` above, or of no interest any more

    async def _reckon(self, upload: Upload) -> str:
        digest = hashlib.sha256()
        spans = [(part.offset, part.offset + part.size) for part in upload.parts] or [(0, self._source.size)]
        for part, (start, end) in zip_longest(upload.parts, spans):
            if part is not None and upload.status == "open" and not part.received:
                await self._passed[part.number].wait()
            await self._source.feed(digest, start, end)
        return digest.hexdigest()

    async def _begun(self, wanted: Mapping[str, Any], sha256: str | None, *, resume: bool) -> Upload:
        begun = self._state.load() if self._state is not None and resume else None
        if begun is not None and begun.sha256 == sha256:
            try:
                upload = await self._transport.ask("GET", f"/uploads/{begun.upload}", Upload)
                if upload.status != "failed":
                    self._resumed = True
                    return upload
            except (NotFound, Gone):
                pass
        upload = await self._transport.ask("POST", "/uploads", Upload, body=wanted)
        if self._state is not None:
            self._state.save(Begun(upload=upload.id, sha256=sha256))
        return upload

    async def _send(self, upload: Upload) -> None:
        missing = [part for part in upload.parts if not part.received]
        self._progress.add(sum(part.size for part in upload.parts if part.received))
        if upload.status != "open":
            return
        seats = asyncio.Semaphore(AT_ONCE)
        failed: list[BaseException] = []

        async def send(part: Part) -> None:
            async with seats:
                if failed:
                    return
                try:
                    await self._send_part(upload, part)
                    self._passed[part.number].set()
                except Exception as error:  # noqa: BLE001 - told below, once the others have ended
                    failed.append(error)

        async with asyncio.TaskGroup() as group:
            for part in missing:
                group.create_task(send(part))
        if failed:
            raise failed[0]

    async def _send_part(self, upload: Upload, part: Part) -> None:
        for turn in range(FRESH_URLS + 1):
            try:
                await self._transport.patiently(partial(self._put, upload, part))
                return
            except (StoreRefused, ServerRefused) as error:
                # Its time is over, or it was for something else: a fresh one tells which.
                if turn == FRESH_URLS or error.status not in STALE:
                    raise
            part = await self._fresh(upload, part)

    async def _put(self, upload: Upload, part: Part) -> None:
        url = part.url or upload.url
        if url is None:
            part = await self._fresh(upload, part)
            url = part.url
        if url is None:
            raise AnswerStrange(f"the server gives no URL for part {part.number}")
        sent = 0

        async def counted() -> AsyncIterator[bytes]:
            nonlocal sent
            async for piece in pieces(self._source, part.offset, part.offset + part.size):
                yield piece
                sent += len(piece)
                self._progress.add(len(piece))

        headers = {**(part.headers or upload.headers), "Content-Length": str(part.size)}
        try:
            async with self._transport.open("PUT", url, headers=headers, content=counted()) as answer:
                await answer.aread()
        except BaseException:
            self._progress.add(-sent)
            raise
        if upload.method == "multipart" and (etag := answer.headers.get("etag")):
            self._sent[part.number] = etag

    async def _fresh(self, upload: Upload, part: Part) -> Part:
        asked = PartsAsked(parts=[PartAsked(number=part.number)])
        answer = await self._ask(upload, "/parts", Upload, body=asked)
        for fresh in answer.parts:
            if fresh.number == part.number:
                return fresh
        raise AnswerStrange(f"the server gives no URL for part {part.number}")

    async def _completed(self, upload: Upload, checksums: Mapping[str, str]) -> Media:
        """Asked again until it is verified. Safe to ask twice: the second answer is the record as well."""
        parts = [PartSent(number=number, etag=etag) for number, etag in sorted(self._sent.items())]
        known = parts if len(parts) == len(upload.parts) and upload.method == "multipart" else None
        body = UploadComplete(parts=known, checksums=dict(checksums))
        pause_s = 0.1
        while True:
            answer = await self._ask(upload, "/complete", Raw, body=body)
            try:
                return msgspec.json.decode(answer, type=Media)
            except msgspec.ValidationError:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 5)

    async def _ask(self, upload: Upload, what: str, kind: type[T], *, body: UploadComplete | PartsAsked) -> T:
        """A call of this upload's, which can be asked twice."""
        path = f"/uploads/{upload.id}{what}"
        try:
            return await self._transport.ask("POST", path, kind, body=body, repeatable=True)
        except NotLoggedIn:
            # A log-in may end while bytes are sent; the upload's own token lives as long as the upload.
            if upload.token is None:
                raise
        query = {"token": upload.token}
        return await self._transport.ask("POST", path, kind, body=body, query=query, repeatable=True, as_nobody=True)

    async def _cancel(self, upload: UUID) -> None:
        self._forget()
        with suppress(ServerAway, NotFound, Gone, Conflict):  # it is given up by itself, after a while
            await self._transport.ask("DELETE", f"/uploads/{upload}", type(None))

    def _forget(self) -> None:
        if self._state is not None:
            self._state.forget()


def says_other_bytes(error: ServerRefused) -> bool:
    """Whether the server found, or was told, other bytes than those that it was to get."""
    verified = error.problem.get("problem")
    inner = verified.get("code") if isinstance(verified, dict) else None
    return "digest_mismatch" in {error.problem_code, inner} or error.problem_code in {"digest_invalid", "upload_ended"}
