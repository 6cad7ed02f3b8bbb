"""Bytes that came without anybody saying so: uploads of unknown size, whose clients know no call to complete them."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog

from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.transfers import queries
from mediastore.transfers.completion import BELIEVED_AFTER, FINAL, SOONEST_S, Completion, UploadJob
from mediastore.transfers.errors import UploadIncomplete
from mediastore.transfers.ledger import Ledger, reason_of
from mediastore.transfers.queries import UploadRow
from stores.errors import StoreError, StoreUnavailable

MOST = 100
"""Uploads that are looked for while somebody waits."""
PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Between looks at what somebody else verifies."""
AT_ONCE = 8
"""Questions to stores that one look asks side by side."""


class Arrivals:
    """Safe to run twice and at once, on any machine: each upload is completed once, however many find its bytes."""

    def __init__(self, database: Database, *, completion: Completion, ledger: Ledger) -> None:
        self._database = database
        self._completion = completion
        self._ledger = ledger
        self._log = structlog.get_logger("mediastore.transfers")

    async def look(self, pids: Sequence[str]) -> bool:
        """Complete what has come for these records; whether something was waited for. What is large is verified by a job, a store
        that is away is asked later, and so is what goes beyond `MOST`.
        """
        if not pids:
            return False
        async with self._database.connection() as connection:
            uploads = await queries.unsized_uploads_of(connection, pids, limit=MOST)
        await self._all_tried([upload for upload in uploads if upload.state == "open"])
        await self._others_done([upload.id for upload in uploads if upload.state == "verifying"])
        return bool(uploads)

    async def look_around(self) -> None:
        """The schedule: look for the bytes of all such uploads, of the older ones more seldom."""
        async with self._database.connection() as connection:
            uploads = await queries.unsized_uploads_to_look_for(connection, limit=1000)
        await self._all_tried(uploads)

    async def complete(self, payload: bytes) -> None:
        """The job: bytes of this upload came to this server."""
        async with self._database.connection() as connection:
            upload = await queries.upload_by_id(connection, msgspec.json.decode(payload, type=UploadJob).upload)
        if upload is None or upload.state != "open":
            return
        error = await self._tried(upload)
        if error is not None:
            raise RetryLater(error.message, delay_s=SOONEST_S) from error

    async def _others_done(self, uploads: Sequence[UUID]) -> None:
        """Wait a moment for what somebody else began to verify just now: what is small is soon done."""
        for pause_s in PAUSES_S:
            if not uploads:
                return
            await asyncio.sleep(pause_s)
            async with self._database.connection() as connection:
                uploads = await queries.still_verifying(connection, uploads)

    async def _all_tried(self, uploads: Sequence[UploadRow]) -> None:
        """Those of one record in their order, so that what began later lies above. A store that is away is left alone."""
        by_record: dict[str, list[UploadRow]] = defaultdict(list)
        for upload in uploads:
            by_record[upload.pid].append(upload)
        turns = asyncio.Semaphore(AT_ONCE)
        away = set[int]()

        async def try_in_turn(group: Sequence[UploadRow]) -> None:
            async with turns:
                for upload in group:
                    # Each question to a store that does not answer takes as long as its time-outs.
                    if upload.store not in away and isinstance(await self._tried(upload), StoreUnavailable):
                        away.add(upload.store)

        await asyncio.gather(*map(try_in_turn, by_record.values()))

    async def _tried(self, upload: UploadRow) -> StoreError | MediastoreError | None:
        """What keeps bytes that came from being the record's content, where that can pass."""
        try:
            await self._completion.complete(upload, parts=None, caller=await self._completion.beginner(upload))
        except UploadIncomplete:
            pass
        except (StoreError, MediastoreError) as error:
            if not isinstance(error, FINAL) or type(error) in BELIEVED_AFTER:  # a store may be slow to show what it has
                self._log.warning("upload not completed yet", upload=str(upload.id), pid=upload.pid, reason=error.message)
                return error
            await self._ledger.give_up(upload.id, upload.media, reason=reason_of(error), withdraw=False, problem=error)
        return None
