"""BitStore's calls in this server's terms: a record for each file of a dataset, sent by form and verified before it is read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from time import monotonic
from urllib.parse import unquote
from uuid import UUID

import msgspec
from msgspec import Struct

from mediastore.accounts.access import is_public
from mediastore.accounts.errors import CredentialsWrong, LoginRequired
from mediastore.accounts.schemas import Caller
from mediastore.catalog.errors import PidInvalid, RecordNotFound
from mediastore.catalog.schemas import Checksum, Media, Version
from mediastore.catalog.service import Catalog
from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.dialects.bitstore.arrivals import FormArrivals
from mediastore.dialects.bitstore.keys import File, KeyPattern, checked_file
from mediastore.dialects.bitstore.schemas import AuthorizeAsked, FileAsked, FileOffered
from mediastore.http.errors import RequestError
from mediastore.http.paths import quoted
from mediastore.placement import queries as placement
from mediastore.placement.errors import AllowanceExceeded, StoreNotFound
from mediastore.placement.queries import StoreRow
from mediastore.placement.registry import Registry
from mediastore.transfers import queries
from mediastore.transfers.declared import Declared, about_record, checked_digests, checked_name, checked_type
from mediastore.transfers.downloads import Download, Downloads
from mediastore.transfers.errors import ContentMissing, DigestMismatch, UploadEnded
from mediastore.transfers.links import Links
from mediastore.transfers.named_forms import NamedForms, Offer, Wanted
from mediastore.transfers.parts import PartReceiver
from mediastore.transfers.queries import Named
from mediastore.transfers.requests import Site
from stores.digests import digest_stream
from stores.keys import is_key
from stores.protocol import Store

AT_ONCE = 4
"""Files of one request that are written down at the same time; each takes a database connection for a moment."""
MEGABYTE = 1_000_000
"""As in the token's limits."""
MOST_MEGABYTES = 10**12
"""More than anybody has; what a token says can be any number."""
WAIT_S = 20
"""How long a question for a URL waits for the verification of bytes that have just come."""
POLL_S = 0.25
FILES = "/files"
PLAIN = "text/plain"
"""What BitStore takes for the type of a file whose type nobody tells."""


class Here(Struct, frozen=True, kw_only=True):
    """How the client reaches this server."""

    site: Site
    url: str
    """Of this dialect, without a slash at its end."""


class Bitstore:
    def __init__(
        self,
        database: Database,
        *,
        named_forms: NamedForms,
        arrivals: FormArrivals,
        part_receiver: PartReceiver,
        catalog: Catalog,
        downloads: Downloads,
        links: Links,
        registry: Registry,
        store: str,
        pattern: KeyPattern,
        pid_prefix: str,
        object_acls: bool,
        max_files: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._named_forms = named_forms
        self._arrivals = arrivals
        self._part_receiver = part_receiver
        self._catalog = catalog
        self._downloads = downloads
        self._links = links
        self._registry = registry
        self._store = store
        self._pattern = pattern
        self._pid_prefix = pid_prefix
        self._object_acls = object_acls
        self._max_files = max_files
        self._clock = clock

    async def authorize(self, asked: AuthorizeAsked, *, caller: Caller, here: Here) -> dict[str, FileOffered]:
        """A form for each file; for all of them or for none. Raises `AllowanceExceeded` for more than the token allows."""
        owner, dataset = asked.metadata.owner, asked.metadata.dataset or asked.metadata.name
        if not owner:
            raise RequestError("metadata.owner is missing: the userid of the token")
        if not dataset:
            raise RequestError("metadata.dataset is missing, or metadata.name: the name of the dataset")
        if len(asked.filedata) > self._max_files:
            raise RequestError(f"{len(asked.filedata)} files are more than the {self._max_files} that one request may name")
        if caller.identity.name != owner:
            raise CredentialsWrong("metadata.owner has to be the userid of the token")
        access = "private" if asked.metadata.findability == "private" else "public"
        files = [
            checked_file(owner=owner, dataset=dataset, path=path, md5_hex=_md5(item)) for path, item in asked.filedata.items()
        ]
        allowance = self._allowance(caller, access)
        wanted = [
            self._wanted(file, item, access=access, allowance=allowance)
            for file, item in zip(files, asked.filedata.values(), strict=True)
        ]
        offers = await self._offers(wanted, caller=caller, here=here)
        return {
            file.path: _offered(file, asked.filedata[file.path], offer, here=here)
            for file, offer in zip(files, offers, strict=True)
        }

    async def prefixes(self, *, caller: Caller, here: Here) -> list[str]:
        """How the URLs of the caller's files begin."""
        if not caller.identity.known:
            raise LoginRequired("log in to see where your files are")
        owner = caller.identity.name
        row, store = await self._opened()
        if not store.features.presigned:
            return [f"{here.url}{FILES}/{owner}/"]
        return [f"{base}{self._pattern.before}{owner}/" for base in await _bases(store, row)]

    async def presign(self, url: str, *, ownerid: str | None, caller: Caller, here: Here) -> str:
        """The URL itself where anybody may read the file there, else one that the caller may read it by for a day.

        Raises `RecordNotFound` for a URL that is none of this server's, and for a file that the caller may not read.
        """
        row, store = await self._opened()
        if not store.features.presigned:
            media, found = await self._here_at(_behind(url, [f"{here.url}{FILES}/"]), caller=caller, ownerid=ownerid)
            if is_public(media, self._clock()):
                return url
            return (await self._links.issue(found, caller=caller, site=here.site)).url
        keys = _behind(url, await _bases(store, row))
        named = await self._named(row, keys)
        media = await self._read(named.pid, caller=caller, ownerid=ownerid)
        # An object has the ACL of its form: an older version that of its own time, and what came another way none.
        open_there = self._object_acls and named.sent_as == "public" and named.version in {None, media.version}
        if open_there and is_public(media, self._clock()):
            return url
        found = await self._verified(row, keys, named, caller=caller)
        return (await self._links.issue(found, caller=caller, site=here.site)).url

    async def locate(self, name: str, *, caller: Caller, here: Here) -> str:
        """Where the bytes of a URL to this server are."""
        media, found = await self._here_at([name], caller=caller, ownerid=None)
        if is_public(media, self._clock()):
            # Without a token: what may be read is decided when it is, and the URL does not end.
            return f"{here.site.api_url}/content/{quoted(media.pid)}?version={found.version}"
        return (await self._links.issue(found, caller=caller, site=here.site)).url

    async def receive(self, upload: UUID, body: AsyncIterator[bytes], *, token: str) -> None:
        """Take the bytes of one file, where clients reach the store through this server alone. Again is not an error."""
        try:
            await self._part_receiver.receive(upload, 1, body, token=token, size=None, digests={})
        except UploadEnded:
            async with self._database.connection() as connection:
                ended = await queries.upload_by_id(connection, upload)
            if ended is None or ended.state != "completed":
                raise
            read = await digest_stream(_up_to(body, ended.size or 0), ended.claimed)
            if read.digests != ended.claimed:
                raise DigestMismatch("these bytes are not those that were declared") from None
            return
        if await self._arrivals.look(upload) == "failed":
            raise UploadEnded("the bytes came, and could not become the file's content; ask for another form")

    def _wanted(self, file: File, item: FileAsked, *, access: str, allowance: int | None) -> Wanted:
        return Wanted(
            pid=f"{self._pid_prefix}{file.owner}/{file.dataset}/{file.path}",
            key=self._pattern.key(file),
            declared=Declared(
                size=item.length,
                media_type=checked_type(item.type or PLAIN),
                filename=checked_name(file.basename),
                digests={"md5": file.md5_hex},
            ),
            about=about_record(msgspec.json.encode({"store": self._store, "access": access})),
            acl=("private" if access == "private" else "public-read") if self._object_acls else None,
            allowance=allowance,
        )

    def _allowance(self, caller: Caller, access: str) -> int | None:
        """In bytes; None where the token says nothing of limits. What it does not name there is nothing of."""
        limits = caller.identity.limits
        return None if limits is None else int(min(limits.get(f"max_{access}_storage_mb", 0), MOST_MEGABYTES) * MEGABYTE)

    async def _offers(self, wanted: list[Wanted], *, caller: Caller, here: Here) -> list[Offer]:
        turns = asyncio.Semaphore(AT_ONCE)
        refused = asyncio.Event()

        async def offer(item: Wanted) -> Offer | BaseException | None:
            async with turns:
                if refused.is_set():
                    return None
                try:
                    return await self._named_forms.offer(item, then=self._arrivals.expect, caller=caller, site=here.site)
                except Exception as error:  # noqa: BLE001 - raised again below, once the others are taken back
                    refused.set()
                    return error

        made = await asyncio.gather(*(offer(item) for item in wanted))
        offers = [item for item in made if isinstance(item, Offer)]
        if len(offers) == len(made):
            return offers
        for item in offers:
            await self._named_forms.withdraw(item)
        error = next(item for item in made if isinstance(item, BaseException))
        if isinstance(error, AllowanceExceeded):
            most = int(str(error.fields["limit"])) // MEGABYTE
            raise AllowanceExceeded(f"Max storage for user exceeded plan limit ({most}MB)", **error.fields) from error
        raise error

    async def _opened(self) -> tuple[StoreRow, Store]:
        async with self._database.connection() as connection:
            row = await placement.store_by_name(connection, self._store)
        if row is None:
            raise StoreNotFound(f"there is no store {self._store}; MEDIASTORE_BITSTORE_STORE names one", store=self._store)
        return row, await self._registry.get(row.id, revision=row.revision)

    async def _named(self, row: StoreRow, keys: list[str]) -> Named:
        async with self._database.connection() as connection:
            named = await queries.named_at(connection, row.id, keys)
        if named is None:
            raise RecordNotFound(STRANGE)
        return named

    async def _read(self, pid: str, *, caller: Caller, ownerid: str | None) -> Media:
        try:
            media = await self._catalog.read(pid, caller=caller)
        except (RecordNotFound, PidInvalid) as error:
            raise RecordNotFound(STRANGE) from error
        if ownerid and ownerid != media.owner:
            raise RecordNotFound(STRANGE)
        return media

    async def _verified(self, row: StoreRow, keys: list[str], named: Named, *, caller: Caller) -> Download:
        """Clients ask for the URL of a file as soon as they have sent it."""
        until = monotonic() + WAIT_S
        while named.state != "stored":
            coming = named.upload if named.state in {"writing", "verifying"} else None
            on_its_way = coming is not None and await self._arrivals.look(coming) in {"verifying", "completed"}
            if not on_its_way or monotonic() > until:
                raise ContentMissing(f"the bytes of {named.pid} are not there, or not verified yet; ask again", pid=named.pid)
            named = await self._named(row, keys)
            if named.state != "stored":
                await asyncio.sleep(POLL_S)
        return await self._downloads.find(named.pid, version=named.version, caller=caller)

    async def _here_at(self, names: list[str], *, caller: Caller, ownerid: str | None) -> tuple[Media, Download]:
        """The version that a URL to this server means: owner, dataset, MD5 and path."""
        for name in names:
            owner, dataset, md5, path = [*name.split("/", 3), "", "", ""][:4]
            pid = f"{self._pid_prefix}{owner}/{dataset}/{path}"
            with suppress(RecordNotFound):
                media = await self._read(pid, caller=caller, ownerid=ownerid)
                for version in await self._catalog.versions(pid, caller=caller):
                    if version.state == "stored" and _has_md5(version, md5):
                        return media, await self._downloads.find(pid, version=version.version, caller=caller)
                raise ContentMissing(f"the bytes of {pid} are not there", pid=pid)
        raise RecordNotFound(STRANGE)


STRANGE = "the URL is none of a file that you may read here"
"""The same for what is not there, so that nobody can tell the two apart."""


def _md5(item: FileAsked) -> str:
    return checked_digests({"md5": item.md5})["md5"]


def _offered(file: File, item: FileAsked, offer: Offer, *, here: Here) -> FileOffered:
    url, query = offer.request.url.rstrip("/"), dict(offer.request.fields)
    if "key" not in query:  # a form of this server, whose URLs are made of names that it finds the file by
        url, key = f"{here.url}{FILES}", f"{file.owner}/{file.dataset}/{file.md5_hex}/{file.path}"
        query = {"key": key, "upload": str(offer.upload), **query}
    return FileOffered(
        upload_url=url,
        upload_query=query,
        name=item.name or file.basename,
        type=item.type or PLAIN,
        md5=item.md5,
        exists=offer.there,
    )


async def _up_to(body: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The body, of which no more is read once it is longer than this."""
    async for piece in body:
        yield piece
        size -= len(piece)
        if size < 0:
            return


def _has_md5(version: Version, md5: str) -> bool:
    checksums = msgspec.json.decode(msgspec.json.encode(version.checksums), type=dict[str, Checksum])
    return "md5" in checksums and checksums["md5"].value == md5


async def _bases(store: Store, row: StoreRow) -> list[str]:
    """How the URLs of a store's objects begin: as its forms say, and as it signs them."""
    form = await store.presign_post("x", expires_s=60, size=0, media_type=PLAIN)
    signed = await store.presign_get("x", expires_s=60)
    return list(dict.fromkeys([f"{form.url.rstrip('/')}/{row.prefix}", signed.partition("?")[0].removesuffix("x")]))


def _behind(url: str, bases: list[str]) -> list[str]:
    """The keys that a URL may mean, as clients put them there with and without encoding. Raises `RecordNotFound`."""
    for base in bases:
        if url.startswith(base):
            rest = url.removeprefix(base)
            return [key for key in dict.fromkeys([rest, unquote(rest)]) if is_key(key)]
    raise RecordNotFound(STRANGE)
