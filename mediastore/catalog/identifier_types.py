"""Identifier types: named patterns that PIDs and identifiers have to match in full."""

from collections.abc import Mapping

import msgspec

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.catalog import identifier_type_queries as queries
from mediastore.catalog.errors import (
    IdentifierTaken,
    IdentifierTypeExists,
    IdentifierTypeInUse,
    IdentifierTypeInvalid,
    IdentifierTypeNotFound,
)
from mediastore.catalog.patterns import Pattern
from mediastore.catalog.rules import Rules
from mediastore.catalog.schemas import IdentifierType, IdentifierTypeCreate, IdentifierTypeReplace, PatternTrial, PatternVerdict
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.events import queries as events
from mediastore.events.schemas import Change


class IdentifierTypes:
    def __init__(self, database: Database, *, rules: Rules) -> None:
        self._database = database
        self._rules = rules

    async def list(self, *, caller: Caller) -> list[IdentifierType]:
        require(caller.identity, "read", to="list identifier types")
        async with self._database.connection() as connection:
            return await queries.identifier_types(connection)

    async def read(self, name: str, *, caller: Caller) -> IdentifierType:
        require(caller.identity, "read", to="read an identifier type")
        async with self._database.connection() as connection:
            return await _found(connection, name)

    async def is_known(self, name: str) -> bool:
        """Whether there is such a type. Everybody may ask: a search by an identifier says no less."""
        async with self._database.connection() as connection:
            return await queries.identifier_type(connection, name) is not None

    async def create(self, request: IdentifierTypeCreate, *, caller: Caller) -> IdentifierType:
        require(caller.identity, "admin", to="create identifier types")
        Pattern(request.pattern)
        try:
            async with self._database.transaction() as connection:
                await queries.insert_identifier_type(
                    connection,
                    name=request.name,
                    pattern=request.pattern,
                    unique=request.unique,
                    description=request.description,
                )
                created = await _found(connection, request.name)
                await _note(connection, request.name, "created", before=None, after=created, caller=caller)
        except ConstraintViolated as error:
            if error.constraint != "identifier_type_pkey":
                raise
            raise IdentifierTypeExists(f"there is an identifier type {request.name} already", name=request.name) from error
        self._rules.forget()
        return created

    async def replace(self, name: str, request: IdentifierTypeReplace, *, caller: Caller) -> IdentifierType:
        """Replace a type. Values that exist are not judged anew by a new pattern; a uniqueness that they break is refused."""
        require(caller.identity, "admin", to="change identifier types")
        if isinstance(request.name, str) and request.name != name:
            raise IdentifierTypeInvalid(f"an identifier type can't be renamed: the path says {name}, the body {request.name}")
        Pattern(request.pattern)
        try:
            async with self._database.transaction() as connection:
                before = await _found(connection, name, lock=True)
                await queries.update_identifier_type(
                    connection, name=name, pattern=request.pattern, unique=request.unique, description=request.description
                )
                after = await _found(connection, name)
                await _note(connection, name, "changed", before=before, after=after, caller=caller)
        except ConstraintViolated as error:
            if error.constraint != "identifier_unique_value_key":
                raise
            raise IdentifierTaken(
                f"{name} can't become unique: some records share a value of it", identifier_type=name
            ) from error
        self._rules.forget()
        return after

    async def delete(self, name: str, *, caller: Caller) -> None:
        require(caller.identity, "admin", to="delete identifier types")
        async with self._database.transaction() as connection:
            before = await _found(connection, name, lock=True)
            records = await queries.use_of_identifier_type(connection, name)
            if records:
                raise IdentifierTypeInUse(f"{records} records use the identifier type {name}", records=records)
            await queries.delete_identifier_type(connection, name)
            await _note(connection, name, "deleted", before=before, after=None, caller=caller)
        self._rules.forget()


def try_pattern(trial: PatternTrial, *, caller: Caller) -> PatternVerdict:
    """What a pattern would say of values, if it were that of a type. Raises `IdentifierTypeInvalid`."""
    require(caller.identity, "read", to="try a pattern")
    pattern = Pattern(trial.pattern)
    return PatternVerdict(matches=[pattern.matches(value) for value in trial.values])


async def _found(connection: Connection, name: str, *, lock: bool = False) -> IdentifierType:
    found = await queries.identifier_type(connection, name, lock=lock)
    if found is None:
        raise IdentifierTypeNotFound(f"there is no identifier type {name!r}", name=name)
    return found


async def _note(
    connection: Connection,
    name: str,
    action: str,
    *,
    before: IdentifierType | None,
    after: IdentifierType | None,
    caller: Caller,
) -> None:
    old: Mapping[str, object] = msgspec.structs.asdict(before) if before else {}
    new: Mapping[str, object] = msgspec.structs.asdict(after) if after else {}
    changes = {
        field: Change(before=old.get(field), after=new.get(field))
        for field in ("pattern", "unique", "description")
        if old.get(field) != new.get(field)
    }
    await events.append(
        connection,
        kind="identifier_type",
        subject=name,
        actor=caller.identity.name,
        action=action,
        changes=changes,
        request_id=caller.request_id,
    )
