"""Objects that lie in a store already become the content of records: written down, read to their end, published where they lie.

The row of a stored object claims the key from the first transaction on, so that no other registration, and no policy for bytes
that no row names, can take it meanwhile. Until it is published the bytes are somebody else's: a registration that fails lets go
of the row, and never dooms it.
"""

from datetime import timedelta
from mimetypes import MimeTypes

import msgspec
import structlog
from msgspec import Raw, Struct

from mediastore.accounts.access import require
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import Caller
from mediastore.catalog import queries as catalog_queries
from mediastore.catalog.drafts import Drafts
from mediastore.catalog.errors import PidTaken
from mediastore.catalog.queries import MediaRow
from mediastore.catalog.schemas import Media
from mediastore.catalog.service import Catalog, broken_rule, not_found
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database, QueryTooSlow, SchemaOutdated
from mediastore.errors import MediastoreError
from mediastore.jobs.errors import RetryLater
from mediastore.jobs.queue import JobQueue
from mediastore.placement import objects
from mediastore.placement import queries as placement
from mediastore.placement.errors import StoreDisabled
from mediastore.placement.queries import StoreRow
from mediastore.placement.quotas import reserve
from mediastore.placement.registry import Registry
from mediastore.placement.service import Placement
from mediastore.registering import queries
from mediastore.registering.errors import KeyNamed, NothingThere, ObjectUnreadable, RegistrationEnded, RegistrationNotFound
from mediastore.registering.queries import RegistrationRow
from mediastore.registering.schemas import Registration, RegistrationAsk, RegistrationStatus
from mediastore.transfers import queries as transfer_queries
from mediastore.transfers.adoption import Adopted, Deed, Found, become_content, read_in_place
from mediastore.transfers.declared import OCTETS, About, about_record, checked_digests, checked_name, checked_type
from mediastore.transfers.errors import DigestMismatch
from mediastore.transfers.ledger import Ledger, told
from stores.errors import KeyInvalid, ObjectNotFound, StoreError, StoreMisconfigured
from stores.keys import check_key

REGISTER = "register_object"
PASSING = (QueryTooSlow, SchemaOutdated, StoreDisabled, StoreMisconfigured)
"""What somebody can mend, though asking again does not help by itself, such as a disk that is not mounted."""
AGAIN_S = 30
"""When a registration is tried again whose store is away."""
INLINE_S = 60
"""When a job goes on with what a call has begun to read, in case that it was killed."""
LOST = timedelta(minutes=5)
"""After which a job is made for what should have ended: a queue can lose one, be it that somebody dropped it."""
KEPT = timedelta(days=90)
AT_ONCE = 1000
NEWEST = 2**63 - 1
NO_TYPE = frozenset({"", OCTETS, "binary/octet-stream"})
"""What stores say where nobody told them."""
TYPES = MimeTypes(filenames=())
"""Of endings, the same on every machine."""


class RegisterJob(Struct, frozen=True, kw_only=True):
    """What the job is told."""

    registration: int


class Wanted(Struct, frozen=True, kw_only=True):
    """An object, and the record whose content it is to become."""

    key: str
    pid: str
    size: int | None
    """Bytes, as the store says; None where it can't be asked."""
    media_type: str
    """Empty where nobody said it."""
    filename: str | None
    about: About
    claims: dict[str, str] = {}
    scan: int | None = None
    """The scan that has found it: then the record has to be a new one."""


class Registrations:
    def __init__(
        self,
        database: Database,
        *,
        placement: Placement,
        catalog: Catalog,
        drafts: Drafts,
        ledger: Ledger,
        registry: Registry,
        credentials: Credentials,
        jobs: JobQueue,
        inline_bytes: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._placement = placement
        self._catalog = catalog
        self._drafts = drafts
        self._ledger = ledger
        self._registry = registry
        self._credentials = credentials
        self._jobs = jobs
        self._inline_bytes = inline_bytes
        self._clock = clock
        self._log = structlog.get_logger("mediastore.registering")

    async def begin(self, name: str, asked: RegistrationAsk, about: About, *, caller: Caller) -> Media | Registration:
        """Register an object by its key. The record where that could be verified at once, else what a job goes on with.

        Raises `NothingThere`, `ObjectUnreadable`, `KeyNamed`, and whatever the record, the claims and the bytes have to say.
        """
        require(caller.identity, "admin", to="register what lies in stores")
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
        wanted = Wanted(
            key=check_key(asked.key, prefix=row.prefix),
            pid=asked.pid or self._catalog.mint(),
            size=None,
            media_type=checked_type(asked.media_type) if asked.media_type else "",
            filename=checked_name(asked.filename or asked.key.rpartition("/")[2]),
            about=about,
            claims=checked_digests(asked.checksums),
        )
        size = await self._size(row, wanted.key)
        quick = size is not None and size <= self._inline_bytes
        wanted = msgspec.structs.replace(wanted, size=size)
        id = await self.write_down(row, wanted, caller=caller, job_after_s=INLINE_S if quick else 0)
        if quick:
            try:
                problem = await self.settle(id)
            except (StoreError, MediastoreError):
                problem = None  # nothing is decided: the job goes on with it
            if problem is not None:
                raise problem
        registration = await self._row(id)
        if registration.state == "done":
            return await self._catalog.read(registration.pid, caller=caller)
        return registration.shown()

    async def _size(self, row: StoreRow, key: str) -> int | None:
        """Of the object; None where the store is away: then a job goes on once it is back."""
        try:
            store = await self._registry.get(row.id, revision=row.revision)
            return (await store.head(key)).size
        except ObjectNotFound as error:
            raise NothingThere(f"the store has no object at {key}", key=key) from error
        except KeyInvalid:
            raise
        except StoreError as error:
            if passes(error):
                return None
            raise ObjectUnreadable(f"the store does not give what lies at {key}: {error.message}", key=key) from error

    async def write_down(self, row: StoreRow, wanted: Wanted, *, caller: Caller, job_after_s: float | None = None) -> int:
        """Claim the key for a record, which is made where there is none. With `job_after_s` a job goes on with it then.

        Raises `KeyNamed`, `QuotaExceeded`, and what the record has to say.
        """
        await self._drafts.refresh_rules()
        try:
            async with self._database.transaction() as connection:
                media, created = await self._record(connection, row, wanted, caller=caller)
                id = await self._claim(connection, row, wanted, media=media, created=created, caller=caller)
                if job_after_s is not None:
                    await self._enqueue(connection, id, memory=row.kind == "memory", wait_s=job_after_s)
        except ConstraintViolated as error:
            if error.constraint == "stored_object_key_key":
                raise await self._named(row, wanted.key) from error
            raise broken_rule(error, wanted.pid) from error
        return id

    async def _record(self, connection: Connection, row: StoreRow, wanted: Wanted, *, caller: Caller) -> tuple[int, bool]:
        """The record, locked, and whether it was made. Room for the object is asked for, so that nothing is read in vain."""
        now = self._clock()
        media = await catalog_queries.media_by_pid(connection, wanted.pid, lock=True)
        if media is None:
            fields = msgspec.structs.replace(wanted.about.fields, store=wanted.about.fields.store or row.name)
            new = await self._drafts.new(wanted.pid, fields, owner=caller.identity.name, now=now)
            inserted = await self._catalog.insert(connection, new, caller=caller)
            await reserve(connection, row, owner=caller.identity.name, size=wanted.size or 0)
            return inserted.id, True
        if wanted.scan is not None:
            raise PidTaken(f"the PID {wanted.pid} is taken; a scan makes new records alone", pid=wanted.pid)
        media = self._ledger.writable(media, caller=caller, now=now)
        await self._ledger.changed(media, wanted.about, caller=caller, now=now)
        await reserve(connection, row, owner=media.owner, size=wanted.size or 0)
        return media.id, False

    async def _claim(
        self, connection: Connection, row: StoreRow, wanted: Wanted, *, media: int, created: bool, caller: Caller
    ) -> int:
        if (known := await queries.namer(connection, row.id, wanted.key)) is not None:
            raise _key_named(row, wanted.key, known)
        object = await objects.insert_object(
            connection,
            media=media,
            store=row.id,
            key=wanted.key,
            media_type=wanted.media_type,
            filename=wanted.filename,
        )
        # The bytes are all there: what comes later, and is verified sooner, still lies above.
        await objects.reserve_version(connection, object)
        return await queries.insert_registration(
            connection,
            store=row.id,
            key=wanted.key,
            scan=wanted.scan,
            object=object,
            media=media,
            pid=wanted.pid,
            created_record=created,
            about=Raw(b"{}") if created else wanted.about.given,
            claims=wanted.claims,
            size=wanted.size,
            caller=caller.identity.name,
        )

    async def _named(self, row: StoreRow, key: str) -> KeyNamed:
        async with self._database.connection() as connection:
            known = await queries.namer(connection, row.id, key)
        return _key_named(row, key, known or queries.Namer(state="verifying", pid=None))

    async def _enqueue(self, connection: Connection, id: int, *, memory: bool, wait_s: float = 0) -> None:
        payload = RegisterJob(registration=id)
        await self._jobs.enqueue(connection, REGISTER, payload, dedupe_key=f"{REGISTER} {id}", delay_s=wait_s, local=memory)

    # Reading and publishing.

    async def register(self, payload: bytes) -> None:
        """The job. Safe to run twice and at once: a registration ends once."""
        id = msgspec.json.decode(payload, type=RegisterJob).registration
        try:
            await self.settle(id)
        except (StoreError, MediastoreError) as error:
            raise RetryLater(error.message, delay_s=AGAIN_S) from error

    async def settle(self, id: int) -> MediastoreError | StoreError | None:
        """Read the bytes of a registration that waits, and publish them or let go of them; returns why it failed.

        Raises what says nothing of the object, such as a store that is away: then it still waits.
        """
        async with self._database.connection() as connection:
            registration = await queries.registration_by_id(connection, id)
            row = None if registration is None else await placement.store_by_id(connection, registration.store)
        if registration is None or row is None or registration.state != "waiting":
            return None
        try:
            await self._publish(registration, row, await self._read(registration, row))
        except (StoreError, MediastoreError) as error:
            if passes(error):
                raise
            await self._fail(registration, error)
            return error
        return None

    async def _read(self, registration: RegistrationRow, row: StoreRow) -> Found:
        """The bytes, as they are and as they were claimed. One bad reading is not believed: they are read twice."""
        store = await self._registry.get(row.id, revision=row.revision)
        claimed = registration.claimed()
        algorithms = {*row.checksums, *claimed}
        try:
            found = await read_in_place(store, registration.key, algorithms)
            if any(found.digests[algorithm] != digest for algorithm, digest in claimed.items()):
                found = await read_in_place(store, registration.key, algorithms)
        except ObjectNotFound as error:
            raise NothingThere("the object went away before it was read", key=registration.key) from error
        for algorithm, digest in claimed.items():
            if found.digests[algorithm] != digest:
                raise DigestMismatch(
                    f"the {algorithm} of the object is {found.digests[algorithm]}, but {digest} was claimed; it stays as it is",
                    algorithm=algorithm,
                    claimed=digest,
                    computed=found.digests[algorithm],
                )
        return found

    async def _publish(self, registration: RegistrationRow, row: StoreRow, found: Found) -> None:
        """The version and the end of the registration are one transaction. Everything is asked again: reading can take hours."""
        now = self._clock()
        caller = Caller(identity=await self._credentials.identity_of(registration.caller), request_id=None, address="")
        require(caller.identity, "admin", to="register what lies in stores")
        await self._drafts.refresh_rules()
        try:
            async with self._database.transaction() as connection:
                media = await catalog_queries.media_by_pid(connection, registration.pid, lock=True)
                if media is None or media.id != registration.media:
                    raise not_found(registration.pid, caller)
                media = self._ledger.writable(media, caller=caller, now=now)
                if not await queries.end_registration(connection, registration.id, state="done", at=now):
                    return
                await reserve(connection, row, owner=media.owner, size=found.size)
                await self._make_content(connection, media, registration, row, found, caller=caller)
        except ConstraintViolated as error:
            raise broken_rule(error, registration.pid) from error
        self._log.info("registered", store=row.name, key=registration.key, pid=registration.pid, size=found.size)

    async def _make_content(
        self,
        connection: Connection,
        media: MediaRow,
        registration: RegistrationRow,
        row: StoreRow,
        found: Found,
        *,
        caller: Caller,
    ) -> None:
        now = self._clock()
        assert registration.stored_object is not None  # noqa: S101 - it is there as long as the registration waits
        version = await objects.reserved_version(connection, registration.stored_object) or 0
        changes = {}
        if version > media.version and not registration.created_record:
            about = about_record(bytes(registration.about))
            changes = await self._ledger.apply(connection, media, about, caller=caller, now=now)
        adopted = Adopted(
            object=registration.stored_object,
            found=found,
            media_type=registration.media_type or _type_of(registration.key, found.media_type),
            filename=registration.filename,
        )
        deed = Deed(action="registered", actor=registration.caller)
        await become_content(connection, media, row, adopted, deed, at=now, changes=changes)

    async def _fail(self, registration: RegistrationRow, problem: MediastoreError | StoreError, *, note: bool = True) -> bool:
        """End a registration that waits: the claim on the key goes, the bytes stay, and a record that it made is taken back.

        A record that was there before, and has no other content, says why with `note`. Returns whether it was still waiting.
        """
        shown = told(problem)
        async with self._database.transaction() as connection:
            if registration.media is not None:
                await transfer_queries.lock_media(connection, registration.media)
            if not await queries.end_registration(connection, registration.id, state="failed", at=self._clock(), problem=shown):
                return False
            if registration.stored_object is not None:
                await queries.release(connection, registration.stored_object)
            if registration.media is not None:
                withdrawn = registration.created_record and await catalog_queries.withdraw_pristine(
                    connection, registration.media
                )
                if note and not withdrawn:
                    reason = str(shown["detail"])
                    await self._catalog.note_failed(connection, registration.media, reason=reason, actor=registration.caller)
        self._log.info("not registered", store=registration.store_name, key=registration.key, code=problem.code)
        return True

    # What people ask for.

    async def page(
        self,
        name: str,
        *,
        scan: int | None,
        status: RegistrationStatus | None,
        cursor: int | None,
        limit: int,
        caller: Caller,
    ) -> tuple[list[Registration], int | None]:
        """Registrations in a store, newest first, and the cursor of the next page."""
        require(caller.identity, "admin", to="see what is registered in stores")
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            before = NEWEST if cursor is None else cursor
            rows = await queries.registrations_before(connection, row.id, scan=scan, state=status, before=before, limit=limit + 1)
        return [item.shown() for item in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None

    async def show(self, name: str, id: int, *, caller: Caller) -> Registration:
        require(caller.identity, "admin", to="see what is registered in stores")
        return (await self._found(name, id)).shown()

    async def cancel(self, name: str, id: int, *, caller: Caller) -> None:
        """Give up a registration that waits. The bytes stay. Raises `RegistrationEnded`."""
        require(caller.identity, "admin", to="cancel registrations")
        registration = await self._found(name, id)
        cancelled = RegistrationEnded(f"{caller.identity.name} cancelled it", registration=id)
        if registration.state != "waiting" or not await self._fail(registration, cancelled, note=False):
            raise RegistrationEnded(f"the registration {id} has ended already", registration=id)

    async def _found(self, name: str, id: int) -> RegistrationRow:
        async with self._database.connection() as connection:
            row = await self._placement.found(connection, name)
            registration = await queries.registration_by_id(connection, id)
        if registration is None or registration.store != row.id:
            raise RegistrationNotFound(f"there is no registration {id} in the store {name}", registration=id)
        return registration

    async def _row(self, id: int) -> RegistrationRow:
        async with self._database.connection() as connection:
            registration = await queries.registration_by_id(connection, id)
        assert registration is not None  # noqa: S101 - it was written down a moment ago, and is kept for long
        return registration

    # What the clock does.

    async def look_after(self) -> None:
        """Have a job made for every registration that should have ended; forget what ended long ago."""
        now = self._clock()
        async with self._database.transaction() as connection:
            for lost in await queries.waiting_since(connection, now - LOST, limit=AT_ONCE):
                await self._enqueue(connection, lost.id, memory=lost.memory)
        forgotten = AT_ONCE
        while forgotten == AT_ONCE:
            async with self._database.connection() as connection:
                forgotten = await queries.forget_ended(connection, now - KEPT, limit=AT_ONCE)


def passes(error: MediastoreError | StoreError) -> bool:
    """Whether it says nothing of the object or the record, so that it is waited for; a store's word about one key does."""
    return error.retryable or (isinstance(error, PASSING) and getattr(error, "key", None) is None)


def _type_of(key: str, said: str | None) -> str:
    if said is not None and said not in NO_TYPE:
        return said
    return TYPES.guess_type(key.rpartition("/")[2], strict=True)[0] or OCTETS


def _key_named(row: StoreRow, key: str, known: queries.Namer) -> KeyNamed:
    whose = f"it is content of {known.pid}" if known.pid else "a row names it"
    return KeyNamed(
        f"the object {key} in {row.name} can't be registered: {whose} ({known.state}); a key is named once",
        key=key,
        pid=known.pid,
        object_state=known.state,
    )
