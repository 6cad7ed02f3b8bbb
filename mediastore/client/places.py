"""Where the bytes of a PID are, by the server's word: at a URL of their store, or here."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mediastore.client.errors import STALE, ServerRefused, StoreRefused
from mediastore.client.names import quoted
from mediastore.client.transport import Transport

T = TypeVar("T")
REMEMBERED = 1_000
FRESH_URLS = 3


class Places:
    """Asked once for each content, and again when a URL was refused: its time is over, or the right to it was withdrawn."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._signed: dict[tuple[str, int], str] = {}

    async def of(self, pid: str, version: int) -> tuple[str, dict[str, str]]:
        """The URL, and the headers to be sent with it: a store never sees a credential of ours."""
        signed = self._signed.get((pid, version))
        if signed is not None:
            return signed, {}
        path = f"/content/{quoted(pid)}"
        ours = self._transport.url(path, {"version": version, "direct": True})
        async with self._transport.open("GET", ours, headers=await self._transport.authorization()) as answer:
            place = answer.headers.get("location")
            if answer.is_redirect and place:
                if len(self._signed) >= REMEMBERED:
                    self._signed.clear()
                self._signed[pid, version] = str(answer.url.join(place))
                return self._signed[pid, version], {}
        return self._transport.url(path, {"version": version}), await self._transport.authorization()

    async def bring(self, pid: str, version: int, work: Callable[[str, dict[str, str]], Awaitable[T]]) -> T:
        """What `work` makes of the URL and its headers; called again with a fresh URL where one was refused."""
        for _ in range(FRESH_URLS):
            url, headers = await self.of(pid, version)
            try:
                return await work(url, headers)
            except (StoreRefused, ServerRefused) as error:
                if error.status not in STALE or self._signed.pop((pid, version), None) is None:
                    raise
        return await work(*await self.of(pid, version))
