"""Who someone is, and the words of the API about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

Role: TypeAlias = Literal["administrator", "editor", "reader"]
Scope: TypeAlias = Literal["read", "write", "admin"]

ALL_SCOPES: tuple[Scope, ...] = ("read", "write", "admin")

# `$` alone would let a trailing newline pass.
AccountName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}$(?!\n)", description="Letters, digits and . _ @ + -")
]
GroupName = AccountName
Principal = Annotated[
    str,
    Meta(pattern=r"^(group:)?[A-Za-z0-9][A-Za-z0-9._@+-]{0,62}$(?!\n)", description="A user's name, or `group:NAME`"),
]
Password = Annotated[str, Meta(min_length=8, max_length=1024)]


class Identity(Struct, frozen=True, kw_only=True):
    """Who asks, as the accounts say at this moment. The empty name is nobody: not logged in."""

    name: str
    role: Role = "reader"
    groups: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ("read",)
    limits: Mapping[str, float] | None = None
    """Numbers that the token of an outside service gives, by name; None where there is none that says anything of them."""
    full_name: str | None = None
    """What people call them, to be shown and nothing else."""
    stewards: tuple[str, ...] = ()
    """Groups for which it acts as the owner of what they may write: where a face shares records among all who use it."""

    @property
    def known(self) -> bool:
        return self.name != ""

    @property
    def administrator(self) -> bool:
        return self.role == "administrator" and "admin" in self.scopes

    @property
    def principals(self) -> list[str]:
        """The names under which readers and writers of a record can mean this identity."""
        return [self.name, *(f"group:{group}" for group in self.groups)] if self.known else []


NOBODY = Identity(name="")


class Caller(Struct, frozen=True, kw_only=True):
    """An identity in one request."""

    identity: Identity
    request_id: str | None = None
    address: str = ""


class LoginRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    username: Annotated[str, Meta(max_length=255)]
    password: Annotated[str, Meta(max_length=1024)]


class TokenRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: Annotated[str, Meta(max_length=255, description="An API key")]


class Token(Struct, frozen=True, kw_only=True):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 - the word of RFC 6750
    expires_in: int
    """Seconds."""


class Me(Struct, frozen=True, kw_only=True):
    name: str
    role: Role
    groups: tuple[str, ...]
    scopes: tuple[Scope, ...]
    full_name: str | None = None
    """What people call me, where an outside service has said it."""


class KeyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200, description="What the key is for")]
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1, max_length=3)] = ("read",)
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class Key(Struct, frozen=True, kw_only=True):
    id: UUID
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    key: str | None = None
    """The key itself, in the answer to its creation and never again."""


class KeyList(Struct, frozen=True, kw_only=True):
    items: list[Key]


class AccountCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: AccountName
    password: Password | None = None
    """Without one the account can't log in by password."""
    role: Role = "reader"
    groups: Annotated[tuple[GroupName, ...], Meta(max_length=100)] = ()


class AccountChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    password: Password | UnsetType = UNSET
    current_password: Annotated[str, Meta(max_length=1024)] | UnsetType = UNSET
    """Needed by those who change their own password and are no administrators; looked at whenever it is given for one's own."""
    role: Role | UnsetType = UNSET
    groups: Annotated[tuple[GroupName, ...], Meta(max_length=100)] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class Account(Struct, frozen=True, kw_only=True):
    name: str
    role: Role
    groups: tuple[str, ...]
    disabled: bool
    issuer: str | None
    """The outside service that vouches for the account; null for one of this server."""
    full_name: str | None
    """What people call its holder, as that service says; null where it says nothing."""
    email: str | None
    created_at: datetime
    updated_at: datetime


class AccountList(Struct, frozen=True, kw_only=True):
    items: list[Account]
