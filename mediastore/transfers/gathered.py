"""Where the bytes of an upload are before they are its content: which parts, and in which order."""

from collections.abc import AsyncIterator, Mapping, Sequence

from msgspec import Struct

from mediastore.transfers.errors import UploadIncomplete
from mediastore.transfers.part_queries import PartRow
from mediastore.transfers.queries import UploadRow
from stores.parts import Parts
from stores.protocol import ObjectInfo, Store


class Piece(Struct, frozen=True, kw_only=True):
    """The bytes [start, end) of an object; to its end where `end` is None."""

    key: str
    start: int = 0
    end: int | None = None


class Source(Struct, frozen=True, kw_only=True):
    """Where the bytes of an upload are: at its key, or in objects of their own that are to be put together."""

    in_place: bool
    pieces: Sequence[Piece]
    info: ObjectInfo | None = None
    """What the store just said of the object in place."""
    object: int | None = None
    """Of the one object that was written by this server, and can become the content as it is."""
    size: int | None = None
    """How many bytes of it passed."""
    digests: Mapping[str, str] = {}
    """Which this server computed as those bytes came, lower-case hex by algorithm."""
    landed: bool = False
    """Whether that one object is the landing, to which the parts came in their places."""

    @property
    def copied(self) -> bool:
        """Whether the content is made of them by copying, so that none of them may change meanwhile."""
        return not self.in_place and self.object is None


def part_etag(object: int) -> str:
    """The entity tag of a part that came to this server, without quotes."""
    return f"part-{object}"


def check_numbers(numbers: Sequence[int], count: int) -> None:
    """Raise `UploadIncomplete` unless these are the parts 1 to `count`."""
    missing = sorted(set(range(1, count + 1)) - set(numbers))
    if missing:
        raise incomplete(missing, count, "parts are missing")
    if surplus := sorted(set(numbers) - set(range(1, count + 1))):
        raise incomplete(surplus, count, "parts were named that this upload does not have")


def check_named(there: Sequence[PartRow], named: Mapping[int, str], count: int) -> None:
    """Raise `UploadIncomplete` where another part came last than the one that is named, by its etag."""
    if others := [part.number for part in there if named.get(part.number, "").strip('"') != part_etag(part.object)]:
        raise incomplete(others, count, "other bytes came last for parts than those with these etags")


def incomplete(numbers: Sequence[int], count: int, what: str) -> UploadIncomplete:
    """`what` is wrong with these of `count` parts."""
    shown = ", ".join(map(str, numbers[:10])) + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
    return UploadIncomplete(f"{what}: {shown} of {count}", missing=list(numbers[:1000]))


def piece_of(upload: UploadRow, part: PartRow, plan: Parts) -> Piece:
    """Where this part lies."""
    if not part.in_place or upload.landing_key is None:
        return Piece(key=part.key)
    offset, size = plan.span(part.number)
    return Piece(key=upload.landing_key, start=offset, end=offset + size)


async def joined(store: Store, pieces: Sequence[Piece]) -> AsyncIterator[bytes]:
    """The bytes of all pieces, one after the other."""
    for piece in pieces:
        async for chunk in store.read(piece.key, start=piece.start, end=piece.end):
            yield chunk
