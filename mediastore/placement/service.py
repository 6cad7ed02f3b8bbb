"""Stores and S3 configs: made, changed, tried out and removed by administrators."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.accounts.secrets import Sealer
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.events import queries as events
from mediastore.events.schemas import Change
from mediastore.placement import queries
from mediastore.placement.endpoints import check_endpoint, service_of
from mediastore.placement.errors import (
    S3ConfigExists,
    S3ConfigInUse,
    S3ConfigNotFound,
    StoreExists,
    StoreInUse,
    StoreInvalid,
    StoreNotFound,
    StoreOverlaps,
)
from mediastore.placement.policies import check_retention, check_upkeep
from mediastore.placement.queries import S3ConfigRow, StoreRow
from mediastore.placement.registry import Registry
from mediastore.placement.schemas import (
    S3Config,
    S3ConfigCreate,
    S3ConfigReplace,
    StoreChange,
    StoreCreate,
    StoreShown,
)
from stores.errors import StoreUnavailable

LOCATION = ("bucket", "prefix", "path", "s3_config")


class Placement:
    def __init__(
        self,
        database: Database,
        *,
        registry: Registry,
        sealer: Sealer,
        roots: Sequence[Path],
        allow_private: bool,
        workers: int,
        on_change: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._registry = registry
        self._sealer = sealer
        self._roots = roots
        self._allow_private = allow_private
        self._workers = workers
        self._on_change = on_change
        self._clock = clock

    def kinds(self) -> tuple[str, ...]:
        """The kinds of stores that can be made here, by name."""
        return self._registry.kinds()

    async def list_stores(self, *, caller: Caller) -> list[StoreShown]:
        """All stores; those who are no administrators see names and kinds."""
        require(caller.identity, "read", to="list stores")
        async with self._database.connection() as connection:
            rows = await queries.stores(connection)
        if caller.identity.administrator:
            return [row.shown() for row in rows]
        return [StoreShown(name=row.name, kind=row.kind, enabled=row.enabled) for row in rows]

    async def everything(self) -> list[StoreShown]:
        """All stores, for whoever runs the server."""
        async with self._database.connection() as connection:
            return [row.shown() for row in await queries.stores(connection)]

    async def read_store(self, name: str, *, caller: Caller) -> StoreShown:
        require(caller.identity, "admin", to="see the settings of a store")
        async with self._database.connection() as connection:
            return (await self.found(connection, name)).shown()

    async def create_store(self, request: StoreCreate, *, caller: Caller) -> StoreShown:
        require(caller.identity, "admin", to="create stores")
        return await self.add_store(request, actor=caller.identity.name, request_id=caller.request_id)

    async def add_store(self, request: StoreCreate, *, actor: str, request_id: str | None = None) -> StoreShown:
        """Create a store on the word of whoever runs the server. It need not be reachable yet: `probe` tells."""
        if request.kind == "memory" and self._workers > 1:
            raise StoreInvalid(
                f"a memory store lives in one process, and this server runs {self._workers} workers; set MEDIASTORE_WORKERS=1"
            )
        try:
            async with self._database.transaction() as connection:
                await queries.lock_placement(connection)
                row = await self._row(connection, request)
                await self._fits(connection, row)
                await self._make_folder(row)
                await queries.insert_store(connection, row)
                shown = row.shown()
                await self._note(connection, "store", row.name, "created", _changes({}, _facts(shown)), actor, request_id)
                created = (await self.found(connection, row.name)).shown()
        except ConstraintViolated as error:
            if error.constraint != "store_name_key":
                raise
            raise StoreExists(f"there is a store {request.name} already; choose another name", store=request.name) from error
        self._on_change()
        return created

    async def change_store(self, name: str, change: StoreChange, *, caller: Caller) -> StoreShown:
        """Change settings. Where a store is can be changed only while nothing is in it."""
        require(caller.identity, "admin", to="change stores")
        async with self._database.transaction() as connection:
            await queries.lock_placement(connection)
            before = await self.found(connection, name, lock=True)
            row = await self._changed(connection, before, change)
            if any(getattr(row, field) != getattr(before, field) for field in LOCATION):
                await self._unused(connection, [before.id], f"the store {name} can't be moved", StoreInUse)
            await self._fits(connection, row)
            if row.path != before.path:
                await self._make_folder(row)
            await queries.update_store(connection, row)
            changes = _changes(_facts(before.shown()), _facts(row.shown()))
            await self._note(connection, "store", name, "changed", changes, caller.identity.name, caller.request_id)
            changed = (await self.found(connection, name)).shown()
        self._on_change()
        return changed

    async def delete_store(self, name: str, *, caller: Caller) -> None:
        require(caller.identity, "admin", to="delete stores")
        async with self._database.transaction() as connection:
            await queries.lock_placement(connection)
            row = await self.found(connection, name, lock=True)
            await self._unused(connection, [row.id], f"the store {name} can't be deleted", StoreInUse)
            await queries.delete_store(connection, row.id)
            changes = _changes(_facts(row.shown()), {})
            await self._note(connection, "store", name, "deleted", changes, caller.identity.name, caller.request_id)
        self._on_change()

    async def open_memory_stores(self) -> None:
        """Open every memory store that can be opened: the first process to do so is its home."""
        async with self._database.connection() as connection:
            rows = [row for row in await queries.stores(connection) if row.kind == "memory" and row.enabled]
        for row in rows:
            with suppress(StoreUnavailable):  # another process is its home, and requests are told so
                await self._registry.get(row.id, revision=row.revision)

    async def list_s3_configs(self, *, caller: Caller) -> list[S3Config]:
        require(caller.identity, "admin", to="list S3 configs")
        async with self._database.connection() as connection:
            return [row.shown() for row in await queries.s3_configs(connection)]

    async def read_s3_config(self, name: str, *, caller: Caller) -> S3Config:
        require(caller.identity, "admin", to="see an S3 config")
        async with self._database.connection() as connection:
            return (await self._s3_config(connection, name)).shown()

    async def create_s3_config(self, request: S3ConfigCreate, *, caller: Caller) -> S3Config:
        require(caller.identity, "admin", to="create S3 configs")
        return await self.add_s3_config(request, actor=caller.identity.name, request_id=caller.request_id)

    async def add_s3_config(self, request: S3ConfigCreate, *, actor: str, request_id: str | None = None) -> S3Config:
        """Create an S3 config on the word of whoever runs the server."""
        await check_endpoint(request.endpoint_url, allow_private=self._allow_private)
        _both_keys(request.access_key, request.secret_key)
        now = self._clock()
        row = S3ConfigRow(
            id=0,
            name=request.name,
            endpoint_url=request.endpoint_url,
            region=request.region,
            addressing_style=request.addressing_style,
            access_key_sealed=self._sealer.seal(request.access_key) if request.access_key else None,
            secret_key_sealed=self._sealer.seal(request.secret_key) if request.secret_key else None,
            created_at=now,
            updated_at=now,
        )
        try:
            async with self._database.transaction() as connection:
                await queries.insert_s3_config(connection, row)
                changes = _changes({}, _facts(row.shown()))
                await self._note(connection, "s3_config", row.name, "created", changes, actor, request_id)
                return (await self._s3_config(connection, row.name)).shown()
        except ConstraintViolated as error:
            if error.constraint != "s3_config_name_key":
                raise
            raise S3ConfigExists(f"there is an S3 config {request.name} already", s3_config=request.name) from error

    async def replace_s3_config(self, name: str, request: S3ConfigReplace, *, caller: Caller) -> S3Config:
        """Replace an S3 config. Keys may always change; where it leads only while its stores are empty."""
        require(caller.identity, "admin", to="change S3 configs")
        if isinstance(request.name, str) and request.name != name:
            raise StoreInvalid(f"an S3 config can't be renamed: the path says {name}, the body {request.name}")
        await check_endpoint(request.endpoint_url, allow_private=self._allow_private)
        async with self._database.transaction() as connection:
            await queries.lock_placement(connection)
            before = await self._s3_config(connection, name, lock=True)
            sealed = {
                field: before_value if given is msgspec.UNSET else (self._sealer.seal(given) if isinstance(given, str) else None)
                for field, given, before_value in (
                    ("access_key_sealed", request.access_key, before.access_key_sealed),
                    ("secret_key_sealed", request.secret_key, before.secret_key_sealed),
                )
            }
            _both_keys(*sealed.values())
            after = msgspec.structs.replace(
                before,
                endpoint_url=request.endpoint_url,
                region=request.region,
                addressing_style=request.addressing_style,
                **sealed,
            )
            if (before.endpoint_url, before.region) != (after.endpoint_url, after.region):
                stores = await queries.stores_of_s3_config(connection, before.id)
                await self._unused(connection, stores, f"the S3 config {name} can't lead elsewhere", S3ConfigInUse)
            await queries.update_s3_config(connection, after)
            for row in await queries.stores(connection):
                if row.s3_config == before.id:
                    await self._apart(connection, row)
            changes = _changes(_facts(before.shown()), _facts(after.shown()))
            if before.secret_key_sealed != after.secret_key_sealed:
                changes["keys"] = Change(after="changed")
            await self._note(connection, "s3_config", name, "changed", changes, caller.identity.name, caller.request_id)
            return (await self._s3_config(connection, name)).shown()

    async def delete_s3_config(self, name: str, *, caller: Caller) -> None:
        require(caller.identity, "admin", to="delete S3 configs")
        async with self._database.transaction() as connection:
            await queries.lock_placement(connection)
            row = await self._s3_config(connection, name, lock=True)
            stores = await queries.stores_of_s3_config(connection, row.id)
            if stores:
                raise S3ConfigInUse(
                    f"{len(stores)} stores use the S3 config {name}; change or delete them first", stores=len(stores)
                )
            await queries.delete_s3_config(connection, row.id)
            changes = _changes(_facts(row.shown()), {})
            await self._note(connection, "s3_config", name, "deleted", changes, caller.identity.name, caller.request_id)

    async def found(self, connection: Connection, name: str, *, lock: bool = False) -> StoreRow:
        """The row of a store. Raises `StoreNotFound`, naming the stores there are."""
        row = await queries.store_by_name(connection, name, lock=lock)
        if row is None:
            names = ", ".join(store.name for store in await queries.stores(connection)) or "none yet"
            raise StoreNotFound(f"there is no store {name!r}; there are: {names}", store=name)
        return row

    async def _s3_config(self, connection: Connection, name: str, *, lock: bool = False) -> S3ConfigRow:
        row = await queries.s3_config_by_name(connection, name, lock=lock)
        if row is None:
            raise S3ConfigNotFound(f"there is no S3 config {name!r}", s3_config=name)
        return row

    async def _row(self, connection: Connection, request: StoreCreate) -> StoreRow:
        config = None if request.s3_config is None else await self._s3_config(connection, request.s3_config)
        now = self._clock()
        return StoreRow(
            id=0,
            name=request.name,
            kind=request.kind,
            bucket=request.bucket,
            prefix=request.prefix,
            path=self._path(request.path or request.name) if request.kind == "filesystem" else request.path,
            s3_config=config.id if config else None,
            s3_config_name=config.name if config else None,
            options=_raw(request.options),
            checksums=sorted(set(request.checksums)),
            retention=_raw(request.retention),
            quota=_raw(request.quota),
            brake=None,
            upkeep=_raw(request.upkeep),
            enabled=True,
            incarnation=None,
            revision=1,
            created_at=now,
            updated_at=now,
        )

    async def _changed(self, connection: Connection, before: StoreRow, change: StoreChange) -> StoreRow:
        given: dict[str, Any] = {
            field: value for field in change.__struct_fields__ if (value := getattr(change, field)) is not msgspec.UNSET
        }
        if "path" in given and before.kind == "filesystem":
            given["path"] = self._path(given["path"])
        if "s3_config" in given:
            config = None if given["s3_config"] is None else await self._s3_config(connection, given["s3_config"])
            given |= {"s3_config": config.id if config else None, "s3_config_name": config.name if config else None}
        if "options" in given:
            given["options"] = _raw(given["options"])
        if "retention" in given:
            given["retention"] = _raw(given["retention"])
        if "quota" in given:
            given["quota"] = _raw(given["quota"])
        if "upkeep" in given:
            given["upkeep"] = _raw(given["upkeep"])
        if "checksums" in given:
            given["checksums"] = sorted(set(given["checksums"]))
        return msgspec.structs.replace(before, **given)

    async def _fits(self, connection: Connection, row: StoreRow) -> None:
        """Raise unless the kind accepts the settings, the policy makes sense, and no other store has any of its place."""
        await check_retention(connection, row.policy())
        check_upkeep(row.care())
        await self._registry.check(row)
        await self._apart(connection, row)

    async def _apart(self, connection: Connection, row: StoreRow) -> None:
        """Raise `StoreOverlaps` when another store has any of its place."""
        place = await self._place(connection, row)
        for other in await queries.stores(connection):
            if other.id != row.id and _overlap(place, await self._place(connection, other)):
                raise StoreOverlaps(
                    f"the store {other.name} is at the same place, or inside or around it; choose another path, bucket or prefix",
                    store=other.name,
                )

    async def _place(self, connection: Connection, row: StoreRow) -> tuple[str, ...]:
        """Where a store is, as steps from the outside in; two stores overlap when one's steps begin the other's."""
        if row.kind == "memory":
            return ("memory", row.name)
        if row.path is not None:
            return (row.kind, *Path(row.path).parts)
        config = None if row.s3_config is None else await queries.s3_config_by_id(connection, row.s3_config)
        service = service_of(config.endpoint_url if config else None)
        return (row.kind, service, row.bucket or "", *row.prefix.strip("/").split("/"))

    def _path(self, given: str) -> str:
        """The absolute folder of a filesystem store, every symlink resolved; it has to lie below an allowed root."""
        try:
            path = (self._roots[0] / Path(given)).resolve()
        except (OSError, ValueError, RuntimeError) as error:
            raise StoreInvalid(f"path {given!r} can't be used: {error}") from error
        if not any(path != root and path.is_relative_to(root) for root in self._roots):
            raise StoreInvalid(
                f"path {given!r} does not lie below an allowed root; MEDIASTORE_FILESYSTEM_ROOTS lists them, and a relative path "
                "is taken from the first",
                path=given,
            )
        return str(path)

    async def _make_folder(self, row: StoreRow) -> None:
        """Make the folder of a new filesystem store. Only then: one that is gone later is a disk that is not there."""
        if row.kind != "filesystem" or row.path is None:
            return
        try:
            await asyncio.to_thread(Path(row.path).mkdir, mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreInvalid(f"the folder {row.path} can't be made: {error.strerror}", path=row.path) from error

    async def _unused(
        self, connection: Connection, stores: list[int], what: str, error: type[StoreInUse] | type[S3ConfigInUse]
    ) -> None:
        records = await queries.use_of_stores(connection, stores)
        if records:
            raise error(f"{what}: {records} records depend on where it is", records=records)

    async def _note(
        self,
        connection: Connection,
        kind: Any,
        subject: str,
        action: str,
        changes: Mapping[str, Change],
        actor: str,
        request_id: str | None,
    ) -> None:
        await events.append(
            connection, kind=kind, subject=subject, actor=actor, action=action, changes=changes, request_id=request_id
        )


def _both_keys(access_key: object, secret_key: object) -> None:
    if (access_key is None) != (secret_key is None):
        raise StoreInvalid("give access_key and secret_key together, or neither to use the server's own AWS credentials")


def _raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    one, other = (tuple(step for step in place if step) for place in (one, other))
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _facts(shown: object) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(shown)
    return {name: value for name, value in facts.items() if name not in {"created_at", "updated_at"}}


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, Change]:
    return {
        name: Change(before=before.get(name), after=after.get(name))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }
