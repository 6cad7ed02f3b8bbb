"""What new records have to keep to: the identifier types and the stores, as this process last read them."""

import asyncio
from time import monotonic

from msgspec import Struct

from mediastore.catalog import identifier_type_queries
from mediastore.catalog.errors import PatternBroken, RecordInvalid, StoreUnknown
from mediastore.catalog.patterns import Pattern
from mediastore.catalog.queries import NewIdentifier
from mediastore.database import Database
from mediastore.placement import queries as placement
from mediastore.placement.errors import StoreDisabled
from mediastore.placement.queries import StoreRow
from mediastore.placement.schemas import Retention


class TypeRule(Struct, frozen=True, kw_only=True):
    name: str
    pattern: Pattern


class StoreRule(Struct, frozen=True, kw_only=True):
    row: StoreRow
    retention: Retention


class Snapshot(Struct, frozen=True, kw_only=True):
    types: dict[str, TypeRule]
    stores: dict[str, StoreRule]


class Rules:
    """Read again after `cache_s`, and at once when a name is not known: what another process has just made is found."""

    def __init__(self, database: Database, *, cache_s: float) -> None:
        self._database = database
        self._cache_s = cache_s
        self._snapshot: Snapshot | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()

    async def refresh(self) -> None:
        """Read again what is old. Called before a transaction, because inside one it would take a second connection."""
        await self._current(fresh=self._snapshot is None or monotonic() - self._read_at > self._cache_s)

    def forget(self) -> None:
        """Read again before the next use."""
        self._snapshot = None

    async def store(self, name: str) -> StoreRule:
        """Raises `StoreUnknown`, naming the stores there are, and `StoreDisabled`."""
        rule = (await self._current()).stores.get(name) or (await self._current(fresh=True)).stores.get(name)
        if rule is None:
            names = ", ".join(sorted((await self._current()).stores)) or "none yet"
            raise StoreUnknown(f"there is no store {name!r}; there are: {names}", store=name)
        if not rule.row.enabled:
            rule = (await self._current(fresh=True)).stores.get(name, rule)
        if not rule.row.enabled:
            raise StoreDisabled(f"the store {name} is switched off", store=name)
        return rule

    async def check_pid_type(self, pid: str, pid_type: str | None) -> None:
        """Raise `PatternBroken` unless the PID is of its type."""
        if pid_type is not None:
            rule = await self._type(pid_type, what="pid_type")
            if not rule.pattern.matches(pid):
                raise PatternBroken(
                    f"the PID {pid!r} does not match the pattern of {pid_type}: {rule.pattern.text}",
                    pid=pid,
                    pid_type=pid_type,
                    pattern=rule.pattern.text,
                )

    async def identifiers(self, given: dict[str, str], *, pid: str, pid_type: str | None) -> list[NewIdentifier]:
        """The identifiers, checked. One of the PID's own type is left out when it is the PID, and refused when it is not."""
        found = []
        for name, value in given.items():
            if name == pid_type:
                if value != pid:
                    raise RecordInvalid(
                        f"the identifier {name}={value!r} contradicts the PID {pid!r}, which is of that type; leave it out",
                        identifier=name,
                        value=value,
                    )
                continue
            rule = await self._type(name, what="identifier type")
            if not rule.pattern.matches(value):
                raise PatternBroken(
                    f"the identifier {name}={value!r} does not match its pattern: {rule.pattern.text}",
                    identifier=name,
                    value=value,
                    pattern=rule.pattern.text,
                )
            found.append(NewIdentifier(type=name, value=value))
        return found

    async def _type(self, name: str, *, what: str) -> TypeRule:
        rule = (await self._current()).types.get(name) or (await self._current(fresh=True)).types.get(name)
        if rule is None:
            names = ", ".join(sorted((await self._current()).types)) or "none yet"
            field = "pid_type" if what == "pid_type" else "identifiers"
            raise RecordInvalid(f"there is no {what} {name!r}; there are: {names}", identifier_type=name, field=field)
        return rule

    async def _current(self, *, fresh: bool = False) -> Snapshot:
        asked_at = monotonic()
        if self._snapshot is not None and not fresh:
            return self._snapshot
        async with self._reading:
            if self._snapshot is None or self._read_at < asked_at:  # nobody else has read since we asked
                begun = monotonic()
                async with self._database.connection() as connection:
                    types = await identifier_type_queries.identifier_types(connection)
                    stores = await placement.stores(connection)
                self._read_at = begun
                self._snapshot = Snapshot(
                    types={item.name: TypeRule(name=item.name, pattern=Pattern(item.pattern)) for item in types},
                    stores={row.name: StoreRule(row=row, retention=row.policy()) for row in stores},
                )
            return self._snapshot
