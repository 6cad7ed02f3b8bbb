"""Access tokens: JWTs of our own, HS256 and nothing else."""

from datetime import timedelta
from uuid import UUID, uuid4

import jwt
import msgspec

from mediastore.accounts.errors import CredentialsWrong
from mediastore.accounts.schemas import Scope, Token
from mediastore.accounts.secrets import derive
from mediastore.clock import Clock

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "mediastore"
REQUIRED = ["iss", "aud", "sub", "iat", "nbf", "exp", "cv", "scopes"]


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says of its holder. The account itself is asked again each time."""

    sub: str
    cv: int
    """Credential version of the account when the token was issued; a changed password makes older tokens worthless."""
    scopes: tuple[Scope, ...]
    key: UUID | None = None
    """The API key that was exchanged for the token: revoked with it."""
    iat: int = 0
    """When it was issued, in seconds since 1970."""
    since: int | None = None
    """When its holder logged in, for a token that took the place of an earlier one."""


class Tokens:
    def __init__(self, secret_key: str, *, ttl_s: float, clock: Clock) -> None:
        self._key = derive(secret_key, purpose="access tokens")
        self._ttl_s = ttl_s
        self._clock = clock

    def issue(self, claims: Claims) -> Token:
        now = self._clock()
        body = {
            **{name: value for name, value in msgspec.to_builtins(claims).items() if value is not None},
            "iss": ISSUER,
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + timedelta(seconds=self._ttl_s),
            "jti": uuid4().hex,
        }
        return Token(access_token=jwt.encode(body, self._key, algorithm=ALGORITHM), expires_in=int(self._ttl_s))

    def held(self, token: str) -> Token:
        """A token that somebody has already, said to end no later than one of ours would."""
        return Token(access_token=token, expires_in=int(self._ttl_s))

    def read(self, token: str) -> Claims:
        """Raises `CredentialsWrong` for anything but a token of ours that is valid at this moment."""
        try:
            body = jwt.decode(
                token, self._key, algorithms=[ALGORITHM], issuer=ISSUER, audience=AUDIENCE, options={"require": REQUIRED}
            )
            return msgspec.convert(body, Claims)
        except jwt.ExpiredSignatureError as error:
            raise CredentialsWrong("the access token has expired; log in again") from error
        except (jwt.PyJWTError, msgspec.ValidationError) as error:
            raise CredentialsWrong("the access token is not valid; log in to get one") from error
