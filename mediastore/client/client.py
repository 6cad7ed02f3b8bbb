"""The same as `AsyncClient` for programs, notebooks and terminals that do one thing after another."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

from mediastore.accounts.schemas import Key, KeyCreate, Me
from mediastore.catalog.schemas import BatchItem, BatchResult, Media, MediaChange, MediaCreate, VersionList
from mediastore.catalog.search_schemas import SearchPage, SearchRequest
from mediastore.client.async_client import AsyncClient
from mediastore.client.progress import OnProgress
from mediastore.client.servers import Server
from mediastore.client.sources import Puttable
from mediastore.client.transport import PATIENCE_S, Say
from mediastore.events.schemas import Event
from mediastore.transfers.schemas import UrlIssued

T = TypeVar("T")


class Client:
    """Its event loop is a thread of its own, so that it works where another loop runs, as in notebooks. Threads may share it.

    What methods promise and raise is said at those of `AsyncClient`.
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
        self._client = AsyncClient(url, credential=credential, profile=profile, patience_s=patience_s, say=say)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mediastore-client", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            self._run(self._client.close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    @property
    def server(self) -> Server:
        return self._client.server

    def log_in(self, username: str, password: str) -> None:
        self._run(self._client.log_in(username, password))

    def whoami(self) -> Me:
        return self._run(self._client.whoami())

    def create_key(self, key: KeyCreate) -> Key:
        return self._run(self._client.create_key(key))

    def revoke_key(self, id: UUID) -> None:
        self._run(self._client.revoke_key(id))

    def put(
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
        return self._run(
            self._client.put(
                source,
                pid,
                store=store,
                filename=filename,
                media_type=media_type,
                metadata=metadata,
                tags=tags,
                on_progress=on_progress,
                **fields,
            )
        )

    def get(
        self,
        pid: str,
        path: str | os.PathLike[str] | None = None,
        *,
        version: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> Path:
        return self._run(self._client.get(pid, path, version=version, on_progress=on_progress))

    def read(self, pid: str, start: int = 0, end: int | None = None, *, version: int | None = None) -> bytes:
        return self._run(self._client.read(pid, start, end, version=version))

    def urls(self, pids: Iterable[str], *, expires_s: int | None = None) -> list[UrlIssued]:
        return self._run(self._client.urls(pids, expires_s=expires_s))

    def info(self, pid: str) -> Media:
        return self._run(self._client.info(pid))

    def create(self, media: MediaCreate) -> Media:
        return self._run(self._client.create(media))

    def edit(self, pid: str, change: MediaChange, *, revision: int | None = None) -> Media:
        return self._run(self._client.edit(pid, change, revision=revision))

    def restore(self, pid: str, *, ttl_s: int | None = None) -> Media:
        return self._run(self._client.restore(pid, ttl_s=ttl_s))

    def delete(self, pid: str) -> None:
        self._run(self._client.delete(pid))

    def versions(self, pid: str) -> VersionList:
        return self._run(self._client.versions(pid))

    def history(self, pid: str, *, reads: bool = False) -> Iterator[Event]:
        return self._each(self._client.history(pid, reads=reads))

    def search(self, request: SearchRequest | None = None, **filters: Any) -> Iterator[Media]:
        return self._each(self._client.search(request, **filters))

    def page(self, request: SearchRequest) -> SearchPage:
        return self._run(self._client.page(request))

    def batch(self, items: Iterable[BatchItem]) -> Iterator[BatchResult]:
        return self._each(self._client.batch(items))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            # Ctrl-C reaches this thread, and the work has to end as well.
            future.cancel()
            raise

    def _each(self, items: AsyncIterator[T]) -> Iterator[T]:
        async def following() -> tuple[T] | None:
            async for item in items:
                return (item,)
            return None

        while (found := self._run(following())) is not None:
            yield found[0]
