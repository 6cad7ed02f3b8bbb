"""The page where what happened is searched."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec
from litestar import get
from litestar.response import Response
from msgspec import Struct

from mediastore.catalog.errors import SearchTooSlow
from mediastore.catalog.history import History, Wanted
from mediastore.clock import MomentInvalid, sensible, utc_now
from mediastore.database import ValueRefused
from mediastore.events.schemas import Event, SubjectKind
from mediastore.http.cursors import opaque, position
from mediastore.http.errors import RequestError
from mediastore.http.provided import Provided
from mediastore.web.pages import Pages
from mediastore.web.session import AnyRequest, Visitor

SHOWN = 50
MOMENT = "%Y-%m-%dT%H:%M"
"""As the fields of forms write it; in UTC."""


class Asked(Struct, frozen=True, kw_only=True):
    """The page's address, as its form makes it: what is empty asks for nothing."""

    actor: str = ""
    action: str = ""
    kind: str = ""
    subject: str = ""
    since: str = ""
    until: str = ""
    reads: str = ""

    def wanted(self) -> Wanted:
        """Raises `RequestError` and `MomentInvalid`."""
        try:
            kind = msgspec.convert(self.kind or None, SubjectKind | None)
        except msgspec.ValidationError as error:
            raise RequestError(f"kind={self.kind!r} is nothing that has a history; choose one of the list") from error
        return Wanted(
            kind=kind,
            subject=self.subject or None,
            actor=self.actor or None,
            action=self.action or None,
            since=_moment(self.since, name="since"),
            until=_moment(self.until, name="until"),
            reads=bool(self.reads),
        )

    def query(self, **more: str) -> str:
        """The same for an address."""
        return urlencode({name: value for name, value in {**msgspec.structs.asdict(self), **more}.items() if value})


@get("/audit", include_in_schema=False)
async def audit(
    request: AnyRequest, visitor: Provided[Visitor], pages: Provided[Pages], record_history: Provided[History]
) -> Response[str]:
    query = dict(request.query_params.items())
    asked = msgspec.convert({name: value.strip() for name, value in query.items()}, Asked)
    cursor = query.get("cursor")
    events: list[Event] = []
    more, exported, trouble = None, "", ""
    try:
        wanted = asked.wanted()
        exported = _export_of(wanted)
        events, more = await record_history.page(wanted, before=position(cursor), limit=SHOWN, caller=visitor.caller)
    except (RequestError, MomentInvalid, SearchTooSlow, ValueRefused) as error:
        trouble = error.message
    return pages.draw(
        "audit.html",
        request=request,
        visitor=visitor,
        status=422 if trouble else 200,
        asked=asked,
        events=events,
        next=None if more is None else asked.query(cursor=opaque(more) or ""),
        paged=cursor is not None,
        exported=exported,
        trouble=trouble,
        spans=_spans(utc_now()),
    )


def _moment(text: str, *, name: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(f"{name}={text!r} is no time, such as 2026-01-31T12:00, in UTC") from error
    return sensible(moment if moment.tzinfo else moment.replace(tzinfo=UTC), name=name)


def _export_of(wanted: Wanted) -> str:
    """What the API is asked for the same; the query of an address."""
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value}
    return urlencode({name: msgspec.to_builtins(value) if value is not True else "true" for name, value in given.items()})


def _spans(now: datetime) -> list[tuple[str, str]]:
    """Beginnings that people ask for, each with its name."""
    spans = (("the last hour", timedelta(hours=1)), ("the last day", timedelta(days=1)), ("the last week", timedelta(days=7)))
    return [(name, (now - span).astimezone(UTC).strftime(MOMENT)) for name, span in spans]
