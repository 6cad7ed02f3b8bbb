"""PIDs as the ends of URLs, and as names of files."""

from mimetypes import guess_type
from pathlib import PurePosixPath
from urllib.parse import quote


def quoted(pid: str) -> str:
    """As the end of a path: slashes stay."""
    return quote(pid, safe="/:@!$&'()*+,;=~-._")


def file_name(name: str) -> str:
    """A name that is one file below the folder where it is put, whatever somebody called it."""
    plain = "".join(character if character.isprintable() else "_" for character in PurePosixPath(name.replace("\\", "/")).name)
    return plain if plain.strip(". ") else "content"


def guessed(name: str | None) -> str:
    """The media type that a file's name tells of."""
    kind, packed = guess_type(name or "")
    return kind if kind is not None and packed is None else "application/octet-stream"
