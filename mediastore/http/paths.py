"""The end of a path as the client wrote it.

Frameworks decode paths, collapse `//` and drop a trailing `/`. A PID is a name: what the client sent is what is looked up, so it
is taken from the raw path.
"""

from typing import Any
from urllib.parse import quote, unquote_to_bytes

from litestar import Request

from mediastore.http.errors import PathInvalid


def tail(request: Request[Any, Any, Any]) -> str:
    """What stands behind the fixed part of the route, percent-decoded, `%2F` being a slash like any other."""
    scope = request.scope
    raw: bytes = scope["raw_path"].partition(b"?")[0]
    fixed = scope["path_template"].partition("{")[0]
    if "{" not in scope["path_template"]:  # a word of the API that is a name here, such as /media/batch
        fixed = fixed.rpartition("/")[0] + "/"
    try:
        if b"%" not in raw and raw.startswith(fixed.encode()):  # as it mostly is
            return raw[len(fixed) :].decode()
        *before, rest = raw.split(b"/", fixed.count("/"))
        if "/".join(_decoded(part) for part in before) + "/" != fixed:
            raise PathInvalid("write the path before the PID as it is in /docs, without doubled slashes")
        return _decoded(rest)
    except UnicodeDecodeError as error:
        raise PathInvalid("the path is not valid UTF-8 after percent-decoding") from error


def _decoded(part: bytes) -> str:
    return unquote_to_bytes(part).decode()


def quoted(name: str) -> str:
    """A PID as the end of a path: slashes stay."""
    return quote(name, safe="/:@!$&'()*+,;=~-._")
