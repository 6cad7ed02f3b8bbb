"""How the key of an object becomes the PID of its record."""

import re

from mediastore.catalog.errors import PidInvalid
from mediastore.catalog.pids import check_pid
from mediastore.registering.errors import PatternInvalid

PARTS = ("key", "rest", "name", "stem")
PLACE = re.compile(r"\{([^{}]*)\}")


class PidPattern:
    """A text with `{key}`, `{rest}` (the key behind the scan's prefix), `{name}` (behind its last slash) or `{stem}` (the name
    without its last ending) in it. Raises `PatternInvalid` for one that can't give every object a PID of its own.
    """

    def __init__(self, text: str, *, prefix: str) -> None:
        known = ", ".join(f"{{{part}}}" for part in PARTS)
        parts = PLACE.findall(text)
        if unknown := [part for part in parts if part not in PARTS]:
            raise PatternInvalid(f"{{{unknown[0]}}} is no part of a key; there are {known}", pid_pattern=text)
        if not parts:
            raise PatternInvalid(f"without one of {known} every object would get the same PID", pid_pattern=text)
        if {"{", "}"} & set(PLACE.sub("", text)):
            raise PatternInvalid(f"a brace that belongs to none of {known}", pid_pattern=text)
        self._text = text
        self._prefix = prefix
        try:
            check_pid(self._filled("x", rest="x"))
        except PidInvalid as error:
            raise PatternInvalid(f"no key would give a PID: {error.message}", pid_pattern=text) from error

    def pid(self, key: str) -> str:
        """Not checked: what a key makes of it may be no PID."""
        return self._filled(key, rest=key.removeprefix(self._prefix))

    def _filled(self, key: str, *, rest: str) -> str:
        name = key.rpartition("/")[2]
        parts = {"key": key, "rest": rest, "name": name, "stem": name.rpartition(".")[0] or name}
        return PLACE.sub(lambda found: parts[found[1]], self._text)
