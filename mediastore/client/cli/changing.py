"""`mediastore edit`, `mediastore rm` and `mediastore restore`: records changed, taken away, and brought back."""

import sys
from typing import Annotated

import typer
from msgspec import UNSET

from mediastore.catalog.schemas import MediaChange
from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.metadata_paths import edit_of, path_of
from mediastore.client.cli.options import PATIENCE_S, Json, Patience, Pids, Profile, Url, json_object, lines_for, with_client
from mediastore.client.cli.outcomes import Outcome, Tally, each
from mediastore.client.cli.screen import emit, moment, say
from mediastore.client.cli.told import told, unfit
from mediastore.client.errors import Changed, ClientError, Gone

AT_ONCE = 4
NAMED = 10
"""PIDs that a question names."""


def edit(
    pid: Annotated[str, typer.Argument(metavar="PID")],
    set: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH=VALUE", help="ctd.casts[0].depth=12.5; a value that is no JSON is a text"),
    ] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="PATH", help="take away what is there")] = None,
    merge: Annotated[str | None, typer.Option(metavar="JSON", help="an object that is merged in; null takes away")] = None,
    revision: Annotated[int | None, typer.Option(metavar="N", min=1, help="only if the record still has this revision")] = None,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Change metadata of a record; what is not named stays. What is merged goes first, then what is set, then what is removed."""
    if not set and not remove and merge is None:
        raise unfit("say what to --set, to --remove or to --merge", option="--set")
    change = MediaChange(
        metadata=UNSET if merge is None else json_object(merge, option="--merge"),
        set_metadata=[edit_of(text, option="--set") for text in set or ()],
        remove_metadata=[path_of(text, option="--remove") for text in remove or ()],
    )
    with told(away="look at the record before you change it again"):
        try:
            media = with_client(
                lambda client: client.edit(pid, change, revision=revision), url=url, profile=profile, patience=patience
            )
        except Changed as error:
            raise ClientError(f"{error.message}; `mediastore info {pid}` shows what it is now") from error
        if json:
            emit(media)
        else:
            say(f"{media.pid}  revision {media.revision}")


def rm(
    pid: Pids,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="don't ask")] = False,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Delete records and their bytes, for good: a PID is never used again. Asks first."""
    with told(stopped="stopped; records that were not told of may be there or gone, `mediastore info` shows it"):
        if "-" in pid and not yes:
            raise unfit("PIDs from standard input need --yes: there is nobody to ask", option="--yes")
        pids = lines_for(pid)
        if not yes:
            ask(pids)
        tally = Tally(json=json, words=lambda outcome: say(f"{outcome.pid}  deleted"))

        async def work(client: AsyncClient) -> None:
            async def delete(asked: str) -> Outcome:
                await client.delete(asked)
                return Outcome(outcome="deleted", pid=asked)

            await each(pids, delete, name=lambda asked: Outcome(outcome="", pid=asked), tally=tally, at_once=AT_ONCE)

        with_client(work, url=url, profile=profile, patience=patience)
        tally.finish()


def restore(
    pid: Pids,
    ttl: Annotated[int | None, typer.Option(metavar="SECONDS", min=1, help="how long they live then; default: for good")] = None,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Bring back records that have expired and are not removed yet. What was deleted by `rm` is gone for good."""
    with told():
        pids = lines_for(pid)
        tally = Tally(json=json, words=back)

        async def work(client: AsyncClient) -> None:
            async def bring_back(asked: str) -> Outcome:
                try:
                    return Outcome(outcome="unchanged", pid=asked, media=await client.info(asked))
                except Gone:
                    return Outcome(outcome="restored", pid=asked, media=await client.restore(asked, ttl_s=ttl))

            await each(pids, bring_back, name=lambda asked: Outcome(outcome="", pid=asked), tally=tally, at_once=AT_ONCE)

        with_client(work, url=url, profile=profile, patience=patience)
        tally.finish()


def back(outcome: Outcome) -> None:
    until = outcome.media.expires_at if outcome.media is not None else None
    had = "had not expired, " if outcome.outcome == "unchanged" else ""
    say(f"{outcome.pid}  {had}there {f'until {moment(until)}' if until is not None else 'for good'}")


def ask(pids: list[str]) -> None:
    if not sys.stdin.isatty():
        raise unfit("there is no terminal to ask at; --yes deletes without asking", option="--yes")
    named = ", ".join(pids[:NAMED]) + (f" and {len(pids) - NAMED:,} more" if len(pids) > NAMED else "")
    what = "this record and its bytes" if len(pids) == 1 else f"these {len(pids):,} records and their bytes"
    if not typer.confirm(f"{named}\nDelete {what}, for good?", err=True):
        say("nothing was deleted")
        raise typer.Exit(1)


COMMANDS = {"edit": edit, "rm": rm, "restore": restore}
