"""What administrators decide about what a comparison found, and how that is carried out."""

import msgspec
import structlog
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.service import Catalog
from mediastore.clock import Clock
from mediastore.database import Connection, Database
from mediastore.errors import MediastoreError
from mediastore.events import queries as events
from mediastore.events.schemas import Change
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from mediastore.placement import objects
from mediastore.placement import queries as placement
from mediastore.placement.queries import StoreRow
from mediastore.placement.quotas import reserve
from mediastore.placement.registry import Registry
from mediastore.placement.service import Placement
from mediastore.retention import finding_queries
from mediastore.retention import reconcile_queries as queries
from mediastore.retention.asking import ask
from mediastore.retention.policy import is_known, quarantine_unknown, remove_unknown
from mediastore.retention.upkeep import ELSEWHERE_S, waited
from mediastore.retention.upkeep_errors import AdoptionFailed, FindingDecided, FindingNotFound
from mediastore.retention.upkeep_schemas import Decision, Finding, FindingDecision
from mediastore.transfers.adoption import Adopted, Deed, Found, become_content, read_in_place
from mediastore.transfers.declared import OCTETS
from stores.errors import StoreError

ADOPT = "adopt_object"
NAMED_BY_NOW = "a row names these bytes by now"
CHOICES: dict[str, tuple[Decision, ...]] = {
    "unknown_object": ("remove", "quarantine", "adopt"),
    "unknown_upload": ("abort",),
    "size_differs": (),
    "content_differs": (),
}


class AdoptJob(Struct, frozen=True, kw_only=True):
    """What the job is told."""

    store: int
    finding: int


class Findings:
    def __init__(
        self,
        database: Database,
        *,
        placement: Placement,
        catalog: Catalog,
        registry: Registry,
        jobs: JobQueue,
        clock: Clock,
    ) -> None:
        self._database = database
        self._placement = placement
        self._catalog = catalog
        self._registry = registry
        self._jobs = jobs
        self._clock = clock
        self._log = structlog.get_logger("mediastore.reconcile")

    async def page(self, name: str, *, cursor: int | None, limit: int, caller: Caller) -> tuple[list[Finding], int | None]:
        """The findings of a store, oldest first, and the cursor of the next page."""
        require(caller.identity, "admin", to="see what was found in stores")
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            found = await finding_queries.findings_after(connection, row.id, after=cursor or 0, limit=limit + 1)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def decide(self, name: str, id: int, asked: FindingDecision, *, caller: Caller) -> tuple[Finding, bool]:
        """Decide about a finding and carry it out. Bytes that are adopted are read first, by a job; this waits a little for it.

        Returns the finding, and whether all is done about it. Raises `FindingNotFound` and `FindingDecided`.
        """
        require(caller.identity, "admin", to="decide about what was found in stores")
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            found = await self._found(connection, row, id)
        self._check(found, asked)
        if asked.decision == "adopt":
            return await self._adopt(row, found, asked.pid or "", caller=caller)
        await self._carry_out(row, found, asked.decision, caller=caller)
        async with self._database.connection() as connection:
            return await self._found(connection, row, id), True

    def _check(self, found: Finding, asked: FindingDecision) -> None:
        choices = CHOICES[found.what]
        if asked.decision not in choices:
            can = ", ".join(choices) or "nothing; it goes when it is not so any more"
            raise FindingDecided(f"about {found.what} can be decided: {can}", finding=found.id)
        if found.decision is not None:
            raise FindingDecided(f"it was decided already: {found.decision}, by {found.decided_by}", finding=found.id)
        if (asked.pid is None) == (asked.decision == "adopt"):
            raise FindingDecided("give `pid` with `adopt`, and only then", finding=found.id)

    async def _found(self, connection: Connection, row: StoreRow, id: int) -> Finding:
        found = await finding_queries.finding_by_id(connection, row.id, id)
        if found is None:
            raise FindingNotFound(f"there is no finding {id} in the store {row.name}", finding=id)
        return found

    async def _carry_out(self, row: StoreRow, found: Finding, decision: Decision, *, caller: Caller) -> None:
        store = await self._registry.get(row.id, revision=row.revision)
        if decision == "abort":
            await self._abort(row, found)
        elif (await ask(store, [found.key]))[found.key] is None:
            async with self._database.connection() as connection:
                await finding_queries.delete_findings(connection, [found.id])
            raise FindingNotFound("the bytes are gone already", finding=found.id)
        async with self._database.transaction() as connection:
            if not await finding_queries.decide(
                connection, found.id, decision=decision, by=caller.identity.name, at=self._clock(), done=True
            ):
                raise FindingDecided("somebody decided it at the same moment", finding=found.id)
            if decision != "abort" and await queries.rows_at(connection, row.id, [found.key]):
                raise FindingDecided(NAMED_BY_NOW, finding=found.id)
            if decision == "remove" and not await remove_unknown(connection, store=row.id, key=found.key):
                raise FindingDecided(NAMED_BY_NOW, finding=found.id)
            if decision == "quarantine" and not await quarantine_unknown(connection, store=row.id, key=found.key):
                raise FindingDecided(NAMED_BY_NOW, finding=found.id)
            await self._note(connection, row, found, decision, caller=caller)
        self._catalog.doomed()

    async def _abort(self, row: StoreRow, found: Finding) -> None:
        async with self._database.connection() as connection:
            upload_id = await finding_queries.upload_of(connection, found.id)
            known = await finding_queries.known_uploads(connection, row.id, [found.key])
        if is_known(known, found.key, upload_id):
            raise FindingDecided("the upload is somebody's by now", finding=found.id)
        await (await self._registry.get(row.id, revision=row.revision)).abort_upload(found.key, upload_id)

    async def _note(
        self, connection: Connection, row: StoreRow, found: Finding, decision: Decision, *, caller: Caller, pid: str | None = None
    ) -> None:
        await events.append(
            connection,
            kind="store",
            subject=row.name,
            actor=caller.identity.name,
            action="decided",
            changes={"decision": Change(after=decision), "key": Change(after=found.key), "pid": Change(after=pid)},
            request_id=caller.request_id,
        )

    # Adoption: the bytes are read to their end before any record has them.

    async def _adopt(self, row: StoreRow, found: Finding, pid: str, *, caller: Caller) -> tuple[Finding, bool]:
        now = self._clock()
        async with self._database.transaction() as connection:
            media = await catalog_queries.media_by_pid(connection, pid)
            self._catalog.readable(media, pid, caller=caller, now=now)
            if not await finding_queries.decide(
                connection, found.id, decision="adopt", by=caller.identity.name, at=now, done=False, pid=pid
            ):
                raise FindingDecided("somebody decided it at the same moment", finding=found.id)
            await self._note(connection, row, found, "adopt", caller=caller, pid=pid)
            await self._jobs.enqueue(
                connection,
                ADOPT,
                AdoptJob(store=row.id, finding=found.id),
                dedupe_key=f"{ADOPT} {found.id} {now.isoformat()}",
                local=row.kind == "memory",
            )

        async def look() -> Finding:
            async with self._database.connection() as connection:
                return await self._found(connection, row, found.id)

        def is_done(finding: Finding) -> bool:
            return finding.done_at is not None or finding.decision is None

        seen = await waited(look, is_done)
        if seen.problem is not None:
            raise AdoptionFailed(seen.problem, finding=found.id)
        return seen, is_done(seen)

    async def adopt(self, payload: bytes) -> None:
        """The job. Safe to run twice: the finding and the key are free once."""
        job = msgspec.json.decode(payload, type=AdoptJob)
        async with self._database.connection() as connection:
            found = await finding_queries.finding_by_id(connection, job.store, job.finding)
            row = await placement.store_by_id(connection, job.store)
        if found is None or row is None or found.decision != "adopt" or found.done_at is not None:
            return
        try:
            await self._publish(row, found, await self._read(row, found))
        except (StoreError, MediastoreError) as error:
            if error.retryable:
                raise RetryLater(error.message, delay_s=ELSEWHERE_S) from error
            async with self._database.connection() as connection:
                await finding_queries.take_back(connection, found.id, problem=error.message)

    async def _read(self, row: StoreRow, found: Finding) -> Found:
        store = await self._registry.get(row.id, revision=row.revision)
        return await read_in_place(store, found.key, row.checksums)

    async def _publish(self, row: StoreRow, found: Finding, read: Found) -> None:
        """The row, the version and the end of the finding are one transaction: bytes that were nobody's are this record's."""
        now = self._clock()
        async with self._database.transaction() as connection:
            media = await catalog_queries.media_by_pid(connection, found.pid or "", lock=True)
            if media is None or media.status_at(now) in {"deleted", "expired"}:
                raise AdoptionFailed(f"the record {found.pid} is gone", finding=found.id)
            if not await finding_queries.set_done(connection, found.id, at=now):
                return
            if await queries.rows_at(connection, row.id, [found.key]):
                raise AdoptionFailed(NAMED_BY_NOW, finding=found.id)
            await reserve(connection, row, owner=media.owner, size=read.size)
            media_type = read.media_type or OCTETS
            object = await objects.insert_object(
                connection, media=media.id, store=row.id, key=found.key, media_type=media_type, filename=None
            )
            adopted = Adopted(object=object, found=read, media_type=media_type, filename=None)
            deed = Deed(action="adopted", actor=found.decided_by or "")
            await become_content(connection, media, row, adopted, deed, at=now)
        self._log.info("adopted", store=row.name, key=found.key, pid=found.pid, size=read.size)
