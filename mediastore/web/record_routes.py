"""The page of a record: what it says, what it holds, and what happens to it when."""

from litestar import get
from litestar.response import Response
from litestar.status_codes import HTTP_410_GONE

from mediastore.accounts.access import is_public, may_write, owns
from mediastore.catalog.errors import RecordGone
from mediastore.catalog.service import Catalog
from mediastore.clock import utc_now
from mediastore.http.paths import tail
from mediastore.http.provided import Provided
from mediastore.placement.service import Placement
from mediastore.retention.holds import Holds
from mediastore.transfers.sites import Sites
from mediastore.web.pages import Pages
from mediastore.web.record_lines import lines_of
from mediastore.web.record_shown import receipts_shown, record_shown, versions_shown
from mediastore.web.record_timeline import timeline
from mediastore.web.session import AnyRequest, Visitor


@get("/records/{pid:path}", include_in_schema=False)
async def record(
    request: AnyRequest,
    visitor: Provided[Visitor],
    pages: Provided[Pages],
    catalog: Provided[Catalog],
    holds: Provided[Holds],
    placement: Provided[Placement],
    sites: Provided[Sites],
) -> Response[str]:
    """What nobody needs to be known for, and more for who is."""
    pid, caller, identity, now = tail(request), visitor.caller, visitor.identity, utc_now()
    try:
        media = await catalog.read(pid, caller=caller)
    except RecordGone as error:
        return await gone(error, request=request, visitor=visitor, pages=pages, catalog=catalog, holds=holds)
    looks = identity.known and "read" in identity.scopes
    versions = await catalog.versions(pid, caller=caller)
    outlook = await holds.outlook(pid, caller=caller) if looks else None
    stores = await placement.list_stores(caller=caller) if looks else []
    return pages.draw(
        "record.html",
        request=request,
        visitor=visitor,
        media=media,
        shown=record_shown(media),
        versions=versions_shown(versions),
        kinds={store.name: store.kind for store in stores},
        outlook=outlook,
        moments=timeline(media, versions, outlook, now=now),
        looks=looks,
        may_write=may_write(media, identity),
        owns=owns(media, identity),
        public=is_public(media, now),
        lines=lines_of(media, site=sites.of(request), public=is_public(media, now)),
    )


async def gone(
    error: RecordGone, *, request: AnyRequest, visitor: Visitor, pages: Pages, catalog: Catalog, holds: Holds
) -> Response[str]:
    """When and why, the receipts, and the way back where there is one."""
    pid, identity = str(error.fields["pid"]), visitor.identity
    expired = error.fields["record_status"] == "expired"
    media = await catalog.read(pid, caller=visitor.caller, even_expired=True) if expired else None
    looks = expired and identity.known and "read" in identity.scopes
    receipts: list = error.fields.get("receipts", [])  # type: ignore[type-arg,assignment]  # fields are for every face
    return pages.draw(
        "record_gone.html",
        request=request,
        visitor=visitor,
        status=HTTP_410_GONE,
        pid=pid,
        sentence=error.message,
        since=error.fields["since"],
        media=media,
        receipts=receipts_shown(receipts),
        outlook=await holds.outlook(pid, caller=visitor.caller) if looks else None,
        may_restore=media is not None and may_write(media, identity),
    )
