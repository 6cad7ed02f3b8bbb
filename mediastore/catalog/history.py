"""What happened: to one record, and to everything; and a record as it was."""

from collections.abc import AsyncIterator
from datetime import datetime

from msgspec import Struct

from mediastore.accounts.access import may_read, require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import history_queries as queries
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.errors import RevisionNotFound, SearchTooSlow
from mediastore.catalog.history_queries import Events
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.revisions import Past, PastMedia
from mediastore.catalog.search_queries import begin
from mediastore.catalog.service import not_found
from mediastore.catalog.turns import Turns
from mediastore.clock import Clock
from mediastore.database import Connection, Database, QueryTooSlow
from mediastore.events.schemas import Event, SubjectKind

NEWEST = 2**62
EXPORTED = 1000
"""Events read at a time for an export, and for a record as it was."""


class Wanted(Struct, frozen=True, kw_only=True):
    """Which events; None for any."""

    kind: SubjectKind | None = None
    subject: str | None = None
    """A PID, or the name of a store, an account and so on."""
    actor: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reads: bool = False
    """Also downloads, which are many."""


class History:
    """What goes through the history of everything shares its turns with searches; `timeout_s` is its limit."""

    def __init__(self, database: Database, *, turns: Turns, timeout_s: float, clock: Clock) -> None:
        self._database = database
        self._turns = turns
        self._timeout_s = timeout_s
        self._clock = clock

    async def of_record(self, pid: str, *, reads: bool, after: int, limit: int, caller: Caller) -> tuple[list[Event], int | None]:
        """What happened to the record, oldest first, deleted or not; for those who are logged in and may read it."""
        async with self._database.connection() as connection:
            row = await self._readable(connection, pid, caller=caller)
            found = await queries.of_media(connection, row.id, reads=reads, after=after, limit=limit)
        return found.items, found.items[-1].id if found.more else None

    async def page(self, wanted: Wanted, *, before: int | None, limit: int, caller: Caller) -> tuple[list[Event], int | None]:
        """What happened, newest first. Administrators see everything, others what happened to records that they may read."""
        require(caller.identity, "read", to="read the history")
        found = await self._matching(wanted, newest=True, place=before or NEWEST, limit=limit, caller=caller)
        return found.items, found.items[-1].id if found.more else None

    async def export(self, wanted: Wanted, *, caller: Caller) -> AsyncIterator[list[Event]]:
        """All of the same, oldest first, the first of them already fetched: what is refused is no half answer."""
        require(caller.identity, "read", to="export the history")

        async def after(place: int) -> Events:
            return await self._matching(wanted, newest=False, place=place, limit=EXPORTED, caller=caller)

        first = await after(0)

        async def pages() -> AsyncIterator[list[Event]]:
            found = first
            while found.items:
                yield found.items
                if not found.more:
                    return
                found = await after(found.items[-1].id)

        return pages()

    async def as_it_was(self, pid: str, revision: int | None, *, caller: Caller) -> PastMedia:
        """The record right after a revision was made, or after its newest. Raises `RevisionNotFound`."""
        async with self._database.connection() as connection:
            row = await self._readable(connection, pid, caller=caller)
            revision = revision or row.revision
            if revision > row.revision:
                raise RevisionNotFound(
                    f"{pid} has no revision {revision}; its newest one is {row.revision}", pid=pid, revision=revision
                )
            past = Past(row.pid, revision)
            place, more = (0, 0), True
            while more:
                found = await queries.up_to(connection, row.id, revision=revision, after=place, limit=EXPORTED)
                past.tell(found.items)
                more = found.more
                place = (found.items[-1].revision or 0, found.items[-1].id) if more else place
            return past.media()

    async def _readable(self, connection: Connection, pid: str, *, caller: Caller) -> MediaRow:
        require(caller.identity, "read", to="read the history of a record")
        row = await catalog_queries.media_by_pid(connection, pid)
        if row is None or not may_read(row, caller.identity, self._clock()):
            raise not_found(pid, caller)
        return row

    async def _matching(self, wanted: Wanted, *, newest: bool, place: int, limit: int, caller: Caller) -> Events:
        try:
            async with self._turns.taken(), self._database.transaction() as connection:
                await begin(connection, timeout_s=self._timeout_s)
                return await self._read(connection, wanted, newest=newest, place=place, limit=limit, caller=caller)
        except QueryTooSlow as error:
            raise SearchTooSlow(
                f"going through the history took longer than {self._timeout_s:g} s and was cut; narrow it by subject or since",
                timeout_s=self._timeout_s,
            ) from error

    async def _read(
        self, connection: Connection, wanted: Wanted, *, newest: bool, place: int, limit: int, caller: Caller
    ) -> Events:
        return await queries.matching(
            connection,
            administrator=caller.identity.administrator,
            name=caller.identity.name,
            principals=caller.identity.principals,
            now=self._clock(),
            kind=wanted.kind,
            subject=wanted.subject,
            actor=wanted.actor,
            action=wanted.action,
            since=wanted.since,
            until=wanted.until,
            reads=wanted.reads or wanted.action == "read",
            newest=newest,
            place=place,
            limit=limit,
        )
