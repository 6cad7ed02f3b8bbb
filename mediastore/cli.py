"""The `mediastore` command. Those of its commands that run a server are there where the extra `server` is installed; they are
loaded when one of them is asked for, so that the others start quickly.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import typer
from typer.core import TyperGroup

from mediastore.client.cli import changing, getting, interchange, logging_in, looking, putting, syncing, tagging, verifying
from mediastore.client.cli.screen import complain
from mediastore.errors import MediastoreError

SERVER_COMMANDS = ("serve", "worker", "migrate", "user", "store", "sweep", "reconcile", "verify-content")
EXTRA = "granian"
"""A package that comes with the extra alone."""


class Commands(TyperGroup):
    """The users' commands, and behind them the server's own. Contexts and commands are of types that Typer keeps to itself."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *(SERVER_COMMANDS if find_spec(EXTRA) is not None else ())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in SERVER_COMMANDS:
            return super().get_command(ctx, cmd_name)
        if find_spec(EXTRA) is None:
            raise MediastoreError(f"`mediastore {cmd_name}` comes with the server: pip install 'mediastore[server]'")
        # By name: whoever only uses a server need not have what it is made of.
        command: Any = typer.main.get_group(import_module("mediastore.server_commands").app).get_command(ctx, cmd_name)
        command.rich_help_panel = "For those who run a server"
        return command


app = typer.Typer(
    cls=Commands,
    help="Mediastore: one lasting name for every data product.",
    no_args_is_help=True,
    # A trace would show passwords and keys.
    pretty_exceptions_show_locals=False,
)
for module in (logging_in, putting, getting, looking, tagging, changing, verifying, syncing, interchange):
    for name, command in module.COMMANDS.items():
        app.command(name)(command)


def main() -> None:
    """Entry point: an error of ours is a sentence, and exit code 1."""
    try:
        app()
    except MediastoreError as error:
        because = f" ({error.__cause__})" if isinstance(error.__cause__, OSError) else ""
        complain(f"mediastore: {error.message}{because}")
        sys.exit(1)
