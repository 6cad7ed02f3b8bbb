"""Bytes in and out, from what AMPLIfy's calls say to our uploads, downloads and signed URLs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from tempfile import TemporaryFile
from typing import IO, Any

import msgspec

from mediastore.accounts.schemas import Caller
from mediastore.catalog.errors import RecordNotFound
from mediastore.catalog.service import Catalog
from mediastore.dialects.amplify.many import Many
from mediastore.dialects.amplify.records import Records
from mediastore.dialects.amplify.refusals import failure
from mediastore.dialects.amplify.schemas import AmplifyLinked, AmplifyMediaWanted, AmplifyUploaded, Pids
from mediastore.dialects.amplify.upload_body import UploadBody
from mediastore.transfers.declared import OCTETS, About, Declared, about_record, always
from mediastore.transfers.direct import Asker, DirectUploads
from mediastore.transfers.errors import UploadTooLarge
from mediastore.transfers.links import Link, Links
from mediastore.transfers.requests import Site
from mediastore.transfers.schemas import UrlAsked
from mediastore.transfers.streaming import GROUP, grouped
from mediastore.transfers.uploads import Uploads
from stores.errors import StoreFull

SAID_AGAIN = ("identifiers", "metadata", "tags")
"""What an upload to a record that is there changes of it, where it is not empty."""


class Transfers:
    def __init__(
        self,
        *,
        records: Records,
        many: Many,
        catalog: Catalog,
        uploads: Uploads,
        direct_uploads: DirectUploads,
        links: Links,
        max_json_bytes: int,
        max_aside_bytes: int,
    ) -> None:
        self._records = records
        self._many = many
        self._catalog = catalog
        self._uploads = uploads
        self._direct_uploads = direct_uploads
        self._links = links
        self.max_json_bytes = max_json_bytes
        """What a body may have beside its base64."""
        self._max_aside_bytes = max_aside_bytes

    async def receive(self, body: UploadBody, *, caller: Caller, site: Site) -> AmplifyUploaded:
        """The bytes of this body as the content of its record, made where there is none; without bytes, where to PUT them."""
        if not await body.begin():
            return await self._begun(body.asked().mediadata, asker=Asker(caller=caller, token=None, site=site))
        if body.asked_first:
            return await self._stored(body.asked(so_far=True).mediadata, body.content(), caller=caller)
        # Which store they go to stands behind them, and no byte goes anywhere before there is a row for it.
        with TemporaryFile() as file:
            size = await self._spool(body.content(), file)
            return await self._stored(body.asked().mediadata, _read(file, size), caller=caller)

    async def links(self, pids: Pids, *, caller: Caller, site: Site) -> list[AmplifyLinked]:
        """A signed URL for each, or what keeps it back."""
        medias = {media.pid: media for media in await self._many.read(pids, caller=caller)}
        outcomes = await self._links.issue_many([UrlAsked(pid=pid) for pid in pids], expires_s=None, caller=caller, site=site)
        linked = []
        for pid, outcome in zip(pids, outcomes, strict=True):
            if isinstance(outcome, Link) and pid in medias:
                linked.append(AmplifyLinked(mediadata=medias[pid], presigned_get=outcome.url))
                continue
            told = failure(pid, RecordNotFound(f"the record {pid} went away just now") if isinstance(outcome, Link) else outcome)
            linked.append(AmplifyLinked(pid=told.pid, error=told.error, msg=told.msg))
        return linked

    async def _begun(self, wanted: AmplifyMediaWanted, *, asker: Asker) -> AmplifyUploaded:
        about = await self._about(wanted, caller=asker.caller)
        upload = await self._direct_uploads.begin_unsized(wanted.pid, about, asker=asker)
        return AmplifyUploaded(status="PENDING", presigned_put=upload.url)

    async def _stored(self, wanted: AmplifyMediaWanted, content: AsyncIterator[bytes], *, caller: Caller) -> AmplifyUploaded:
        async with aclosing(content) as pieces:  # type: ignore[type-var]  # all our streams are generators
            await self._uploads.receive(
                wanted.pid,
                pieces,
                declared=Declared(size=None, media_type=OCTETS, filename=None, digests={}),
                about=await self._about(wanted, caller=caller),
                precondition=always,
                caller=caller,
            )
        return AmplifyUploaded(status="READY")

    async def _about(self, wanted: AmplifyMediaWanted, *, caller: Caller) -> About:
        """What is said of the record. Of one that is there nothing is taken away by leaving it out, as those clients do."""
        store = await self._records.store_named(wanted.store_config, caller=caller)
        fields: dict[str, Any] = self._records.fields(wanted, store=store.name)
        try:
            await self._catalog.read(wanted.pid, caller=caller)
        except RecordNotFound:
            return about_record(msgspec.json.encode(fields))
        kept = {name: value for name, value in fields.items() if value and name in {"pid_type", "store", *SAID_AGAIN}}
        return about_record(msgspec.json.encode(kept))

    async def _spool(self, content: AsyncIterator[bytes], file: IO[bytes]) -> int:
        size = 0
        async with aclosing(grouped(content)) as groups:
            async for group in groups:
                size += sum(map(len, group))
                if size > self._max_aside_bytes:
                    raise UploadTooLarge(
                        f"more than {self._max_aside_bytes} bytes before the record they are for; send mediadata before base64",
                        limit=self._max_aside_bytes,
                    )
                try:
                    await asyncio.to_thread(_write, file, group)
                except OSError as error:
                    raise StoreFull("The server has no room to put these bytes aside; send mediadata before base64") from error
        return size


def _write(file: IO[bytes], group: Sequence[bytes]) -> None:
    file.writelines(group)
    file.flush()


async def _read(file: IO[bytes], size: int) -> AsyncIterator[bytes]:
    file.seek(0)
    while size > 0:
        piece = await asyncio.to_thread(file.read, GROUP)
        size -= len(piece)
        yield piece
