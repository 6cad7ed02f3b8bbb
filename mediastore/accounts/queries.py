"""Accounts, groups, keys and the log-in throttle in the database."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from mediastore.accounts.schemas import Account, Key, Role, Scope
from mediastore.database import Connection

GROUPS = "ARRAY(SELECT group_name FROM group_member WHERE account = account.id ORDER BY group_name)"


class AccountRow(Struct, frozen=True, kw_only=True):
    """An account with what only the server may see."""

    id: int
    name: str
    role: Role
    password_hash: str | None
    credential_version: int
    disabled: bool
    issuer: str | None
    full_name: str | None
    email: str | None
    created_at: datetime
    updated_at: datetime
    groups: list[str]

    def shown(self) -> Account:
        return Account(
            name=self.name,
            role=self.role,
            groups=tuple(self.groups),
            disabled=self.disabled,
            issuer=self.issuer,
            full_name=self.full_name,
            email=self.email,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


class KeyRow(Struct, frozen=True, kw_only=True):
    """An API key with its hash and its holder."""

    account_name: str
    secret_hash: bytes
    scopes: list[Scope]
    expires_at: datetime | None
    revoked_at: datetime | None


ACCOUNT_COLUMNS = (
    "id, name, role, password_hash, credential_version, disabled, issuer, full_name, email, created_at, updated_at, "
    f"{GROUPS} AS groups"
)


async def account_by_name(connection: Connection, name: str, *, lock: bool = False) -> AccountRow | None:
    """The account, unless it was deleted."""
    row = await connection.fetchrow(
        f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE name = $1 AND deleted_at IS NULL" + (" FOR UPDATE" if lock else ""),
        name,
    )
    return AccountRow(**row) if row else None


async def accounts(connection: Connection) -> list[AccountRow]:
    rows = await connection.fetch(f"SELECT {ACCOUNT_COLUMNS} FROM account WHERE deleted_at IS NULL ORDER BY name")
    return [AccountRow(**row) for row in rows]


async def insert_account(
    connection: Connection,
    *,
    name: str,
    password_hash: str | None,
    role: Role,
    groups: Iterable[str],
    issuer: str | None = None,
) -> None:
    account = await connection.fetchval(
        "INSERT INTO account (name, password_hash, role, issuer) VALUES ($1, $2, $3, $4) RETURNING id",
        name,
        password_hash,
        role,
        issuer,
    )
    await _set_groups(connection, account, groups)


async def update_account(
    connection: Connection,
    account: int,
    *,
    role: Role,
    disabled: bool,
    groups: Iterable[str],
    password_hash: str | None,
    new_credentials: bool,
) -> None:
    """Write the changed account; `new_credentials` makes every token issued before worthless."""
    await connection.execute(
        """
        UPDATE account SET role = $2, disabled = $3, password_hash = $4,
            credential_version = credential_version + $5, updated_at = now()
        WHERE id = $1
        """,
        account,
        role,
        disabled,
        password_hash,
        int(new_credentials),
    )
    await _set_groups(connection, account, groups)


async def call_account(connection: Connection, name: str, *, full_name: str | None, email: str | None) -> None:
    """What its holder is called from now on."""
    await connection.execute(
        "UPDATE account SET full_name = $2, email = $3, updated_at = now() WHERE name = $1 AND deleted_at IS NULL",
        name,
        full_name,
        email,
    )


async def delete_account(connection: Connection, account: int) -> None:
    """Take away every way in, and what is said of the person. The row stays, so that the name never becomes another's."""
    await connection.execute(
        """
        UPDATE account SET deleted_at = now(), disabled = true, password_hash = NULL, full_name = NULL, email = NULL,
            credential_version = credential_version + 1
        WHERE id = $1
        """,
        account,
    )
    await connection.execute("DELETE FROM group_member WHERE account = $1", account)
    await connection.execute("UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE account = $1", account)


async def other_administrators(connection: Connection, account: int) -> int:
    """How many others could run the place. The caller holds `lock_administrators`."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM account WHERE role = 'administrator' AND NOT disabled AND deleted_at IS NULL AND id <> $1", account
    )
    return count


async def lock_administrators(connection: Connection) -> None:
    """Two administrators who remove each other at the same moment come one after the other."""
    await connection.execute("SELECT id FROM account WHERE role = 'administrator' AND deleted_at IS NULL ORDER BY id FOR UPDATE")


async def _set_groups(connection: Connection, account: int, groups: Iterable[str]) -> None:
    wanted = sorted(set(groups))
    await connection.execute("DELETE FROM group_member WHERE account = $1 AND group_name <> ALL ($2::text[])", account, wanted)
    await connection.execute(
        "INSERT INTO group_member (account, group_name) SELECT $1, unnest($2::text[]) ON CONFLICT DO NOTHING", account, wanted
    )


KEY_COLUMNS = "id, name, scopes, created_at, expires_at"


async def insert_key(
    connection: Connection,
    *,
    id: UUID,
    account: str,
    name: str,
    secret_hash: bytes,
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> Key:
    row = await connection.fetchrow(
        f"""
        INSERT INTO api_key (id, account, name, secret_hash, scopes, expires_at)
        SELECT $1, account.id, $3, $4, $5, $6 FROM account WHERE account.name = $2
        RETURNING {KEY_COLUMNS}
        """,
        id,
        account,
        name,
        secret_hash,
        scopes,
        expires_at,
    )
    assert row is not None  # noqa: S101 - the caller was authenticated as this account
    return Key(**row)


async def keys_of(connection: Connection, account: str) -> list[Key]:
    """Keys that were not revoked, newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {KEY_COLUMNS} FROM api_key
        WHERE account = (SELECT id FROM account WHERE name = $1) AND revoked_at IS NULL ORDER BY created_at DESC, id
        """,
        account,
    )
    return [Key(**row) for row in rows]


async def key_by_id(connection: Connection, id: UUID) -> KeyRow | None:
    row = await connection.fetchrow(
        """
        SELECT account.name AS account_name, secret_hash, scopes, expires_at, revoked_at
        FROM api_key JOIN account ON account.id = api_key.account WHERE api_key.id = $1
        """,
        id,
    )
    return KeyRow(**row) if row else None


async def revoke_key(connection: Connection, id: UUID) -> None:
    await connection.execute("UPDATE api_key SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", id)


class Throttle(Struct, frozen=True, kw_only=True):
    failures: int
    last_failure_at: datetime
    blocked_until: datetime


async def lock_throttle(connection: Connection, key: str, now: datetime) -> Throttle:
    """The count of failures under a key, locked until the transaction ends."""
    await connection.execute(
        """
        INSERT INTO login_throttle (key, failures, last_failure_at, blocked_until) VALUES ($1, 0, $2, $2)
        ON CONFLICT (key) DO NOTHING
        """,
        key,
        now,
    )
    row = await connection.fetchrow(
        "SELECT failures, last_failure_at, blocked_until FROM login_throttle WHERE key = $1 FOR UPDATE", key
    )
    return Throttle(**row) if row else Throttle(failures=0, last_failure_at=now, blocked_until=now)


async def set_throttle(connection: Connection, key: str, throttle: Throttle) -> None:
    await connection.execute(
        "UPDATE login_throttle SET failures = $2, last_failure_at = $3, blocked_until = $4 WHERE key = $1",
        key,
        throttle.failures,
        throttle.last_failure_at,
        throttle.blocked_until,
    )


async def clear_throttle(connection: Connection, keys: Sequence[str], *, older_than: datetime) -> None:
    """Forget these keys, and all that have been quiet for long."""
    await connection.execute("DELETE FROM login_throttle WHERE key = ANY ($1) OR last_failure_at < $2", keys, older_than)
