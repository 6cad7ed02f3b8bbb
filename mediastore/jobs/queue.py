"""Jobs to be done, written down in the transaction that makes them necessary."""

from datetime import timedelta

import msgspec
from msgspec import Struct
from pgqueuer.adapters.persistence.qb import QueryQueueBuilder

from mediastore.database import Connection
from mediastore.jobs.names import NAMES, local_name


class JobQueue:
    """PgQueuer's queue, as everybody but the worker sees it."""

    def __init__(self) -> None:
        self._enqueue = QueryQueueBuilder(NAMES).build_enqueue_query("skip")

    async def enqueue(
        self,
        connection: Connection,
        job: str,
        payload: Struct,
        *,
        dedupe_key: str | None = None,
        delay_s: float = 0,
        local: bool = False,
    ) -> None:
        """Have `job` done after the connection's transaction commits, and `delay_s` later; not at all if it rolls back.

        While a job with the same `dedupe_key` waits or runs there is nothing to do, and that is not an error; a transaction that
        has just enqueued one of the same key is waited for. So a key suits a job that finds out by itself what there is to do.
        `local`: only the worker inside a server may do it, for what lies in a server's memory; where several servers might be
        meant, the handler says `RetryLater` in the wrong one. The payload is shown to administrators: no secrets.
        """
        # The order of the library's parameters: priority, entrypoint, payload, execute_after, dedupe_key, headers.
        await connection.fetch(
            self._enqueue,
            [0],
            [local_name(job) if local else job],
            [msgspec.json.encode(payload)],
            [timedelta(seconds=delay_s)],
            [dedupe_key],
            [None],
        )
