"""A store that fails as it is told to, for tests of what is built on stores."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from stores.digests import Algorithm
from stores.errors import ObjectNotFound, ObjectTruncated, StoreError, StoreUnavailable
from stores.protocol import (
    Chunks,
    Deletion,
    Features,
    ObjectAcl,
    ObjectInfo,
    OnUploadId,
    OpenUpload,
    PartInfo,
    SignedRequest,
    Store,
    Writer,
)

Operation: TypeAlias = Literal[
    "open",
    "write",
    "write_range",
    "append",
    "commit",
    "read",
    "head",
    "delete",
    "list",
    "list_uploads",
    "abort_upload",
    "presign_get",
    "presign_put",
    "presign_post",
    "begin_multipart",
    "presign_part",
    "list_parts",
    "complete_multipart",
    "cors",
]
OnOperation: TypeAlias = Callable[[Operation], Awaitable[None]]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with calls of one operation. Several wishes of one fault all come true, in the order of the fields."""

    operation: Operation
    times: int | None = 1
    """To how many calls it happens; None for ever."""
    delay_s: float = 0.0
    error: StoreError | None = None
    """Raised before anything is done. Of a delete, the answer for each key."""
    not_found: bool = False
    """Everything looks as if it had never been there; also deleted objects are "gone" while they stay."""
    error_after: StoreError | None = None
    """Raised after everything was done. Of a delete, the answer for each key."""
    read_bytes: int | None = None
    """A read ends with `ObjectTruncated` after so many bytes."""
    size: int | None = None
    """What head, commit or the completion of a multipart upload says the object's size is."""
    failing_keys: frozenset[str] = frozenset()
    """Keys that a delete leaves there and answers with `StoreUnavailable`."""
    answers: Mapping[str, Deletion] = {}
    """What a delete says of these keys after it was done."""


class FaultyStore:
    """A `Store` around another. Faults are used up in the order given; without one, calls pass through untouched."""

    def __init__(self, inner: Store, faults: Sequence[Fault] = (), *, on_operation: OnOperation | None = None) -> None:
        """`on_operation` is awaited with the name of each operation, before its faults."""
        self.inner = inner
        self._waiting = [_Waiting(fault) for fault in faults]
        self._on_operation = on_operation

    def inject(self, fault: Fault) -> None:
        """Add a fault behind those that are still waiting."""
        self._waiting.append(_Waiting(fault))

    @property
    def features(self) -> Features:
        return self.inner.features

    async def open(self) -> None:
        fault = await self._begin("open")
        await self.inner.open()
        _raise(fault.error_after)

    async def close(self) -> None:
        await self.inner.close()

    @asynccontextmanager
    async def write(
        self, key: str, *, size: int | None = None, media_type: str | None = None, on_upload_id: OnUploadId | None = None
    ) -> AsyncIterator[Writer]:
        await self._begin("write")
        async with self.inner.write(key, size=size, media_type=media_type, on_upload_id=on_upload_id) as writer:
            yield _FaultyWriter(writer, self._begin)

    @asynccontextmanager
    async def write_range(self, key: str, *, offset: int, size: int) -> AsyncIterator[Writer]:
        await self._begin("write_range")
        async with self.inner.write_range(key, offset=offset, size=size) as writer:
            yield _FaultyWriter(writer, self._begin)

    async def read(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        fault = await self._begin("read")
        remaining = fault.read_bytes
        async for piece in self.inner.read(key, start=start, end=end):
            if remaining is not None and len(piece) > remaining:
                if remaining:
                    yield piece[:remaining]
                raise ObjectTruncated(f"The store ended {key!r} early", key=key)
            if remaining is not None:
                remaining -= len(piece)
            yield piece
        _raise(fault.error_after)

    async def head(self, key: str) -> ObjectInfo:
        fault = await self._begin("head")
        return _lie(await self.inner.head(key), fault)

    async def delete(self, keys: Sequence[str]) -> Mapping[str, Deletion]:
        try:
            fault = await self._begin("delete")
        except ObjectNotFound:
            return dict.fromkeys(keys)
        except StoreError as error:
            return dict.fromkeys(keys, error)
        failure = StoreUnavailable("The store failed to delete this object")
        answers = dict(await self.inner.delete([key for key in keys if key not in fault.failing_keys]))
        if fault.error_after is not None:
            answers = dict.fromkeys(answers, fault.error_after)
        answers |= {key: answer for key, answer in fault.answers.items() if key in answers}
        return answers | {key: failure for key in keys if key in fault.failing_keys}

    async def list(self, *, prefix: str = "", start_after: str = "") -> AsyncIterator[ObjectInfo]:
        try:
            fault = await self._begin("list")
        except ObjectNotFound:
            return
        async for info in self.inner.list(prefix=prefix, start_after=start_after):
            yield info
        _raise(fault.error_after)

    async def list_uploads(self, *, prefix: str = "") -> AsyncIterator[OpenUpload]:
        try:
            fault = await self._begin("list_uploads")
        except ObjectNotFound:
            return
        async for upload in self.inner.list_uploads(prefix=prefix):
            yield upload
        _raise(fault.error_after)

    async def abort_upload(self, key: str, upload_id: str) -> None:
        fault = await self._begin("abort_upload")
        await self.inner.abort_upload(key, upload_id)
        _raise(fault.error_after)

    def local_path(self, key: str) -> Path:
        return self.inner.local_path(key)

    async def presign_get(self, key: str, *, expires_s: int, filename: str | None = None, media_type: str | None = None) -> str:
        await self._begin("presign_get")
        return await self.inner.presign_get(key, expires_s=expires_s, filename=filename, media_type=media_type)

    async def presign_put(
        self, key: str, *, expires_s: int, size: int | None, media_type: str, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        await self._begin("presign_put")
        return await self.inner.presign_put(key, expires_s=expires_s, size=size, media_type=media_type, digests=digests)

    async def presign_post(
        self,
        key: str,
        *,
        expires_s: int,
        size: int,
        media_type: str,
        digests: Mapping[str, str] = {},
        acl: ObjectAcl | None = None,
    ) -> SignedRequest:
        await self._begin("presign_post")
        return await self.inner.presign_post(key, expires_s=expires_s, size=size, media_type=media_type, digests=digests, acl=acl)

    async def begin_multipart(self, key: str, *, media_type: str, checksum: Algorithm | None = None) -> str:
        fault = await self._begin("begin_multipart")
        upload_id = await self.inner.begin_multipart(key, media_type=media_type, checksum=checksum)
        _raise(fault.error_after)
        return upload_id

    async def presign_part(
        self, key: str, upload_id: str, number: int, *, size: int, expires_s: int, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        await self._begin("presign_part")
        return await self.inner.presign_part(key, upload_id, number, size=size, expires_s=expires_s, digests=digests)

    async def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        fault = await self._begin("list_parts")
        parts = await self.inner.list_parts(key, upload_id)
        _raise(fault.error_after)
        return parts

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], *, size: int | None = None
    ) -> ObjectInfo:
        fault = await self._begin("complete_multipart")
        return _lie(await self.inner.complete_multipart(key, upload_id, parts, size=size), fault)

    async def cors(self, origin: str) -> str | None:
        fault = await self._begin("cors")
        answer = await self.inner.cors(origin)
        _raise(fault.error_after)
        return answer

    async def _begin(self, operation: Operation) -> Fault:
        """The fault of this call, with what happens before the work done already."""
        if self._on_operation is not None:
            await self._on_operation(operation)
        fault = self._take(operation)
        if fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        _raise(fault.error)
        if fault.not_found:
            raise ObjectNotFound("There is no such object")
        return fault

    def _take(self, operation: Operation) -> Fault:
        for waiting in self._waiting:
            if waiting.fault.operation == operation:
                if waiting.used_up_by_this_call():
                    self._waiting.remove(waiting)
                return waiting.fault
        return Fault(operation=operation)


class _Waiting:
    """A fault and to how many calls it is still to happen."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._times = fault.times

    def used_up_by_this_call(self) -> bool:
        if self._times is not None:
            self._times -= 1
        return self._times == 0


class _FaultyWriter:
    def __init__(self, inner: Writer, begin: Callable[[Operation], Awaitable[Fault]]) -> None:
        self._inner = inner
        self._begin = begin

    async def append(self, chunks: Chunks) -> None:
        fault = await self._begin("append")
        await self._inner.append(chunks)
        _raise(fault.error_after)

    async def commit(self) -> ObjectInfo:
        fault = await self._begin("commit")
        return _lie(await self._inner.commit(), fault)


def _lie(info: ObjectInfo, fault: Fault) -> ObjectInfo:
    """What is told of the object, after the work was done."""
    _raise(fault.error_after)
    return info if fault.size is None else msgspec.structs.replace(info, size=fault.size)


def _raise(error: StoreError | None) -> None:
    if error is not None:
        raise error
