"""Files that were sent to their store: looked for until their form and the grace have ended, and looked at again after that.

Nobody tells of the end of an upload in BitStore's API, so somebody has to look. The bytes are verified as soon as they are there;
since their form can be sent again for as long as it lives, they are looked at once more when it can't be any longer.
"""

from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import Caller
from mediastore.clock import Clock
from mediastore.database import Connection, Database
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from mediastore.placement.registry import Registry
from mediastore.retention.fixity import FixityCheck
from mediastore.transfers import queries
from mediastore.transfers.completion import Completion
from mediastore.transfers.errors import UploadIncomplete
from mediastore.transfers.queries import UploadRow
from stores.errors import ObjectNotFound, StoreError
from stores.protocol import ObjectInfo, Store

ARRIVAL = "bitstore_arrival"
LOOK_AGAIN = "bitstore_look_again"
SOONEST_S, LATEST_S = 2, 600
"""Between two looks: a fifth of the time that it has taken, within these."""
AGAIN_S = 60
"""When a second look that could not be had is tried again."""
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far the clock of a store may be off."""


class ArrivalJob(Struct, frozen=True, kw_only=True):
    upload: UUID


class LookAgainJob(Struct, frozen=True, kw_only=True):
    upload: UUID
    since: datetime
    """What changed since then, by the store's clock, was sent by a form that was given out."""
    etag: str | None = None
    modified_at: datetime | None = None
    """What the store said before the bytes were verified."""


class FormArrivals:
    def __init__(
        self,
        database: Database,
        *,
        completion: Completion,
        credentials: Credentials,
        registry: Registry,
        fixity: FixityCheck,
        jobs: JobQueue,
        grace_s: float,
        clock: Clock,
    ) -> None:
        self._database = database
        self._completion = completion
        self._credentials = credentials
        self._registry = registry
        self._fixity = fixity
        self._jobs = jobs
        self._grace = timedelta(seconds=grace_s)
        self._clock = clock
        self._log = structlog.get_logger("mediastore.bitstore")

    async def expect(self, connection: Connection, upload: UploadRow) -> None:
        """A form for these bytes leaves the server once the transaction is committed."""
        if upload.state == "open":
            job = ArrivalJob(upload=upload.id)
            memory = upload.store_kind == "memory"
            key = f"{ARRIVAL} {upload.id}"
            await self._jobs.enqueue(connection, ARRIVAL, job, dedupe_key=key, delay_s=SOONEST_S, local=memory)
        else:
            await self._enqueue_look_again(connection, LookAgainJob(upload=upload.id, since=self._clock() - CLOCKS_DIFFER))

    async def look(self, id: UUID) -> Literal["open", "verifying", "completed", "failed"]:
        """Verify the bytes if they are there; what the upload is then. Raises what keeps them from it and leaves it open."""
        upload = await self._row(id)
        if upload is None or upload.state != "open":
            return "failed" if upload is None else upload.state
        store = await self._registry.get(upload.store)
        if store.features.presigned:
            info = await _found(store, upload.key)
            if info is None:
                return "open"
            again = LookAgainJob(upload=id, since=self._clock(), etag=info.etag, modified_at=info.modified_at)
            async with self._database.transaction() as connection:  # before anybody can read them
                await self._enqueue_look_again(connection, again)
        identity = await self._credentials.identity_of(upload.caller)
        try:
            await self._completion.complete(upload, parts=None, caller=Caller(identity=identity))
        except (StoreError, MediastoreError) as error:
            # It is not what was declared, and so has ended; or somebody else completed it at the same moment.
            after = await self._row(id)
            if after is not None and after.state == "open" and not isinstance(error, UploadIncomplete):
                raise
        else:
            after = await self._row(id)
        return "failed" if after is None else after.state

    async def arrival(self, payload: bytes) -> None:
        """The job: look for the bytes of one file. After the grace the clean-up settles the upload like any other."""
        id = msgspec.json.decode(payload, type=ArrivalJob).upload
        reason = "nothing has come yet"
        try:
            await self.look(id)
        except (StoreError, MediastoreError) as error:
            reason = error.message
        upload = await self._row(id)
        if upload is not None and upload.state == "completed" and upload.urls_until is not None:
            # Somebody else may have completed it, who looks for nothing. A look that waits already knows more.
            job = LookAgainJob(upload=id, since=upload.created_at - CLOCKS_DIFFER)
            async with self._database.transaction() as connection:
                await self._enqueue_look_again(connection, job)
        if upload is None or upload.state in {"completed", "failed"} or upload.expires_at + self._grace < self._clock():
            return
        age_s = (self._clock() - upload.created_at).total_seconds()
        raise RetryLater(reason, delay_s=min(max(age_s / 5, SOONEST_S), LATEST_S))

    async def look_again(self, payload: bytes) -> None:
        """The job: read the bytes again if they were sent again after they had been verified."""
        job = msgspec.json.decode(payload, type=LookAgainJob)
        upload = await self._row(job.upload)
        if upload is None or upload.state == "failed" or upload.urls_until is None:
            return
        # A request that began before the form's end may end later.
        wait_s = (upload.urls_until + self._grace - self._clock()).total_seconds()
        if wait_s > 0:
            raise RetryLater("its form can still be sent", delay_s=wait_s)
        if upload.state != "completed":
            raise RetryLater("it is being verified", delay_s=AGAIN_S)
        try:
            info = await _found(await self._registry.get(upload.store), upload.key)
        except (StoreError, MediastoreError) as error:
            raise RetryLater(error.message, delay_s=AGAIN_S) from error
        if info is not None and _unchanged(info, job):
            return
        reading = await self._fixity.check_object(upload.object)
        if reading is not None and reading.result == "error":
            raise RetryLater("the store does not give the bytes", delay_s=AGAIN_S)
        if reading is not None and reading.result != "ok":
            self._log.error("a file was overwritten by its form after it was verified", pid=upload.pid, found=reading.result)

    async def _enqueue_look_again(self, connection: Connection, job: LookAgainJob) -> None:
        await self._jobs.enqueue(
            connection, LOOK_AGAIN, job, dedupe_key=f"{LOOK_AGAIN} {job.upload}", delay_s=self._grace.total_seconds()
        )

    async def _row(self, id: UUID) -> UploadRow | None:
        async with self._database.connection() as connection:
            return await queries.upload_by_id(connection, id)


def _unchanged(info: ObjectInfo, job: LookAgainJob) -> bool:
    if job.modified_at is not None:
        return (info.etag, info.modified_at) == (job.etag, job.modified_at)
    return info.modified_at < job.since


async def _found(store: Store, key: str) -> ObjectInfo | None:
    try:
        return await store.head(key)
    except ObjectNotFound:
        return None
