"""Ranges of bytes, checked in one place so that every store judges alike."""

from stores.errors import RangeInvalid


def check_range(key: str, *, start: int, end: int | None, size: int) -> tuple[int, int]:
    """The range [start, end) of an object of `size` bytes; None as `end` is the object's end.

    Raises `RangeInvalid` unless 0 <= start <= end <= size.
    """
    stop = size if end is None else end
    if not 0 <= start <= stop <= size:
        raise RangeInvalid(f"Bytes {start} to {stop} lie outside {key!r}, which has {size}", key=key)
    return start, stop
