"""Tokens of outside services: who signs them, what they have to say, and who that is here."""

from collections.abc import Mapping
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import jwt
import msgspec
from msgspec import Meta, Struct

from mediastore.accounts.errors import CredentialsWrong
from mediastore.accounts.exchange import KeyExchange
from mediastore.accounts.jwks import KeyFile, Keys, KeySet, KeyUrl
from mediastore.accounts.schemas import AccountName, GroupName, Role
from mediastore.errors import SettingInvalid

Algorithm: TypeAlias = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Public keys alone: who could verify a shared secret could sign with it."""
MOST_GROUPS = 200
LONGEST_LINE = 200


class IssuerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One issuer of `MEDIASTORE_ISSUERS_FILE`."""

    name: AccountName
    """What this server calls it."""
    issuer: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    """`iss` of its tokens, to the letter; without it, tokens that have none are its own."""
    audience: Annotated[str, Meta(min_length=1, max_length=500)] | None
    """What tokens that are meant for this server say in `audience_claim`. None: its tokens name nobody, and one that does is not
    for this server.
    """
    audience_claim: Annotated[str, Meta(min_length=1)] = "aud"
    """For services that have another word than RFC 7519."""
    lasting: bool = False
    """Whether a token without an end is taken. Nothing but another key of the service ends it."""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)]
    jwks_url: Annotated[str, Meta(pattern="^https?://")] | None = None
    public_key_file: str | None = None
    public_key_url: Annotated[str, Meta(pattern="^https?://")] | None = None
    """PEM, as in the file."""
    name_claim: str = "sub"
    name_prefix: Annotated[str, Meta(max_length=32)] = ""
    """Before each name, so that it can be told from others."""
    full_name_claim: str | None = None
    """What people call the person. To be shown: services let people change it."""
    email_claim: str | None = None
    groups_claim: str | None = None
    """A list of names."""
    group_prefix: Annotated[str, Meta(max_length=32)] = ""
    groups_except: tuple[str, ...] = ()
    """Of that list, what is no group: everybody, for instance."""
    role_claim: str | None = None
    """A word, or a list of words, that `roles` knows."""
    roles: dict[str, Role] = {}
    default_role: Role | None = None
    """Of those whom `roles` says nothing of; without it they are refused."""
    limits_claim: str | None = None
    """An object whose members that are numbers limit what the person may do; who asks for one finds it in the identity."""
    leeway_s: Annotated[int, Meta(ge=0, le=300)] = 0
    """How far the clocks of the two may differ."""
    key_url: Annotated[str, Meta(pattern="^https?://")] | None = None
    """Where its API keys are exchanged for its tokens."""


class IssuersFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    issuers: list[IssuerConfig]


class Foreigner(Struct, frozen=True, kw_only=True):
    """Who holds a token of an outside service, in this server's words."""

    issuer: str
    name: str
    role: Role
    groups: tuple[str, ...]
    full_name: str | None
    email: str | None
    limits: Mapping[str, float] | None
    """What the token itself limits; None where it says nothing of limits."""
    expires_at: float
    """When the token ends, in seconds since 1970; infinite where it lasts."""


class Issuer:
    def __init__(self, config: IssuerConfig, keys: Keys) -> None:
        self._config = config
        self._keys = keys

    async def read(self, token: str) -> Foreigner:
        """Raises `CredentialsWrong` for anything but a valid token of this issuer for this server, and `IssuerUnavailable`."""
        config = self._config
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in config.algorithms:
                raise CredentialsWrong(f"tokens of {config.name} are signed by {' or '.join(config.algorithms)}")
            key = await self._keys.key(header.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=config.algorithms,
                issuer=config.issuer,
                audience=config.audience if config.audience_claim == "aud" else None,
                leeway=config.leeway_s,
                options={"require": self._required(), "verify_aud": config.audience_claim == "aud"},
            )
            if config.audience_claim != "aud":
                meant = _words(claims.get(config.audience_claim))
                if bool(meant) if config.audience is None else config.audience not in meant:
                    raise jwt.InvalidAudienceError
            expires_at = float(claims.get("exp", inf))
        except jwt.ExpiredSignatureError as error:
            raise CredentialsWrong("the access token has expired; log in again") from error
        except jwt.InvalidAudienceError as error:
            raise CredentialsWrong("the access token is not meant for this server") from error
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise CredentialsWrong(f"the access token is not a valid one of {config.name}") from error
        return Foreigner(
            issuer=config.name,
            name=self._name(claims),
            role=self._role(claims),
            groups=self._groups(claims),
            full_name=_line(claims, config.full_name_claim),
            email=_line(claims, config.email_claim),
            limits=self._limits(claims),
            expires_at=expires_at,
        )

    def _required(self) -> list[str]:
        config = self._config
        wanted = {
            config.audience_claim: config.audience is not None,
            config.name_claim: True,
            "iss": config.issuer is not None,
            "exp": not config.lasting,
        }
        return [claim for claim, needed in wanted.items() if needed]

    def _name(self, claims: dict[str, Any]) -> str:
        name = f"{self._config.name_prefix}{claims[self._config.name_claim]}"
        try:
            return msgspec.convert(name, AccountName)
        except msgspec.ValidationError as error:
            raise CredentialsWrong(
                f"{name[:100]!r} can't be the name of an account here: letters, digits and . _ @ + -"
            ) from error

    def _role(self, claims: dict[str, Any]) -> Role:
        said = claims.get(self._config.role_claim) if self._config.role_claim else None
        found = {self._config.roles[word] for word in _words(said) if word in self._config.roles}
        best: tuple[Role, ...] = ("administrator", "editor", "reader")
        role = next((role for role in best if role in found), self._config.default_role)
        if role is None:
            raise CredentialsWrong(
                f"nothing in the access token gives a role here; ask an administrator about {self._config.name}"
            )
        return role

    def _groups(self, claims: dict[str, Any]) -> tuple[str, ...]:
        said = claims.get(self._config.groups_claim) if self._config.groups_claim else None
        words = [word for word in said if isinstance(word, str)] if isinstance(said, list) else []
        names = [f"{self._config.group_prefix}{word}" for word in words if word not in self._config.groups_except]
        return tuple(dict.fromkeys(name for name in names if _is_name(name)))[:MOST_GROUPS]

    def _limits(self, claims: dict[str, Any]) -> Mapping[str, float] | None:
        said = claims.get(self._config.limits_claim) if self._config.limits_claim else None
        if not isinstance(said, dict):
            return None
        return {name: limit for name, limit in said.items() if _is_number(limit)}


class Issuers:
    """Those that this server believes."""

    def __init__(self, issuers: dict[str | None, Issuer], *, exchange: KeyExchange | None = None) -> None:
        self._issuers = issuers
        """By their `iss`; None, where there is one whose tokens have none."""
        self.exchange = exchange
        """For API keys that are not ours."""

    def of(self, token: str) -> Issuer | None:
        """Who says to have issued this token; nothing of it is believed yet."""
        if not self._issuers:
            return None
        try:
            said = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError:
            return None
        return self._issuers.get(said) if said is None or isinstance(said, str) else None


def load_issuers(path: Path | None) -> Issuers:
    """Raises `SettingInvalid`."""
    if path is None:
        return Issuers({})
    try:
        file = msgspec.json.decode(path.read_bytes(), type=IssuersFile)
        issuers = {config.issuer: Issuer(config, _keys(config)) for config in _distinct(file.issuers)}
        return Issuers(issuers, exchange=_exchange(file.issuers, issuers))
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise SettingInvalid(f"MEDIASTORE_ISSUERS_FILE={path}: {error}") from error


def _distinct(configs: list[IssuerConfig]) -> list[IssuerConfig]:
    for field in ("issuer", "name"):
        values = [getattr(config, field) for config in configs]
        if len(values) != len(set(values)):
            raise ValueError(f"two issuers have the same {field}")
    return configs


def _keys(config: IssuerConfig) -> Keys:
    if [config.jwks_url, config.public_key_file, config.public_key_url].count(None) != 2:
        raise ValueError(f"the issuer {config.name} needs jwks_url or public_key_file or public_key_url, one of them")
    if config.public_key_file is not None:
        return KeyFile(Path(config.public_key_file))
    return KeyUrl(config.public_key_url) if config.public_key_url is not None else KeySet(config.jwks_url or "")


def _is_number(said: object) -> bool:
    """JSON has no NaN and no infinity, but Python's reader of it does."""
    return (isinstance(said, int) and not isinstance(said, bool)) or (isinstance(said, float) and isfinite(said))


def _words(said: object) -> list[str]:
    """A word, or the words of a list."""
    return [word for word in (said if isinstance(said, list) else [said]) if isinstance(word, str)]


def _line(claims: dict[str, Any], claim: str | None) -> str | None:
    """A line of text that can be shown as it is; None for anything else, which is no reason to keep somebody out."""
    said = claims.get(claim) if claim else None
    fit = isinstance(said, str) and 0 < len(said) <= LONGEST_LINE and said.isprintable()
    return said if fit else None


def _exchange(configs: list[IssuerConfig], issuers: dict[str | None, Issuer]) -> KeyExchange | None:
    found = [(config.key_url, issuers[config.issuer]) for config in configs if config.key_url is not None]
    if len(found) > 1:
        raise ValueError("two issuers have a key_url: a key does not say whose it is, and is nobody else's business")
    if not found:
        return None
    [(url, issuer)] = found

    async def ends_at(token: str) -> float:
        return (await issuer.read(token)).expires_at

    return KeyExchange(url, ends_at=ends_at)


def _is_name(name: str) -> bool:
    try:
        msgspec.convert(name, GroupName)
    except msgspec.ValidationError:
        return False
    return True
