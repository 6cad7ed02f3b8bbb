"""Patterns with `*` and `?`, as SQL's LIKE has them."""

from mediastore.catalog.errors import SearchInvalid

MOST_STARS = 8
"""Runs of any characters in one pattern: each multiplies what a comparison may cost."""


def plain(pattern: str) -> str | None:
    """The text that a pattern without wildcards stands for; None for one that has some."""
    characters, wild = _read(pattern)
    return None if any(wild) else "".join(characters)


def like(pattern: str, *, name: str) -> str:
    """The pattern for LIKE, whose escape is a backslash. Raises `SearchInvalid`."""
    characters, wild = _read(pattern)
    found: list[str] = []
    for character, is_wild in zip(characters, wild, strict=True):
        if is_wild:
            text = "%" if character == "*" else "_"
            if text == "%" and found and found[-1] == "%":
                continue
        else:
            text = f"\\{character}" if character in {"%", "_", "\\"} else character
        found.append(text)
    if found.count("%") > MOST_STARS:
        raise SearchInvalid(f"{name}: the pattern {pattern!r} has more than {MOST_STARS} `*`", field=name)
    return "".join(found)


def _read(pattern: str) -> tuple[list[str], list[bool]]:
    """Its characters, and which of them are wildcards."""
    characters: list[str] = []
    wild: list[bool] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "\\" and pattern[at + 1 : at + 2] in {"*", "?", "\\"}:
            at += 1
            character, is_wild = pattern[at], False
        else:
            is_wild = character in {"*", "?"}
        characters.append(character)
        wild.append(is_wild)
        at += 1
    return characters, wild
