"""Uploads by form at keys that a caller made up: for systems whose clients make URLs of the keys that they send to.

The form leads to where the bytes stay, so they are verified in place. It can be sent again until it ends, and where a server does
not compare digests in forms, with other bytes of the same length: who hands one out has the object looked at again afterwards.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import uuid_utils
from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.schemas import Caller
from mediastore.clock import Clock
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from mediastore.transfers import queries
from mediastore.transfers.declared import About, Declared, always
from mediastore.transfers.errors import UploadEnded, UploadTooLarge, UploadUnknown
from mediastore.transfers.ledger import Ledger, Plan, reason_of, was_answered
from mediastore.transfers.queries import UploadRow
from mediastore.transfers.requests import Requests, Site
from mediastore.transfers.uploads import shielded
from stores.errors import ObjectNotFound
from stores.keys import check_key
from stores.parts import MAX_SINGLE, check_size
from stores.protocol import ObjectAcl, SignedRequest, Store

Then = Callable[[Connection, UploadRow], Awaitable[None]]
TRIES = 3
"""How often a key is made up anew; the second one has a part that nobody else makes up."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be sent, and where."""

    pid: str
    key: str
    """Of the store, without its prefix. A store that clients reach through this server alone has keys of its own."""
    declared: Declared
    """With a size, and digests of which the store compares one."""
    about: About
    acl: ObjectAcl | None = None
    allowance: int | None = None
    """Bytes that the owner may have in the store in records of the same access."""


class Offer(Struct, frozen=True, kw_only=True):
    """A form that was written down."""

    upload: UUID
    made: bool
    """Whether the upload was begun for it; else there was one of the same bytes."""
    there: bool
    """Whether bytes lie at its very key."""
    expires_at: datetime
    """Until when the upload is open; later where another form of it was given out after this one."""
    request: SignedRequest


class NamedForms:
    def __init__(
        self,
        database: Database,
        *,
        ledger: Ledger,
        requests: Requests,
        registry: Registry,
        max_bytes: int,
        ttl_s: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._requests = requests
        self._registry = registry
        self._max_bytes = max_bytes
        self._ttl = timedelta(seconds=ttl_s)
        self._clock = clock

    async def offer(self, wanted: Wanted, *, then: Then, caller: Caller, site: Site) -> Offer:
        """A form for these bytes: of the upload that they have already, or of a new one. `then` is awaited in the transaction
        that notes until when the form can be sent, which ends before it leaves the server.

        Raises as announcing an upload does, `KeyInvalid`, and `AllowanceExceeded`.
        """
        require(caller.identity, "write", to="upload")
        size = wanted.declared.size or 0
        if size > self._max_bytes:
            raise UploadTooLarge(f"{size} bytes are more than the {self._max_bytes} that one upload may have", size=size)
        check_size(size, limit=MAX_SINGLE)
        row = await self._ledger.destination(wanted.pid, about=wanted.about, caller=caller)
        store = await self._registry.get(row.id, revision=row.revision)
        if store.features.presigned:
            check_key(wanted.key, prefix=row.prefix)
        known = await self._known(wanted, row, caller=caller)
        if known is not None:
            return await self._offered(wanted, known, store, made=False, then=then, site=site)
        upload = await self._announced(wanted, row, store, caller=caller)
        try:
            return await self._offered(wanted, upload, store, made=True, then=then, site=site)
        except BaseException as error:
            undone = self._undo(upload, upload.expires_at, reason=reason_of(error), withdraw=was_answered(error))
            await shielded(undone)
            raise

    async def withdraw(self, offer: Offer) -> None:
        """Take back an offer that nobody was told of; one whose upload others may have been told of stays."""
        if not offer.made:
            return
        async with self._database.connection() as connection:
            upload = await queries.upload_by_id(connection, offer.upload)
        if upload is not None:
            await self._undo(upload, offer.expires_at, reason="withdrawn", withdraw=True)

    async def _known(self, wanted: Wanted, row: StoreRow, *, caller: Caller) -> UploadRow | None:
        declared = wanted.declared
        async with self._database.connection() as connection:
            return await queries.same_form(
                connection,
                wanted.pid,
                caller=caller.identity.name,
                store=row.id,
                size=declared.size or 0,
                claims=declared.digests,
                media_type=declared.media_type,
                access=wanted.about.fields.access,
            )

    async def _announced(self, wanted: Wanted, row: StoreRow, store: Store, *, caller: Caller) -> UploadRow:
        """Keys that were ever used are not used again, nor those at which something lies that nobody has told us of."""
        key: str | None = wanted.key
        for tried in range(TRIES):
            if not store.features.presigned:
                key = None
            elif tried > 0 or await _is_there(store, wanted.key):
                key = check_key(apart(wanted.key), prefix=row.prefix)
            plan = Plan(
                store=row.id,
                method="post",
                part_size=None,
                landing=False,
                expires_at=self._clock() + self._ttl,
                key=key,
                allowance=wanted.allowance,
            )
            try:
                intent = await self._ledger.announce(
                    wanted.pid, declared=wanted.declared, about=wanted.about, precondition=always, caller=caller, plan=plan
                )
            except ConstraintViolated as error:
                if error.constraint != "stored_object_key_key" or tried == TRIES - 1:
                    raise
                continue
            async with self._database.connection() as connection:
                upload = await queries.upload_by_id(connection, intent.upload)
            if upload is not None:
                return upload
        raise UploadUnknown("the upload went away as it was written down; ask again")

    async def _offered(self, wanted: Wanted, upload: UploadRow, store: Store, *, made: bool, then: Then, site: Site) -> Offer:
        end = self._clock().replace(microsecond=0) + self._ttl
        request = await self._signed(wanted, upload, store, site, end=end)
        there = not made and (upload.state == "completed" or (store.features.presigned and await _is_there(store, upload.key)))
        async with self._database.transaction() as connection:
            until = end if store.features.presigned else None
            expires_at: datetime | None = end
            if upload.state == "open":
                expires_at = await queries.offer_again(connection, upload.id, expires_at=end, urls_until=until)
            elif not await queries.note_urls(connection, upload.id, upload.media or 0, until=until):
                expires_at = None
            if expires_at is None:
                raise UploadEnded("what was sent before went away at the same moment; ask again", pid=upload.pid)
            await then(connection, upload)
        return Offer(upload=upload.id, made=made, there=there, expires_at=expires_at, request=request)

    async def _signed(self, wanted: Wanted, upload: UploadRow, store: Store, site: Site, *, end: datetime) -> SignedRequest:
        if not store.features.presigned:
            return await self._requests.whole(upload, store, site, end=end)
        assert upload.size is not None  # noqa: S101 - only uploads by a plain PUT have none
        return await store.presign_post(
            upload.key,
            expires_s=max(1, int((end - self._clock()).total_seconds())),
            size=upload.size,
            media_type=upload.media_type,
            digests=upload.claimed,
            acl=wanted.acl,
        )

    async def _undo(self, upload: UploadRow, expires_at: datetime, *, reason: str, withdraw: bool) -> None:
        """End an upload that was open until then, unless it was offered to somebody else since."""
        await self._ledger.give_up(upload.id, upload.media, reason=reason, withdraw=withdraw, silent_since=expires_at)


def apart(key: str) -> str:
    """The key with a part before its last one that is nobody else's."""
    folder, slash, name = key.rpartition("/")
    return f"{folder}{slash}{uuid_utils.uuid7()}/{name}"


async def _is_there(store: Store, key: str) -> bool:
    try:
        await store.head(key)
    except ObjectNotFound:
        return False
    return True
