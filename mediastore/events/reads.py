"""Who read what: downloads, written into the history a moment after they began, many at once."""

from collections import Counter

import structlog
from msgspec import Struct

from mediastore.database import Connection, Database

FULL = 1_000
"""So many different reads are written at once, without waiting for the next turn."""
MOST = 100_000
"""So many are kept while the database is away; what comes then is counted, and logged when it is back."""

INSERT_READS = """
INSERT INTO history (kind, subject, media, actor, action, changes)
SELECT 'media', pid, media, actor, 'read',
    jsonb_build_object('read', jsonb_build_object('after', jsonb_build_object('version', version, 'requests', requests)))
FROM jsonb_to_recordset($1) AS x (pid text, media bigint, version int, actor text, requests int)
"""


class Read(Struct, frozen=True, kw_only=True):
    """One reader of one content."""

    pid: str
    media: int
    version: int
    actor: str


class ReadAudit:
    """A download costs a count in memory here; what was counted becomes lines of history in one statement.

    Requests of one reader for one content that come together are one line with their number: a program that reads a file by
    ranges sends hundreds. A process that is killed takes the reads of its last second with it.
    """

    def __init__(self, database: Database, *, enabled: bool) -> None:
        self._database = database
        self._enabled = enabled
        self._seen: Counter[Read] = Counter()
        self._missed = 0
        self._log = structlog.get_logger("mediastore.audit")

    def note(self, *, pid: str, media: int, version: int, actor: str) -> bool:
        """Count a read. True where it is time to write."""
        if not self._enabled:
            return False
        read = Read(pid=pid, media=media, version=version, actor=actor or "anonymous")
        if len(self._seen) >= MOST and read not in self._seen:
            self._missed += 1
            return False
        self._seen[read] += 1
        return len(self._seen) == FULL

    async def flush(self) -> None:
        """Write down what was counted; what can't be written is kept for the next time."""
        if not self._seen:
            return
        seen, self._seen = self._seen, Counter()
        try:
            async with self._database.connection() as connection:
                await _insert(connection, seen)
        except BaseException:
            self._seen.update(seen)
            raise
        if self._missed:
            self._log.error("reads are missing from the history: the database was away for too long", reads=self._missed)
            self._missed = 0


async def _insert(connection: Connection, seen: Counter[Read]) -> None:
    rows = [
        {"pid": read.pid, "media": read.media, "version": read.version, "actor": read.actor, "requests": requests}
        for read, requests in seen.items()
    ]
    await connection.execute(INSERT_READS, rows)
