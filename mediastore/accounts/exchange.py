"""API keys of an outside service: turned into tokens there, which say who holds them."""

import asyncio
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from time import monotonic, time
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import structlog
from msgspec import Struct

from mediastore.accounts.errors import CredentialsWrong, IssuerUnavailable

TIMEOUT_S = 5
"""Without a byte from the service."""
PATIENCE_S = 10
"""Of whoever waits, for all of it."""
AT_ONCE = 4
MOST_WAITING = 200
"""Keys come from strangers: beyond so many at once nobody waits for the service."""
REFUSED_S = 5
"""So long a key that was refused is not asked about again."""
REMEMBERED = 10_000
LONGEST_KEY = 1000
MOST_BYTES = 64 * 1024
REFUSALS = frozenset({400, 401, 403})
TOKEN_NAMES = ("edi-token", "token", "access_token")
"""Under one of these a JSON answer has the token; any other answer is the token."""


class Remembered(Struct, frozen=True, kw_only=True):
    token: str | None
    """None: the key was refused."""
    until: float
    """On the monotonic clock."""


class KeyExchange:
    """Asks once for requests that come at the same time, and again when the token has ended. Keys are kept as hashes alone."""

    def __init__(self, url: str, *, ends_at: Callable[[str], Awaitable[float]]) -> None:
        """`ends_at`: when a token ends, in seconds since 1970; it raises `CredentialsWrong` for one that is not good."""
        self._url = url
        self._ends_at = ends_at
        self._salt = secrets.token_bytes(32)
        self._remembered: OrderedDict[bytes, Remembered] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[str]] = {}
        self._opener = build_opener(NoRedirects)
        # Of its own: a service that does not answer must not hold up what else is done in threads.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="key-exchange")
        self._log = structlog.get_logger("mediastore.accounts")

    async def token(self, key: str) -> str:
        """Raises `CredentialsWrong` for a key that the service does not know, and `IssuerUnavailable`."""
        if not 1 <= len(key) <= LONGEST_KEY:
            raise CredentialsWrong("the API key is not valid")
        mark = hmac.digest(self._salt, key.encode(errors="surrogatepass"), "sha256")
        known = self._remembered.get(mark)
        if known is not None and known.until > monotonic():
            return _good(known.token)
        if mark not in self._asking:
            if len(self._asking) >= MOST_WAITING:
                raise IssuerUnavailable("too many API keys are being checked at this moment; try again")
            task = asyncio.create_task(self._exchanged(mark, key))
            self._asking[mark] = task
            task.add_done_callback(lambda done: self._ended(mark, done))
        return await asyncio.shield(self._asking[mark])

    def _ended(self, mark: bytes, task: asyncio.Task[str]) -> None:
        self._asking.pop(mark, None)
        if not task.cancelled():
            task.exception()  # looked at, for when nobody waits any more

    async def _exchanged(self, mark: bytes, key: str) -> str:
        answer = await self._asked(key)
        lives_s: float = REFUSED_S
        token = None
        if answer is not None:
            try:
                lives_s = await self._ends_at(answer) - time()
                token = answer
            except CredentialsWrong as error:
                self._log.warning("an API key was exchanged for a token that is not good here", reason=error.message)
                self._remember(mark, Remembered(token=None, until=monotonic() + REFUSED_S))
                raise
        self._remember(mark, Remembered(token=token, until=monotonic() + lives_s))
        return _good(token)

    def _remember(self, mark: bytes, what: Remembered) -> None:
        self._remembered[mark] = what
        self._remembered.move_to_end(mark)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)

    async def _asked(self, key: str) -> str | None:
        """The token; None where the key is refused."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, body = await asyncio.get_running_loop().run_in_executor(self._threads, self._post, key)
            if status in REFUSALS:
                return None
            if status != 200:
                raise ValueError(f"status {status}")
            return token_in(body)
        except (TimeoutError, URLError, OSError, HTTPException, ValueError) as error:
            # Of the error its kind alone, where it could repeat what was sent or what came.
            told = str(error) if type(error) in {ValueError, URLError} else type(error).__name__
            self._log.warning("API keys can't be exchanged", url=self._url, error=told)
            raise IssuerUnavailable("the service that knows this API key does not answer; try again") from None

    def _post(self, key: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/plain;q=0.9"}
        # The URL is the administrator's own setting, and http or https by its type.
        request = Request(self._url, data=json.dumps({"key": key}).encode(), headers=headers, method="POST")  # noqa: S310 - see above
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return answer.status, answer.read(MOST_BYTES)
        except HTTPError as error:
            with error:
                return error.code, b""


class NoRedirects(HTTPRedirectHandler):
    """A key goes to the URL that was configured and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def token_in(body: bytes) -> str:
    """Raises ValueError where there is none."""
    text = body.decode().strip()
    said = json.loads(text) if text[:1] in {"{", '"'} else text
    token = next((said[name] for name in TOKEN_NAMES if name in said), None) if isinstance(said, dict) else said
    if not isinstance(token, str) or token.count(".") != 2:
        raise ValueError("there is no token in the answer")
    return token


def _good(token: str | None) -> str:
    if token is None:
        raise CredentialsWrong("the API key is not valid: its service does not know it")
    return token
