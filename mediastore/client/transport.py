"""Requests to one server: with a credential, tried again while that can help, and errors as ours."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from email.message import Message
from random import uniform
from typing import Any, TypeVar

import httpx
import msgspec

from mediastore.accounts.schemas import LoginRequest, Token
from mediastore.client.errors import AWAY, AnswerStrange, ClientError, ServerAway, StoreRefused, refused
from mediastore.client.servers import BASE, Server

T = TypeVar("T")
Headers = Mapping[str, str] | Message
Say = Callable[[str], None]
"""Told what is waited for, for people."""

CONNECT_S = 10
SILENCE_S = 120
"""Longest silence of a server that is at work."""
PATIENCE_S = 60
LONGEST_PAUSE_S = 15
CONNECTIONS = 16


class Transport:
    """Of one event loop. `patience_s`: how long a server that is away is waited for; `say`: told each time."""

    def __init__(self, server: Server, *, patience_s: float = PATIENCE_S, say: Say | None = None) -> None:
        self.server = server
        self._patience_s = patience_s
        self._say = say
        self._login: LoginRequest | None = None
        self._renewed_at = 0.0
        self._http = httpx.AsyncClient(
            # A connection is waited for as long as other transfers need them all.
            timeout=httpx.Timeout(SILENCE_S, connect=CONNECT_S, pool=None),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            # Redirects lead to stores, which must not see a credential of ours: who expects one follows it knowingly.
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        *,
        body: Any = None,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        as_nobody: bool = False,
    ) -> T:
        """The answer to a call of the API. `repeatable`: whether to ask again when the answer was lost; GETs are. `as_nobody`:
        the call brings what it needs.

        Raises `ServerAway`, `ServerRefused` and `AnswerStrange`.
        """
        content = None if body is None else msgspec.json.encode(body)

        async def once() -> T:
            sent = {**({} if as_nobody else await self.authorization()), **(headers or {})}
            if body is not None:
                sent["Content-Type"] = "application/json"
            async with self.open(method, self.url(path, query), headers=sent, content=content) as answer:
                if answer.is_redirect:
                    raise AnswerStrange(f"{self.server.url} leads to {answer.headers.get('location')}; is the URL right?")
                return decoded(await answer.aread(), kind)

        return await self.patiently(once, repeatable=method == "GET" if repeatable is None else repeatable)

    def url(self, path: str, query: Mapping[str, object] | None = None) -> str:
        """Of a call of the API. `path` is quoted already."""
        asked = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        return f"{self.server.url}{BASE}{path}" + (f"?{httpx.QueryParams(asked)}" if asked else "")

    async def authorization(self) -> dict[str, str]:
        """What shows this server, and no other, who asks."""
        if self._login is not None and time.monotonic() > self._renewed_at:
            await self.log_in(self._login)
        return {"Authorization": f"Bearer {self.server.credential}"} if self.server.credential else {}

    async def log_in(self, login: LoginRequest) -> None:
        """From now on as this user; the token is renewed when half its time is over."""
        headers = {"Content-Type": "application/json"}

        async def once() -> Token:
            content = msgspec.json.encode(login)
            async with self.open("POST", self.url("/auth/login"), headers=headers, content=content) as answer:
                return decoded(await answer.aread(), Token)

        token = await self.patiently(once)
        self.server = msgspec.structs.replace(self.server, credential=token.access_token)
        self._login, self._renewed_at = login, time.monotonic() + token.expires_in / 2

    def is_ours(self, url: str) -> bool:
        """Whether a URL leads to this server, by its own name."""
        return url.startswith(self.server.url + "/")

    def whose(self, url: str) -> str:
        """What people are told of it: never a signature."""
        return self.server.url if self.is_ours(url) else url.partition("?")[0]

    @asynccontextmanager
    async def open(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """One request, once; the answer is read within the block. Raises `ServerAway`, also when it breaks off there, and what
        the answer's status means.
        """
        request = self._http.build_request(method, url, headers={"Accept-Encoding": "identity", **headers}, content=content)
        with translated(self.whose(url)):
            answer = await self._http.send(request, stream=True)
            try:
                if answer.status_code >= 400:
                    raise refusal(answer.status_code, answer.headers, await answer.aread(), ours=self.is_ours(url))
                yield answer
            finally:
                await answer.aclose()

    async def patiently(self, work: Callable[[], Awaitable[T]], *, repeatable: bool = True) -> T:
        """Do it, and again while the server is away. What is not repeatable is done again only if it can't have come there.

        Patience is for a server that is away: what went on for longer than the longest pause before it broke off begins it anew.
        """
        away_since: float | None = None
        pause_s = 0.2
        while True:
            begun = time.monotonic()
            try:
                return await work()
            except ServerAway as error:
                now = time.monotonic()
                if away_since is None or now - begun > LONGEST_PAUSE_S:
                    away_since, pause_s = now, 0.2
                if now - away_since >= self._patience_s or (error.reached and not repeatable):
                    raise
                if self._say is not None:
                    self._say(f"waiting: {error.message}")
                await asyncio.sleep(max(error.retry_after_s, uniform(pause_s / 2, pause_s)))  # noqa: S311 - so that many clients don't come at the same moment
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


class translated:  # noqa: N801 - reads as a verb, where it is used
    """Errors of httpx as ours."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, httpx.TransportError):
            reached = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            raise ServerAway(f"{self._whose}: {str(error) or type(error).__name__}", reached=reached) from error
        if isinstance(error, httpx.InvalidURL | httpx.HTTPError | httpx.StreamError):
            raise AnswerStrange(f"{self._whose}: {error}") from error


def decoded(content: bytes, kind: type[T]) -> T:
    """Raises `AnswerStrange`."""
    if kind is type(None):
        return msgspec.convert(None, kind)
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AnswerStrange(f"the answer is none of this API: {error}; is the URL right?") from error


def refusal(status: int, headers: Headers, content: bytes, *, ours: bool) -> ClientError:
    """What an answer of 400 and above means; `ours`: of the server, and not of a store."""
    after = headers.get("retry-after") or ""
    retry_after_s = float(after) if after.isdecimal() else 0.0
    if not ours:
        if status in AWAY or status == 500:
            return ServerAway(f"the store answered {status}", retry_after_s=retry_after_s)
        return StoreRefused(status, content.decode(errors="replace"))
    try:
        problem = msgspec.json.decode(content)
    except msgspec.DecodeError:
        problem = None
    return refused(status, problem, retry_after_s=retry_after_s)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
