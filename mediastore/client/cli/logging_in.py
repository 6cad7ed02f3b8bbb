"""`mediastore login`, `logout` and `whoami`: who you are to a server, kept in a profile."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeVar

import msgspec
import typer

from mediastore.accounts.schemas import Key, KeyCreate, Scope
from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.options import PATIENCE_S, Json, Patience, Profile, Url, with_client
from mediastore.client.cli.screen import emit, note, say, show
from mediastore.client.cli.told import told, unfit
from mediastore.client.errors import ClientError, NotLoggedIn, ServerAway, ServerRefused
from mediastore.client.servers import Profiles, Server, login_place

T = TypeVar("T")
SECRETS = ("MEDIASTORE_API_KEY", "MEDIASTORE_TOKEN")


def login(
    url: Url = None,
    profile: Profile = None,
    api_key: Annotated[
        bool, typer.Option("--api-key", help="keep an API key that you have: asked for, or read from standard input")
    ] = False,
    days: Annotated[int, typer.Option(min=1, max=3650, help="how long the key lives that is made for this machine")] = 90,
    admin: Annotated[bool, typer.Option("--admin", help="the key may also do what only administrators may")] = False,
    patience: Patience = PATIENCE_S,
) -> None:
    """Log in, and keep an API key of this machine's own in the profile. Your password is asked for, and not kept.

    From a pipe: your name and your password, or the API key, a line each.
    """
    with told(stopped="stopped; you are not logged in", away="log in again when it is there"):
        place, server, former = login_place(url, profile=profile)
        if sys.stdin.isatty():
            note(f"logging in at {server.url}")
        if api_key:
            kept, name = _with_key(server, asked("API key", secret=True), patience=patience)
        else:
            username = asked("Name")
            password = asked("Password", secret=True)
            scopes: tuple[Scope, ...] = ("read", "write", "admin") if admin else ("read", "write")
            expires = datetime.now(UTC) + timedelta(days=days)
            what = KeyCreate(name=f"mediastore login on {socket.gethostname()}"[:200], scopes=scopes, expires_at=expires)
            kept, name = _with_password(server, username, password, what, former=former, patience=patience)
        Profiles().save(kept, name=place)
        way = f"an API key for {days} days" if kept.key is not None else "the API key" if api_key else "a token"
        say(f"logged in at {kept.url} as {name}; {way} is in the profile {place}")
        for variable in SECRETS:
            if variable in os.environ:
                note(f"{variable} is set, and goes before the profile")


def logout(
    profile: Profile = None,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="also end the key at the server, for which your name and password are asked")
    ] = False,
    patience: Patience = PATIENCE_S,
) -> None:
    """Forget a log-in. Its key is ended at the server where it may do that itself."""
    with told(stopped="stopped", away="it is still in the profile"):
        place, _, kept = login_place(profile=profile)
        if kept is None:
            say(f"there is no log-in in the profile {place}")
            return
        ended = kept.key is not None and _revoked(kept, ask=revoke, patience=patience)
        Profiles().remove(place)
        say(f"logged out of {kept.url}")
        if kept.key is not None and not ended:
            note(f"its key {kept.key} works until it expires, unless it is ended by DELETE /api/v1/auth/keys/{kept.key}")


def whoami(url: Url = None, profile: Profile = None, patience: Patience = PATIENCE_S, json: Json = False) -> None:
    """Who you are to the server, and what you may do there."""
    with told(away="ask again when it is there"):

        async def ask(client: AsyncClient) -> dict[str, object]:
            me = await client.whoami()
            return {"server": client.server.url, **msgspec.to_builtins(me)}

        me = with_client(ask, url=url, profile=profile, patience=patience)
        if json:
            emit(me)
            return
        rows = [(name, ", ".join(value) if isinstance(value, list | tuple) else str(value)) for name, value in me.items()]
        show(("", ""), [row for row in rows if row[1]])


def asked(what: str, *, secret: bool = False) -> str:
    """From the terminal, or one line of a pipe; never from the command line, where others could read it."""
    if sys.stdin.isatty():
        answer: str = typer.prompt(what, hide_input=secret, err=True)
        return answer.strip()
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise unfit(f"{what} was expected on standard input, as a line of its own", option="standard input")
    return line


def _as(server: Server, work: Callable[[AsyncClient], Awaitable[T]], *, patience: float) -> T:
    async def run() -> T:
        async with AsyncClient(server, patience_s=patience, say=note) as client:
            return await work(client)

    return asyncio.run(run())


def _with_key(server: Server, key: str, *, patience: float) -> tuple[Server, str]:
    if not key.isascii() or not key.isprintable():
        raise unfit("an API key is one line of letters, digits and _", option="--api-key")

    async def look(client: AsyncClient) -> str:
        return (await client.whoami()).name

    kept = msgspec.structs.replace(server, credential=key)
    try:
        return kept, _as(kept, look, patience=patience)
    except NotLoggedIn as error:
        raise ClientError(f"{server.url} does not know this API key; nothing was kept") from error


def _with_password(
    server: Server, username: str, password: str, what: KeyCreate, *, former: Server | None, patience: float
) -> tuple[Server, str]:
    async def make(client: AsyncClient) -> tuple[Server, str]:
        try:
            await client.log_in(username, password)
        except NotLoggedIn as error:
            raise ClientError(f"{error.message}; nothing was kept") from error
        name = (await client.whoami()).name
        try:
            key: Key = await client.create_key(what)
        except ServerRefused as error:
            note(f"the server makes no key for you ({error.message}); a token is kept, which ends before long")
            return client.server, name
        if former is not None and former.key is not None and former.url == server.url:
            await _end(client, former)
        return Server(url=server.url, credential=key.key, key=key.id), name

    return _as(server, make, patience=patience)


def _revoked(kept: Server, *, ask: bool, patience: float) -> bool:
    async def end(client: AsyncClient) -> bool:
        if ask:
            await client.log_in(asked("Name"), asked("Password", secret=True))
        return await _end(client, kept)

    try:
        return _as(kept, end, patience=patience if ask else 0)
    except ServerAway:
        if ask:
            raise
        return False


async def _end(client: AsyncClient, kept: Server) -> bool:
    """Whether its key is no more."""
    assert kept.key is not None  # noqa: S101 - who calls has looked
    try:
        await client.revoke_key(kept.key)
    except ServerRefused as error:
        return error.status == 401
    return True


COMMANDS = {"login": login, "logout": logout, "whoami": whoami}
