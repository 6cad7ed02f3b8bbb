"""The public keys of an outside service that signs tokens: PEM in a file or at a URL, or its JWKS (RFC 7517)."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
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
from jwt import PyJWKSet

from mediastore.accounts.errors import CredentialsWrong, IssuerUnavailable

FRESH_S = 300
"""So long a set of keys is not asked for again."""
STALE_S = 86_400
"""So long it serves when the service is away."""
PAUSE_S = 10
"""Between two questions to the service, whatever ids of keys tokens name: they come from strangers."""
TIMEOUT_S = 5
"""Without a byte from the service."""
PATIENCE_S = 10
"""Of whoever waits, for all of it."""
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
        self._asking: asyncio.Task[None] | None = None
        # Of its own: a service that sends a byte now and then must not hold up what else is done in threads.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="issuer-keys")
        self._log = structlog.get_logger("mediastore.accounts")

    async def key(self, kid: str | None) -> Any:
        found = self._find(kid)
        if found is None or monotonic() - self._read_at > FRESH_S:
            if self._asking is None and monotonic() - self._asked_at > PAUSE_S:
                self._asking = asyncio.create_task(self._ask())
            # While the service is away nobody waits for it again and again whose key was there.
            if self._asking is not None and (found is None or self._answered):
                await asyncio.shield(self._asking)
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
            async with asyncio.timeout(PATIENCE_S):
                said = await asyncio.get_running_loop().run_in_executor(self._thread, self._fetch)
            self._take(said)
            self._read_at, self._answered = monotonic(), True
        except (URLError, OSError, HTTPException, ValueError, TypeError, jwt.PyJWTError, UnsupportedAlgorithm) as error:
            self._answered = False
            self._log.warning("the keys of an issuer can't be read", url=self._url, error=repr(error))
        finally:
            self._asking = None

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
    _bound: Sequence[object] = ()
    """Ids of the keys that say what algorithm they are for."""

    def _known(self, kid: str | None) -> Any:
        keys = [key for key in self._set.keys if key.public_key_use in {None, "sig"}] if self._set else []
        fitting = [key for key in keys if key.key_id == kid] if kid is not None else keys if len(keys) == 1 else []
        found = fitting[0] if fitting else None
        if found is None or found.key_id in self._bound:
            return found
        return found.key  # PyJWT would make up an algorithm for it, where the configured ones are meant

    def _take(self, said: Any) -> None:
        if not isinstance(said, dict):
            raise ValueError("the answer is no JSON object")
        self._set = PyJWKSet.from_dict(said)
        self._bound = [key.get("kid") for key in said["keys"] if isinstance(key, dict) and key.get("alg")]

    def _fetch(self) -> Any:
        return json.loads(self._body("application/json"))


class KeyUrl(Published):
    """One public key, as PEM, whatever id a token names. Another one is noticed when it is asked for again."""

    _key: Any = None

    def _known(self, kid: str | None) -> Any:  # noqa: ARG002 - there is but one
        return self._key

    def _take(self, said: Any) -> None:
        self._key = load_pem_public_key(said)
