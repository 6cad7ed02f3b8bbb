"""Where in the metadata a declared field is: names from the outside in, such as `ctd.depth` or `$."max. depth"`."""

import re

from mediastore.catalog.errors import MetadataFieldInvalid

MOST_NAMES = 20
_NAME = re.compile(r'\s*(?:([A-Za-z_][A-Za-z0-9_-]*)|"([^"\\\x00]{1,200})")\s*')
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def parse_path(text: str) -> list[str]:
    """The names. Raises `MetadataFieldInvalid`."""
    at = 2 if text.startswith("$.") else 0
    names = []
    while match := _NAME.match(text, at):
        names.append(match[1] or match[2])
        at = match.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    if not names or at < len(text) or text.endswith(".") or len(names) > MOST_NAMES:
        raise MetadataFieldInvalid(
            f"{text!r} is no path of a field; write names with dots between, such as ctd.depth, at most {MOST_NAMES}, "
            'and those with other characters than letters, digits, _ and - in double quotes: ctd."max. depth"',
            path=text,
        )
    return names


def shown_path(names: list[str]) -> str:
    return ".".join(name if _PLAIN.fullmatch(name) else f'"{name}"' for name in names)
