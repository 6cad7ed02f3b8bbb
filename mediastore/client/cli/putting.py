"""`mediastore put`: files become the content of PIDs."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import msgspec
import typer

from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.bars import Bars
from mediastore.client.cli.comparing import files_below
from mediastore.client.cli.options import PATIENCE_S, Json, Parallel, Patience, Profile, Url, json_object, with_client
from mediastore.client.cli.outcomes import Outcome, Tally, each
from mediastore.client.cli.pid_patterns import Item, PidPattern, apart
from mediastore.client.cli.screen import err, note, out, say, size
from mediastore.client.cli.told import AGAIN, told, unfit

AT_ONCE = 8
"""Files. Small ones wait for the server's disk together; the parts of large ones share the connections."""

Store = Annotated[str | None, typer.Option(metavar="NAME", help="where to; default: the server's choice")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="may be given several times")]
Metadata = Annotated[str | None, typer.Option(metavar="JSON", help='an object, such as \'{"cruise": "AR77"}\'')]
Access = Annotated[
    Literal["private", "internal", "public"] | None, typer.Option(help="who may read; default: private for what is new")
]


def put(
    file: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER")],
    pid: Annotated[str | None, typer.Option(help="of one file; without it the server makes one")] = None,
    pid_pattern: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT", help="PIDs of several files: cruise/{name}; {stem} is without its ending, {path} with folders"
        ),
    ] = None,
    pid_type: Annotated[str | None, typer.Option(metavar="NAME", help="the identifier type that the PIDs have to match")] = None,
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
    """Send files, and those below folders. Each is there once the server has seen that its bytes are the right ones.

    Stopped in any way, the same command sends what is missing; a file that is there already becomes a new version
    (`mediastore sync` leaves it). From a pipe, standard output is the PIDs.
    """
    folders = any(path.is_dir() for path in file)
    if pid is not None and (pid_pattern is not None or len(file) > 1 or folders):
        raise unfit("it is the PID of one file; for several there is --pid-pattern", option="--pid")
    pattern = PidPattern(pid_pattern) if pid_pattern is not None else None
    fields = fields_of(store=store, tag=tag, metadata=metadata, access=access) | ({"pid_type": pid_type} if pid_type else {})
    tally = Tally(json=json, words=stored)
    again = AGAIN
    if folders:
        again = "`mediastore sync` sends what is missing of a folder"
    elif len(file) > 1:
        again = "run it again without the files that are there; of the others only what is missing is sent"
    with told(stopped=f"stopped; {again}", away=again):
        items = apart(
            Item(file=path, shown=str(path), pid=pattern.pid(place) if pattern is not None else pid)
            for path, place in found(dict.fromkeys(file))
        )
        sizes = sum(item.file.stat().st_size for item in items if item.file.is_file())
        with Bars(err, transfers=len(items), total=sizes) as bars:

            async def work(client: AsyncClient) -> None:
                await each(
                    items,
                    lambda item: put_one(client, item, fields, bars),
                    name=lambda item: Outcome(outcome="", file=item.shown, pid=item.pid),
                    tally=tally,
                    at_once=parallel,
                )

            with_client(work, url=url, profile=profile, patience=patience, say=bars.say)
        if not items:
            note(f"{', '.join(map(str, file))} has no files")
        tally.finish()


def found(given: Iterable[Path]) -> Iterator[tuple[Path, PurePath]]:
    """Files, and what a pattern calls `{path}` of each: below its folder, or as it was given."""
    for path in given:
        if path.is_dir():
            yield from ((below, below.relative_to(path)) for below in files_below(path))
        else:
            yield path, PurePath(path.as_posix().lstrip("/"))


def fields_of(*, store: str | None, tag: list[str] | None, metadata: str | None, access: str | None) -> dict[str, Any]:
    """What is said of every file. Only what is given: it changes a record that is there."""
    given: dict[str, Any] = {"store": store, "tags": tag, "access": access}
    fields = {name: value for name, value in given.items() if value}
    if metadata is not None:
        fields["metadata"] = msgspec.json.decode(json_object(metadata, option="--metadata"))
    return fields


async def put_one(client: AsyncClient, item: Item, fields: dict[str, Any], bars: Bars) -> Outcome:
    item.shown.encode()  # what is no text can't be told to the server
    with bars.transfer(item.file.name) as transfer:
        media = await client.put(item.file, item.pid, on_progress=transfer.on_progress, **fields)
    return Outcome(outcome="stored", file=item.shown, pid=media.pid, resumed=transfer.resumed, media=media)


def stored(outcome: Outcome) -> None:
    """To people what became of a file; to a pipe its PID."""
    if not out.is_terminal:
        say(str(outcome.pid))
        return
    media = outcome.media
    amount = size(media.content.size) if media is not None and media.content is not None else ""
    version = f", version {media.version} in {media.store}" if media is not None else ""
    resumed = f"; {size(outcome.resumed)} of it were there" if outcome.resumed else ""
    say(f"{outcome.file} → {outcome.pid}  {amount}{version}{resumed}")


COMMANDS = {"put": put}
