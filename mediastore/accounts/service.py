"""Log in, prove who you are, and keep the accounts."""

from collections.abc import Callable

from mediastore.accounts import queries
from mediastore.accounts.access import require
from mediastore.accounts.errors import (
    AccountExists,
    AccountNotFound,
    CredentialsWrong,
    LastAdministrator,
    NotAllowed,
)
from mediastore.accounts.names import RESERVED_NAMES
from mediastore.accounts.passwords import Passwords
from mediastore.accounts.queries import AccountRow
from mediastore.accounts.schemas import (
    ALL_SCOPES,
    Account,
    AccountChange,
    AccountCreate,
    Caller,
    LoginRequest,
    Token,
)
from mediastore.accounts.throttle import LoginThrottle
from mediastore.accounts.tokens import Claims, Tokens
from mediastore.database import Connection, ConstraintViolated, Database
from mediastore.events import queries as events
from mediastore.events.schemas import NOT_A_PERSON, Change

ADMINISTRATOR = "admin"


class Accounts:
    def __init__(
        self,
        database: Database,
        *,
        passwords: Passwords,
        tokens: Tokens,
        throttle: LoginThrottle,
        on_change: Callable[[], None],
    ) -> None:
        self._database = database
        self._on_change = on_change
        self._passwords = passwords
        self._tokens = tokens
        self._throttle = throttle

    async def log_in(self, request: LoginRequest, *, address: str) -> Token:
        """A token for a name and its password. Raises `CredentialsWrong`, the same for a name that is not there."""
        async with self._throttle.attempt(name=request.username, address=address):
            async with self._database.connection() as connection:
                account = await queries.account_by_name(connection, request.username)
            usable = account is not None and not account.disabled
            right = await self._passwords.check(request.password, account.password_hash if account and usable else None)
            if account is None or not right:
                raise CredentialsWrong("the user name or the password is wrong")
        return self._tokens.issue(Claims(sub=account.name, cv=account.credential_version, scopes=ALL_SCOPES))

    async def create(self, request: AccountCreate, *, caller: Caller) -> Account:
        require(caller.identity, "admin", to="create users")
        return await self.add(request, actor=caller.identity.name, request_id=caller.request_id)

    async def add(self, request: AccountCreate, *, actor: str, request_id: str | None = None) -> Account:
        """Create an account on the word of whoever runs the server. Raises `AccountExists`."""
        if request.name.lower() in RESERVED_NAMES:
            raise AccountExists(f"the name {request.name} is the server's own; choose another", name=request.name)
        password_hash = None if request.password is None else await self._passwords.hash(request.password)
        try:
            async with self._database.transaction() as connection:
                await queries.insert_account(
                    connection, name=request.name, password_hash=password_hash, role=request.role, groups=request.groups
                )
                changes = {"role": Change(after=request.role), "groups": Change(after=sorted(set(request.groups)))}
                await self._note(connection, request.name, "created", changes, actor=actor, request_id=request_id)
                account = await queries.account_by_name(connection, request.name)
        except ConstraintViolated as error:
            if error.constraint != "account_name_key":
                raise
            raise AccountExists(
                f"the user name {request.name} is taken, or was once; names are not given out twice", name=request.name
            ) from error
        assert account is not None  # noqa: S101 - inserted above
        return account.shown()

    async def ensure_administrator(self, password: str) -> bool:
        """Create the first administrator; False, and nothing is changed, when there is one already."""
        try:
            await self.add(AccountCreate(name=ADMINISTRATOR, password=password, role="administrator"), actor=NOT_A_PERSON)
        except AccountExists:
            return False
        return True

    async def has_administrator(self) -> bool:
        async with self._database.connection() as connection:
            return await queries.account_by_name(connection, ADMINISTRATOR) is not None

    async def users(self, *, caller: Caller) -> list[Account]:
        require(caller.identity, "admin", to="list users")
        return await self.everyone()

    async def everyone(self) -> list[Account]:
        async with self._database.connection() as connection:
            return [row.shown() for row in await queries.accounts(connection)]

    async def read(self, name: str, *, caller: Caller) -> Account:
        """An account, for administrators and for its holder."""
        if name != caller.identity.name:
            require(caller.identity, "admin", to="see other users")
        async with self._database.connection() as connection:
            return (await _found(connection, name)).shown()

    async def change(self, name: str, change: AccountChange, *, caller: Caller) -> Account:
        """Change an account. Its holder may change the password, with the present one; the rest is for administrators."""
        await self._may_change(name, change, caller=caller)
        return await self.apply(name, change, actor=caller.identity.name, request_id=caller.request_id)

    async def apply(self, name: str, change: AccountChange, *, actor: str, request_id: str | None = None) -> Account:
        """Change an account on the word of whoever runs the server."""
        new_hash = await self._passwords.hash(change.password) if isinstance(change.password, str) else None
        async with self._database.transaction() as connection:
            await queries.lock_administrators(connection)
            before = await _found(connection, name, lock=True)
            role = change.role if isinstance(change.role, str) else before.role
            groups = sorted(set(change.groups)) if isinstance(change.groups, tuple) else before.groups
            disabled = change.disabled if isinstance(change.disabled, bool) else before.disabled
            if role != "administrator" or disabled:
                await _not_the_last(connection, before)
            await queries.update_account(
                connection,
                before.id,
                role=role,
                disabled=disabled,
                groups=groups,
                password_hash=new_hash or before.password_hash,
                new_credentials=new_hash is not None or (disabled and not before.disabled),
            )
            changes = {
                key: Change(before=old, after=new)
                for key, old, new in (
                    ("role", before.role, role),
                    ("groups", before.groups, groups),
                    ("disabled", before.disabled, disabled),
                )
                if old != new
            }
            if new_hash:
                changes["password"] = Change(after="changed")
            await self._note(connection, name, "changed", changes, actor=actor, request_id=request_id)
            changed = await _found(connection, name)
        self._on_change()
        return changed.shown()

    async def delete(self, name: str, *, caller: Caller) -> None:
        require(caller.identity, "admin", to="delete users")
        async with self._database.transaction() as connection:
            await queries.lock_administrators(connection)
            account = await _found(connection, name, lock=True)
            await _not_the_last(connection, account)
            await queries.delete_account(connection, account.id)
            await self._note(connection, name, "deleted", {}, actor=caller.identity.name, request_id=caller.request_id)
        self._on_change()

    async def _may_change(self, name: str, change: AccountChange, *, caller: Caller) -> None:
        identity = caller.identity
        own = name == identity.name
        if not identity.administrator:
            others = (change.role, change.groups, change.disabled)
            if not own or any(isinstance(value, str | tuple | bool) for value in others):
                require(identity, "admin", to="change more than your own password")
            if "admin" not in identity.scopes:
                raise NotAllowed("an API key can't change a password; log in with the present one")
        elif not own or not isinstance(change.current_password, str):
            return
        async with self._database.connection() as connection:
            account = await _found(connection, name)
        given = change.current_password if isinstance(change.current_password, str) else ""
        async with self._throttle.attempt(name=name, address=caller.address):
            if not await self._passwords.check(given, account.password_hash):
                raise CredentialsWrong("the present password (current_password) is not right")

    async def _note(
        self,
        connection: Connection,
        name: str,
        action: str,
        changes: dict[str, Change],
        *,
        actor: str,
        request_id: str | None,
    ) -> None:
        await events.append(
            connection, kind="account", subject=name, actor=actor, action=action, changes=changes, request_id=request_id
        )


async def _found(connection: Connection, name: str, *, lock: bool = False) -> AccountRow:
    account = await queries.account_by_name(connection, name, lock=lock)
    if account is None:
        raise AccountNotFound(f"there is no user {name}", name=name)
    return account


async def _not_the_last(connection: Connection, account: AccountRow) -> None:
    active = account.role == "administrator" and not account.disabled
    if active and await queries.other_administrators(connection, account.id) == 0:
        raise LastAdministrator(f"{account.name} is the last active administrator; make another one first", name=account.name)
