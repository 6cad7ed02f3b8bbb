"""What can be wrong with jobs.

JobError
├── RetryLater              a handler's word: what it needs is not there yet; no failure
├── JobNotFound             done, dropped, or never there
├── JobRunning              a worker has it
└── JobDuplicate            another job of the same key waits or runs
"""

from mediastore.errors import MediastoreError


class JobError(MediastoreError):
    code = "job_error"


class RetryLater(JobError):
    """Raised by a handler to be asked again after `delay_s`, as often as it takes, without counting as a failure."""

    code = "retry_later"
    retryable = True

    def __init__(self, message: str, *, delay_s: float) -> None:
        super().__init__(message)
        self.delay_s = delay_s


class JobNotFound(JobError):
    code = "job_not_found"


class JobRunning(JobError):
    code = "job_running"


class JobDuplicate(JobError):
    code = "job_duplicate"
