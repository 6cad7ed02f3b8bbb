"""A process that compares a store, says when it has come half-way, and then goes no further until it is killed.

`python -m tests.retention.reconcile_process URL HOME STORE_ID`
"""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mediastore.retention import reconcile_queries as queries
from mediastore.retention import windows
from mediastore.services import Services
from mediastore.settings import Settings


async def compare(url: str, home: Path, store: int) -> None:
    rows_after, calls = queries.rows_after, 0

    async def then_stop(connection: Any, store: int, after: str, limit: int) -> Sequence[queries.ObjectRow]:
        nonlocal calls
        calls += 1
        if calls == 4:
            print("half-way", flush=True)  # noqa: T201 - what the test waits for
            await asyncio.sleep(600)
        return await rows_after(connection, store, after, limit)

    queries.rows_after = then_stop  # type: ignore[assignment]  # stops it half-way
    windows.ROWS = 4  # type: ignore[misc]  # several windows of a few rows
    await Services(Settings(database_url=url, secret_key="for tests alone", home=home)).reconciler.run(store)


if __name__ == "__main__":
    asyncio.run(compare(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
