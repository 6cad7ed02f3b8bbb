"""How large a process becomes."""

import threading

import psutil

SAMPLE_S = 0.02


class Watch:
    """The largest resident size of a process for the length of the block, and that at its beginning; bytes."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self.rest = self.peak = self._size()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_S):
            self.peak = max(self.peak, self._size())

    def _size(self) -> int:
        return int(self._process.memory_info().rss)
