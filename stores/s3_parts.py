"""How an object that comes through this server is cut into parts: small ones first, larger ones as it grows."""

import io

import google_crc32c

from stores.parts import MAX_PART, MAX_PARTS, MIN_PART, check_size

_PARTS_PER_SIZE = 950
"""Of an object of unknown size, so many parts of 5 MiB, as many of 10, and so on: 10,000 of them hold 7 TiB."""


class PartPlan:
    """The sizes of the parts, some of which are in memory at once."""

    def __init__(self, size: int | None) -> None:
        """Raises `ObjectTooLarge` for a size that no S3 object can have."""
        # Of what fits into 10,000 smallest parts, all are smallest. Beyond that a declared size is no better than none: parts
        # grow with what has come, because each is held in memory, and a declaration alone must not take any.
        self._fits = 0 < check_size(size or 0) <= MIN_PART * MAX_PARTS
        self._size = size or 0

    def part_bytes(self, number: int) -> int:
        """Size of part `number`, counted from 1; the last one may be shorter."""
        if self._fits and (number - 1) * MIN_PART < self._size:
            return MIN_PART
        return min(MIN_PART << ((number - 1) // _PARTS_PER_SIZE), MAX_PART)


class PartBuffer:
    """The bytes of one part and their CRC-32C, reckoned as they come in: at 0.1 ms a MiB, less than handing it to a thread.

    One buffer serves part after part, so that a transfer's memory does not grow by what allocators keep.
    """

    def __init__(self) -> None:
        self.body = io.BytesIO()
        self.size = 0
        self.checksum = 0
        self._capacity = 0

    @property
    def full(self) -> bool:
        return self.size == self._capacity

    def begin(self, capacity: int) -> None:
        """Empty it for a part of so many bytes."""
        self.body.seek(0)
        self.size = self.checksum = 0
        self._capacity = capacity

    def take(self, chunk: bytes, *, start: int) -> int:
        """Keep the chunk from `start` on, as far as there is room, and answer where the rest starts."""
        end = min(len(chunk), start + self._capacity - self.size)
        taken = chunk[start:end]  # a whole chunk is not copied
        self.body.write(taken)
        self.checksum = google_crc32c.extend(self.checksum, taken)
        self.size += len(taken)
        return end

    def release(self) -> None:
        """Let go of the memory now: a request that was cut, or an exception still looked at, would keep it for as long."""
        if not self.body.closed:  # whoever sent it may have closed it
            self.body.truncate(0)
        self.body = io.BytesIO()
        self.size = self._capacity = 0

    def seal(self) -> io.BytesIO:
        """The part, ready to be read from its beginning."""
        self.body.truncate(self.size)
        self.body.seek(0)
        return self.body
