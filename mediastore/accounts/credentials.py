"""From what a request carries to who it is: API keys and access tokens."""

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic
from uuid import UUID, uuid4

from msgspec import structs

from mediastore.accounts import queries
from mediastore.accounts.access import require
from mediastore.accounts.errors import CredentialsWrong, KeyInvalid, KeyNotFound, NotAllowed
from mediastore.accounts.foreigners import Foreigners
from mediastore.accounts.issuers import Issuers
from mediastore.accounts.queries import AccountRow
from mediastore.accounts.schemas import ALL_SCOPES, Caller, Identity, Key, KeyCreate, Scope, Token
from mediastore.accounts.tokens import Claims, Tokens
from mediastore.clock import Clock, sensible
from mediastore.database import Connection, Database
from mediastore.events import queries as events
from mediastore.events.schemas import Change

KEY_PREFIX = "ms_"
REMEMBERED = 10_000
GONE = "the API key is not valid: it is unknown, expired or revoked"


class Credentials:
    """Resolves credentials, and remembers the answer for `cache_s`: so long can a change to an account take to be felt.

    `common_groups`: groups that every account is in, whichever way it is looked up, by a log-in as by a job on its behalf.
    """

    def __init__(
        self,
        database: Database,
        *,
        tokens: Tokens,
        issuers: Issuers,
        cache_s: float,
        session_ttl_s: float,
        clock: Clock,
        common_groups: Sequence[str] = (),
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._issuers = issuers
        self._foreigners = Foreigners(database)
        self._cache_s = cache_s
        self._session_ttl_s = session_ttl_s
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()
        """By hash: a credential is not kept."""
        self._common_groups = common_groups

    async def identify(self, credential: str) -> Identity:
        """Who holds this API key or access token. Raises `CredentialsWrong`."""
        mark = _hash(credential)
        known = self._remembered.get(mark)
        if known is not None and known[0] > monotonic():
            return known[1]
        identity = await (self._by_key(credential) if credential.startswith(KEY_PREFIX) else self._by_token(credential))
        self._remembered[mark] = (monotonic() + self._cache_s, identity)
        self._remembered.move_to_end(mark)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return identity

    async def identify_key(self, credential: str) -> Identity:
        """As `identify`, and for API keys of an outside service. Raises `CredentialsWrong` and `IssuerUnavailable`."""
        exchange = self._issuers.exchange
        if exchange is None or credential.startswith(KEY_PREFIX) or credential.count(".") == 2:
            return await self.identify(credential)
        return await self.identify(await exchange.token(credential))

    async def identity_of(self, name: str) -> Identity:
        """Who this is, for what was begun with a credential of theirs. Raises `CredentialsWrong` when the account is gone."""
        async with self._database.connection() as connection:
            account = await queries.account_by_name(connection, name)
        if account is None or account.disabled:
            raise CredentialsWrong(f"the account {name} is gone or switched off")
        return self._identity(account, ALL_SCOPES)

    async def still(self, caller: Caller) -> Caller:
        """The caller as the accounts say now, for what takes long. Raises `CredentialsWrong` when the account is gone."""
        if not caller.identity.known:
            return caller
        identity = await self.identity_of(caller.identity.name)
        return structs.replace(caller, identity=structs.replace(identity, scopes=caller.identity.scopes))

    async def exchange(self, key: str) -> Token:
        """A token that does what the key does, and ends with it."""
        async with self._database.connection() as connection:
            id, account, scopes = await self._key(connection, key)
        return self._tokens.issue(Claims(sub=account.name, cv=account.credential_version, scopes=scopes, key=id))

    async def renew(self, token: str) -> Token:
        """A token in the place of this one, for as long as the log-in behind it may last (`session_ttl_s`).

        One of an outside service comes back as it is: only that service makes others. Raises `CredentialsWrong`.
        """
        if self._issuers.of(token) is not None:
            await self._by_token(token)
            return self._tokens.held(token)
        await self._by_token(token)
        claims = self._tokens.read(token)
        since = claims.iat if claims.since is None else claims.since
        if self._clock().timestamp() - since > self._session_ttl_s:
            raise CredentialsWrong("the session has lasted as long as one may; log in again")
        return self._tokens.issue(structs.replace(claims, since=since))

    async def create_key(self, request: KeyCreate, *, caller: Caller) -> Key:
        """A new key of the caller's own, shown this once. It can't do more than what asked for it."""
        require(caller.identity, "read", to="create an API key")
        if "admin" not in caller.identity.scopes:
            raise NotAllowed("an API key makes others only with the scope admin: else it could outlive itself; log in instead")
        missing = [scope for scope in request.scopes if scope not in caller.identity.scopes]
        if missing:
            raise NotAllowed(f"a key can't get the scope {missing[0]}, which this log-in does not have", scopes=missing)
        expires_at = sensible(request.expires_at, name="expires_at")
        if expires_at is not None and expires_at <= self._clock():
            raise KeyInvalid("expires_at lies in the past; the key would never work", expires_at=expires_at)
        id, secret = uuid4(), secrets.token_urlsafe(32)
        async with self._database.transaction() as connection:
            key = await queries.insert_key(
                connection,
                id=id,
                account=caller.identity.name,
                name=request.name,
                secret_hash=_hash(secret),
                scopes=sorted(set(request.scopes)),
                expires_at=expires_at,
            )
            changes = {
                "name": Change(after=key.name),
                "scopes": Change(after=key.scopes),
                "expires_at": Change(after=key.expires_at),
            }
            await _note(connection, id, "created", changes, caller=caller)
        return Key(**{name: getattr(key, name) for name in key.__struct_fields__} | {"key": f"{KEY_PREFIX}{id.hex}_{secret}"})

    async def keys(self, *, caller: Caller) -> list[Key]:
        require(caller.identity, "read", to="list your API keys")
        async with self._database.connection() as connection:
            return await queries.keys_of(connection, caller.identity.name)

    async def revoke(self, id: UUID, *, caller: Caller) -> None:
        """End a key of the caller's own, or any for administrators. Again is not an error."""
        require(caller.identity, "read", to="revoke an API key")
        if "admin" not in caller.identity.scopes:
            raise NotAllowed("an API key revokes keys only with the scope admin; log in instead")
        async with self._database.transaction() as connection:
            row = await queries.key_by_id(connection, id)
            if row is None or (row.account_name != caller.identity.name and not caller.identity.administrator):
                raise KeyNotFound(f"you have no API key {id}", id=id)
            if row.revoked_at is None:
                await queries.revoke_key(connection, id)
                await _note(connection, id, "revoked", {}, caller=caller)
        self.forget()

    def forget(self) -> None:
        """Ask the accounts again: something about them has changed."""
        self._remembered.clear()

    async def _by_key(self, credential: str) -> Identity:
        async with self._database.connection() as connection:
            _, account, scopes = await self._key(connection, credential)
        return self._identity(account, scopes)

    async def _by_token(self, credential: str) -> Identity:
        if (issuer := self._issuers.of(credential)) is not None:
            who = await issuer.read(credential)
            return structs.replace(self._identity(await self._foreigners.account(who), ALL_SCOPES), limits=who.limits)
        claims = self._tokens.read(credential)
        async with self._database.connection() as connection:
            account = await queries.account_by_name(connection, claims.sub)
            if account is None or account.disabled or account.credential_version != claims.cv:
                raise CredentialsWrong("the access token is no longer valid; log in again")
            if claims.key is not None:
                row = await queries.key_by_id(connection, claims.key)
                if row is None or row.revoked_at is not None or self._expired(row):
                    raise CredentialsWrong("the API key behind this access token was revoked or has expired")
        return self._identity(account, claims.scopes)

    async def _key(self, connection: Connection, text: str) -> tuple[UUID, AccountRow, tuple[Scope, ...]]:
        id_text, _, secret = text.removeprefix(KEY_PREFIX).partition("_")
        try:
            id = UUID(hex=id_text)
        except ValueError as error:
            raise CredentialsWrong(GONE) from error
        row = await queries.key_by_id(connection, id)
        if row is None or not hmac.compare_digest(row.secret_hash, _hash(secret)) or row.revoked_at or self._expired(row):
            raise CredentialsWrong(GONE)
        account = await queries.account_by_name(connection, row.account_name)
        if account is None or account.disabled:
            raise CredentialsWrong(GONE)
        return id, account, tuple(row.scopes)

    def _identity(self, account: AccountRow, scopes: tuple[Scope, ...]) -> Identity:
        groups = tuple(dict.fromkeys([*account.groups, *self._common_groups]))
        return Identity(name=account.name, role=account.role, groups=groups, scopes=scopes, full_name=account.full_name)

    def _expired(self, row: queries.KeyRow) -> bool:
        return row.expires_at is not None and row.expires_at <= self._clock()


def _hash(secret: str) -> bytes:
    # Plain SHA-256 is right for 256 random bits: there is nothing to guess.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


async def _note(connection: Connection, id: UUID, action: str, changes: dict[str, Change], *, caller: Caller) -> None:
    await events.append(
        connection,
        kind="api_key",
        subject=str(id),
        actor=caller.identity.name,
        action=action,
        changes=changes,
        request_id=caller.request_id,
    )
