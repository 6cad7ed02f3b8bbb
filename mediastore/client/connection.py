"""One connection to a server: requests with a credential, and errors as ours."""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import urlencode, urlsplit

from mediastore.client.errors import ClientError, ServerAway, refused
from mediastore.client.servers import BASE, find_server

TIMEOUT_S = 120
"""Longest silence of a server that is at work: an import waits 30 s for its database."""
CUT = "the answer was cut"


class Connection:
    """Of one thread. A connection that broke is made anew by the next request."""

    def __init__(self, url: str | None = None, *, credential: str | None = None, profile: str | None = None) -> None:
        """Without a URL and a credential, those that `find_server` finds."""
        server = find_server(url, credential, profile=profile)
        self.url, self._credential = server.url, server.credential
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
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
