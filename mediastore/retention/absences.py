"""Objects that a store did not list: asked for by name, several times over a period, before that is believed."""

import secrets
from datetime import timedelta

import structlog
from msgspec import Struct

from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.retention import reconcile_queries as queries
from mediastore.retention.asking import ask
from mediastore.retention.reconcile_queries import AbsenceRow
from mediastore.retention.upkeep_errors import StoreDoubtful
from mediastore.retention.work import Work

ASKS = 3
BATCH = 500
DECLARED_AT_ONCE = 100
"""So that no record is locked for long."""
WITNESSES = 5
REASON = "its bytes are not in the store any more"


class Answered(Struct, frozen=True, kw_only=True):
    """What came of asking."""

    found: int = 0
    missing: int = 0
    lost: int = 0


class Absences:
    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._log = structlog.get_logger("mediastore.reconcile")

    async def ask_again(self, work: Work, *, believed: bool = False) -> Answered:
        """Ask for what is due, and declare missing what was asked for often enough.

        Raises `StoreDoubtful` where so much is not found that it must be the store's fault, and nothing is declared then;
        `believed` is an administrator's word that it is not.
        """
        async with self._database.transaction() as connection:
            await work.lease.check(connection)
            await queries.drop_settled_absences(connection, work.row.id)
        found, after = 0, 0
        while batch := await self._due(work, after):
            after = batch[-1].object
            found += await self._ask(work, batch)
        async with self._database.connection() as connection:
            absent = await queries.absent_count(connection, work.row.id)
            believed = believed or await queries.is_believed(connection, work.row.id, at=self._clock())
        if not absent:
            return Answered(found=found)
        if not believed:
            self._doubt(work, absent)
        missing, lost = await self._declare(work, believed=believed)
        return Answered(found=found, missing=missing, lost=lost)

    async def _due(self, work: Work, after: int) -> list[AbsenceRow]:
        async with self._database.connection() as connection:
            return await queries.due_absences(connection, work.row.id, at=self._clock(), after=after, limit=BATCH)

    async def _ask(self, work: Work, batch: list[AbsenceRow]) -> int:
        answers = await ask(work.store, [item.key for item in batch])
        there = [item.object for item in batch if answers[item.key] is not None]
        gone = [item.object for item in batch if answers[item.key] is None]
        now = self._clock()
        next_at = now + timedelta(seconds=work.policy.missing_period_s / (ASKS - 1))
        async with self._database.transaction() as connection:
            await work.lease.check(connection)
            await queries.drop_absences(connection, there)
            await queries.check_first(connection, there, at=now)
            await queries.note_asked(connection, work.row.id, gone, revision=work.row.revision, at=now, next_at=next_at)
        return len(there)

    def _doubt(self, work: Work, absent: int) -> None:
        if absent >= work.expected:
            raise StoreDoubtful(
                f"the store has none of the {work.expected} objects that should be there", stopped_by="nothing_found"
            )
        if work.too_many(absent):
            raise StoreDoubtful(
                f"the store does not have {absent} of the {work.expected} objects that should be there",
                stopped_by="too_many_missing",
            )

    async def _declare(self, work: Work, *, believed: bool) -> tuple[int, int]:
        missing = lost = 0
        now = self._clock()
        since = now - timedelta(seconds=work.policy.missing_period_s)
        while True:
            async with self._database.connection() as connection:
                objects = await queries.believable(
                    connection, work.row.id, revision=work.row.revision, asked=ASKS, since=since, limit=DECLARED_AT_ONCE
                )
            if not objects:
                return missing, lost
            if not believed and missing == 0:
                await self._hear_witnesses(work)
            async with self._database.transaction() as connection:
                await work.lease.check(connection)
                declared = await queries.declare_missing(connection, objects, reason=REASON, actor=NOT_A_PERSON, at=now)
            missing, lost = missing + declared.missing, lost + declared.lost
            self._log.warning("objects are missing", store=work.row.name, missing=declared.missing, records_lost=declared.lost)

    async def _hear_witnesses(self, work: Work) -> None:
        """Before anything is declared missing, the store has to show that it is the one in which all else is."""
        async with self._database.connection() as connection:
            keys = await queries.others_than_absent(connection, work.row.id, after=secrets.token_hex(1), limit=WITNESSES)
            keys = keys or await queries.others_than_absent(connection, work.row.id, after="", limit=WITNESSES)
        if not any((await ask(work.store, keys)).values()):
            raise StoreDoubtful(
                "the store does not have objects either that it had a while ago; is it still the same bucket or folder?",
                stopped_by="nothing_found",
            )
