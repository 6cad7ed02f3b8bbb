"""What a server on one machine brings along: its database, its secret key, its first administrator and its first stores."""

import asyncio
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from mediastore.accounts.service import ADMINISTRATOR
from mediastore.database import migrate
from mediastore.embedded import EmbeddedPostgres, lock_data_folder, running_url
from mediastore.embedded_errors import DataFolderInUse
from mediastore.errors import SettingInvalid
from mediastore.events.schemas import NOT_A_PERSON
from mediastore.placement.errors import PlacementError
from mediastore.placement.schemas import StoreCreate
from mediastore.services import Services
from mediastore.settings import Settings

SECRET_KEY_FILE = "secret.key"  # noqa: S105 - the name of a file
SCRATCH = "scratch"


@contextmanager
def serving(settings: Settings, *, say: Callable[[str], None]) -> Iterator[Settings]:
    """The settings completed, with the database running for the length of the block.

    Without MEDIASTORE_DATABASE_URL the database is embedded and migrated, and the data folder is this server's alone. Raises
    `SettingInvalid` and the errors of `mediastore.embedded_errors`.
    """
    if not settings.embedded:
        if settings.secret_key is None:
            raise SettingInvalid(
                "MEDIASTORE_SECRET_KEY is needed with an external database: a long random text, the same for every server on it, "
                'such as from: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        yield settings
        return
    with lock_data_folder(settings.home):
        if not (settings.home / "postgres").exists():
            say(f"Making a database in {settings.home.resolve()}; this takes a moment, once.")
        with EmbeddedPostgres(settings.home) as postgres:
            asyncio.run(migrate(postgres.url))
            yield _complete(settings, postgres.url)


@contextmanager
def reaching(settings: Settings) -> Iterator[Settings]:
    """The settings completed for a command: on the running server's database, or on one started for the length of the block."""
    with ExitStack() as stack:
        try:
            complete = stack.enter_context(serving(settings, say=lambda _: None))
        except DataFolderInUse:
            complete = _complete(settings, running_url(settings.home))
        yield complete


def _complete(settings: Settings, url: str) -> Settings:
    key = settings.secret_key or secret_key(settings.home / SECRET_KEY_FILE)
    return msgspec.structs.replace(settings, database_url=url, secret_key=key)


def secret_key(file: Path) -> str:
    """The key in the file, which is made, readable by its owner alone, where there is none."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = file.read_text().strip()
        if not key:
            raise SettingInvalid(f"{file} is empty; put the secret key back, or delete the file to make a new one") from None
        return key
    key = secrets.token_urlsafe(48)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(f"{key}\n")
        opened.flush()
        os.fsync(opened.fileno())
    return key


async def provide(services: Services) -> str | None:
    """Make the administrator and the first stores where they are missing; returns a password that was made up, to show once."""
    generated = None
    if not await services.accounts.has_administrator():
        password = services.settings.admin_password or secrets.token_urlsafe(12)
        made = await services.accounts.ensure_administrator(password)
        generated = password if made and services.settings.admin_password is None else None
    wanted = [StoreCreate(name="local", kind="filesystem")]
    if services.settings.workers == 1:
        wanted.append(StoreCreate(name=SCRATCH, kind="memory"))
    if not await services.placement.everything():
        for store in wanted:
            with suppress(PlacementError):  # another server of the same database made it at the same moment
                await services.placement.add_store(store, actor=NOT_A_PERSON)
    return generated


def banner(settings: Settings, password: str | None) -> str:
    """What the one who starts the server needs to know."""
    lines = [
        f"Mediastore      {settings.url}",
        f"Documentation   {settings.url}/docs",
    ]
    if password is not None:
        lines += [f"Log in as       {ADMINISTRATOR}", f"Password        {password}    (shown this once; keep it)"]
    return "\n".join(lines)
