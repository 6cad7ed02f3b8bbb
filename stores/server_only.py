"""What a store lacks that clients reach through this server alone: each ability is refused at once."""
# ruff: noqa: ARG002 - the arguments are the protocol's

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NoReturn

from stores.digests import Algorithm
from stores.errors import FeatureMissing
from stores.protocol import ObjectAcl, ObjectInfo, OpenUpload, PartInfo, SignedRequest, Writer


class ServerOnly:
    """A store without `presigned` and `multipart` inherits this, and one with `ranged` overrides `write_range`."""

    def write_range(self, key: str, *, offset: int, size: int) -> AbstractAsyncContextManager[Writer]:
        raise FeatureMissing("This store takes whole objects only", key=key)

    async def list_uploads(self, *, prefix: str = "") -> AsyncIterator[OpenUpload]:
        return
        yield

    async def abort_upload(self, key: str, upload_id: str) -> None:
        _refuse(key)

    async def presign_get(self, key: str, *, expires_s: int, filename: str | None = None, media_type: str | None = None) -> str:
        _refuse(key)

    async def presign_put(
        self, key: str, *, expires_s: int, size: int | None, media_type: str, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        _refuse(key)

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
        _refuse(key)

    async def begin_multipart(self, key: str, *, media_type: str, checksum: Algorithm | None = None) -> str:
        _refuse(key)

    async def presign_part(
        self, key: str, upload_id: str, number: int, *, size: int, expires_s: int, digests: Mapping[str, str] = {}
    ) -> SignedRequest:
        _refuse(key)

    async def list_parts(self, key: str, upload_id: str) -> Sequence[PartInfo]:
        _refuse(key)

    async def complete_multipart(
        self, key: str, upload_id: str, parts: Sequence[tuple[int, str]], *, size: int | None = None
    ) -> ObjectInfo:
        _refuse(key)

    async def cors(self, origin: str) -> str | None:
        _refuse(None)


def _refuse(key: str | None) -> NoReturn:
    raise FeatureMissing("Clients reach this store only through this server: it has no presigned URLs and no parts", key=key)
