"""What can go wrong in the upkeep of stores.

UpkeepError
├── UpkeepBusy              another process is at the same work in the same store
├── LeaseLost               another process took the work over; what this one would write is out of date
├── StoreDoubtful           what the store says can't be believed; ends a comparison, and nothing is done upon it
├── FindingNotFound
├── FindingDecided          it was decided before, or can't be decided so
└── AdoptionFailed          the bytes could not become the content of the record
"""

from mediastore.errors import MediastoreError
from mediastore.retention.upkeep_schemas import StoppedBy


class UpkeepError(MediastoreError):
    code = "upkeep_error"


class UpkeepBusy(UpkeepError):
    code = "upkeep_busy"
    retryable = True


class LeaseLost(UpkeepError):
    code = "upkeep_lease_lost"
    retryable = True


class StoreDoubtful(UpkeepError):
    """`stopped_by` is one word for it."""

    code = "store_doubtful"

    def __init__(self, message: str, *, stopped_by: StoppedBy) -> None:
        super().__init__(message, stopped_by=stopped_by)
        self.stopped_by: StoppedBy = stopped_by


class FindingNotFound(UpkeepError):
    code = "finding_not_found"


class FindingDecided(UpkeepError):
    code = "finding_decided"


class AdoptionFailed(UpkeepError):
    code = "adoption_failed"
