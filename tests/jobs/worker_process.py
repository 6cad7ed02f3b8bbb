"""`python -m tests.jobs.worker_process JSON` is a worker for the jobs of tests; SIGTERM ends it, and so does its parent's end."""

import asyncio
import signal
import sys

import msgspec

from tests.jobs.scene import Scene, jobs, schedule


async def main(url: str, *, lost_s: float, grace_s: float, schedules: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)
    async with Scene(url) as scene:
        worker = scene.worker(
            jobs=jobs(scene.database),
            schedules=[schedule(scene.database)] if schedules else [],
            lost_s=lost_s,
            grace_s=grace_s,
        )
        print("working", flush=True)  # noqa: T201 - what the test waits for
        await worker.run(stop)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.argv[1])
    asyncio.run(main(given.pop("url"), **given))
