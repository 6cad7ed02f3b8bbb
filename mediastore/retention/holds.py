"""Holds: why a record must not go, whatever its expiry, its store's policy or its owner says. And what will happen to it."""

from uuid import UUID

import uuid_utils.compat

from mediastore.accounts.access import require
from mediastore.accounts.errors import NotAllowed
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.service import Catalog
from mediastore.clock import Clock, sensible
from mediastore.database import Database
from mediastore.events.schemas import Change
from mediastore.placement import queries as placement
from mediastore.retention import hold_queries as queries
from mediastore.retention.errors import HoldInvalid, HoldNotFound
from mediastore.retention.outlook import outlook_of
from mediastore.retention.schemas import Hold, HoldCreate, Outlook


class Holds:
    def __init__(self, database: Database, *, catalog: Catalog, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock

    async def place(self, pid: str, asked: HoldCreate, *, caller: Caller) -> Hold:
        """Hold a record. Those who may change it may; an expired one, too, as long as it is there."""
        now = self._clock()
        until = sensible(asked.until, name="until")
        if until is not None and until <= now:
            raise HoldInvalid(f"until {until.isoformat()} lies in the past", until=until)
        async with self._database.transaction() as connection:
            row = await self._catalog.locked(connection, pid, caller=caller, now=now, to="hold")
            hold = await queries.insert_hold(
                connection,
                id=uuid_utils.compat.uuid7(),
                media=row.id,
                placed_by=caller.identity.name,
                reason=asked.reason,
                until=until,
            )
            changes = {"hold": Change(after={"id": hold.id, "reason": hold.reason, "until": hold.until})}
            await self._catalog.note(connection, row, "held", changes, revision=row.revision, caller=caller)
        return hold

    async def lift(self, pid: str, id: str | None, *, caller: Caller) -> None:
        """Lift a hold: whoever placed it, or an administrator. Again is not an error."""
        now = self._clock()
        async with self._database.transaction() as connection:
            row = await self._catalog.locked(connection, pid, caller=caller, now=now, to="lift holds of")
            hold = await queries.hold(connection, row.id, _known_id(id))
            if hold is None:
                raise HoldNotFound(f"the record {pid} has no hold {id}", pid=pid, id=id)
            if hold.placed_by != caller.identity.name and not caller.identity.administrator:
                raise NotAllowed(f"only {hold.placed_by}, who placed this hold, or an administrator may lift it", pid=pid)
            if await queries.lift_hold(connection, hold.id, lifted_by=caller.identity.name):
                changes = {"hold": Change(before={"id": hold.id, "reason": hold.reason, "placed_by": hold.placed_by})}
                await self._catalog.note(connection, row, "hold_lifted", changes, revision=row.revision, caller=caller)

    async def list_of(self, pid: str, *, caller: Caller) -> list[Hold]:
        """The holds that stand."""
        row = await self._known(pid, caller=caller)
        async with self._database.connection() as connection:
            return await queries.holds(connection, row.id)

    async def outlook(self, pid: str, *, caller: Caller) -> Outlook:
        """What will happen to a record, when, and which rule decides."""
        row = await self._known(pid, caller=caller)
        async with self._database.connection() as connection:
            store = await placement.store_by_id(connection, row.store)
            assert store is not None  # noqa: S101 - a store with records is never deleted
            policy = store.policy()
            holds = await queries.holds(connection, row.id)
            matches = await queries.matches(connection, row.id, policy.exempt_where)
            old = await queries.oldest_version(connection, row.id)
        return outlook_of(row, policy=policy, holds=holds, matches=matches, old_since=old, now=self._clock())

    async def _known(self, pid: str, *, caller: Caller) -> MediaRow:
        """The record, expired or not; deleted ones are gone."""
        require(caller.identity, "read", to="see what is kept")
        now = self._clock()
        async with self._database.connection() as connection:
            row = await catalog_queries.media_by_pid(connection, pid)
        return self._catalog.readable(row, pid, caller=caller, now=now, even_expired=True)


def _known_id(text: str | None) -> UUID:
    try:
        return UUID(text or "")
    except (ValueError, TypeError) as error:
        raise HoldInvalid("say which hold to lift: ?id=, as GET /holds/{pid} lists it") from error
