"""What PgQueuer's tables are called, and what jobs are called in them."""

from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

NAMES = DBSettings.model_construct(
    prefix="",
    db_schema=None,
    channel=Channel("ch_pgqueuer"),
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
    durability=Durability.durable,
    widen_id=True,
)
"""PgQueuer's defaults, said here because it would look for them in the environment, where `CHANNEL` may be anybody's. Durable:
a job is part of the transaction that made it necessary, and has to survive what that survives."""

DEDUPE_INDEX = "pgqueuer_unique_dedupe_key"
SLOT_INDEX = "pgqueuer_picked_slot_idx"

LOCAL = "@server"
"""Ends the name, in the queue, of a job that only the worker inside a server may do."""


def local_name(job: str) -> str:
    """Under which such a job waits."""
    return job + LOCAL


def job_name(queued_as: str) -> str:
    """The job's own name."""
    return queued_as.removesuffix(LOCAL)
