"""A process that registers what lies in a store, says when it is in the midst of it, and then goes no further until it is killed.

`python -m tests.registering.scan_process URL HOME SCAN STEP`
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec

from mediastore.registering import queries, scan_queries, scans, service
from mediastore.registering.scans import ScanJob
from mediastore.services import Services
from mediastore.settings import Settings

STEPS: dict[str, tuple[Any, str]] = {
    "written down": (queries, "insert_registration"),
    "read": (service, "read_in_place"),
    "publishing": (service, "become_content"),
    "turning the page": (scan_queries, "advance"),
}


async def scan(url: str, home: Path, id: int, step: str) -> None:
    where, name = STEPS[step]
    do, calls = getattr(where, name), 0

    async def then_stop(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        call = calls  # others begin while this one waits
        done = await do(*arguments, **named)
        if call == 2:
            print("half-way", flush=True)  # noqa: T201 - what the test waits for
            await asyncio.sleep(600)
        return done

    setattr(where, name, then_stop)
    scans.PAGE = 5  # type: ignore[misc] - several pages of a few objects
    services = Services(Settings(database_url=url, secret_key="for tests alone", home=home))
    await services.scans.run(msgspec.json.encode(ScanJob(scan=id)))


if __name__ == "__main__":
    asyncio.run(scan(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
