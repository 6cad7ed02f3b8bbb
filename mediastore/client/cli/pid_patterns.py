"""How a file's place becomes the PID of its record."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

from msgspec import Struct

from mediastore.client.cli.told import unfit

PARTS = ("path", "name", "stem")
PLACE = re.compile(r"\{([^{}]*)\}")
OPTION = "--pid-pattern"


class Item(Struct, frozen=True, kw_only=True):
    """A file, what people call it, and the PID that it shall have; None: the server makes one."""

    file: Path
    shown: str
    pid: str | None


class PidPattern:
    """A text with `{path}` (below the folder, with slashes), `{name}` (behind the last slash) or `{stem}` (that without its last
    ending) in it.
    """

    def __init__(self, text: str) -> None:
        """Exits with code 2 for one that can't give every file a PID of its own."""
        known = ", ".join(f"{{{part}}}" for part in PARTS)
        parts = PLACE.findall(text)
        if unknown := [part for part in parts if part not in PARTS]:
            raise unfit(f"{{{unknown[0]}}} is no part of a file's name; there are {known}", option=OPTION)
        if not parts:
            raise unfit(f"without one of {known} every file would get the same PID", option=OPTION)
        if {"{", "}"} & set(PLACE.sub("", text)):
            raise unfit(f"a brace that belongs to none of {known}", option=OPTION)
        self._text = text

    def pid(self, path: PurePath) -> str:
        """Of a path relative to the folder. Not checked: what a name makes of it may be no PID."""
        parts = {"path": path.as_posix(), "name": path.name, "stem": path.stem}
        return PLACE.sub(lambda found: parts[found[1]], self._text)


def apart(items: Iterable[Item]) -> list[Item]:
    """The items. Exits with code 2 where two of them would get the same PID: the second would be a version of the first."""
    taken: dict[str, str] = {}
    found = []
    for item in items:
        if item.pid is not None and (other := taken.setdefault(item.pid, item.shown)) != item.shown:
            raise unfit(f"{other} and {item.shown} would both be {item.pid}; {{path}} tells them apart", option=OPTION)
        found.append(item)
    return found
