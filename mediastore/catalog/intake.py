"""Lines of a file become records: a group of them in one transaction, and each group only once, however often it is sent."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID, uuid5

import msgspec
from msgspec import Raw, Struct, structs

from mediastore.accounts.access import may_read
from mediastore.accounts.errors import NotAllowed
from mediastore.accounts.schemas import Caller
from mediastore.catalog import bulk_queries, queries
from mediastore.catalog.bulk import windows
from mediastore.catalog.bulk_queries import Update, update_of
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import PidTaken, RecordInvalid
from mediastore.catalog.interchange_schemas import Existing, ImportLine
from mediastore.catalog.merge import equal_json
from mediastore.catalog.queries import MediaRow, NewMedia
from mediastore.catalog.schemas import MediaChange, MetadataEdit
from mediastore.catalog.service import Catalog, broken_rule
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database, ValueRefused, translated
from mediastore.errors import MediastoreError
from mediastore.http.ndjson import Line

MINTED = UUID("0a3c2a5e-8d0e-5d3b-9a53-1d2f0f5f6a11")
"""The namespace of PIDs that follow from an import's id and a line's number."""


class Options(Struct, frozen=True, kw_only=True):
    existing: Existing = "error"
    store: str | None = None
    """Where all of them go, whatever the lines say."""
    import_id: str | None = None
    """Makes PIDs for lines that have none, the same ones when it is given again."""


class Failure(Struct, frozen=True, kw_only=True):
    line: int
    pid: str | None
    error: MediastoreError


class Draft(Struct, frozen=True, kw_only=True):
    """A line that could be a record."""

    line: int
    pid: str
    text: bytes
    given: ImportLine
    new: NewMedia

    @property
    def minted(self) -> bool:
        """Whether its PID follows from the import's id and the line's number."""
        return self.given.pid is None


class Settled(Struct, frozen=True, kw_only=True):
    """What came of some lines."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    failures: tuple[Failure, ...] = ()

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            skipped=self.skipped + other.skipped,
            failures=self.failures + other.failures,
        )


Verdict: TypeAlias = Update | Literal["unchanged", "skipped"] | MediastoreError
"""What is to be done with a line whose PID is there."""


class Intake:
    def __init__(self, database: Database, *, catalog: Catalog, drafts: Drafts, pid_prefix: str, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._drafts = drafts
        self._pid_prefix = pid_prefix
        self._clock = clock
        self._decoder = msgspec.json.Decoder(ImportLine)

    async def settle(self, lines: Sequence[Line], *, options: Options, caller: Caller) -> Settled:
        """Make records of these lines. What can be made is committed when this returns; after an error it can be done again."""
        await self._drafts.refresh_rules()
        now = self._clock()
        drafts: list[Draft] = []
        settled = Settled()
        for line in lines:
            draft = await self._draft(line, options=options, caller=caller, now=now)
            if isinstance(draft, Failure):
                settled += Settled(failures=(draft,))
            else:
                drafts.append(draft)
        if drafts:
            settled += await self._halved(drafts, options=options, caller=caller)
        return structs.replace(settled, failures=tuple(sorted(settled.failures, key=lambda failure: failure.line)))

    async def _draft(self, line: Line, *, options: Options, caller: Caller, now: datetime) -> Draft | Failure:
        pid: str | None = None
        try:
            if line.text is None:
                raise RecordInvalid("the line is too long; MEDIASTORE_MAX_JSON_BYTES is the limit")
            given = self._decode(line.text)
            pid = given.pid
            if pid is None:
                pid = self._mint(line.number, options=options, caller=caller)
            if options.store is not None:
                given = structs.replace(given, store=options.store)
            owner = given.owner or caller.identity.name
            if owner != caller.identity.name and not caller.identity.administrator:
                raise NotAllowed(f"only administrators import records of others, and {pid} is of {owner}", pid=pid, owner=owner)
            new = await self._drafts.new(pid, given, owner=owner, now=now)
        except MediastoreError as error:
            return Failure(line=line.number, pid=pid, error=error)
        if claims := claimed(given):
            new = structs.replace(new, changes={**new.changes, "imported": {"after": claims}})
        return Draft(line=line.number, pid=pid, text=line.text, given=given, new=new)

    def _decode(self, text: bytes) -> ImportLine:
        try:
            return self._decoder.decode(text)
        except msgspec.ValidationError as error:
            raise RecordInvalid(f"the line is no record: {error}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordInvalid(f"the line is not valid JSON in UTF-8: {error}") from error
        except RecursionError as error:
            raise RecordInvalid("the JSON is nested too deeply") from error

    def _mint(self, number: int, *, options: Options, caller: Caller) -> str:
        if options.import_id is None:
            raise RecordInvalid(
                "the line has no pid; give it one, or the import an import_id, from which the same PIDs follow each time"
            )
        return f"{self._pid_prefix}{uuid5(MINTED, f'{caller.identity.name} {options.import_id} {number}')}"

    async def _halved(self, drafts: Sequence[Draft], *, options: Options, caller: Caller) -> Settled:
        """Where the database refuses one of them, halves find out which; those before it go first."""
        try:
            with translated():
                async with self._database.transaction() as connection:
                    return await self._together(connection, drafts, options=options, caller=caller)
        except (ConstraintViolated, ValueRefused) as error:
            if len(drafts) == 1:
                pid = drafts[0].pid
                told = broken_rule(error, pid) if isinstance(error, ConstraintViolated) else error
                return Settled(failures=(Failure(line=drafts[0].line, pid=pid, error=told),))
        middle = len(drafts) // 2
        first = await self._halved(drafts[:middle], options=options, caller=caller)
        return first + await self._halved(drafts[middle:], options=options, caller=caller)

    async def _together(self, connection: Connection, drafts: Sequence[Draft], *, options: Options, caller: Caller) -> Settled:
        first: dict[str, Draft] = {}
        for draft in drafts:
            first.setdefault(draft.pid, draft)
        news = [draft.new for draft in first.values()]
        inserted = await queries.insert_medias(connection, news, actor=caller.identity.name, request_id=caller.request_id)
        settled = Settled(created=len(inserted))
        left = [draft for draft in drafts if not (draft.pid in inserted and first[draft.pid] is draft)]
        for run in _runs(left):
            settled += await self._existing(connection, run, options=options, caller=caller)
        return settled

    async def _existing(self, connection: Connection, drafts: Sequence[Draft], *, options: Options, caller: Caller) -> Settled:
        """Lines whose PIDs are there, each once."""
        now = self._clock()
        settled = Settled()
        sizes = await bulk_queries.sizes(connection, [draft.pid for draft in drafts], lock=options.existing == "update")
        for window in windows(drafts, sizes):
            rows = await queries.medias_by_pid(connection, [draft.pid for draft in window])
            verdicts = [
                await self._judged(rows.get(draft.pid), draft, options=options, caller=caller, now=now) for draft in window
            ]
            lost = [draft.new for draft in window if draft.pid not in rows]
            reasons = iter(await self._catalog.left_out(connection, lost) if lost else ())
            updates = [verdict for verdict in verdicts if isinstance(verdict, Update)]
            if updates:
                actor, request_id = caller.identity.name, caller.request_id
                await bulk_queries.update_medias(connection, updates, actor=actor, request_id=request_id)
            settled += Settled(
                updated=len(updates),
                unchanged=verdicts.count("unchanged"),
                skipped=verdicts.count("skipped"),
                failures=tuple(
                    Failure(line=draft.line, pid=draft.pid, error=verdict if draft.pid in rows else next(reasons))
                    for draft, verdict in zip(window, verdicts, strict=True)
                    if isinstance(verdict, MediastoreError)
                ),
            )
        return settled

    async def _judged(self, row: MediaRow | None, draft: Draft, *, options: Options, caller: Caller, now: datetime) -> Verdict:
        """What is to be done about a record that is there. To those who may not read it, nothing is said but that it is."""
        taken = PidTaken(f"the PID {draft.pid} is taken; PIDs are given out once", pid=draft.pid)
        if row is None or row.status == "deleted" or not may_read(row, caller.identity, now):
            return taken
        if options.existing == "skip":
            return "skipped"
        # The same id, given to another file, must neither lose its lines nor write them over those of the first.
        update = options.existing == "update" and not draft.minted
        try:
            if update:
                row = self._catalog.writable(row, draft.pid, caller=caller, now=now)
            change = change_of(draft, row, relative=update)
            after, names, changes = await self._drafts.changed(row, change, identity=caller.identity, now=now)
            if _retyped(draft, row):
                raise RecordInvalid(f"the pid_type of {draft.pid} is {row.pid_type}, and stays that", pid=draft.pid)
        except MediastoreError as error:
            return error if update else taken
        if changes and not update:
            differs = sorted(changes)
            hint = "; an import_id is for one file" if draft.minted else ""
            return PidTaken(
                f"{draft.pid} is there already, and differs in {', '.join(differs)}{hint}", pid=draft.pid, differs=differs
            )
        return update_of(row, after, names, changes) if changes else "unchanged"


def claimed(given: ImportLine) -> dict[str, Any]:
    """What an export says of the record as it was elsewhere. It is kept as said, for those who compare."""
    claims = {"created_at": given.created_at, "content": given.content, "version": given.version or None}
    return {name: value for name, value in claims.items() if value is not None}


def change_of(draft: Draft, row: MediaRow, *, relative: bool) -> MediaChange:
    """What makes the record what the line says; what the line leaves out stays. `relative`: times from now count, too."""
    given = draft.given
    said = msgspec.json.decode(draft.text, type=dict[str, Raw]).keys()
    change: dict[str, Any] = {
        name: getattr(given, name) for name in ("tags", "access", "readers", "writers", "public_at") if name in said
    }
    if given.expires_at is not None:
        change["expires_at"] = given.expires_at
    elif given.ttl_s is not None and relative:
        change["ttl_s"] = given.ttl_s
    if given.store is not None and given.store != row.store_name:
        change["store"] = given.store
    if given.owner is not None and given.owner != row.owner:
        change["owner"] = given.owner
    if isinstance(given.metadata, Raw) and not equal_json(given.metadata, row.metadata):
        change["set_metadata"] = [MetadataEdit(path=[], value=given.metadata)]
    if "identifiers" in said:
        wanted = {name: value for name, value in given.identifiers.items() if name != row.pid_type}
        before = msgspec.json.decode(row.identifiers, type=dict[str, str])
        change["identifiers"] = {**dict.fromkeys(before.keys() - wanted.keys()), **wanted}
    return MediaChange(**change)


def _retyped(draft: Draft, row: MediaRow) -> bool:
    return draft.given.pid_type is not None and draft.given.pid_type != row.pid_type


def _runs(drafts: Sequence[Draft]) -> Iterator[list[Draft]]:
    """The drafts in their order, in as few groups as name no record twice."""
    run: list[Draft] = []
    seen: set[str] = set()
    for draft in drafts:
        if draft.pid in seen:
            yield run
            run, seen = [], set()
        run.append(draft)
        seen.add(draft.pid)
    if run:
        yield run
