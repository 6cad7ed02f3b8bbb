"""`mediastore import` and `mediastore export`: for people at a terminal, and for pipes."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Annotated, Literal

import msgspec
import typer

from mediastore.client.bar import Bar
from mediastore.client.cli.options import PATIENCE_S, Patience, Profile, Url
from mediastore.client.cli.screen import complain, err, out
from mediastore.client.cli.told import SOME_FAILED, told
from mediastore.client.connection import Connection
from mediastore.client.errors import FileUnfit, ServerRefused
from mediastore.client.exporting import Exporting, explained, filters_of, last_line, part_of, publish
from mediastore.client.import_state import Counts, ImportState, StateFile, head_of
from mediastore.client.importing import Errors, Importing, opened


def import_(
    file: Annotated[str, typer.Argument(help="records as lines of JSON; .gz is unpacked, - is standard input")],
    existing: Annotated[
        Literal["error", "skip", "update"], typer.Option(help="what to do with a PID that is there and says something else")
    ] = "error",
    store: Annotated[str | None, typer.Option(help="where all of them go, whatever the lines say")] = None,
    import_id: Annotated[
        str | None, typer.Option(metavar="TEXT", help="lines without a PID get one that follows from this and their number")
    ] = None,
    errors: Annotated[Path | None, typer.Option(metavar="FILE", help="every line that was not taken, with the reason")] = None,
    restart: Annotated[bool, typer.Option("--restart", help="begin anew, whatever an earlier run left")] = False,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
) -> None:
    """Send records to a server. Stopped in any way, the same command goes on where it was.

    Exit code 0: all are there. 3: some lines were not taken. 1: not finished, run it again.
    """
    connection = Connection(url, profile=profile)
    options: dict[str, str] = {"existing": existing}
    options |= {name: value for name, value in (("store", store), ("import_id", import_id)) if value is not None}
    source = None if file == "-" else Path(file)
    with ExitStack() as stack:
        stack.enter_context(told())
        state_file = None
        size = 0
        state = ImportState(url=connection.url, options=options, size=0, head="")
        if source is not None:
            stack.enter_context(alone(source))
            size = source.stat().st_size
            state = msgspec.structs.replace(state, size=size, head=head_of(source))
            state_file = StateFile(source)
            if restart:
                state_file.remove()
            state = state_file.load(state)
        if state.line:
            err.print(f"going on behind line {state.line:,}", highlight=False)
        kept = stack.enter_context(errors_file(errors, size=state.errors_size)) if errors is not None else None
        text, position = stack.enter_context(opened(file, offset=state.offset))
        bar = stack.enter_context(Bar(err, "", total=size or None))

        def done(now: ImportState, read: int) -> None:
            if state_file is not None:
                state_file.save(now)
            failed = f", {now.counts.failed:,} failed" if now.counts.failed else ""
            bar.show(read, f"{now.line:,} lines{failed}")

        failures = Errors(kept, say=complain)
        work = Importing(connection, options=options, patience_s=patience)
        work.run(text, state, position=position, on_failed=failures.write, on_part=done, say=bar.say)
        if state_file is not None:
            state_file.remove()
    out.print(summary(state.counts), highlight=False)
    if state.counts.failed:
        if errors is None:
            complain("--errors FILE keeps every line that was not taken, with the reason")
        raise typer.Exit(SOME_FAILED)


def export(
    file: Annotated[str, typer.Argument(help="where to; packed if the name ends in .gz; - is standard output")] = "-",
    filter: Annotated[
        str | None, typer.Option(metavar="JSON", help='only what a search finds: \'{"tags": {"all": ["raw"]}}\'')
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="begin anew, whatever an earlier run left")] = False,
    patience: Patience = PATIENCE_S,
    url: Url = None,
    profile: Profile = None,
) -> None:
    """Get every record that you may read, a line of JSON each. Stopped in any way, the same command goes on where it was.

    The lines are in FILE.part until they are whole. Exit code 1: not finished, run it again.
    """
    with told(), Bar(err, "", total=None) as bar:
        filters = filters_of(filter)
        exporting = Exporting(Connection(url, profile=profile), filters=filters, patience_s=patience)

        def written(lines: int) -> None:
            bar.show(lines, f"{lines:,} records")

        if file == "-":
            exporting.run(sys.stdout.buffer, last=b"", on_piece=written, say=bar.say)
            sys.stdout.buffer.flush()
            return
        target = Path(file)
        part = part_of(target, filters)
        if restart:
            part.unlink(missing_ok=True)
        with part.open("a+b") as lines, alone(part):
            last = last_line(lines)
            if last:
                err.print(f"going on where {part} ends", highlight=False, markup=False)
            try:
                exporting.run(lines, last=last, on_piece=written, say=bar.say)
            except ServerRefused as error:
                raise explained(error, part) from error
        publish(part, target)
    out.print(f"{exporting.lines:,} records written to {target}", highlight=False, markup=False, soft_wrap=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Raise when another process of ours has the same file in hand, where the file system can tell."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileUnfit(f"another mediastore command is at work on {path}") from error
        except OSError:  # a file system without locks
            pass
        yield


@contextmanager
def errors_file(path: Path, *, size: int) -> Iterator[IO[bytes]]:
    """What was told before is kept; what an earlier run told of lines that come again is not."""
    with path.open("r+b" if size and path.exists() else "wb") as file:
        file.truncate(size)
        file.seek(0, os.SEEK_END)
        yield file


def summary(counts: Counts) -> str:
    parts = [f"{count:,} {name}" for name, count in msgspec.structs.asdict(counts).items() if count]
    return ", ".join(parts) or "nothing to import"


COMMANDS = {"import": import_, "export": export}
