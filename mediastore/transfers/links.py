"""Signed URLs for downloads: to the store where it has them, else to this server. Each one issued is in the record's history."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from mediastore.accounts.access import require
from mediastore.accounts.credentials import Credentials
from mediastore.accounts.schemas import NOBODY, Caller
from mediastore.clock import Clock
from mediastore.database import Database
from mediastore.errors import MediastoreError
from mediastore.events import queries as events
from mediastore.events.schemas import Change
from mediastore.http.paths import quoted
from mediastore.placement.registry import Registry
from mediastore.transfers.downloads import Download, Downloads
from mediastore.transfers.errors import TicketWrong
from mediastore.transfers.requests import Site
from mediastore.transfers.schemas import UrlAsked
from mediastore.transfers.tickets import ContentTicket, Tickets
from stores.errors import StoreError


class Link(Struct, frozen=True, kw_only=True):
    """A URL that lets whoever holds it read one object."""

    download: Download
    url: str
    expires_at: datetime


class Links:
    def __init__(
        self,
        database: Database,
        *,
        downloads: Downloads,
        registry: Registry,
        tickets: Tickets,
        credentials: Credentials,
        ttl_s: int,
        audit: bool,
        clock: Clock,
    ) -> None:
        self._database = database
        self._downloads = downloads
        self._registry = registry
        self._tickets = tickets
        self._credentials = credentials
        self._ttl_s = ttl_s
        self._audit = audit
        self._clock = clock

    async def issue(self, download: Download, *, expires_s: int | None = None, caller: Caller, site: Site) -> Link:
        """A URL for these bytes, which the caller may read. It ends with the record's own expiry at the latest."""
        link = await self._made(download, expires_s=expires_s, caller=caller, site=site)
        await self._note([link], caller=caller)
        return link

    async def issue_many(
        self, asked: Sequence[UrlAsked], *, expires_s: int | None, caller: Caller, site: Site
    ) -> list[Link | MediastoreError | StoreError]:
        """A URL for each, or what keeps it back, in the order in which they were asked for."""
        require(caller.identity, "read", to="ask for URLs")
        outcomes: list[Link | MediastoreError | StoreError] = []
        for item in asked:
            try:
                found = await self._downloads.find(item.pid, version=item.version, caller=caller)
                outcomes.append(await self._made(found, expires_s=expires_s, caller=caller, site=site))
            except (MediastoreError, StoreError) as error:
                outcomes.append(error)
        await self._note([outcome for outcome in outcomes if isinstance(outcome, Link)], caller=caller)
        return outcomes

    async def redeem(self, pid: str, token: str, *, version: int | None, caller: Caller) -> Download:
        """What the holder of a URL to this server gets, if who issued it may still read it. Raises `TicketWrong`."""
        ticket = self._tickets.read_content(token, pid=pid, version=version)
        identity = await self._credentials.identity_of(ticket.sub) if ticket.sub else NOBODY
        issuer = Caller(identity=identity, request_id=caller.request_id, address=caller.address)
        found = await self._downloads.find(pid, version=ticket.version, caller=issuer)
        if found.object != ticket.object:
            raise TicketWrong("the token of this URL is not valid for this content; ask for a fresh URL")
        return found

    async def _made(self, download: Download, *, expires_s: int | None, caller: Caller, site: Site) -> Link:
        now = self._clock()
        expires_at = now + timedelta(seconds=min(expires_s or self._ttl_s, self._ttl_s))
        if download.expires_at is not None:
            expires_at = min(expires_at, download.expires_at)
        store = await self._registry.get(download.store, revision=download.store_revision)
        if store.features.presigned:
            url = await store.presign_get(
                download.key,
                expires_s=max(1, int((expires_at - now).total_seconds())),
                filename=download.filename,
                media_type=download.media_type,
            )
        else:
            ticket = ContentTicket(
                sub=caller.identity.name,
                pid=download.pid,
                version=download.version,
                object=download.object,
                exp=int(expires_at.timestamp()),
            )
            token = self._tickets.content(ticket)
            url = f"{site.api_url}/content/{quoted(download.pid)}?version={download.version}&token={token}"
        return Link(download=download, url=url, expires_at=expires_at)

    async def _note(self, links: Sequence[Link], *, caller: Caller) -> None:
        """Write down who was given what for how long, before it is told."""
        if not links or not self._audit:
            return
        async with self._database.transaction() as connection:
            for link in links:
                await events.append(
                    connection,
                    kind="media",
                    subject=link.download.pid,
                    media=link.download.media,
                    actor=caller.identity.name or "anonymous",
                    action="url_issued",
                    changes={"url": Change(after={"version": link.download.version, "expires_at": link.expires_at})},
                    request_id=caller.request_id,
                )
