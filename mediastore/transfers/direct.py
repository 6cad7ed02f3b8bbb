"""Uploads that clients send by themselves: begun here, sent to the store or in parts to this server, completed here."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

import msgspec
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import Caller
from mediastore.catalog.pids import check_pid
from mediastore.catalog.schemas import Media
from mediastore.catalog.service import Catalog
from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from mediastore.transfers import part_queries, queries
from mediastore.transfers.completion import Completion, ended
from mediastore.transfers.declared import (
    OCTETS,
    About,
    Declared,
    Precondition,
    always,
    checked_digests,
    checked_name,
    checked_type,
)
from mediastore.transfers.errors import DigestInvalid, TicketWrong, UploadEnded, UploadTooLarge, UploadUnknown
from mediastore.transfers.ledger import Intent, Ledger, Plan, reason_of, was_answered
from mediastore.transfers.queries import UploadRow
from mediastore.transfers.requests import Requests, Site, plan_of
from mediastore.transfers.schemas import Part, PartAsked, Upload, UploadBegin, UploadComplete
from mediastore.transfers.tickets import Tickets
from mediastore.transfers.uploads import shielded
from stores.errors import ObjectNotFound, PartsInvalid, StoreError, UploadNotFound
from stores.parts import MAX_SINGLE, check_size, plan_parts, served_part_size
from stores.protocol import Features, Store

ANSWER_LOST = timedelta(hours=1)
"""How long an upload's token outlives it, for a client that did not get the answer."""
SINGLE_BYTES = 64 * 1024 * 1024
"""What `auto` sends in one request; more goes in parts, which can be sent again one by one."""
PAGE = 4096
"""Parts that begin and end with pages of memory can be written to their places by several machines."""


class Asker(Struct, frozen=True, kw_only=True):
    """Who asks about an upload: somebody who is logged in, or who holds the upload's own token."""

    caller: Caller
    token: str | None
    site: Site


class DirectUploads:
    def __init__(
        self,
        database: Database,
        *,
        ledger: Ledger,
        completion: Completion,
        requests: Requests,
        tickets: Tickets,
        catalog: Catalog,
        registry: Registry,
        credentials: Credentials,
        max_bytes: int,
        idle_s: float,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._completion = completion
        self._requests = requests
        self._tickets = tickets
        self._catalog = catalog
        self._registry = registry
        self._credentials = credentials
        self._max_bytes = max_bytes
        self._idle = timedelta(seconds=idle_s)
        self._clock = clock

    async def begin(self, asked: UploadBegin, about: About, *, asker: Asker, precondition: Precondition = always) -> Upload:
        """Write down an upload, and its record where there is none, and say how its bytes are to be sent.

        The precondition is about the content that the record has at this moment, and not when the upload is completed.
        """
        caller = asker.caller
        require(caller.identity, "write", to="upload")
        declared = Declared(
            size=asked.size,
            media_type=checked_type(asked.media_type),
            filename=checked_name(asked.filename),
            digests=checked_digests(asked.checksums),
        )
        if asked.size > self._max_bytes:
            raise UploadTooLarge(
                f"{asked.size} bytes are more than the {self._max_bytes} that one upload may have", size=asked.size
            )
        pid = check_pid(asked.pid) if asked.pid is not None else self._catalog.mint()
        return await self._begun(
            pid,
            about,
            declared=declared,
            plan=lambda row, features: self._plan(asked, row, features),
            asker=asker,
            precondition=precondition,
        )

    async def begin_unsized(self, pid: str, about: About, *, asker: Asker) -> Upload:
        """The same for who knows nothing but HTTP: one PUT of any bytes to `url`, with any headers, and no call afterwards.

        The content is verified and becomes the record's when it is found: by a job, or by who looks (`Arrivals`).
        """
        require(asker.caller.identity, "write", to="upload")
        declared = Declared(size=None, media_type=OCTETS, filename=None, digests={})

        def plan(row: StoreRow, features: Features) -> Plan:
            expires_at = self._clock() + self._idle
            return Plan(store=row.id, method="put", part_size=None, landing=features.presigned, expires_at=expires_at)

        return await self._begun(check_pid(pid), about, declared=declared, plan=plan, asker=asker)

    async def _begun(
        self,
        pid: str,
        about: About,
        *,
        declared: Declared,
        plan: Callable[[StoreRow, Features], Plan],
        asker: Asker,
        precondition: Precondition = always,
    ) -> Upload:
        caller = asker.caller
        row = await self._ledger.destination(pid, about=about, caller=caller)
        store = await self._registry.get(row.id, revision=row.revision)
        planned = plan(row, store.features)
        intent = await self._ledger.announce(
            pid, declared=declared, about=about, precondition=precondition, caller=caller, plan=planned
        )
        try:
            if planned.method == "multipart" and store.features.presigned:
                upload_id = await store.begin_multipart(intent.key, media_type=declared.media_type)
                async with self._database.connection() as connection:
                    await queries.set_upload_id(connection, intent.upload, upload_id)
            return await self._shown(await self._row(intent.upload), store, asker, received={})
        except BaseException as error:
            await shielded(self._undo(intent, error))
            raise

    async def show(self, id: UUID, *, asker: Asker) -> Upload:
        """How far an upload is, with fresh URLs for what is missing. To ask is a sign of life."""
        upload, _ = await self._known(id, asker)
        if upload.state != "open":
            return self._facts(upload)
        store = await self._registry.get(upload.store)
        try:
            received = await self._received(upload, store)
        except UploadNotFound as error:
            return msgspec.structs.replace(self._facts(upload), problem={"code": error.code, "detail": error.message})
        return await self._shown(upload, store, asker, received=received)

    async def page(self, *, before: UUID | None, limit: int, asker: Asker) -> tuple[list[Upload], UUID | None]:
        """The caller's uploads, or everybody's for administrators, newest first; without their URLs."""
        identity = asker.caller.identity
        require(identity, "write", to="list uploads")
        async with self._database.connection() as connection:
            rows = await queries.uploads(
                connection, caller=None if identity.administrator else identity.name, before=before, limit=limit + 1
            )
        return [self._facts(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None

    async def fresh_parts(self, id: UUID, asked: list[PartAsked], *, asker: Asker) -> Upload:
        """Fresh URLs for these parts alone, received or not: a part can be sent again."""
        upload, _ = await self._known(id, asker)
        if upload.state != "open":
            raise ended(upload)
        wanted = {part.number: checked_digests(part.checksums) for part in asked}
        store = await self._registry.get(upload.store)
        received = await self._received(upload, store)
        count = plan_of(upload).count
        if strange := [number for number in wanted if number > count]:
            raise PartsInvalid(f"There is no part {strange[0]}; this upload has the parts 1 to {count}")
        shown = await self._shown(upload, store, asker, received=received, asked=wanted)
        return msgspec.structs.replace(shown, parts=[part for part in shown.parts if part.number in wanted])

    async def complete(self, id: UUID, asked: UploadComplete, *, asker: Asker) -> Media | Upload:
        """The record, once the bytes were verified; the upload while a job verifies them. Again is not an error."""
        upload, caller = await self._known(id, asker)
        parts = None if not asked.parts else {part.number: part.etag for part in asked.parts}
        digests = checked_digests(asked.checksums)
        upload = await self._claimed(upload, digests)
        try:
            if upload.state == "open":
                media = await self._completion.complete(upload, parts=parts, caller=caller)
                if media is not None:
                    return media
        except (StoreError, MediastoreError) as error:
            # Somebody else may have ended it at the same moment, and taken from under us what we looked at.
            upload = await self._row(id)
            if upload.state == "failed" and (upload.problem is None or isinstance(error, StoreError)):
                raise ended(upload) from error
            if upload.state not in {"completed", "verifying"}:
                raise
        upload = await self._row(id)
        if upload.state == "completed":
            await self._compare_late(upload, digests)
            if caller.identity.name == upload.caller:  # who was told the record once may be told again, be it with a key to write
                caller = msgspec.structs.replace(caller, identity=await self._credentials.identity_of(upload.caller))
            return await self._catalog.read(upload.pid, caller=caller)
        if upload.state == "failed":
            raise ended(upload)
        return self._facts(upload)

    async def cancel(self, id: UUID, *, asker: Asker) -> None:
        """End an upload; what was sent goes, and so does a record that it made and nobody touched. Again is not an error."""
        upload, _ = await self._known(id, asker)
        if upload.state == "failed":
            return
        if await self._ledger.end(upload.id, upload.media, reason="cancelled", withdraw=True):
            raise ended(await self._row(id))

    async def _known(self, id: UUID, asker: Asker) -> tuple[UploadRow, Caller]:
        """The upload, and on whose behalf its calls are made. Raises `UploadUnknown` for those whose it is not."""
        async with self._database.connection() as connection:
            upload = await queries.upload_by_id(connection, id)
        if upload is None:
            raise UploadUnknown(f"there is no upload {id}", id=id)
        if asker.token is not None:
            self._tickets.check_upload(asker.token, id)
            if upload.state == "completed" and upload.last_activity + ANSWER_LOST < self._clock():
                raise TicketWrong("the token of this upload ended with it; log in instead")
            identity = await self._credentials.identity_of(upload.caller)
            return upload, msgspec.structs.replace(asker.caller, identity=identity)
        require(asker.caller.identity, "write", to="see an upload, or add its ?token=")
        if asker.caller.identity.name != upload.caller and not asker.caller.identity.administrator:
            raise UploadUnknown(f"there is no upload {id}", id=id)
        return upload, asker.caller

    async def _claimed(self, upload: UploadRow, digests: Mapping[str, str]) -> UploadRow:
        """The upload with these claims too, if it is open. Raises `DigestInvalid` for others than before."""
        if upload.state == "open" and digests.keys() - upload.claimed.keys():
            async with self._database.connection() as connection:
                await queries.claim(connection, upload.id, digests)
            upload = await self._row(upload.id)
        _refuse_others(upload.claimed, digests)
        return upload

    async def _compare_late(self, upload: UploadRow, digests: Mapping[str, str]) -> None:
        """Claims that came when it was completed already. Raises `DigestInvalid`, and `UploadEnded` for what nobody knows."""
        if not digests.keys() - upload.claimed.keys():
            return
        async with self._database.connection() as connection:
            known = await queries.checksums_of(connection, upload.object)
        found = {name: checksum.value for name, checksum in known.items() if checksum.attested_by != "claimed"}
        _refuse_others(found, digests)
        if unknown := sorted(digests.keys() - upload.claimed.keys() - found.keys()):
            raise UploadEnded(f"this upload was completed, and nobody reckoned the {unknown[0]} of its bytes", pid=upload.pid)

    async def _row(self, id: UUID) -> UploadRow:
        async with self._database.connection() as connection:
            upload = await queries.upload_by_id(connection, id)
        if upload is None:
            raise UploadUnknown(f"there is no upload {id}", id=id)
        return upload

    async def _undo(self, intent: Intent, error: BaseException) -> None:
        await self._ledger.give_up(intent.upload, intent.media, reason=reason_of(error), withdraw=was_answered(error))

    def _plan(self, asked: UploadBegin, row: StoreRow, features: Features) -> Plan:
        """How the bytes will travel. Raises what can't fit, before anything is written."""
        limit = features.max_object_bytes
        if limit is not None and asked.size > limit:
            raise UploadTooLarge(f"the store {row.name} takes at most {limit} bytes in one object", limit=limit)
        method = asked.method
        if method == "auto":
            method = "put" if asked.size <= SINGLE_BYTES and asked.part_size is None else "multipart"
        part_size, in_places = None, False
        if method == "multipart":
            parts = plan_parts(asked.size, asked.part_size or (served_part_size(asked.size) if features.ranged else None))
            part_size = parts.part_size
            in_places = features.ranged and parts.count > 1 and part_size % PAGE == 0
        else:
            check_size(asked.size, limit=MAX_SINGLE)
        return Plan(
            store=row.id,
            method=method,
            part_size=part_size,
            # A form can be sent again until it ends, and a store that can't refuse a second object takes that one, too.
            landing=in_places
            or (features.presigned and (method == "post" or (method == "put" and not features.create_if_absent))),
            expires_at=self._clock() + self._idle,
        )

    async def _received(self, upload: UploadRow, store: Store) -> Mapping[int, object]:
        """The parts that are there, by number; asked of the store, where they went there."""
        if not store.features.presigned:
            async with self._database.connection() as connection:
                return {part.number: part for part in await part_queries.parts_of(connection, upload.id)}
        if upload.method == "multipart":
            return await self._received_parts(upload, store)
        try:
            return {1: await store.head(upload.landing_key or upload.key)}
        except ObjectNotFound:
            return {}

    async def _received_parts(self, upload: UploadRow, store: Store) -> Mapping[int, object]:
        if upload.s3_upload_id is None:
            return {}
        try:
            return {part.number: part for part in await store.list_parts(upload.key, upload.s3_upload_id)}
        except UploadNotFound:
            # Put together already, and the answer was lost: then all are there. Or aborted by somebody else: then none is.
            try:
                await store.head(upload.key)
            except ObjectNotFound:
                raise UploadNotFound(
                    "the store's multipart upload is gone, and no object came of it: cancel, and begin again"
                ) from None
            return dict.fromkeys(range(1, plan_of(upload).count + 1))  # of whichever size: no part can be sent any more

    async def _shown(
        self,
        upload: UploadRow,
        store: Store,
        asker: Asker,
        *,
        received: Mapping[int, object],
        asked: Mapping[int, Mapping[str, str]] | None = None,
    ) -> Upload:
        """An open upload, with URLs that are written down before they are told."""
        end = self._requests.end(upload, store)
        async with self._database.connection() as connection:
            alive = await queries.keep_open(
                connection,
                upload.id,
                expires_at=self._clock() + self._idle,
                urls_until=end if store.features.presigned else None,
            )
        upload = await self._row(upload.id)
        if not alive:
            return self._facts(upload)
        facts = msgspec.structs.replace(
            self._facts(upload),
            token=self._tickets.upload(upload.id) if asker.token or asker.caller.identity.name == upload.caller else None,
            urls_expire_at=self._requests.end(upload, store) if not store.features.presigned else end,
        )
        if upload.method == "multipart":
            if store.features.presigned and upload.s3_upload_id is None:
                return facts  # the store was never told: it can only be cancelled
            wanted = self._requests.missing(upload, received) if asked is None else asked
            parts = await self._requests.parts(upload, store, asker.site, received=received, asked=wanted, end=end)
            return msgspec.structs.replace(facts, parts=parts)
        if upload.size is None:
            request = await self._requests.whole(upload, store, asker.site, end=end)
            return msgspec.structs.replace(facts, url=request.url)
        part = Part(number=1, offset=0, size=upload.size, received=1 in received)
        if received and store.features.presigned and upload.landing is None:
            return msgspec.structs.replace(facts, parts=[part])  # the store takes no second object
        request = await self._requests.whole(upload, store, asker.site, end=end)
        if request.method == "PUT":
            part = msgspec.structs.replace(part, url=request.url, headers=dict(request.headers))
        return msgspec.structs.replace(
            facts, url=request.url, headers=dict(request.headers), fields=dict(request.fields), parts=[part]
        )

    def _facts(self, upload: UploadRow) -> Upload:
        return Upload(
            id=upload.id,
            pid=upload.pid,
            status=upload.state,
            method=upload.method,
            size=upload.size,
            part_size=upload.part_size,
            expires_at=upload.expires_at if upload.state == "open" else None,
            created_at=upload.created_at,
            last_activity=upload.last_activity,
            problem=None if upload.problem is None else msgspec.json.decode(upload.problem),
        )


def _refuse_others(known: Mapping[str, str], digests: Mapping[str, str]) -> None:
    for algorithm, digest in digests.items():
        before = known.get(algorithm, digest)
        if before != digest:
            raise DigestInvalid(f"the {algorithm} of this call is not the one that is known: {before}")
