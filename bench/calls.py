"""A client for small requests: raw sockets in one loop, so that the server is what is measured. Runs in a process of its own."""

import select
import selectors
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import cycle, islice
from random import Random
from time import perf_counter

END_OF_HEAD = b"\r\n\r\n"
ANSWER_TIMEOUT_S = 30


def calls_per_s(port: int, requests: list[bytes], *, expect: int, seconds: float, connections: int = 8) -> float:
    """Send these requests over and over, in an order of chance that is the same each time; how many are answered a second.

    Raises AssertionError for an answer with another status.
    """
    shuffled = list(requests)
    Random(1).shuffle(shuffled)
    upcoming = cycle(shuffled)
    wanted = b"HTTP/1.1 %d" % expect
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    unread: dict[int, bytes] = {}
    for _ in range(connections):
        connection = connected(port)
        sockets[connection.fileno()] = connection
        unread[connection.fileno()] = b""
        poll.register(connection.fileno(), select.EPOLLIN)
    answered = 0
    begun = perf_counter()
    for connection in sockets.values():
        connection.sendall(next(upcoming))
    while (now := perf_counter()) < begun + seconds:
        ready = poll.poll(ANSWER_TIMEOUT_S)
        assert ready, f"no answer within {ANSWER_TIMEOUT_S} s"
        for descriptor, _ in ready:
            connection = sockets[descriptor]
            data = unread[descriptor] + connection.recv(65536)
            if not whole(data):
                unread[descriptor] = data
                continue
            assert data.startswith(wanted), data[:500]
            unread[descriptor] = b""
            answered += 1
            connection.send(next(upcoming))
    for connection in sockets.values():
        connection.close()
    return answered / (now - begun)


def all_calls(port: int, requests: Iterable[bytes], *, connections: int = 8) -> float:
    """Send each of them once; the seconds until all were answered. Raises AssertionError for a refusal."""
    upcoming, unread, waiting = iter(requests), {}, 0
    with selectors.DefaultSelector() as selector, ExitStack() as stack:
        begun = perf_counter()
        for request in islice(upcoming, connections):
            connection = stack.enter_context(connected(port))
            selector.register(connection, selectors.EVENT_READ)
            unread[connection.fileno()] = b""
            connection.sendall(request)
            waiting += 1
        while waiting:
            ready = selector.select(ANSWER_TIMEOUT_S)
            assert ready, f"no answer within {ANSWER_TIMEOUT_S} s"
            for key, _ in ready:
                data = unread[key.fd] + key.fileobj.recv(65536)
                unread[key.fd] = b"" if whole(data) else data
                if whole(data):
                    assert data.startswith(b"HTTP/1.1 20"), data[:500]
                    if (request := next(upcoming, None)) is not None:
                        key.fileobj.sendall(request)
                    else:
                        waiting -= 1
        return perf_counter() - begun


def one_call(port: int, request: bytes, *, expect: int) -> float:
    """Send one request; the seconds until its answer was there."""
    with connected(port) as connection:
        connection.settimeout(ANSWER_TIMEOUT_S)
        begun = perf_counter()
        connection.sendall(request)
        pieces = [connection.recv(65536)]
        size, needed = len(pieces[0]), answer_bytes(pieces[0])
        while size < needed:
            pieces.append(connection.recv(262144))
            size += len(pieces[-1])
        took_s = perf_counter() - begun
    assert pieces[0].startswith(b"HTTP/1.1 %d" % expect), pieces[0][:500]
    return took_s


def whole(data: bytes) -> bool:
    return END_OF_HEAD in data and len(data) >= answer_bytes(data)


def answer_bytes(data: bytes) -> int:
    """Length of the answer that begins so, head and body."""
    head = data.index(END_OF_HEAD)
    start = data[:head].lower().index(b"content-length:") + 15
    return head + 4 + int(data[start : data.index(b"\r\n", start)])


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request_bytes(
    method: str, path: str, *, token: str | None = None, body: bytes | None = None, length: int | None = None
) -> bytes:
    """A request, or its head alone where only `length` is given."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    if body is not None:
        lines.append("Content-Type: application/json")
    if body is not None or length is not None:
        lines.append(f"Content-Length: {len(body) if body is not None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")
