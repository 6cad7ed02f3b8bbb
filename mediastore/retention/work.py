"""What every step of a store's upkeep is told."""

from datetime import datetime

from msgspec import Struct

from mediastore.placement.queries import StoreRow
from mediastore.placement.schemas import Upkeep
from mediastore.retention.lease import Lease
from stores.errors import StoreUnavailable
from stores.protocol import Store

SHARE = 0.05
"""What is more than this share of a store's objects is no loss, but something wrong with the store."""
FEW = 10
"""So many are never too many, unless they are all."""


def is_elsewhere(row: StoreRow, error: Exception) -> bool:
    """Whether the store may be fine, in the memory of another process."""
    return row.kind == "memory" and isinstance(error, StoreUnavailable)


class Work(Struct, frozen=True, kw_only=True):
    """A store, open, and the right to write about it."""

    row: StoreRow
    store: Store
    lease: Lease
    policy: Upkeep
    expected: int
    """Objects that should be in the store."""
    at: datetime
    """When it began."""

    def too_many(self, count: int) -> bool:
        return count >= FEW and count > SHARE * self.expected
