"""Where the next page of a list begins, as clients carry it: opaque, so that nobody comes to count on what is in it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

from litestar.params import QueryParameter

from mediastore.http.errors import RequestError

Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="Size of a page")]
Cursor = Annotated[str | None, QueryParameter(max_length=100, description="`next` of the page before")]


def opaque(id: int | None) -> str | None:
    return None if id is None else urlsafe_b64encode(str(id).encode()).decode().rstrip("=")


def position(cursor: str | None) -> int | None:
    """What `opaque` made. Raises for anything else."""
    if cursor is None:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        if not text.isdecimal() or len(text) > 18:
            raise ValueError(text)
        return int(text)
    except ValueError as error:
        raise RequestError(f"the cursor {cursor!r} is none of ours; send `next` of the page before, unchanged") from error
