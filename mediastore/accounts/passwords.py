"""Argon2id, off the event loop, a few at a time: each check takes 64 MiB for a moment."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError


class Passwords:
    """Hashes and checks passwords with the parameters of RFC 9106's second choice, argon2-cffi's default."""

    def __init__(self, *, parallel: int = 2) -> None:
        self._hasher = PasswordHasher()
        self._slots = asyncio.Semaphore(parallel)
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password. Without a hash it takes as long and says no, so that timing tells nothing of accounts."""
        if password_hash is None:
            if self._decoy is None:
                self._decoy = await self.hash("decoy")
            await self._verify(password, self._decoy)
            return False
        return await self._verify(password, password_hash)

    async def _verify(self, password: str, password_hash: str) -> bool:
        async with self._slots:
            try:
                return await asyncio.to_thread(self._hasher.verify, password_hash, password)
            except (VerifyMismatchError, InvalidHashError):
                return False
