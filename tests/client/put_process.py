"""A process that puts a file, says when half of it is sent, and then goes no further until it is killed.

`python -m tests.client.put_process URL TOKEN FILE PID STORE`
"""

import sys
import time

from mediastore.client.client import Client


def stop_half_way(done: int, total: int) -> None:
    if done > total / 2:
        print("half-way", flush=True)  # noqa: T201 - what the test waits for
        time.sleep(600)


def main() -> None:
    url, token, file, pid, store = sys.argv[1:]
    with Client(url, credential=token) as client:
        client.put(file, pid, store=store, on_progress=stop_half_way)


if __name__ == "__main__":
    main()
