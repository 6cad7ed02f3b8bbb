"""`mediastore get`: the content of PIDs as files."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.bars import Bars
from mediastore.client.cli.options import PATIENCE_S, Json, Parallel, Patience, Pids, Profile, Url, lines_for, with_client
from mediastore.client.cli.outcomes import Outcome, Tally, each
from mediastore.client.cli.screen import err, out, say, size
from mediastore.client.cli.told import told, unfit
from mediastore.client.errors import FileUnfit
from mediastore.client.names import file_name
from mediastore.client.receiving import Wanted
from mediastore.client.sources import PIECE

AT_ONCE = 4


def get(
    pid: Pids,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE|FOLDER", help="default: here, by the name that the content has")
    ] = None,
    version: Annotated[int | None, typer.Option(metavar="N", min=1, help="default: the newest")] = None,
    by_pid: Annotated[bool, typer.Option("--by-pid", help="name files by their PIDs, whose slashes become folders")] = False,
    force: Annotated[bool, typer.Option("--force", help="replace files that are there and are others")] = False,
    parallel: Parallel = AT_ONCE,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
    json: Json = False,
) -> None:
    """Get contents as files. A file is there, under its name, once its bytes were compared with their checksum.

    Stopped in any way, the same command gets what is missing. From a pipe, standard output is the names of the files.
    """
    with told():
        pids = lines_for(pid)
        folder = output if output is not None and (output.is_dir() or len(pids) > 1 or by_pid) else None
        if folder is not None and folder.exists() and not folder.is_dir():
            raise unfit(f"{folder} is a file; several contents go to a folder", option="--output")
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        targets = Targets(folder or (None if output is not None else Path()), output, by_pid=by_pid)
        tally = Tally(json=json, words=arrived)
        with Bars(err, transfers=len(pids)) as bars:

            async def get_one(client: AsyncClient, asked: str) -> Outcome:
                wanted = await client.wanted(asked, version)
                target = targets.of(wanted)
                if target.exists() and await asyncio.to_thread(is_it, target, wanted):
                    return Outcome(outcome="unchanged", pid=asked, file=str(target))
                if target.exists() and not force:
                    raise FileUnfit(f"{target} is there, and is another file; --force replaces it, -o names another place")
                target.parent.mkdir(parents=True, exist_ok=True)
                with bars.transfer(target.name) as transfer:
                    await client.get(asked, target, version=wanted.version, on_progress=transfer.on_progress)
                return Outcome(outcome="got", pid=asked, file=str(target), resumed=transfer.resumed)

            async def work(client: AsyncClient) -> None:
                await each(
                    pids,
                    lambda asked: get_one(client, asked),
                    name=lambda asked: Outcome(outcome="", pid=asked),
                    tally=tally,
                    at_once=parallel,
                )

            with_client(work, url=url, profile=profile, patience=patience, say=bars.say)
        tally.finish()


class Targets:
    """Which file a content becomes; never the same for two of them."""

    def __init__(self, folder: Path | None, file: Path | None, *, by_pid: bool) -> None:
        self._folder = folder
        self._file = file
        self._by_pid = by_pid
        self._taken: dict[Path, str] = {}

    def of(self, wanted: Wanted) -> Path:
        """Raises `FileUnfit`. Names never lead out of the folder, whatever somebody called it."""
        if self._folder is None:
            return self._file or Path()
        parts = wanted.pid.split("/") if self._by_pid else [wanted.filename or wanted.pid]
        target = self._folder.joinpath(*(file_name(part) for part in parts))
        if self._taken.setdefault(target, wanted.pid) != wanted.pid:
            raise FileUnfit(f"{self._taken[target]} has the name {target}, too; --by-pid tells them apart")
        return target


def is_it(target: Path, wanted: Wanted) -> bool:
    """Whether a file has the bytes that are wanted, as far as a checksum proves it."""
    if wanted.algorithm is None or not target.is_file() or target.stat().st_size != wanted.size:
        return False
    return digest_of(target, wanted.algorithm) == wanted.digests[wanted.algorithm]


def digest_of(path: Path, algorithm: str, *, on_piece: Callable[[int], None] | None = None) -> str:
    """Lower-case hex. Raises `FileUnfit` for what is no file: reading a pipe might never end."""
    if path.exists() and not path.is_file():
        raise FileUnfit(f"{path} is no file")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    done = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
            done += len(piece)
            if on_piece is not None:
                on_piece(done)
    return digest.hexdigest()


def arrived(outcome: Outcome) -> None:
    """To people what became of a PID; to a pipe the file."""
    if not out.is_terminal:
        say(str(outcome.file))
        return
    resumed = f"; {size(outcome.resumed)} of it were here" if outcome.resumed else ""
    say(f"{outcome.pid} → {outcome.file}{'  is there' if outcome.outcome == 'unchanged' else ''}{resumed}")


COMMANDS = {"get": get}
