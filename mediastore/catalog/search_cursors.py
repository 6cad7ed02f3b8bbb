"""Where the next page of a search begins, bound to the search: with another one it would skip or repeat records."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

import msgspec
from msgspec import structs

from mediastore.catalog.errors import CursorInvalid
from mediastore.catalog.search_queries import Position
from mediastore.catalog.search_schemas import Filters, SearchRequest

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(tuple[str, str | None, int])
NEWEST_FIRST = ""
"""The mark of the listing, a search for everything in no order of its own, whose cursors are a record's id alone."""


def mark(request: SearchRequest) -> str:
    """What tells this search from others: filters and order, not the size of a page."""
    if request.sort is None and all(getattr(request, name) == getattr(_NONE, name) for name in Filters.__struct_fields__):
        return NEWEST_FIRST
    asked = {name: getattr(request, name) for name in (*Filters.__struct_fields__, "sort")}
    given = {name: value for name, value in asked.items() if value is not msgspec.UNSET}
    return sha256(_encoder.encode(given)).hexdigest()[:16]


def written(position: Position, mark: str) -> str:
    content = str(position.id).encode() if mark == NEWEST_FIRST else _encoder.encode((mark, *structs.astuple(position)))
    return urlsafe_b64encode(content).decode().rstrip("=")


def read(cursor: str, mark: str) -> Position:
    """Raises `CursorInvalid`."""
    try:
        content = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if content.isdigit() and len(content) <= 18:
            found, position = NEWEST_FIRST, Position(key=None, id=int(content))
        else:
            found, key, id = _decoder.decode(content)
            position = Position(key=key, id=id)
        if not 0 <= position.id < 2**63 or "\x00" in (position.key or ""):
            raise ValueError(cursor)
    except (ValueError, msgspec.DecodeError) as error:
        raise CursorInvalid("the cursor is none of ours; send `next` of the page before, unchanged", field="cursor") from error
    if found != mark:
        raise CursorInvalid(
            "the cursor belongs to another search; send it with the same filters and the same sort, or begin without one",
            field="cursor",
        )
    return position


_NONE = Filters()
