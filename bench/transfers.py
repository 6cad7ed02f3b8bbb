"""A client for bodies of any size: raw sockets in one loop. Runs in a process of its own."""

import os
import selectors
import socket
from collections.abc import Callable, Sequence
from time import perf_counter, sleep

from bench.calls import answer_bytes, connected

MIB = 1024 * 1024
IDLE_TIMEOUT_S = 60
BLOCK = os.urandom(MIB)
HEAD_BYTES = 2048
DROPPED = socket.MSG_TRUNC
"""TCP throws away what is there instead of copying it, and says how much it was (tcp(7)): a client that costs little."""


def download(port: int, requests: Sequence[bytes], *, size: int, times: int = 1, mib_per_s: float | None = None) -> float:
    """Send each request on a connection of its own, `times` one after another; the seconds until all bodies are in.

    `mib_per_s` is how fast the client is, all connections together. Raises AssertionError for anything but 200 and `size` bytes.
    """
    return _run([_Download(port, request, size=size, times=times) for request in requests], mib_per_s=mib_per_s)


def upload(port: int, heads: Sequence[bytes], *, size: int) -> float:
    """Send each head and a body of `size` bytes on a connection of its own; the seconds until all are answered.

    Raises AssertionError for anything but 200 and 201.
    """
    return _run([_Upload(port, head, size=size) for head in heads])


class _Download:
    events = selectors.EVENT_READ

    def __init__(self, port: int, request: bytes, *, size: int, times: int) -> None:
        self.connection = connected(port)
        self._request = request
        self._size = size
        self._times = times
        self._missing = 0
        self._head = b""

    def begin(self) -> None:
        self._times -= 1
        self._head = b""
        self.connection.sendall(self._request)

    def go_on(self, buffer: memoryview) -> bool:
        """Take what is there; True when all is in."""
        if self._missing:
            taken = self.connection.recv_into(buffer[: self._missing], 0, DROPPED)
            assert taken, f"cut short with {self._missing} bytes missing"
            self._missing -= taken
        else:
            self._head += self.connection.recv(HEAD_BYTES)
            end = self._head.find(b"\r\n\r\n") + 4
            if end < 4:
                return False
            assert self._head.startswith(b"HTTP/1.1 200"), self._head[:500]
            answer = answer_bytes(self._head)
            assert answer - end == self._size, self._head[:500]
            self._missing = answer - len(self._head)
        if self._missing:
            return False
        if self._times:
            self.begin()
            return False
        return True


class _Upload:
    def __init__(self, port: int, head: bytes, *, size: int) -> None:
        self.connection = connected(port)
        self._head = head
        self._missing = size
        self._answer = b""
        self._block = memoryview(BLOCK)

    @property
    def events(self) -> int:
        return selectors.EVENT_WRITE if self._missing else selectors.EVENT_READ

    def begin(self) -> None:
        self.connection.sendall(self._head)

    def go_on(self, _: memoryview) -> bool:
        """Send what there is room for, then read the answer; True when it is in."""
        if self._missing:
            offset = -self._missing % MIB
            try:
                self._missing -= self.connection.send(self._block[offset : offset + self._missing])
            except ConnectionError as error:
                raise AssertionError(f"refused: {self.connection.recv(65536)!r}") from error
            return False
        self._answer += self.connection.recv(65536)
        assert self._answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")[: len(self._answer)]), self._answer[:500]
        return b"\r\n\r\n" in self._answer and len(self._answer) >= answer_bytes(self._answer)


def _run(transfers: Sequence[_Download | _Upload], *, mib_per_s: float | None = None) -> float:
    selector = selectors.DefaultSelector()
    buffer = memoryview(bytearray(MIB if mib_per_s is None else MIB // 16))
    pause = _no_pause if mib_per_s is None else lambda: sleep(len(buffer) / MIB / mib_per_s)
    begun = perf_counter()
    for transfer in transfers:
        transfer.begin()
        transfer.connection.setblocking(False)
        selector.register(transfer.connection, transfer.events, transfer)
    running = len(transfers)
    while running:
        ready = selector.select(IDLE_TIMEOUT_S)
        assert ready, f"nothing moved for {IDLE_TIMEOUT_S} s"
        for key, _ in ready:
            running -= _step(selector, key.data, buffer, pause)
    return perf_counter() - begun


def _step(selector: selectors.BaseSelector, transfer: _Download | _Upload, buffer: memoryview, pause: Callable[[], None]) -> bool:
    before = transfer.events
    done = transfer.go_on(buffer)
    if done:
        selector.unregister(transfer.connection)
        transfer.connection.close()
    elif transfer.events != before:
        selector.modify(transfer.connection, transfer.events, transfer)
    pause()
    return done


def _no_pause() -> None:
    """As fast as it goes."""
