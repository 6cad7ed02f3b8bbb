"""How long a server that is away is waited for."""

import asyncio
import time

import pytest

from mediastore.client import patience, transport
from mediastore.client.errors import ServerAway
from mediastore.client.servers import Server
from mediastore.client.transport import Transport


class Broken:
    """Work that goes on for a while before it breaks off, so often."""

    def __init__(self, *, times: int, after_s: float) -> None:
        self.left = times
        self._after_s = after_s

    def __call__(self) -> str:
        if self.left == 0:
            return "done"
        self.left -= 1
        time.sleep(self._after_s)
        raise ServerAway("http://example.org: cut", reached=True)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(patience, "LONGEST_PAUSE_S", 0.1)


def once(broken: Broken, *, patience_s: float) -> str:
    return patience.patiently(broken, patience_s=patience_s, say=lambda _: None)


async def many(broken: Broken, *, patience_s: float) -> str:
    async def work() -> str:
        return await asyncio.to_thread(broken)

    made = Transport(Server(url="http://127.0.0.1:1", credential="x"), patience_s=patience_s)
    try:
        return await made.patiently(work)
    finally:
        await made.close()


async def test_a_long_transfer_that_is_cut_is_not_a_server_that_was_away_for_long() -> None:
    assert await many(Broken(times=4, after_s=0.3), patience_s=0.2) == "done"
    assert await asyncio.to_thread(once, Broken(times=4, after_s=0.3), patience_s=0.2) == "done"


async def test_a_server_that_stays_away_is_given_up() -> None:
    with pytest.raises(ServerAway):
        await asyncio.wait_for(many(Broken(times=1000, after_s=0), patience_s=0.3), 20)
    with pytest.raises(ServerAway):
        await asyncio.wait_for(asyncio.to_thread(once, Broken(times=1000, after_s=0), patience_s=0.3), 20)
