"""What can be wrong with keeping and letting go.

RetentionError
├── HoldInvalid             a hold that would never stand
├── HoldNotFound
├── SweepNotFound
├── SweepRunning            one sweep a store at a time
├── SweepBraked             the brake holds; an administrator has to look
└── RehearsalInvalid        another store's, too old, or no rehearsal at all
"""

from mediastore.errors import MediastoreError


class RetentionError(MediastoreError):
    code = "retention_error"


class HoldInvalid(RetentionError):
    code = "hold_invalid"


class HoldNotFound(RetentionError):
    code = "hold_not_found"


class SweepNotFound(RetentionError):
    code = "sweep_not_found"


class SweepRunning(RetentionError):
    code = "sweep_running"
    retryable = True


class SweepBraked(RetentionError):
    code = "sweep_braked"


class RehearsalInvalid(RetentionError):
    code = "rehearsal_invalid"
