"""`mediastore sync`: a folder's files become the contents of PIDs; what is there already is left alone."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mediastore.catalog.schemas import BatchRead, Media
from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.bars import Bars
from mediastore.client.cli.comparing import difference, files_below
from mediastore.client.cli.options import PATIENCE_S, Json, Parallel, Patience, Profile, Url, with_client
from mediastore.client.cli.outcomes import Outcome, Tally, each
from mediastore.client.cli.pid_patterns import Item, PidPattern, apart
from mediastore.client.cli.putting import AT_ONCE, Access, Metadata, Store, Tags, fields_of, put_one, stored
from mediastore.client.cli.screen import err, note
from mediastore.client.cli.told import told, unfit
from mediastore.client.errors import ServerRefused, refused
from mediastore.client.sources import FileSource


def sync(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER")],
    pid_pattern: Annotated[str, typer.Option(metavar="TEXT", help="PIDs of the files: cruise/{path}; also {name} and {stem}")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be sent")] = False,
    store: Store = None,
    tag: Tags = None,
    metadata: Metadata = None,
    access: Access = None,
    parallel: Parallel = AT_ONCE,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Send the files of a folder that are new or changed, by size and checksum. Nothing is ever deleted.

    Stopped in any way, the same command goes on. A changed file becomes a new version of its PID.
    """
    if not folder.is_dir():
        raise unfit(f"{folder} is no folder; `mediastore put` sends files", option="FOLDER")
    pattern = PidPattern(pid_pattern)
    fields = fields_of(store=store, tag=tag, metadata=metadata, access=access)
    with told():
        items = apart(Item(file=path, shown=str(path), pid=pattern.pid(path.relative_to(folder))) for path in files_below(folder))
        tally = Tally(json=json, words=changed)
        sizes = sum(item.file.stat().st_size for item in items if item.file.is_file())
        with Bars(err, transfers=len(items), total=sizes) as bars:

            async def work(client: AsyncClient) -> None:
                there = await records_of(client, items)
                await each(
                    items,
                    lambda item: brought(client, item, there.get(str(item.pid)), fields, bars, dry_run=dry_run),
                    name=lambda item: Outcome(outcome="", file=item.shown, pid=item.pid),
                    tally=tally,
                    at_once=parallel,
                )

            with_client(work, url=url, profile=profile, patience=patience, say=bars.say)
        if not json:
            counts = ", ".join(f"{count:,} {name}" for name, count in sorted(tally.counts.items()))
            note(counts or f"{folder} has no files")
        tally.finish()


Found = Media | ServerRefused


async def records_of(client: AsyncClient, items: list[Item]) -> dict[str, Found]:
    """What the server has of each PID; none where it has nothing, and why it can't be told."""
    asked = [item.pid for item in items if item.pid is not None and is_text(item.pid)]
    found: dict[str, Found] = {}
    number = 0
    async for result in client.batch(BatchRead(pid=pid) for pid in asked):
        pid, number = asked[number], number + 1
        if result.media is not None:
            found[pid] = result.media
        elif result.status != 404:
            error = refused(result.status, result.problem)
            if not isinstance(error, ServerRefused):
                raise error
            found[pid] = error
    return found


def is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


async def brought(
    client: AsyncClient, item: Item, there: Found | None, fields: dict[str, Any], bars: Bars, *, dry_run: bool
) -> Outcome:
    """Send one file unless its record has these very bytes."""
    if isinstance(there, ServerRefused):
        raise there
    if there is not None and await difference(item.file, there, bars) is None:
        return Outcome(outcome="unchanged", file=item.shown, pid=item.pid)
    if dry_run:
        FileSource.open(item.file).close()  # as a transfer would
        return Outcome(outcome="would be sent", file=item.shown, pid=item.pid)
    return await put_one(client, item, fields, bars)


def changed(outcome: Outcome) -> None:
    """What is as it was is only counted."""
    if outcome.outcome != "unchanged":
        stored(outcome)


COMMANDS = {"sync": sync}
