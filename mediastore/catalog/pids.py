"""What a PID is, and new ones."""

import uuid_utils

from mediastore.catalog.errors import PidInvalid

LONGEST = 255
"""Characters."""


def check_pid(pid: str) -> str:
    """The PID itself. Raises `PidInvalid`, saying what would have been right."""
    if not 1 <= len(pid) <= LONGEST:
        raise PidInvalid(f"a PID has 1 to {LONGEST} characters; this one has {len(pid)}", pid=pid[:LONGEST])
    if not pid.isprintable():
        odd = next(character for character in pid if not character.isprintable())
        raise PidInvalid(f"a PID holds printable characters only; this one holds U+{ord(odd):04X}", pid=ascii(pid)[1:-1])
    if pid != pid.strip():
        raise PidInvalid("a PID does not begin or end with a space", pid=pid)
    if any(segment in {"", ".", ".."} for segment in pid.split("/")):
        raise PidInvalid(
            "a PID may hold slashes, but none at its ends, no two in a row, and no `.` or `..` between them; "
            "forms that need those, such as URLs, can be identifiers",
            pid=pid,
        )
    return pid


def mint(prefix: str) -> str:
    """A new PID: the prefix and a time-ordered UUID (version 7)."""
    return f"{prefix}{uuid_utils.uuid7()}"
