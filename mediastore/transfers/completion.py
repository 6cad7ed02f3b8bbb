"""From bytes that a client sent by itself to the content of a record: gathered, verified against what the store holds, published.

Nothing that a client or a store says is taken over unasked. What the store attests counts; everything else is read back.
"""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.errors import CredentialsWrong, NotAllowed
from mediastore.accounts.schemas import Caller
from mediastore.catalog.errors import CatalogError
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.schemas import Checksum, Media
from mediastore.clock import Clock
from mediastore.database import Connection, Database
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from mediastore.placement.errors import QuotaExceeded
from mediastore.placement.registry import Registry
from mediastore.transfers import part_queries, queries
from mediastore.transfers.declared import Declared, Precondition, about_record, always
from mediastore.transfers.errors import (
    DigestMismatch,
    SizeMismatch,
    UploadEnded,
    UploadFailed,
    UploadIncomplete,
    UploadInterrupted,
    UploadSuperseded,
    UploadTooLarge,
)
from mediastore.transfers.gathered import Piece, Source, check_named, check_numbers, incomplete, joined, piece_of
from mediastore.transfers.ledger import Intent, Ledger, Stored, reason_of
from mediastore.transfers.queries import UploadRow
from mediastore.transfers.requests import plan_of
from mediastore.transfers.running import RunningDigests
from mediastore.transfers.streaming import compare, store_stream
from stores.digests import digest_stream
from stores.errors import ObjectExists, ObjectNotFound, ObjectTooLarge, PartsInvalid, StoreError, UploadNotFound
from stores.protocol import ObjectInfo, Store

VERIFY = "verify_upload"
SETTLE = "settle_upload"
ARRIVED = "complete_arrived"
"""An upload of which nobody said how much would come, and nobody will say that it was all."""
FINAL = (
    CatalogError,
    CredentialsWrong,
    DigestMismatch,
    NotAllowed,
    ObjectNotFound,
    ObjectTooLarge,
    PartsInvalid,
    QuotaExceeded,
    SizeMismatch,
    UploadEnded,
    UploadIncomplete,
    UploadNotFound,
    UploadTooLarge,
)
"""What ends an upload. Anything else, such as a store that is away, switched off, or has new keys, is waited for."""
FIRST_READINGS = timedelta(minutes=1)
BELIEVED_AFTER: Mapping[type, timedelta] = {
    SizeMismatch: FIRST_READINGS,
    ObjectNotFound: timedelta(days=1),
    UploadIncomplete: timedelta(days=1),
}
"""How long a store may show another size, or nothing, where the bytes were said to be, before it is believed."""
SOONEST_S, LATEST_S = 5, 600
"""Between two tries: a tenth of the time that it has taken, within these."""
CATCH_UP_S = 1
"""How long a call waits for digests that are nearly there before it leaves the rest to a job."""
STOPPED_AFTER_S = 60
"""When a job goes on with what a call has begun to verify, in case that it was killed."""


class UploadJob(Struct, frozen=True, kw_only=True):
    """What a job about an upload is told."""

    upload: UUID


class Completion:
    def __init__(
        self,
        database: Database,
        *,
        ledger: Ledger,
        registry: Registry,
        credentials: Credentials,
        jobs: JobQueue,
        max_bytes: int,
        idle_s: float,
        grace_s: float,
        inline_bytes: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._registry = registry
        self._credentials = credentials
        self._jobs = jobs
        self._max_bytes = max_bytes
        self._idle = timedelta(seconds=idle_s)
        self._grace = timedelta(seconds=grace_s)
        self._inline_bytes = inline_bytes
        self._running = RunningDigests()
        self._clock = clock
        self._log = structlog.get_logger("mediastore.transfers")

    async def complete(
        self, upload: UploadRow, *, parts: Mapping[int, str] | None, caller: Caller, precondition: Precondition = always
    ) -> Media | None:
        """Make the bytes the record's content; None where a job verifies them first. `parts` are etags by number.

        Raises `UploadIncomplete` and whatever keeps the parts from being put together, which leaves the upload open, and
        `DigestMismatch` and what the record has to say, which end it.
        """
        store = await self._registry.get(upload.store)
        source = await self._gather(upload, store, parts)
        if source.landed:
            await self._running.catch_up(upload, within_s=CATCH_UP_S)
        quick = self._is_quick(upload, source)
        if quick and not source.copied:
            try:
                return await self._conclude(upload, store, source, caller=caller, precondition=precondition)
            except SizeMismatch:
                quick = False  # a store that is slow to see what it was sent: the job looks again before it is believed
        named = None if store.features.presigned else parts
        await self._freeze(upload, named=named, precondition=precondition, wait_s=STOPPED_AFTER_S if quick else 0)
        if not quick:
            return None
        try:
            frozen = await self._row(upload.id)
            if frozen is None or frozen.state != "verifying":
                return None
            source = await self._gather(frozen, store, None)
            return await self._conclude(frozen, store, source, caller=caller, precondition=precondition)
        except (StoreError, MediastoreError) as error:
            if isinstance(error, FINAL) and type(error) not in BELIEVED_AFTER:
                raise
            return None  # the job goes on with it

    def came(self, upload: UploadRow, store: Store, number: int) -> None:
        """A part is in its place in the landing."""
        self._running.came(upload, store, number)

    def close(self) -> None:
        """Let go of what is reckoned ahead."""
        self._running.close()

    async def enqueue(self, connection: Connection, job: str, upload: UUID, *, memory: bool, wait_s: float = 0) -> None:
        """Have somebody look after an upload, once. What lies in memory is looked after where it lies."""
        key = f"{job} {upload}"
        await self._jobs.enqueue(connection, job, UploadJob(upload=upload), dedupe_key=key, delay_s=wait_s, local=memory)

    async def verify(self, payload: bytes) -> None:
        """The job: verify an upload whose bytes are all there, and publish or refuse it. Safe to run twice and at once."""
        upload = await self._upload(payload)
        if upload is None or upload.state != "verifying":
            return
        self._log.info("verifying", upload=str(upload.id), pid=upload.pid, size=upload.size)
        try:
            caller = await self.beginner(upload)
            store = await self._registry.get(upload.store)
            await self._conclude(upload, store, await self._gather(upload, store, None), caller=caller)
        except (StoreError, MediastoreError) as error:
            await self._again_or_never(upload, error)

    async def settle(self, payload: bytes) -> None:
        """The job: an upload is past its time. It is completed if it is whole, and given up if not."""
        upload = await self._upload(payload)
        if upload is None or upload.state != "open":
            return
        if upload.record_gone:
            await self._ledger.give_up(upload.id, upload.media, reason="record deleted", withdraw=False)
            return
        if upload.expires_at > self._clock() - self._grace:
            return
        try:
            store = await self._registry.get(upload.store)
            if await self._was_busy(upload, store):
                return
            await self.complete(
                upload, parts=None, caller=await self.beginner(upload), precondition=_unless_newer(upload.version_before)
            )
        except (UploadIncomplete, UploadSuperseded) as error:
            if isinstance(error, UploadIncomplete) and self._taken(upload) < FIRST_READINGS:
                raise RetryLater(error.message, delay_s=SOONEST_S) from error  # a store that was asked once may be wrong once
            reason = "expired" if isinstance(error, UploadIncomplete) else "superseded"
            await self._ledger.give_up(upload.id, upload.media, reason=reason, withdraw=False, silent_since=upload.expires_at)
        except (StoreError, MediastoreError) as error:
            await self._again_or_never(upload, error)

    async def _freeze(
        self, upload: UploadRow, *, named: Mapping[int, str] | None, precondition: Precondition, wait_s: float
    ) -> None:
        """Take no more bytes, and leave the rest to a job. Raises `UploadIncomplete` for other parts here than those `named`."""
        if upload.media is None:
            raise UploadEnded(f"the record {upload.pid} is gone", pid=upload.pid)

        async def enqueue(connection: Connection) -> None:
            if named is not None:  # one that was slow may have come since they were looked at
                check_named(await part_queries.parts_of(connection, upload.id), named, plan_of(upload).count)
            await self.enqueue(connection, VERIFY, upload.id, memory=upload.store_kind == "memory", wait_s=wait_s)

        await self._ledger.verifying(upload.id, upload.media, then=enqueue, precondition=precondition)

    async def _again_or_never(self, upload: UploadRow, error: StoreError | MediastoreError) -> None:
        """Ask again later where that can help; else the upload has failed, for everybody to see."""
        taken = self._taken(upload)
        if not isinstance(error, FINAL) or taken < BELIEVED_AFTER.get(type(error), timedelta()):
            delay_s = min(max(taken.total_seconds() / 10, SOONEST_S), LATEST_S)
            raise RetryLater(error.message, delay_s=delay_s) from error
        if await self._ledger.give_up(upload.id, upload.media, reason=reason_of(error), withdraw=False, problem=error):
            return
        self._log.warning("upload failed", upload=str(upload.id), pid=upload.pid, code=error.code, reason=error.message)

    def _taken(self, upload: UploadRow) -> timedelta:
        """Since when somebody tries to verify or settle it."""
        return self._clock() - (upload.verifying_at or upload.expires_at + self._grace)

    async def _upload(self, payload: bytes) -> UploadRow | None:
        return await self._row(msgspec.json.decode(payload, type=UploadJob).upload)

    async def _row(self, id: UUID) -> UploadRow | None:
        async with self._database.connection() as connection:
            return await queries.upload_by_id(connection, id)

    async def beginner(self, upload: UploadRow) -> Caller:
        """On whose behalf a job goes on with it. Raises `CredentialsWrong` when the account is gone."""
        return Caller(identity=await self._credentials.identity_of(upload.caller), request_id=None, address="")

    async def _was_busy(self, upload: UploadRow, store: Store) -> bool:
        """Whether parts came to the store, past this server, since it last heard of the upload: then it lives on."""
        if not (store.features.presigned and upload.s3_upload_id):
            return False
        try:
            sent = [part.modified_at for part in await store.list_parts(upload.key, upload.s3_upload_id) if part.modified_at]
        except UploadNotFound:
            return False
        last = max(sent, default=upload.last_activity)
        if last + self._idle + self._grace <= self._clock():
            return False
        async with self._database.connection() as connection:
            return await queries.keep_open(connection, upload.id, expires_at=last + self._idle)

    async def _gather(self, upload: UploadRow, store: Store, parts: Mapping[int, str] | None) -> Source:
        """Find the bytes, and have the store put them together where it can. Raises `UploadIncomplete`."""
        if not store.features.presigned:
            return await self._gather_here(upload, parts)
        if upload.method == "multipart":
            info = await self._put_together(upload, store, parts) if upload.state == "open" else None
            return Source(in_place=True, pieces=[Piece(key=upload.key)], info=info)
        key = upload.landing_key or upload.key
        try:
            info = await store.head(key)
        except ObjectNotFound as error:
            raise incomplete([1], 1, "no bytes have come yet") from error
        return Source(in_place=upload.landing_key is None, pieces=[Piece(key=key)], info=info)

    async def _gather_here(self, upload: UploadRow, parts: Mapping[int, str] | None) -> Source:
        async with self._database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            there = await part_queries.parts_of(connection, upload.id)
            settled = await part_queries.is_settled(connection, upload.id)
        plan = plan_of(upload)
        count = plan.count
        check_numbers([part.number for part in there], count)
        if parts is not None:
            check_numbers(list(parts), count)
            check_named(there, parts, count)
        if settled and upload.landing_key is not None:
            whole = [Piece(key=upload.landing_key)]
            return Source(in_place=False, pieces=whole, object=upload.landing, size=upload.size, landed=True)
        pieces = [piece_of(upload, part, plan) for part in there]
        if count > 1:
            return Source(in_place=False, pieces=pieces)
        digests = msgspec.json.decode(there[0].checksums, type=dict[str, str])
        return Source(in_place=False, pieces=pieces, object=there[0].object, size=there[0].size, digests=digests)

    async def _put_together(self, upload: UploadRow, store: Store, parts: Mapping[int, str] | None) -> ObjectInfo:
        plan = plan_of(upload)
        if upload.s3_upload_id is None:
            raise UploadEnded("the store was never told of this upload; begin again", pid=upload.pid)
        if parts is not None:
            check_numbers(list(parts), plan.count)
        try:
            there = {part.number: part for part in await store.list_parts(upload.key, upload.s3_upload_id)}
        except UploadNotFound:
            # Completed before, and the answer was lost; or aborted by somebody else. The key tells.
            info = await _found(store, upload.key)
            if info is None:
                raise
            return info  # of whichever size: nothing else can be at this key, and a store may be slow to tell it
        check_numbers(list(there), plan.count)
        wrong = [number for number in range(1, plan.count + 1) if there[number].size != plan.span(number)[1]]
        if wrong:
            raise incomplete(wrong, plan.count, "parts of another size than planned came")
        chosen = parts or {number: part.etag for number, part in there.items()}
        return await store.complete_multipart(upload.key, upload.s3_upload_id, list(chosen.items()), size=upload.size)

    def _is_quick(self, upload: UploadRow, source: Source) -> bool:
        size = source.info.size if upload.size is None and source.info else upload.size
        if size is not None and size <= self._inline_bytes:
            return True
        if source.landed:
            return self._running.left(upload) <= self._inline_bytes
        if source.object is not None:
            return set(upload.algorithms) <= set(source.digests)
        info = source.info if source.in_place else None
        return info is not None and set(upload.algorithms) <= set(info.checksums)

    async def _conclude(
        self, upload: UploadRow, store: Store, source: Source, *, caller: Caller, precondition: Precondition = always
    ) -> Media:
        try:
            stored = await self._verified(upload, store, source)
        except DigestMismatch as error:
            await self._ledger.give_up(upload.id, upload.media, reason=error.code, withdraw=False, problem=error)
            raise
        return await self._publish(upload, stored, caller=caller, precondition=precondition)

    async def _verified(self, upload: UploadRow, store: Store, source: Source) -> Stored:
        """What is known of the bytes, from those who can know it. One bad reading is not believed: it is read twice."""
        if source.object is not None and not source.landed:
            return await self._verified_part(upload, store, source, source.object)
        try:
            return await self._read(upload, store, source)
        except DigestMismatch:
            return await self._read(upload, store, msgspec.structs.replace(source, info=None))

    async def _verified_part(self, upload: UploadRow, store: Store, source: Source, object: int) -> Stored:
        """The bytes passed through this server: they were hashed then, and the store holds as many."""
        [piece] = source.pieces
        info = await store.head(piece.key)
        missing = set(upload.algorithms) - set(source.digests)
        read = await digest_stream(store.read(piece.key), missing) if missing else None
        digests = {**source.digests, **(read.digests if read else {})}
        size = source.size if upload.size is None else upload.size
        compare(size=size, claimed=upload.claimed, received=info.size, digests=digests)
        return Stored(object=object, size=info.size, checksums=self._by_server(digests))

    async def _read(self, upload: UploadRow, store: Store, source: Source) -> Stored:
        if source.landed and source.object is not None:
            [piece] = source.pieces
            info = await store.head(piece.key)
            compare(size=upload.size, claimed={}, received=info.size, digests={})
            digests = await self._running.finished(upload, store)
            compare(size=upload.size, claimed=upload.claimed, received=info.size, digests=digests)
            return Stored(object=source.object, size=info.size, checksums=self._by_server(digests))
        if not source.in_place:
            try:
                written = await store_stream(
                    store,
                    upload.key,
                    joined(store, source.pieces),
                    algorithms=upload.algorithms,
                    size=upload.size,
                    claimed=upload.claimed,
                    largest=self._max_bytes if upload.size is None else upload.size,
                    media_type=upload.media_type,
                )
                return Stored(object=upload.object, size=written.size, checksums=self._by_server(written.digests))
            except ObjectExists:
                pass  # another run got as far and stopped, or is at it: what it wrote is looked at like anything else
        info = source.info if source.in_place and source.info else await store.head(upload.key)
        attested = {name: digest for name, digest in info.checksums.items() if source.in_place}
        compare(size=upload.size, claimed={}, received=info.size, digests={})
        missing = set(upload.algorithms) - set(attested)
        read = await digest_stream(store.read(upload.key), missing) if missing else None
        if read is not None:
            compare(size=info.size, claimed={}, received=read.size, digests={})
        digests = {**attested, **(read.digests if read else {})}
        compare(size=upload.size, claimed=upload.claimed, received=info.size, digests=digests)
        now = self._clock()
        checksums = {name: Checksum(value=digest, attested_by="store", at=now) for name, digest in attested.items()}
        return Stored(object=upload.object, size=info.size, checksums=checksums | self._by_server(read.digests if read else {}))

    def _by_server(self, digests: Mapping[str, str]) -> dict[str, Checksum]:
        now = self._clock()
        return {name: Checksum(value=digest, attested_by="server", at=now) for name, digest in digests.items()}

    async def _publish(self, upload: UploadRow, stored: Stored, *, caller: Caller, precondition: Precondition) -> Media:
        if upload.media is None:
            raise UploadEnded(f"the record {upload.pid} is gone", pid=upload.pid)
        intent = Intent(
            upload=upload.id,
            media=upload.media,
            pid=upload.pid,
            object=upload.object,
            key=upload.key,
            store=upload.store,
            store_name=upload.store_name,
            algorithms=upload.algorithms,
            created=upload.created_record,
            claims=upload.claimed,
        )
        declared = Declared(size=upload.size, media_type=upload.media_type, filename=upload.filename, digests=upload.claimed)
        try:
            return await self._ledger.publish(
                intent,
                stored,
                declared=declared,
                about=about_record(bytes(upload.about)),
                precondition=precondition,
                caller=caller,
            )
        except UploadInterrupted:
            await self._ledger.doom_again(store=upload.store, key=upload.key, reason="ended")
            raise
        except MediastoreError as error:
            if isinstance(error, FINAL) and not isinstance(error, UploadSuperseded):
                await self._ledger.give_up(upload.id, upload.media, reason=error.code, withdraw=False, problem=error)
            raise


def _unless_newer(version: int) -> Precondition:
    """The record still has the content that it had when its upload began."""

    def check(row: MediaRow | None) -> None:
        if row is None or row.version != version:
            raise UploadSuperseded("the record has newer content than this upload, which nobody completed")

    return check


def ended(upload: UploadRow) -> MediastoreError:
    """Why an upload that has ended can't go on."""
    if upload.problem is not None:
        problem = msgspec.json.decode(upload.problem, type=dict[str, object])
        return UploadFailed(f"this upload failed: {problem.get('detail')}; begin another one", problem=problem)
    if upload.state == "completed":
        return UploadEnded("this upload is completed; new bytes need a new upload", pid=upload.pid)
    return UploadEnded(f"this upload has ended: {upload.reason}; begin another one", pid=upload.pid, reason=upload.reason)


async def _found(store: Store, key: str) -> ObjectInfo | None:
    try:
        return await store.head(key)
    except ObjectNotFound:
        return None
