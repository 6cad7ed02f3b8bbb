"""`mediastore info`, `search`, `urls` and `history`: what a server knows."""

import sys
from typing import Annotated, Any

import msgspec
import typer

from mediastore.catalog.schemas import Media
from mediastore.catalog.search_schemas import Count, SearchRequest
from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.options import PATIENCE_S, Json, Patience, Pids, Profile, Url, json_object, lines_for, with_client
from mediastore.client.cli.outcomes import Outcome, Tally, failure
from mediastore.client.cli.screen import emit, json_of, moment, note, out, say, show, size
from mediastore.client.cli.told import told
from mediastore.client.errors import refused
from mediastore.events.schemas import Event

SHOWN = 100
"""Rows on a terminal, unless asked otherwise."""
PAGE = 1000
LONGEST_VALUE = 200


def info(
    pid: Annotated[str, typer.Argument(metavar="PID")],
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """All about a record."""
    with told():
        media = with_client(lambda client: client.info(pid), url=url, profile=profile, patience=patience)
        if json:
            emit(media)
            return
        show(("", ""), [(name, value) for name, value in facts(media) if value])


def facts(media: Media) -> list[tuple[str, str]]:
    content = media.content
    rows = [
        ("PID", media.pid + (f"  ({media.pid_type})" if media.pid_type else "")),
        ("status", media.status + (f": {media.status_reason}" if media.status_reason else "")),
        ("store", media.store),
    ]
    if content is not None:
        rows += [
            ("version", f"{media.version}, stored {moment(content.stored_at)}"),
            ("content", f"{size(content.size)} ({content.size:,} bytes), {content.media_type}"),
            ("file name", content.filename or ""),
            *((name, f"{item.value}  by the {item.attested_by}") for name, item in content.checksums.items()),
        ]
    rows += [(name, value) for name, value in media.identifiers.items()]
    return [
        *rows,
        ("tags", ", ".join(media.tags)),
        ("owner", media.owner),
        ("access", media.access + (f" until {moment(media.public_at)}, then public" if media.public_at else "")),
        ("readers", ", ".join(media.readers)),
        ("writers", ", ".join(media.writers)),
        ("expires", moment(media.expires_at)),
        ("held", "yes" if media.held else ""),
        ("created", moment(media.created_at)),
        ("changed", f"{moment(media.updated_at)}, revision {media.revision}"),
        ("metadata", msgspec.json.format(json_of(media.metadata), indent=2) if media.metadata else ""),
    ]


def search(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORDS]", help="all of them, in any order; plank* for beginnings")
    ] = None,
    pid: Annotated[str | None, typer.Option(metavar="PATTERN", help="* stands for any characters, ? for one")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="may be given several times: all of them")] = None,
    store: Annotated[list[str] | None, typer.Option(help="may be given several times: one of them")] = None,
    filter: Annotated[str | None, typer.Option(metavar="JSON", help='any other: \'{"where": "$.depth > 10"}\'')] = None,
    sort: Annotated[str | None, typer.Option(metavar="FIELD", help="pid, -created_at, size, …; - turns it around")] = None,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help=f"default: {SHOWN} on a terminal, all elsewhere")] = None,
    count: Annotated[bool, typer.Option("--count", help="only how many there are")] = False,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Find records. From a pipe, standard output is their PIDs."""
    with told():
        asked = request_of(words=words, pid=pid, tag=tag, store=store, filter=filter, sort=sort)
        if limit is None and out.is_terminal and not json:
            limit = SHOWN

        async def number(client: AsyncClient) -> Count:
            page = await client.page(msgspec.structs.replace(asked, count=True, limit=1))
            return page.count if isinstance(page.count, Count) else Count(value=0, exact=False)

        if count:
            total = with_client(number, url=url, profile=profile, patience=patience)
            emit(total) if json else say(f"{'' if total.exact else 'about '}{total.value:,}")
            return
        with_client(lambda client: find(client, asked, limit=limit, json=json), url=url, profile=profile, patience=patience)


async def find(client: AsyncClient, asked: SearchRequest, *, limit: int | None, json: bool) -> None:
    """Show what matches: a table to people, PIDs to a pipe, lines of JSON to programs."""
    found: list[Media] = []
    shown = 0
    async for media in client.search(msgspec.structs.replace(asked, limit=PAGE if limit is None else min(PAGE, limit + 1))):
        if limit is not None and shown == limit:
            note(f"… and there are more; --limit {limit * 10} shows more of them, --count how many")
            break
        shown += 1
        if json:
            emit(media)
        elif out.is_terminal:
            found.append(media)
        else:
            say(media.pid)
    if out.is_terminal and not json:
        rows = [
            (
                media.pid,
                media.status,
                size(media.content.size) if media.content else "",
                media.store,
                moment(media.updated_at)[:16],
            )
            for media in found
        ]
        show(("PID", "status", "size", "store", "changed"), rows, empty="Nothing that you may read matches.")


def request_of(
    *,
    words: list[str] | None,
    pid: str | None,
    tag: list[str] | None,
    store: list[str] | None,
    filter: str | None,
    sort: str | None,
) -> SearchRequest:
    """Options go before what the filter says. Raises `msgspec.ValidationError`."""
    given: dict[str, Any] = {}
    if filter is not None:
        json_object(filter, option="--filter")
        given = msgspec.json.decode(filter)
    options = {"q": " ".join(words or []), "pid": pid, "store": store, "sort": sort}
    given |= {name: value for name, value in options.items() if value}
    if tag:
        given["tags"] = (given.get("tags") or {}) | {"all": tag}
    if "metadata" in given:
        given["metadata"] = msgspec.Raw(msgspec.json.encode(given["metadata"]))
    return msgspec.convert(given, SearchRequest)


def urls(
    pid: Pids,
    expires: Annotated[
        int | None, typer.Option(metavar="SECONDS", min=1, help="how long they live, if the server allows it")
    ] = None,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Signed URLs, which stand for a log-in until they end: whoever has one gets the content.

    Several come as lines of PID, tabulator, URL.
    """
    with told():
        pids = lines_for(pid)
        tally = Tally(json=False, words=lambda _: None)
        for issued in with_client(
            lambda client: client.urls(pids, expires_s=expires), url=url, profile=profile, patience=patience
        ):
            if json:
                emit(issued)
            elif issued.url is not None:
                sys.stdout.write(f"{issued.url}\n" if len(pids) == 1 else f"{issued.pid}\t{issued.url}\n")
            outcome = Outcome(outcome="issued", pid=issued.pid)
            if issued.url is None:
                outcome = failure(outcome, refused(issued.status, issued.problem))
            tally.tell(outcome)
        tally.finish()


def history(
    pid: Annotated[str, typer.Argument(metavar="PID")],
    reads: Annotated[bool, typer.Option("--reads", help="also who read it, for those who may know")] = False,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """What happened to a record, oldest first."""
    with told():

        async def follow(client: AsyncClient) -> list[Event]:
            events = []
            async for event in client.history(pid, reads=reads):
                if json:
                    emit(event)
                else:
                    events.append(event)
            return events

        events = with_client(follow, url=url, profile=profile, patience=patience)
        if not json:
            rows = [(moment(event.at), event.actor, event.action, changes(event)) for event in events]
            show(("when", "who", "what", "changes"), rows, empty="Nothing happened yet.")


def changes(event: Event) -> str:
    """A line for each value: before → after."""
    found = msgspec.json.decode(event.changes)
    if not isinstance(found, dict):
        return short(found)
    lines = []
    for name, change in found.items():
        if isinstance(change, dict) and change.keys() <= {"before", "after"}:
            before, after = change.get("before"), change.get("after")
            lines.append(f"{name}: {short(after)}" if before is None else f"{name}: {short(before)} → {short(after)}")
        else:
            lines.append(f"{name}: {short(change)}")
    return "\n".join(lines)


def short(value: Any) -> str:
    text = value if isinstance(value, str) else json_of(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… (--json shows all)"


COMMANDS = {"info": info, "search": search, "urls": urls, "history": history}
