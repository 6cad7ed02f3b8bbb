"""The public keys of an outside service that signs tokens: PEM in a file or at a URL, or its JWKS (RFC 7517)."""

import asyncio
import json
from abc import ABC, abstractmethod
from http.client import HTTPException
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from urllib.error import URLError
from urllib.request import Request, urlopen

import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK, PyJWKSet

from mediastore.accounts.errors import CredentialsWrong, IssuerUnavailable

FRESH_S = 300
"""So long a set of keys is not asked for again."""
STALE_S = 86_400
"""So long it serves when the service is away."""
PAUSE_S = 10
"""Between two questions to the service, whatever ids of keys tokens name: they come from strangers."""
TIMEOUT_S = 5
MOST_BYTES = 1024 * 1024


class Keys(Protocol):
    """Where the key of a token is found."""

    async def key(self, kid: str | None) -> Any:
        """Raises `CredentialsWrong` for an id that there is none of, and `IssuerUnavailable`."""


class KeyFile:
    """One public key, as PEM."""

    def __init__(self, path: Path) -> None:
        """Raises OSError and ValueError."""
        self._key = load_pem_public_key(path.read_bytes())

    async def key(self, kid: str | None) -> Any:  # noqa: ARG002 - there is but one
        return self._key


class Published(ABC):
    """Kept for a while, and asked for again when a token names a key that is not there: services change their keys."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._read_at = self._asked_at = float("-inf")
        self._answered = False
        """Whether it told its keys when it was asked last; else nobody here knows which keys it has."""
        self._asking = asyncio.Lock()
        self._log = structlog.get_logger("mediastore.accounts")

    async def key(self, kid: str | None) -> Any:
        found = self._find(kid) if monotonic() - self._read_at < FRESH_S else None
        if found is None:
            async with self._asking:
                if monotonic() - self._asked_at > PAUSE_S:
                    await self._ask()
            found = self._find(kid)
        if found is None and not self._answered:
            raise IssuerUnavailable("the service that issued the access token does not tell its keys; try again")
        if found is None:
            raise CredentialsWrong("the access token is signed by a key that its issuer does not have; log in again there")
        return found

    def _find(self, kid: str | None) -> Any:
        return None if monotonic() - self._read_at > STALE_S else self._known(kid)

    @abstractmethod
    def _known(self, kid: str | None) -> Any:
        """The key of this id among those that were taken last, or None."""

    @abstractmethod
    def _take(self, said: Any) -> None:
        """Keep what the service said. Raises ValueError, PyJWTError or UnsupportedAlgorithm."""

    async def _ask(self) -> None:
        self._asked_at = monotonic()
        try:
            self._take(await asyncio.to_thread(self._fetch))
            self._read_at, self._answered = monotonic(), True
        except (URLError, OSError, HTTPException, ValueError, jwt.PyJWTError, UnsupportedAlgorithm) as error:
            self._answered = False
            self._log.warning("the keys of an issuer can't be read", url=self._url, error=repr(error))

    def _fetch(self) -> Any:
        return self._body("*/*")

    def _body(self, accept: str) -> bytes:
        # The URL is the administrator's own setting, and http or https by its type.
        with urlopen(Request(self._url, headers={"Accept": accept}), timeout=TIMEOUT_S) as answer:  # noqa: S310 - see above
            body: bytes = answer.read(MOST_BYTES)
            return body


class KeySet(Published):
    """Several keys, each with an id."""

    _set: PyJWKSet | None = None

    def _known(self, kid: str | None) -> PyJWK | None:
        keys = [key for key in self._set.keys if key.public_key_use in {None, "sig"}] if self._set else []
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == kid), None)

    def _take(self, said: Any) -> None:
        if not isinstance(said, dict):
            raise ValueError("the answer is no JSON object")
        self._set = PyJWKSet.from_dict(said)

    def _fetch(self) -> Any:
        return json.loads(self._body("application/json"))


class KeyUrl(Published):
    """One public key, as PEM, whatever id a token names. Another one is noticed when it is asked for again."""

    _key: Any = None

    def _known(self, kid: str | None) -> Any:  # noqa: ARG002 - there is but one
        return self._key

    def _take(self, said: Any) -> None:
        self._key = load_pem_public_key(said)
