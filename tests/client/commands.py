"""`mediastore` as people run it, against a server of a test."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.server import Server

MAIN = "from mediastore.cli import main; main()"


def begin(
    server: Server, folder: Path, *arguments: str, first: str = "", environment: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    """Start it. `first` is Python that runs before."""
    return subprocess.Popen(
        [sys.executable, "-c", f"{first}\n{MAIN}", *arguments],
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("MEDIASTORE_")},
            "MEDIASTORE_URL": server.url,
            "COLUMNS": "80",
            **(environment or {}),
        },
        cwd=folder,
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        **options,
    )


def command(
    server: Server, folder: Path, *arguments: str, given: bytes | None = None, token: str | None = None, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end, as the administrator."""
    environment = {"MEDIASTORE_TOKEN": server.token() if token is None else token}
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    process = begin(server, folder, *arguments, environment=environment, stdin=stdin, **options)
    out, err = process.communicate(given, timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, out.decode(), err.decode())
