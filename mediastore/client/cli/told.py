"""How a command ends: its exit code, and one sentence for whatever went wrong."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import typer

from mediastore.client.cli.screen import complain
from mediastore.client.errors import Gone, NotLoggedIn, ServerAway
from mediastore.errors import MediastoreError

FAILED = 1
WRONG_USE = 2
SOME_FAILED = 3
INTERRUPTED = 130
AGAIN = "the same command goes on where this one stopped"

FAILURES = (MediastoreError, OSError, msgspec.ValidationError, UnicodeEncodeError)
"""What goes wrong with one thing and leaves the others as they are."""


@contextmanager
def told(*, stopped: str = f"stopped; {AGAIN}", away: str = AGAIN) -> Iterator[None]:
    """Errors of ours are a sentence and exit code 1; who presses Ctrl-C is told how it goes on. `away`: how it does when the
    server stays away.
    """
    try:
        yield
    except ServerAway as error:
        complain(f"mediastore: {error.message}; {away}")
        raise typer.Exit(FAILED) from error
    except BrokenPipeError as error:
        # Whoever read our output has had enough. The interpreter would complain again on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from error
    except FAILURES as error:
        complain(f"mediastore: {sentence(error)}")
        raise typer.Exit(WRONG_USE if isinstance(error, msgspec.ValidationError | UnicodeEncodeError) else FAILED) from error
    except (KeyboardInterrupt, typer.Abort) as error:
        complain(stopped)
        raise typer.Exit(INTERRUPTED) from error


def sentence(error: BaseException) -> str:
    """What was wrong, and what to do next."""
    match error:
        case NotLoggedIn():
            return f"{error.message}; `mediastore login` keeps a key, MEDIASTORE_API_KEY and MEDIASTORE_TOKEN go before it"
        case Gone(expired=True):
            return f"{error.message}: `mediastore restore {error.problem.get('pid', 'PID')}`"
        case MediastoreError():
            return error.message
        case UnicodeEncodeError():
            return f"{error.object!a} is not UTF-8; rename it"
        case OSError():
            return f"{error.filename or 'file'}: {error.strerror or error}"
        case _:
            return str(error)


def finish(*, done: int, failed: int) -> None:
    """The exit code of a command that did several things."""
    if failed:
        raise typer.Exit(SOME_FAILED if done else FAILED)


def unfit(text: str, *, option: str) -> typer.BadParameter:
    """Wrong use: exit code 2."""
    return typer.BadParameter(text, param_hint=option)
