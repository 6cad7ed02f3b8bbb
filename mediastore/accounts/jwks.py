"""The public keys of an outside service that signs tokens: from a file, or from its JWKS (RFC 7517)."""

import asyncio
import json
from pathlib import Path
from time import monotonic
from typing import Any, Protocol
from urllib.error import URLError
from urllib.request import Request, urlopen

import jwt
import structlog
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


class KeySet:
    """Kept for a while, and asked for again when a token names a key that is not in it: services change their keys."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._set: PyJWKSet | None = None
        self._read_at = self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        self._log = structlog.get_logger("mediastore.accounts")

    async def key(self, kid: str | None) -> Any:
        found = self._find(kid) if monotonic() - self._read_at < FRESH_S else None
        if found is None:
            async with self._asking:
                if monotonic() - self._asked_at > PAUSE_S:
                    await self._ask()
            found = self._find(kid)
        if found is None:
            raise CredentialsWrong("the access token is signed by a key that its issuer does not have; log in again there")
        return found

    def _find(self, kid: str | None) -> PyJWK | None:
        if self._set is None or monotonic() - self._read_at > STALE_S:
            return None
        keys = [key for key in self._set.keys if key.public_key_use in {None, "sig"}]
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.key_id == kid), None)

    async def _ask(self) -> None:
        self._asked_at = monotonic()
        try:
            said = await asyncio.to_thread(self._fetch)
            if not isinstance(said, dict):
                raise ValueError("the answer is no JSON object")
            self._set = PyJWKSet.from_dict(said)
            self._read_at = monotonic()
        except (URLError, OSError, ValueError, jwt.PyJWTError) as error:
            self._log.warning("the keys of an issuer can't be read", url=self._url, error=repr(error))
            if self._set is None or monotonic() - self._read_at > STALE_S:
                raise IssuerUnavailable("the service that issued the access token does not tell its keys; try again") from error

    def _fetch(self) -> Any:
        # The URL is the administrator's own setting, and http or https by its type.
        with urlopen(Request(self._url, headers={"Accept": "application/json"}), timeout=TIMEOUT_S) as answer:  # noqa: S310 - see above
            return json.loads(answer.read(MOST_BYTES))
