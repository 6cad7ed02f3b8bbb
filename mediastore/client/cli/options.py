"""Options that commands share, and the client that they lead to."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import msgspec
import typer

from mediastore.client.async_client import AsyncClient
from mediastore.client.cli.screen import note
from mediastore.client.cli.told import unfit
from mediastore.client.transport import Say

T = TypeVar("T")
PATIENCE_S = 60

Url = Annotated[str | None, typer.Option(help="the server; default: MEDIASTORE_URL, then the profile's")]
Profile = Annotated[str | None, typer.Option(metavar="NAME", help="log-in to use, as `mediastore login --profile NAME` kept it")]
Patience = Annotated[float, typer.Option(metavar="SECONDS", min=0, help="how long to wait for a server that is away")]
Json = Annotated[bool, typer.Option("--json", help="a JSON object a line, for programs")]
Parallel = Annotated[int, typer.Option(metavar="N", min=1, max=32, help="how many at once")]
Pids = Annotated[list[str], typer.Argument(metavar="PID", help="- reads them from standard input, a line each")]


def with_client(
    work: Callable[[AsyncClient], Awaitable[T]],
    *,
    url: str | None,
    profile: str | None,
    patience: float = PATIENCE_S,
    say: Say = note,
) -> T:
    """What `work` does with a client of the server that the options, the environment or a profile name."""

    async def run() -> T:
        async with AsyncClient(url, profile=profile, patience_s=patience, say=say) as client:
            return await work(client)

    return asyncio.run(run())


def lines_for(given: list[str]) -> list[str]:
    """Each once, in order; `-` stands for the lines of standard input."""
    found: dict[str, None] = {}
    for each in given:
        found |= dict.fromkeys(sys.stdin.read().splitlines() if each == "-" else [each])
    found.pop("", None)
    return list(found)


def json_object(text: str, *, option: str) -> msgspec.Raw:
    """Kept as it was written: numbers stay as exact as they are."""
    try:
        msgspec.json.decode(text.encode(), type=dict[str, object])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise unfit(f'{error}; it has to be a JSON object such as \'{{"cruise": "AR77"}}\'', option=option) from error
    return msgspec.Raw(text.encode())
