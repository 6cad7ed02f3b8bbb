"""What happened: the words of history."""

from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Raw, Struct

SubjectKind: TypeAlias = Literal["media", "store", "s3_config", "identifier_type", "account", "api_key", "metadata_field"]

NOT_A_PERSON = "system"
"""Actor of what the server does by itself. No account can have it: see `accounts.names`."""


class Change(Struct, frozen=True, kw_only=True):
    """A value before and after; an absent one is null."""

    before: object = None
    after: object = None


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened to one subject."""

    id: int
    kind: SubjectKind
    subject: str
    revision: int | None
    at: datetime
    actor: str
    action: str
    changes: Raw
    request_id: str | None


class EventPage(Struct, frozen=True, kw_only=True):
    items: list[Event]
    next: str | None
