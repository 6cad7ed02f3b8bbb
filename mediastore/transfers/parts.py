"""Parts that come to this server, for stores that clients can't reach by themselves.

They come in any order, at once and twice: to their places in one object where the store has that and none of the same number is
known, else each to an object of its own until the upload is completed.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from uuid import UUID

from msgspec import Struct

from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.placement import objects
from mediastore.placement.registry import Registry
from mediastore.transfers import part_queries, queries
from mediastore.transfers.completion import ARRIVED, Completion, ended
from mediastore.transfers.errors import (
    DigestInvalid,
    DirectUnavailable,
    PartBusy,
    SizeMismatch,
    UploadEnded,
    UploadExpired,
    UploadUnknown,
)
from mediastore.transfers.gathered import part_etag
from mediastore.transfers.ledger import Ledger, reason_of
from mediastore.transfers.queries import UploadRow
from mediastore.transfers.requests import plan_of
from mediastore.transfers.streaming import Written, store_range, store_stream
from mediastore.transfers.tickets import Tickets
from mediastore.transfers.uploads import shielded

MOST_AT_ONCE = 3
"""How often one part can be on its way: more than once, because a client that lost its connection sends it again."""


class Coming(Struct, frozen=True, kw_only=True):
    """A part that is written down."""

    object: int
    key: str
    in_place: bool


class PartReceiver:
    def __init__(
        self,
        database: Database,
        *,
        ledger: Ledger,
        completion: Completion,
        registry: Registry,
        tickets: Tickets,
        max_bytes: int,
        idle_s: float,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._completion = completion
        self._max_bytes = max_bytes
        self._registry = registry
        self._tickets = tickets
        self._idle = timedelta(seconds=idle_s)
        self._clock = clock
        self._alive: set[int] = set()

    async def receive(
        self,
        id: UUID,
        number: int,
        body: AsyncIterator[bytes],
        *,
        token: str,
        signed_digests: str = "",
        size: int | None,
        digests: Mapping[str, str],
    ) -> str:
        """Keep the body as one part of an upload, in place of what came before; returns its entity tag, without quotes.

        `signed_digests`, `algorithm:hex` with commas, are those of the URL; `size` and `digests` what the request says of its
        body. Raises `TicketWrong`, `SizeMismatch`, `DigestMismatch`, `UploadExpired` and what `ended` tells.
        """
        upload = await self._open(id, number, token, signed_digests)
        planned = size if upload.size is None else plan_of(upload).span(number)[1]
        if size is not None and size != planned:
            raise SizeMismatch(f"part {number} has {planned} bytes, not {size}", declared=planned, received=size)
        whole = plan_of(upload).count == 1
        claimed = dict(digests)
        signed = dict(item.split(":") for item in signed_digests.split(",") if item)
        for algorithm, digest in (signed | (upload.claimed if whole else {})).items():
            if claimed.setdefault(algorithm, digest) != digest:
                raise DigestInvalid(f"the {algorithm} of this request is not the one that was said before")
        store = await self._registry.get(upload.store)
        if store.features.presigned:
            raise DirectUnavailable("the parts of this upload go to its store: use the URLs that it was begun with")
        coming = await self._announce(upload, number=number, size=planned or 0)
        self._alive.add(coming.object)
        try:
            if coming.in_place and upload.landing_key is not None:
                offset, length = plan_of(upload).span(number)
                written = await store_range(store, upload.landing_key, body, offset=offset, size=length, claimed=claimed)
            else:
                written = await store_stream(
                    store,
                    coming.key,
                    body,
                    algorithms=upload.algorithms if whole else (),
                    size=planned,
                    claimed=claimed,
                    largest=self._max_bytes if planned is None or upload.size is None else planned,
                )
            await self._note(upload, coming, written)
        except BaseException as error:
            # Cancelled once more while it was let go of, a thread may still be writing: nobody else may write to that place.
            if isinstance(error, Exception) or not coming.in_place:
                await shielded(self._undo(upload, coming, reason_of(error)))
            raise
        finally:
            self._alive.discard(coming.object)
        if coming.in_place:
            self._completion.came(upload, store, number)
        return part_etag(coming.object)

    async def show_life(self) -> None:
        """Tell the clean-up, wherever it runs, that the parts that come to this process are under way."""
        if self._alive:
            async with self._database.connection() as connection:
                await part_queries.show_life_of_parts(connection, self._alive, idle_s=self._idle.total_seconds())

    async def _open(self, id: UUID, number: int, token: str, signed_digests: str) -> UploadRow:
        async with self._database.connection() as connection:
            upload = await queries.upload_by_id(connection, id)
        if upload is None:
            raise UploadUnknown(f"there is no upload {id}", id=id)
        plan = plan_of(upload)
        size = plan.span(number)[1] if 1 <= number <= plan.count else -1  # which no token is for
        self._tickets.check_part(token, id, number, size, digests=signed_digests)
        if upload.state != "open":
            raise ended(upload)
        if upload.expires_at <= self._clock():
            raise UploadExpired("nothing was heard of this upload for too long; GET it for fresh URLs, and go on")
        return upload

    async def _announce(self, upload: UploadRow, *, number: int, size: int) -> Coming:
        key = objects.new_key()
        async with self._database.transaction() as connection:
            if not await queries.keep_open(connection, upload.id, expires_at=self._clock() + self._idle):
                raise UploadEnded("this upload ended just now", pid=upload.pid)
            if await part_queries.coming(connection, upload.id, number) >= MOST_AT_ONCE:
                raise PartBusy(f"part {number} is on its way {MOST_AT_ONCE} times already; wait for one of them")
            object = await objects.insert_object(
                connection, media=None, store=upload.store, key=key, media_type=upload.media_type, filename=None
            )
            in_place = await part_queries.insert_part(connection, object=object, upload=upload.id, number=number, size=size)
        return Coming(object=object, key=key, in_place=in_place)

    async def _note(self, upload: UploadRow, coming: Coming, written: Written) -> None:
        async with self._database.transaction() as connection:
            there = await queries.keep_open(connection, upload.id, expires_at=self._clock() + self._idle)
            if not there or not await part_queries.receive_part(
                connection, object=coming.object, size=written.size, checksums=written.digests
            ):
                raise UploadEnded("this upload ended while the part came, or the part took too long", pid=upload.pid)
            if upload.size is None:  # nobody will say that this was all
                await self._completion.enqueue(connection, ARRIVED, upload.id, memory=upload.store_kind == "memory")

    async def _undo(self, upload: UploadRow, coming: Coming, reason: str) -> None:
        if not await self._ledger.give_up_part(coming.object, reason=reason):
            key = upload.landing_key if coming.in_place and upload.landing_key is not None else coming.key
            await self._ledger.doom_again(store=upload.store, key=key, reason=reason)
