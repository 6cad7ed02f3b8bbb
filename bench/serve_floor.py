"""Serves one of `bench.floors` as `mediastore serve` serves the server: `python -m bench.serve_floor NAME PORT`."""

import sys

from granian import Granian
from granian.constants import Interfaces, Loops


def main() -> None:
    """Serve until it is terminated."""
    name, port = sys.argv[1:]
    Granian(
        f"bench.floors:{name}",
        factory=True,
        address="127.0.0.1",
        port=int(port),
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=1,
        backlog=2048,
        websockets=False,
        log_level="warning",  # type: ignore[arg-type]  # Granian takes the name, and types its enum
    ).serve()


if __name__ == "__main__":
    main()
