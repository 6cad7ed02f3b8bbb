"""Content-Disposition for downloads (RFC 6266), from names that anyone may have chosen."""

import unicodedata
from urllib.parse import quote

_DROPPED = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Cn",
    "Zl",
    "Zp",
}  # control, format (bidirectional marks too), surrogate, unassigned, line ends
_ATTR_CHAR = "!#$&+-.^_`|~"  # RFC 8187, section 3.2.1, besides letters and digits


def attachment(filename: str) -> str:
    """The header's value, in ASCII: the name for old clients and, where that loses something, the whole name in UTF-8.

    Folders are cut off, as are control and bidirectional characters, line ends and quotes, with which a name could end the header
    or look like another one. What is left of nothing is called `download`.
    """
    name = filename.replace("\\", "/").rpartition("/")[2].replace('"', "'")
    name = "".join(character for character in name if unicodedata.category(character) not in _DROPPED).strip(" .") or "download"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip(" .") or "download"
    # A percent sign in the plain form is decoded by some clients.
    plain = plain.replace("%", "_")
    if plain == name:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"
