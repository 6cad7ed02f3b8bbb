"""Who may do what with a record: pure rules over the record as it is and the identity that asks."""

from datetime import datetime
from typing import Literal, Protocol

from mediastore.accounts.errors import LoginRequired, NotAllowed
from mediastore.accounts.schemas import Identity, Scope

Access = Literal["private", "internal", "public"]


class Policy(Protocol):
    """What of a record decides about access."""

    @property
    def owner(self) -> str: ...
    @property
    def access(self) -> Access: ...
    @property
    def readers(self) -> list[str]: ...
    @property
    def writers(self) -> list[str]: ...
    @property
    def public_at(self) -> datetime | None: ...


def is_public(policy: Policy, now: datetime) -> bool:
    """Whether anyone may read. `public_at` is an embargo: before it `public` does not hold, from it on everything is public."""
    return policy.access == "public" if policy.public_at is None else policy.public_at <= now


def may_read(policy: Policy, identity: Identity, now: datetime) -> bool:
    if is_public(policy, now):
        return True
    if not identity.known or "read" not in identity.scopes:
        return False
    if policy.access == "internal" or owns(policy, identity):
        return True
    principals = identity.principals
    return any(name in policy.readers or name in policy.writers for name in principals)


def may_write(policy: Policy, identity: Identity) -> bool:
    """Change what a record says and holds. A role of `reader` never writes, whoever lists it as a writer."""
    if not may_create(identity):
        return False
    return owns(policy, identity) or any(name in policy.writers for name in identity.principals)


def owns(policy: Policy, identity: Identity) -> bool:
    """Decide who else may read and write, hand the record on, delete it. So do stewards of a group that may write."""
    if identity.administrator or policy.owner == identity.name:
        return identity.known
    return any(f"group:{group}" in policy.writers for group in identity.stewards)


def may_create(identity: Identity) -> bool:
    return identity.known and identity.role != "reader" and "write" in identity.scopes


def require(identity: Identity, scope: Scope, *, to: str) -> None:
    """Raise unless the identity is logged in and may do things of this scope at all. `to` completes the sentence."""
    if not identity.known:
        raise LoginRequired(f"log in to {to}")
    allowed = {
        "read": "read" in identity.scopes,
        "write": may_create(identity),
        "admin": identity.administrator,
    }[scope]
    if not allowed:
        needed = {"read": "the scope `read`", "write": "the role editor and the scope `write`", "admin": "an administrator"}[
            scope
        ]
        raise NotAllowed(f"{identity.name} may not {to}: this needs {needed}")
