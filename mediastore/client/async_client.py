"""A server's records and their bytes, for programs that wait for many things at once."""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import msgspec
from msgspec import Raw

from mediastore.accounts.schemas import Key, KeyCreate, LoginRequest, Me
from mediastore.catalog.schemas import (
    BatchAnswer,
    BatchItem,
    BatchRequest,
    BatchResult,
    Content,
    Media,
    MediaChange,
    MediaCreate,
    Version,
    VersionList,
)
from mediastore.catalog.search_schemas import SearchPage, SearchRequest
from mediastore.client.errors import AnswerStrange, Gone, NotFound, ServerRefused, StoreRefused
from mediastore.client.names import file_name, guessed, quoted
from mediastore.client.places import Places
from mediastore.client.posting import SMALL, Posting, form_of
from mediastore.client.progress import OnProgress, Progress
from mediastore.client.receiving import Receiving, Wanted
from mediastore.client.sending import Sending
from mediastore.client.servers import Server, find_server
from mediastore.client.sources import FileSource, Puttable, sha256_of, source_of
from mediastore.client.transport import PATIENCE_S, Say, Transport
from mediastore.client.upload_state import UploadState
from mediastore.events.schemas import Event, EventPage
from mediastore.transfers.schemas import UploadBegin, UrlAsked, UrlIssued, UrlsAsked, UrlsIssued

BATCH = 10_000
URLS = 1_000
PARTIAL, RANGE_BEYOND = 206, 416
SINGLE = 64 * 1024 * 1024
"""Up to here the SHA-256 is reckoned first, so that a store can refuse other bytes; of more it is while they are sent."""


class AsyncClient:
    """Of one event loop; `async with` closes it. Without a URL it is the server of the environment, or of the profile.

    Every method raises `ServerAway` when the server stays away for `patience_s` seconds, and what the server refuses as
    `ServerRefused`: `NotFound`, `NotAllowed` and so on, `errors.py` draws the tree.
    """

    def __init__(
        self,
        url: str | Server | None = None,
        *,
        credential: str | None = None,
        profile: str | None = None,
        patience_s: float = PATIENCE_S,
        say: Say | None = None,
    ) -> None:
        """`credential`: an API key or a token. A `Server` is taken as it is, with nothing looked up."""
        server = url if isinstance(url, Server) else find_server(url, credential, profile=profile)
        self._transport = Transport(server, patience_s=patience_s, say=say)
        self._places = Places(self._transport)

    async def log_in(self, username: str, password: str) -> None:
        """From now on as this user. The token is renewed before it ends, for as long as the client lives."""
        await self._transport.log_in(LoginRequest(username=username, password=password))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of its connections."""
        await self._transport.close()

    @property
    def server(self) -> Server:
        return self._transport.server

    async def whoami(self) -> Me:
        return await self._transport.ask("GET", "/auth/me", Me)

    async def create_key(self, key: KeyCreate) -> Key:
        """An API key, which is told this once."""
        return await self._transport.ask("POST", "/auth/keys", Key, body=key)

    async def revoke_key(self, id: UUID) -> None:
        await self._transport.ask("DELETE", f"/auth/keys/{id}", type(None), repeatable=True)

    # Bytes.

    async def put(
        self,
        source: Puttable,
        pid: str | None = None,
        *,
        store: str | None = None,
        filename: str | None = None,
        media_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] = (),
        on_progress: OnProgress | None = None,
        **fields: Any,
    ) -> Media:
        """Make bytes the content of a PID, or of a new one: few in one request, more in parts, straight to the store where it
        takes them so. The server publishes them once it has seen that they are those whose SHA-256 was reckoned here.

        `fields`: what else a record may have, as in `MediaCreate`: `access`, `readers`, `identifiers`, `ttl_s`, …
        Killed and called again with the same file, it sends what is missing. Raises `FileUnfit` as well, and
        `msgspec.ValidationError` for fields that are none.
        """
        opened = source_of(source)
        try:
            small = await opened.read(0, opened.size) if opened.size <= SMALL else None
            sha256 = await sha256_of(opened) if opened.size <= SINGLE else None
            # Only what is given: it changes a record that is there.
            if metadata is not None:
                fields["metadata"] = Raw(msgspec.json.encode(metadata))
            given = {"pid": pid, "store": store, "filename": filename or opened.name, "tags": list(tags)}
            fields |= {name: value for name, value in given.items() if value}
            fields |= {"size": opened.size, "media_type": media_type or guessed(filename or opened.name)}
            if sha256 is not None:
                fields["checksums"] = {"sha256": sha256}
            msgspec.convert(fields, UploadBegin)
            progress, state = Progress(opened.size, on_progress), None
            if small is not None and (form := form_of(fields)) is not None:
                opened.check()
                return await Posting(self._transport, progress=progress).run(small, form)
            if isinstance(opened, FileSource) and opened.mark is not None:
                state = UploadState("|".join((self.server.url, pid or "", store or "", opened.mark)))
            return await Sending(self._transport, opened, state=state, progress=progress).run(fields, sha256=sha256)
        finally:
            opened.close()

    async def get(
        self,
        pid: str,
        path: str | os.PathLike[str] | None = None,
        *,
        version: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """The bytes of a PID as a file: `path`, or in the folder `path`, or here, by the name that the content has. The file is
        there once its checksum was compared; what was there under its name is replaced at that moment.

        Stopped and called again it asks for what is missing. Raises `BytesWrong` and `FileUnfit` as well.
        """
        wanted = await self.wanted(pid, version)
        target = Path(path) if path is not None else Path()
        if target.is_dir():
            target = target / file_name(wanted.filename or pid)
        await Receiving(self._transport, self._places, wanted, target, progress=Progress(wanted.size, on_progress)).run()
        return target

    async def wanted(self, pid: str, version: int | None = None) -> Wanted:
        """What `get` would bring, as the server tells of it. Raises `NotFound` where there is no such content."""
        media = await self.info(pid)
        if media.content is not None and version in {None, media.version}:
            content: Content | Version = media.content
            number = media.version
        else:
            found = [item for item in (await self.versions(pid)).items if item.version == version]
            if not found:
                there = f"version {version}" if version is not None else f"content yet: it is {media.status}"
                raise NotFound(404, {"code": "content_missing", "detail": f"{pid} has no {there}"})
            content, number = found[0], found[0].version
        digests = {name: item.value for name, item in content.checksums.items() if item.attested_by != "claimed"}
        return Wanted(pid=pid, version=number, size=content.size, digests=digests, filename=content.filename)

    async def read(self, pid: str, start: int = 0, end: int | None = None, *, version: int | None = None) -> bytes:
        """The bytes [start, end) of a PID, in memory; fewer where it ends before. No checksum is compared: see `get`.

        Of a `version`, straight from its store where that is possible.
        """
        if end is not None and end <= start:
            return b""
        asked = f"bytes={start}-{'' if end is None else end - 1}"

        async def read(url: str, headers: dict[str, str]) -> bytes:
            async with self._transport.open("GET", url, headers={**headers, "Range": asked}) as answer:
                content = await answer.aread()
            return content if answer.status_code == PARTIAL else content[start:end]

        async def once() -> bytes:
            if version is not None:
                return await self._places.bring(pid, version, read)
            return await read(self._transport.url(f"/content/{quoted(pid)}"), await self._transport.authorization())

        try:
            return await self._transport.patiently(once)
        except (ServerRefused, StoreRefused) as error:
            if error.status != RANGE_BEYOND:
                raise
            return b""

    async def urls(self, pids: Iterable[str], *, expires_s: int | None = None) -> list[UrlIssued]:
        """A signed URL for each, which stands for a log-in until it ends; or the problem that keeps it back."""
        asked = [UrlAsked(pid=pid) for pid in pids]
        issued: list[UrlIssued] = []
        for first in range(0, len(asked), URLS):
            body = UrlsAsked(items=asked[first : first + URLS], expires_s=expires_s)
            answer = await self._transport.ask("POST", "/content/urls", UrlsIssued, body=body, repeatable=True)
            issued += answer.items
        return issued

    # Records.

    async def info(self, pid: str) -> Media:
        return await self._transport.ask("GET", f"/media/{quoted(pid)}", Media)

    async def create(self, media: MediaCreate) -> Media:
        """A record without content yet."""
        return await self._transport.ask("POST", "/media", Media, body=media)

    async def edit(self, pid: str, change: MediaChange, *, revision: int | None = None) -> Media:
        """`revision`: the one that the record must still have. Raises `Changed` when somebody else was quicker."""
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        return await self._transport.ask("PATCH", f"/media/{quoted(pid)}", Media, body=change, headers=headers)

    async def restore(self, pid: str, *, ttl_s: int | None = None) -> Media:
        """Bring back a record that has expired, for so long, or for good. One that has not is left as it is.

        Raises `Gone` for what was deleted, or removed since.
        """
        try:
            return await self.info(pid)
        except Gone as error:
            if not error.expired:
                raise
        return await self.edit(pid, MediaChange(expires_at=None) if ttl_s is None else MediaChange(ttl_s=ttl_s))

    async def delete(self, pid: str) -> None:
        """The record and its bytes, for good."""
        await self._transport.ask("DELETE", f"/media/{quoted(pid)}", type(None))

    async def versions(self, pid: str) -> VersionList:
        return await self._transport.ask("GET", f"/versions/{quoted(pid)}", VersionList)

    async def history(self, pid: str, *, reads: bool = False) -> AsyncIterator[Event]:
        """What happened to a record, oldest first."""
        cursor = None
        while True:
            query = {"cursor": cursor, "reads": reads}
            page = await self._transport.ask("GET", f"/history/{quoted(pid)}", EventPage, query=query)
            for event in page.items:
                yield event
            cursor = page.next
            if cursor is None:
                return

    async def search(self, request: SearchRequest | None = None, **filters: Any) -> AsyncIterator[Media]:
        """What matches, page by page as it is asked for. `filters` as in `SearchRequest`: `pid="IFCB1*"`, `q="bloom AR77"`,
        `tags={"all": ["raw"]}`, `size={"gte": 10}`, `sort="-created_at"`. Raises `msgspec.ValidationError` for those that
        are none.
        """
        asked = request or msgspec.convert(filters, SearchRequest)
        while True:
            page = await self.page(asked)
            for media in page.items:
                yield media
            if page.next is None:
                return
            asked = msgspec.structs.replace(asked, cursor=page.next)

    async def page(self, request: SearchRequest) -> SearchPage:
        """One page, with what else was asked for: `count`, `facets`."""
        return await self._transport.ask("POST", "/media/search", SearchPage, body=request, repeatable=True)

    async def batch(self, items: Iterable[BatchItem]) -> AsyncIterator[BatchResult]:
        """A result for each, in order, sent 10,000 at a time. One that fails leaves the others done."""
        waiting: list[Raw] = []
        for item in items:
            waiting.append(Raw(msgspec.json.encode(item)))
            if len(waiting) == BATCH:
                for result in await self._batch(waiting):
                    yield result
                waiting = []
        if waiting:
            for result in await self._batch(waiting):
                yield result

    async def _batch(self, items: list[Raw]) -> list[BatchResult]:
        answer = await self._transport.ask("POST", "/media/batch", BatchAnswer, body=BatchRequest(items=items))
        if len(answer.items) != len(items):
            raise AnswerStrange(f"{len(answer.items)} results came for {len(items)} items")
        return answer.items
