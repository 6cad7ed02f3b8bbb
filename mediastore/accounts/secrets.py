"""Keys derived from the one secret key, and secrets at rest."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mediastore.errors import SettingInvalid


def derive(secret_key: str, *, purpose: str) -> bytes:
    """32 bytes for one purpose, by HKDF (RFC 5869): keys of two purposes tell nothing of each other."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"mediastore {purpose}".encode()).derive(secret_key.encode())


class Sealer:
    """Encrypts secrets for the database, authenticated (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, secret_key: str) -> None:
        self._fernet = Fernet(urlsafe_b64encode(derive(secret_key, purpose="secrets at rest")))

    def seal(self, secret: str) -> bytes:
        return self._fernet.encrypt(secret.encode())

    def unseal(self, sealed: bytes) -> str:
        """Raises `SettingInvalid` when it was sealed under another secret key."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise SettingInvalid(
                "a stored secret can't be read: MEDIASTORE_SECRET_KEY is not the key that it was encrypted with"
            ) from error
