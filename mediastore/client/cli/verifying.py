"""`mediastore verify`: whether files of this machine are what a server has."""

from pathlib import Path
from typing import Annotated

import typer

from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.bars import Bars
from mediastore.client.cli.comparing import difference, digest, files_below
from mediastore.client.cli.options import PATIENCE_S, Json, Parallel, Patience, Profile, Url, with_client
from mediastore.client.cli.outcomes import Outcome, Tally, each
from mediastore.client.cli.pid_patterns import Item, PidPattern, apart
from mediastore.client.cli.screen import err, note, say
from mediastore.client.cli.told import told, unfit
from mediastore.client.errors import BytesWrong, NotFound

AT_ONCE = 4


def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE|FOLDER")],
    pid: Annotated[str | None, typer.Argument(metavar="[PID]", help="of a file; without it the checksum is looked for")] = None,
    pid_pattern: Annotated[str | None, typer.Option(metavar="TEXT", help="PIDs of a folder's files, as sync gave them")] = None,
    parallel: Parallel = AT_ONCE,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Compare files with the checksums of their records; without PIDs, say which records have their bytes.

    The server's own files are looked at by `verify-content`, and by its fixity check.
    """
    if pid is not None and (pid_pattern is not None or file.is_dir()):
        raise unfit("one PID is for one file; a folder goes with --pid-pattern, or alone", option="PID")
    pattern = PidPattern(pid_pattern) if pid_pattern is not None else None
    with told():
        paths = [(path, path.relative_to(file)) for path in files_below(file)] if file.is_dir() else [(file, Path(file.name))]
        items = apart(
            Item(file=path, shown=str(path), pid=pattern.pid(below) if pattern is not None else pid) for path, below in paths
        )
        tally = Tally(json=json, words=lambda outcome: say(f"{outcome.file}  ok: {outcome.pid}"))
        sizes = sum(item.file.stat().st_size for item in items if item.file.is_file())
        with Bars(err, transfers=len(items), total=sizes) as bars:

            async def work(client: AsyncClient) -> None:
                await each(
                    items,
                    lambda item: verified(client, item, bars),
                    name=lambda item: Outcome(outcome="", file=item.shown, pid=item.pid),
                    tally=tally,
                    at_once=parallel,
                )

            with_client(work, url=url, profile=profile, patience=patience, say=bars.say)
        if not items:
            note(f"{file} has no files")
        elif len(items) > 1 and not json:
            note(f"{tally.done:,} are as they should be, {tally.failed:,} are not")
        tally.finish()


async def verified(client: AsyncClient, item: Item, bars: Bars) -> Outcome:
    """Raises `BytesWrong` and `NotFound`."""
    if item.pid is not None:
        found = await difference(item.file, await client.info(item.pid), bars)
        if found is not None:
            raise BytesWrong(f"{item.shown} {found}" if not found.startswith(item.pid) else found)
        return Outcome(outcome="ok", file=item.shown, pid=item.pid)
    sha256 = await digest(item.file, "sha256", bars)
    async for media in client.search(checksum=sha256, limit=1):
        content = media.content
        if content is not None and "sha256" in content.checksums and content.checksums["sha256"].attested_by != "claimed":
            return Outcome(outcome="ok", file=item.shown, pid=media.pid)
    raise NotFound(404, {"code": "content_unknown", "detail": f"{item.shown}: no record that you may read has these bytes"})


COMMANDS = {"verify": verify}
