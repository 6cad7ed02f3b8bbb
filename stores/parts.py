"""How an object is cut into parts that clients send by themselves: the limits of S3, and a plan within them.

Limits: docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html; of the whole object what all servers take, not AWS alone.
"""

import msgspec

from stores.errors import ObjectTooLarge, PartsInvalid

MIB = 1024 * 1024
MIN_PART = 5 * MIB
"""Bytes that each part has at least, but the last one."""
MAX_PART = 5 * 1024 * MIB
"""Bytes that a part has at most."""
MAX_PARTS = 10_000
"""Parts that an object has at most; they are numbered from 1."""
MAX_SINGLE = 5 * 1024 * MIB
"""Bytes that an object sent in one request has at most."""
MAX_OBJECT = 5 * 1024 * 1024 * MIB
"""Bytes that an object has at most."""

_USUAL_PART = 16 * MIB
_USUAL_PARTS = 1000  # one page of a listing, and as many URLs as one answer can well hold


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """An object of `size` bytes in `count` parts of `part_size` bytes each, the last one smaller where it does not come out even.

    An empty object is one empty part.
    """

    size: int
    part_size: int
    count: int

    def span(self, number: int) -> tuple[int, int]:
        """Offset and size, bytes, of part `number`, counted from 1. Raises `PartsInvalid` where the plan has no such part."""
        if not 1 <= number <= self.count:
            raise PartsInvalid(f"There is no part {number}; this upload has the parts 1 to {self.count}")
        offset = (number - 1) * self.part_size
        return offset, min(self.part_size, self.size - offset)


def plan_parts(size: int, part_size: int | None = None) -> Parts:
    """Parts for an object of `size` bytes: of `part_size` bytes, or else of 16 MiB and, beyond 1,000 of these, of more.

    Raises `ObjectTooLarge` for a size that no object can have, and `PartsInvalid` for a part size that is out of bounds or too
    small for the object.
    """
    check_size(size)
    chosen = _usual_part_size(size) if part_size is None else part_size
    if not MIN_PART <= chosen <= MAX_PART:
        raise PartsInvalid(f"A part has {MIN_PART} to {MAX_PART} bytes, not {chosen}")
    count = max(1, -(-size // chosen))
    if count > MAX_PARTS:
        least = -(-size // MAX_PARTS)
        raise PartsInvalid(
            f"{size} bytes in parts of {chosen} are {count} parts, and an object has {MAX_PARTS} at most; "
            f"choose parts of at least {least} bytes"
        )
    return Parts(size=size, part_size=chosen, count=count)


def served_part_size(size: int) -> int:
    """The part size where parts pass through the server to their places: of up to 64 MiB, since each is put on disk by itself."""
    return max(_usual_part_size(size), min(-(-size // (16 * MIB)) * MIB, 64 * MIB))


def check_size(size: int, *, limit: int = MAX_OBJECT) -> int:
    """The size, unchanged; raises `ObjectTooLarge` above the limit and `PartsInvalid` below zero."""
    if size < 0:
        raise PartsInvalid(f"A size is a number of bytes, not {size}")
    if size > limit:
        raise ObjectTooLarge(f"{size} bytes are more than the {limit} that {_what(limit)} can have")
    return size


def _what(limit: int) -> str:
    return "an object sent in one request" if limit == MAX_SINGLE else "an object in S3"


def _usual_part_size(size: int) -> int:
    whole_mebibytes = -(-size // (_USUAL_PARTS * MIB)) * MIB
    return min(max(_USUAL_PART, whole_mebibytes), MAX_PART)
