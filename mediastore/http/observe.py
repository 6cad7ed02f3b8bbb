"""Around every request: its id, its line in the log, its place in the metrics."""

import re
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from secrets import token_hex
from time import perf_counter
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram

Scope: TypeAlias = dict[str, Any]
Message: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

AccessLog: TypeAlias = Callable[..., None]
"""Writes one line about one request, its facts given by name."""
Network: TypeAlias = IPv4Network | IPv6Network

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Observed:
    """The outermost layer. One pass for id, log and metrics: three layers would cost three times the wrapping."""

    def __init__(
        self, app: Application, *, registry: CollectorRegistry, access_log: AccessLog | None, trusted_proxies: Sequence[Network]
    ) -> None:
        self._app = app
        self._access_log = access_log
        self._trusted = trusted_proxies
        # Looking a labelled metric up costs more than counting it.
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}
        labels = ["method", "route", "status"]
        self._requests = Counter("mediastore_http_requests", "Requests answered", labels, registry=registry)
        self._seconds = Histogram(
            "mediastore_http_request_seconds", "Time to answer", labels[:2], registry=registry, buckets=BUCKETS
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = perf_counter()
        headers: dict[bytes, bytes] = {name: value for name, value in scope["headers"] if name in _READ}
        given = headers.get(b"x-request-id", b"")
        request_id = given if REQUEST_ID.fullmatch(given) else token_hex(16).encode()
        scope["request_id"] = request_id.decode()
        scope["client_address"] = self._address(scope, headers.get(b"x-forwarded-for", b""))
        status = 0
        unread = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [(b"x-request-id", request_id)]
                if unread:
                    # The connection ends here, for the body stands in it; who isn't told sends its next request there.
                    added.append((b"connection", b"close"))
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        async def receive_on() -> Message:
            nonlocal unread
            message = await receive()
            unread = message.get("more_body", False)
            return message

        try:
            await self._app(scope, receive_on if unread else receive, send_on)
        finally:
            took_s = perf_counter() - begun
            method, route = scope["method"], scope.get("path_template") or "(none)"
            self._counted(method, route, status).inc()
            self._timed(method, route).observe(took_s)
            if self._access_log is not None:
                # The path without its query: signed links carry their token there.
                self._access_log(
                    method=method,
                    path=scope["path"],
                    status=status,
                    ms=round(took_s * 1000, 2),
                    request_id=scope["request_id"],
                    address=scope["client_address"],
                )

    def _counted(self, method: str, route: str, status: int) -> Counter:
        key = (method, route, status)
        if key not in self._counters:
            self._counters[key] = self._requests.labels(method, route, str(status or "cut"))
        return self._counters[key]

    def _timed(self, method: str, route: str) -> Histogram:
        key = (method, route)
        if key not in self._histograms:
            self._histograms[key] = self._seconds.labels(method, route)
        return self._histograms[key]

    def _address(self, scope: Scope, forwarded: bytes) -> str:
        """The client's address: the peer's, or what trusted proxies say, read from the right up to the first that is not ours."""
        client = scope.get("client")
        address: str = client[0] if client else ""
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            if not hop.strip() or not self._trusts(address):
                break
            address = hop.strip()
        return address[:64]

    def _trusts(self, address: str) -> bool:
        try:
            peer = ip_address(address)
            if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
                peer = peer.ipv4_mapped
            return any(peer in network for network in self._trusted)
        except ValueError:
            return False


_READ = frozenset({b"x-request-id", b"x-forwarded-for", b"content-length", b"transfer-encoding"})
