"""How an object is cut into parts: S3 takes 10,000 at most, 5 MiB to 5 GiB each, of equal size where the size is known."""

from stores.errors import ObjectTooLarge

MIB = 1024 * 1024
MIN_PART_BYTES = 5 * MIB
MAX_PART_BYTES = 5 * 1024 * MIB
MAX_PARTS = 10_000
MAX_OBJECT_BYTES = 5 * 1024 * 1024 * MIB
_PARTS_PER_SIZE = 950
"""Of an object of unknown size, so many parts of 5 MiB, as many of 10, and so on: 10,000 of them hold 7 TiB."""


class PartPlan:
    """The sizes of the parts. Beyond a declared size that turns out too small, they grow as those of unknown size do."""

    def __init__(self, size: int | None) -> None:
        """Raises `ObjectTooLarge` for a size that no S3 object can have."""
        self._size = check_size(size or 0)
        self._equal = max(MIN_PART_BYTES, -(-self._size // (MAX_PARTS * MIB)) * MIB)

    def part_bytes(self, number: int) -> int:
        """Size of part `number`, counted from 1; the last one may be shorter."""
        if (number - 1) * self._equal < self._size:
            return self._equal
        grown = MIN_PART_BYTES << ((number - 1) // _PARTS_PER_SIZE)
        return min(max(self._equal, grown), MAX_PART_BYTES)


def check_size(size: int) -> int:
    """The size, unchanged; raises `ObjectTooLarge` where no S3 object can have it."""
    if size > MAX_OBJECT_BYTES:
        raise ObjectTooLarge(f"{size} bytes are more than the {MAX_OBJECT_BYTES} that an S3 object can have")
    return size


class PartBuffer:
    """Bytes gathered for one part, as the pieces that came in: they are copied once, when the part is sent."""

    def __init__(self, capacity: int) -> None:
        self.pieces: list[memoryview] = []
        self.size = 0
        self._capacity = capacity

    @property
    def full(self) -> bool:
        return self.size == self._capacity

    def take(self, data: memoryview) -> memoryview:
        """Keep as much as there is room for, and give back the rest."""
        taken = data[: self._capacity - self.size]
        if taken:
            self.pieces.append(taken)
            self.size += len(taken)
        return data[len(taken) :]
