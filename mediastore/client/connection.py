"""One connection to a server: requests with a credential, and errors as ours."""

import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

from dotenv import dotenv_values

from mediastore.client.errors import AnswerStrange, ClientError, ServerAway, ServerRefused

DEFAULT_URL = "http://localhost:8000"
BASE = "/api/v1"
TIMEOUT_S = 120
"""Longest silence of a server that is at work: an import waits 30 s for its database."""
CUT = "the answer was cut"
AWAY = frozenset({408, 429, 502, 503, 504})


class Connection:
    """Of one thread. A connection that broke is made anew by the next request."""

    def __init__(self, url: str | None = None, *, credential: str | None = None) -> None:
        """Without a URL and a credential, those of the environment or of `.env`: MEDIASTORE_URL, and MEDIASTORE_API_KEY or
        MEDIASTORE_TOKEN.
        """
        given = {**dotenv_values(".env"), **os.environ}
        self.url = (url or given.get("MEDIASTORE_URL") or DEFAULT_URL).rstrip("/").removesuffix(BASE)
        self._credential = credential or given.get("MEDIASTORE_API_KEY") or given.get("MEDIASTORE_TOKEN")
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ClientError(f"{self.url!r} is no URL of a server; it looks like https://media.example.org")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
        self._path = parts.path + BASE

    @contextmanager
    def post(self, path: str, body: bytes, *, query: Mapping[str, object] | None = None, content_type: str) -> Iterator["Answer"]:
        """The answer, to be read within the block. Raises `ServerAway`, also when it breaks off there, and `ServerRefused`."""
        headers = {"Content-Type": content_type, "Accept-Encoding": "identity"}
        if self._credential:
            headers["Authorization"] = f"Bearer {self._credential}"
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            with self._broken():
                response = self._asked(self._path + path + (f"?{urlencode(asked)}" if asked else ""), body, headers)
                if response.status >= 400:
                    raise refusal(response)
            yield Answer(response, self._broken)
            with self._broken():
                response.read()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def _broken(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise ServerAway(f"{self.url}: {str(error) or type(error).__name__}") from error

    def _asked(self, path: str, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        try:
            self._connection.request("POST", path, body, dict(headers))
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses before the body came ends the connection, and its answer may be there all the same.
            if self._connection.sock is None:
                raise
        return self._connection.getresponse()


class Answer:
    """What a server sends, as it comes. Only what happens to the connection is said to be its fault, not what readers do."""

    def __init__(self, response: http.client.HTTPResponse, broken: Callable[[], AbstractContextManager[None]]) -> None:
        self._response = response
        self._broken = broken

    def pieces(self, size: int) -> Iterator[bytes]:
        while True:
            with self._broken():
                piece = self._response.read1(size)
            if not piece:
                return
            yield piece

    def lines(self) -> Iterator[bytes]:
        while True:
            with self._broken():
                line = self._response.readline()
            if not line:
                return
            if not line.endswith(b"\n"):
                raise ServerAway(CUT)
            yield line


def refusal(response: http.client.HTTPResponse) -> ClientError:
    """What a refusal says."""
    try:
        problem = json.loads(response.read())
    except ValueError:
        problem = None
    return refused(response.status, problem)


def refused(status: int, problem: Any) -> ClientError:
    if not isinstance(problem, dict):
        away = f"the server, or something before it, answered {status}"
        return ServerAway(away) if status in AWAY else AnswerStrange(f"{away} without a reason; is the URL right?")
    detail = str(problem.get("detail", status))
    return ServerAway(detail) if status in AWAY else ServerRefused(status, problem)
