"""PgQueuer's log of what became of each job is for people who look into something; it must not grow for ever."""

from datetime import timedelta

from msgspec import Struct

from mediastore.database import Database

FORGET = """
DELETE FROM pgqueuer_log WHERE id IN (
    SELECT id FROM pgqueuer_log WHERE created < now() - $1::interval ORDER BY created LIMIT $2 FOR UPDATE SKIP LOCKED
)
"""


class Report(Struct, frozen=True, kw_only=True):
    """What one run did."""

    forgotten: int = 0


class Housekeeping:
    """Safe to run twice and in parallel, on any machine."""

    def __init__(self, database: Database, *, log_ttl_s: float) -> None:
        self._database = database
        self._log_ttl_s = log_ttl_s

    async def run(self) -> None:
        """Forget all that is old enough."""
        while (await self.run_once()).forgotten:
            pass

    async def run_once(self, batch_size: int = 10_000) -> Report:
        """Forget up to `batch_size` lines. A held job keeps its last error: that is in its own row."""
        async with self._database.connection() as connection:
            status = await connection.execute(FORGET, timedelta(seconds=self._log_ttl_s), batch_size)
        return Report(forgotten=int(status.split()[-1]))
