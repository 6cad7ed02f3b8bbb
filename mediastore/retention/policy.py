"""What a store's policy does about what was found, once a comparison has come to its end."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from mediastore.clock import Clock
from mediastore.database import Connection, Database
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement import objects
from mediastore.retention import finding_queries
from mediastore.retention import reconcile_queries as queries
from mediastore.retention.asking import ask
from mediastore.retention.finding_queries import Undecided
from mediastore.retention.reconcile_queries import RunRow
from mediastore.retention.upkeep_errors import StoreDoubtful
from mediastore.retention.upkeep_schemas import Counts, FindingKind
from mediastore.retention.work import Work
from stores.protocol import OpenUpload

BATCH = 500
REMOVED = "bytes that no row names"


class Policy:
    """Acts upon findings that were known for as long as the grace, by our clock."""

    def __init__(
        self,
        database: Database,
        *,
        work: Work,
        run: RunRow,
        counts: Counts,
        on_doomed: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._work = work
        self._run = run
        self._counts = counts
        self._on_doomed = on_doomed
        self._clock = clock

    async def find_uploads(self) -> None:
        """Write down the open multipart uploads that no row knows."""
        if not self._work.store.features.multipart:
            return
        batch: list[OpenUpload] = []
        async for upload in self._work.store.list_uploads():
            batch.append(upload)
            if len(batch) == BATCH:
                await self._note_uploads(batch)
                batch = []
        if batch:
            await self._note_uploads(batch)

    async def abort_uploads(self) -> None:
        """Abort those that are old enough, unless the policy only reports them."""
        if self._work.policy.unknown_uploads != "abort":
            return
        async for batch in self._due("unknown_upload"):
            async with self._database.connection() as connection:
                known = await finding_queries.known_uploads(connection, self._work.row.id, [item.key for item in batch])
            ours = [item for item in batch if is_known(known, item.key, item.upload_id)]
            others = [item for item in batch if item not in ours]
            for item in others:
                await self._work.store.abort_upload(item.key, item.upload_id)
            async with self._database.transaction() as connection:
                await self._work.lease.check(connection)
                await finding_queries.delete_findings(connection, [item.id for item in ours])
                for item in others:
                    self._counts.aborted += await self._decide(connection, item, "abort")

    async def apply(self) -> None:
        """Remove or quarantine bytes that no row names, where the policy says so.

        Raises `StoreDoubtful` before anything is done where they are so many that they must be somebody's, unless an
        administrator has said that they are not.
        """
        wanted = self._work.policy.unknown
        if wanted == "report":
            return
        if not self._run.believe_unknown and self._work.too_many(self._counts.unknown):
            raise StoreDoubtful(
                f"no row names {self._counts.unknown} objects of the store, which should have {self._work.expected}; "
                f"the policy `{wanted}` waits for an administrator's word",
                stopped_by="too_many_unknown",
            )
        async for batch in self._due("unknown_object"):
            answers = await ask(self._work.store, [item.key for item in batch])
            async with self._database.transaction() as connection:
                await self._work.lease.check(connection)
                known = await queries.rows_at(connection, self._work.row.id, [item.key for item in batch])
                for item in batch:
                    if answers[item.key] is None or item.key in known:
                        await finding_queries.delete_findings(connection, [item.id])
                    elif wanted == "remove" and await remove_unknown(connection, store=self._work.row.id, key=item.key):
                        self._counts.removed += await self._decide(connection, item, "remove")
                    elif wanted == "quarantine" and await quarantine_unknown(connection, store=self._work.row.id, key=item.key):
                        self._counts.quarantined += await self._decide(connection, item, "quarantine")
                    else:  # it was given a row since we asked: the bytes are somebody's
                        await finding_queries.delete_findings(connection, [item.id])
            self._on_doomed()

    async def _note_uploads(self, batch: list[OpenUpload]) -> None:
        async with self._database.transaction() as connection:
            await self._work.lease.check(connection)
            known = await finding_queries.known_uploads(connection, self._work.row.id, [upload.key for upload in batch])
            detail = "an open multipart upload that no row knows"
            found = [
                (upload.key, upload.upload_id, None, detail)
                for upload in batch
                if not is_known(known, upload.key, upload.upload_id)
            ]
            await finding_queries.note_findings(
                connection, self._work.row.id, "unknown_upload", found, run=self._run.id, at=self._clock()
            )
        self._counts.unknown_uploads += len(found)

    async def _due(self, kind: FindingKind) -> AsyncIterator[list[Undecided]]:
        after = 0
        while True:
            seen_by = self._clock() - timedelta(seconds=self._work.policy.unknown_grace_s)
            async with self._database.connection() as connection:
                batch = await finding_queries.undecided(
                    connection, self._work.row.id, kind, run=self._run.id, seen_by=seen_by, after=after, limit=BATCH
                )
            if not batch:
                return
            yield batch
            after = batch[-1].id

    async def _decide(self, connection: Connection, item: Undecided, decision: str) -> bool:
        return await finding_queries.decide(
            connection,
            item.id,
            decision=decision,  # type: ignore[arg-type]  # one of the words above
            by=NOT_A_PERSON,
            at=self._clock(),
            done=True,
        )


async def remove_unknown(connection: Connection, *, store: int, key: str) -> bool:
    """The row first, then the usual purge takes the bytes; False where there is a row that keeps them."""
    return await objects.doom_again(connection, store=store, key=key, reason=REMOVED)


async def quarantine_unknown(connection: Connection, *, store: int, key: str) -> bool:
    return await finding_queries.quarantine_unknown(connection, store=store, key=key, reason=REMOVED)


def is_known(known: dict[str, set[str | None]], key: str, upload_id: str) -> bool:
    """Whether an open upload is somebody's, by `known_uploads`."""
    ids = known.get(key, set())
    return upload_id in ids or None in ids
