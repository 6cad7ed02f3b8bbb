"""The commands of those who run a server."""

import asyncio
import math
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from granian import Granian
from granian.constants import Interfaces, Loops
from granian.http import HTTP1Settings

from mediastore.accounts.schemas import AccountChange, AccountCreate
from mediastore.client.cli.screen import err, out, show, size
from mediastore.database import DatabaseUnavailable, migrate
from mediastore.errors import MediastoreError
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.host import banner, provide, reaching, serving
from mediastore.logging import configure_logging
from mediastore.placement.schemas import S3ConfigCreate, StoreCreate
from mediastore.retention.schemas import SweepRequest
from mediastore.services import Services
from mediastore.settings import PREFIX, Settings, load_settings

Result = TypeVar("Result")

STOP_TIMEOUT_S = 30
"""How long transfers may still run after the server was told to stop."""
HAND_BACK_S = 10
"""What the worker inside has, beyond its grace, to hand back the jobs that it did not finish."""
READ_AT_ONCE_BYTES = 1024 * 1024
"""How much of a body that comes quickly is one piece, at most, and how long a head may be. Each piece goes from the HTTP server's
thread to Python's by itself: with Granian's 408 KiB a large upload to disk is a seventh slower, and with 2 MiB each of 32 uploads
to S3 takes more than 16 MiB of memory."""

app = typer.Typer()
user = typer.Typer(help="Accounts.", no_args_is_help=True)
store = typer.Typer(help="Stores: places for bytes.", no_args_is_help=True)
app.add_typer(user, name="user")
app.add_typer(store, name="store")


@app.command()
def serve() -> None:
    """Start the server; Ctrl-C or SIGTERM ends it."""
    settings = load_settings()
    configure_logging(settings)
    settings = msgspec.structs.replace(settings, port=free_port(settings))
    with serving(settings, say=lambda text: err.print(text, soft_wrap=True)) as complete:
        password = asyncio.run(prepare(complete))
        export(complete)
        print(banner(complete, password), flush=True)  # noqa: T201 - Rich would wrap what people copy
        Granian(
            "mediastore.asgi:app",
            factory=True,
            address=complete.host,
            port=complete.port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            workers=complete.workers,
            backlog=2048,
            websockets=False,
            http1_settings=HTTP1Settings(max_buffer_size=READ_AT_ONCE_BYTES),
            log_level="warning",  # type: ignore[arg-type]  # Granian takes the name, and types its enum
            respawn_failed_workers=True,
            workers_kill_timeout=math.ceil(max(STOP_TIMEOUT_S, complete.worker_grace_s + HAND_BACK_S)),
        ).serve()


@app.command()
def worker() -> None:
    """Do jobs, without serving; Ctrl-C or SIGTERM ends it when those that run are done. As many as wanted, on any machine."""
    settings = load_settings()
    configure_logging(settings)
    with reaching(settings) as complete:
        asyncio.run(do_jobs(complete))


@app.command()
def sweep(
    name: Annotated[str, typer.Argument(metavar="STORE")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be removed: a rehearsal.")] = False,
    rehearsal: Annotated[int | None, typer.Option(help="Remove what this rehearsal listed, and nothing else.")] = None,
    release_brake: Annotated[
        bool, typer.Option("--release-brake", help="Go on after the brake, this once without limit.")
    ] = False,
) -> None:
    """Remove what has expired in a store. Exit code 1 when it was stopped or failed."""
    asked = SweepRequest(dry_run=dry_run, rehearsal=rehearsal, release_brake=release_brake)

    async def work(services: Services) -> bool:
        with err.status(f"sweeping {name} …"):
            report = await services.sweeper.sweep(name, asked, requested_by=NOT_A_PERSON)
        if report.dry_run:
            rows = [
                (
                    item.pid,
                    f"v{item.version}" if item.version else "all",
                    item.rule,
                    f"{item.due_at:%Y-%m-%d %H:%M}",
                    size(item.bytes),
                )
                for item in report.items
            ]
            show(("pid", "what", "why", "due since", "size"), rows, empty=f"Nothing in {name} is due.")
            if report.found > len(rows):
                out.print(f"… and {report.found - len(rows):,} more")
        keeps = ", ".join(
            f"by {what} {count:,}" for what, count in (("a hold", report.held), ("an exemption", report.exempt)) if count
        )
        kept = f"; kept {keeps}" if keeps else ""
        verb = "would be removed" if report.dry_run else "removed"
        done = report.found if report.dry_run else report.removed
        freed = f", {size(report.bytes)}" if report.dry_run else f", {size(report.bytes_freed)} freed"
        out.print(f"sweep {report.id} of {name}: {done:,} {verb} ({report.objects:,} objects{freed}){kept}", markup=False)
        if report.bytes_kept:
            out.print(
                f"{size(report.bytes_kept)} are hidden and not freed: the bucket keeps old versions, which a lifecycle rule ends",
                markup=False,
            )
        if report.failed:
            out.print(f"{report.failed:,} objects could not be removed yet; they are tried again", markup=False)
        if report.detail:
            err.print(f"{report.state}: {report.detail}", style="red", markup=False)
        if report.dry_run and report.found:
            out.print(f"To remove exactly these: mediastore sweep {name} --rehearsal {report.id}", markup=False)
        return report.state == "done"

    if not with_services(work):
        raise typer.Exit(1)


@app.command(name="migrate")
def migrate_() -> None:
    """Bring the database up to date, and make the administrator and the first stores where they are missing."""

    async def work(services: Services) -> None:
        applied = await migrate(services.settings.database_url or "")
        out.print(f"applied: {', '.join(applied)}" if applied else "the database is up to date")
        password = await provide(services)
        if password is not None:
            out.print(f"made the administrator admin with the password {password} (shown this once)", highlight=False)

    with_services(work)


@user.command("add")
def user_add(
    name: str,
    role: Annotated[str, typer.Option(help="administrator, editor or reader")] = "reader",
    group: Annotated[list[str] | None, typer.Option(help="a group that the user is in; may be given several times")] = None,
) -> None:
    """Create a user; the password is asked for, or read from a pipe."""
    request = checked({"name": name, "role": role, "groups": group or [], "password": read_password()}, AccountCreate)

    async def work(services: Services) -> None:
        account = await services.accounts.add(request, actor=NOT_A_PERSON)
        out.print(f"created {account.name}, {account.role}", highlight=False)

    with_services(work)


@user.command("passwd")
def user_passwd(name: str) -> None:
    """Give a user a new password; tokens issued before become worthless."""
    change = checked({"password": read_password()}, AccountChange)

    async def work(services: Services) -> None:
        await services.accounts.apply(name, change, actor=NOT_A_PERSON)
        out.print(f"{name} has a new password", highlight=False)

    with_services(work)


@user.command("list")
def user_list() -> None:
    """List users."""

    async def work(services: Services) -> None:
        rows = [
            (account.name, account.role, ", ".join(account.groups), "disabled" if account.disabled else "")
            for account in await services.accounts.everyone()
        ]
        show(("user", "role", "groups", ""), rows, empty="no users yet: mediastore user add NAME")

    with_services(work)


@store.command("add")
def store_add(
    name: str,
    kind: Annotated[str, typer.Option(help="filesystem, memory or s3")] = "filesystem",
    path: Annotated[str | None, typer.Option(help="folder of a filesystem store, below an allowed root")] = None,
    bucket: Annotated[str | None, typer.Option(help="bucket of an S3 store")] = None,
    prefix: Annotated[str, typer.Option(help="goes before every key; ends in /")] = "",
    s3_config: Annotated[str | None, typer.Option(help="name of an S3 config that exists")] = None,
    endpoint_url: Annotated[
        str | None,
        typer.Option(help="make an S3 config of the store's name, with keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ] = None,
    region: Annotated[str | None, typer.Option(help="region of the new S3 config")] = None,
) -> None:
    """Create a store."""
    given = {"name": name, "kind": kind, "path": path, "bucket": bucket, "prefix": prefix, "s3_config": s3_config}
    request = checked(given, StoreCreate)
    config = None
    if endpoint_url is not None:
        keys = {"access_key": os.environ.get("AWS_ACCESS_KEY_ID"), "secret_key": os.environ.get("AWS_SECRET_ACCESS_KEY")}
        config = checked({"name": name, "endpoint_url": endpoint_url, "region": region, **keys}, S3ConfigCreate)
        request = msgspec.structs.replace(request, s3_config=name)

    async def work(services: Services) -> None:
        if config is not None:
            await services.placement.add_s3_config(config, actor=NOT_A_PERSON)
        shown = await services.placement.add_store(request, actor=NOT_A_PERSON)
        out.print(f"created the store {shown.name}; try it: mediastore store probe {shown.name}", highlight=False)

    with_services(work)


@store.command("list")
def store_list() -> None:
    """List stores."""

    async def work(services: Services) -> None:
        rows = [
            (item.name, item.kind, item.path or "/".join(filter(None, (item.bucket, item.prefix))), "" if item.enabled else "off")
            for item in await services.placement.everything()
        ]
        show(("store", "kind", "place", ""), rows, empty="no stores yet: mediastore store add NAME")

    with_services(work)


@store.command("probe")
def store_probe(name: str) -> None:
    """Write, read, check and delete a small object; exit code 1 when a step fails."""

    async def work(services: Services) -> bool:
        probe = await services.probe.probe(name)
        rows = [(step.step, "ok" if step.ok else "FAILED", f"{step.ms:.1f} ms", step.detail) for step in probe.steps]
        show(("step", "", "took", "detail"), rows, empty="")
        show(("feature", ""), [(feature, str(value)) for feature, value in probe.features.items()], empty="")
        return probe.ok

    if not with_services(work):
        raise typer.Exit(1)


@app.command()
def reconcile(name: str) -> None:
    """Compare what a store holds with its rows, now; exit code 1 when the store can't be believed."""

    async def work(services: Services) -> bool:
        report = await services.upkeep.reconcile_here(name)
        told = msgspec.structs.asdict(report.counts)
        rows = [(words, f"{told[field]:,}", note) for field, words, note in RECONCILED]
        show(("what", "", "and then"), rows, empty="")
        if report.reason is not None:
            err.print(f"stopped: {report.reason}", style="red", markup=False, highlight=False)
        return report.stopped_by is None

    if not with_services(work):
        raise typer.Exit(1)


@app.command("verify-content")
def verify_content(pid: str) -> None:
    """Read the content of a record and compare it with its checksums; exit code 1 unless it is as it was verified."""

    async def work(services: Services) -> bool:
        shown = await services.upkeep.check_here(pid)
        out.print(
            f"{pid}, version {shown.version}: {shown.fixity}" + (f" ({shown.detail})" if shown.detail else ""), highlight=False
        )
        return shown.fixity == "ok"

    if not with_services(work):
        raise typer.Exit(1)


RECONCILED = (
    ("listed", "objects in the store", ""),
    ("rows", "objects in the database", ""),
    ("unknown", "objects that no row names", "findings: decide about them"),
    ("young", "the same, but young", "left alone"),
    ("absent", "objects not listed", "asked for again before they count as missing"),
    ("missing", "objects declared missing", "their records are lost"),
    ("found", "objects found again", "their records are ready"),
    ("differing", "objects that differ", "findings: read by the fixity check"),
    ("late", "objects that came late", "removed"),
    ("unknown_uploads", "open uploads of nobody", "aborted after the grace"),
    ("removed", "objects removed", "as the policy says"),
    ("quarantined", "objects quarantined", "as the policy says"),
    ("aborted", "uploads aborted", "as the policy says"),
)
"""What a report tells: the field, in words, and what becomes of it."""


async def prepare(settings: Settings) -> str | None:
    """What the first start makes."""
    services = Services(settings)
    try:
        return await provide(services)
    except DatabaseUnavailable as error:
        err.print(f"mediastore: {error.message}; the server starts and waits for it", style="yellow", markup=False)
        return None
    finally:
        await services.close()


async def do_jobs(settings: Settings) -> None:
    """Until a signal. A second one does not wait."""
    services = Services(settings, in_server=False)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end, number)
    try:
        print("Mediastore does jobs; Ctrl-C or SIGTERM ends it", flush=True)  # noqa: T201 - one plain line
        await services.worker().run(stop)
    finally:
        await services.close()


def export(settings: Settings) -> None:
    """Hand what was found out to the worker processes."""
    os.environ[f"{PREFIX}DATABASE_URL"] = settings.database_url or ""
    os.environ[f"{PREFIX}SECRET_KEY"] = settings.secret_key or ""
    os.environ[f"{PREFIX}PORT"] = str(settings.port)
    os.environ[f"{PREFIX}HOME"] = str(Path(settings.home).resolve())


def free_port(settings: Settings) -> int:
    """The port, free at this moment; any where the setting is 0. Raises before anything is started for nothing."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise MediastoreError(
                f"can't listen on {settings.host} port {settings.port}: {error.strerror}; "
                "MEDIASTORE_HOST and MEDIASTORE_PORT choose another"
            ) from error
        port: int = probe.getsockname()[1]
        return port


def with_services(work: Callable[[Services], Awaitable[Result]]) -> Result:
    """Run a command's work on the database of the settings."""
    settings = load_settings()
    configure_logging(settings)

    async def run(complete: Settings) -> Result:
        services = Services(complete)
        try:
            return await work(services)
        finally:
            await services.close()

    with reaching(settings) as complete:
        return asyncio.run(run(complete))


Request = TypeVar("Request")


def checked(given: dict[str, Any], kind: type[Request]) -> Request:
    """The same rules as the API's. Exits with code 2 and a sentence."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        err.print(f"mediastore: {error}", style="red", markup=False, highlight=False)
        raise typer.Exit(2) from error


def read_password() -> str:
    """From the terminal, typed twice, or one line of a pipe: never from the command line, where others could read it."""
    if sys.stdin.isatty():
        password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    return sys.stdin.readline().rstrip("\n")
