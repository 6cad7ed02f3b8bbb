"""A record as it was: its history, told up to a revision."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import UNSET, Raw, Struct

from mediastore.catalog.errors import RevisionNotFound
from mediastore.catalog.schemas import Access, Status
from mediastore.events.schemas import Event

NOT_OF_THE_RECORD = {"older_content", "version_removed", "missing"}
"""Actions whose `version` and `content` are not those that the record has."""


class PastContent(Struct, frozen=True, kw_only=True):
    """What the record's content was: known by its digests, and still there as long as `GET /versions/{pid}` says so."""

    size: int
    media_type: str
    filename: str | None = None
    checksums: dict[str, str]
    store: str


class PastMedia(Struct, frozen=True, kw_only=True):
    """A record as it was right after one of its changes."""

    pid: str
    revision: int
    changed_at: datetime
    changed_by: str
    action: str
    """What made this revision."""
    pid_type: str | None = None
    identifiers: dict[str, str] = {}
    metadata: dict[str, object] = {}
    """`msgspec.Raw` here: numbers stay as they were written."""
    tags: list[str] = []
    store: str = ""
    status: Status = "pending"
    status_reason: str | None = None
    version: int = 0
    content: PastContent | None = None
    owner: str = ""
    access: Access = "private"
    readers: list[str] = []
    writers: list[str] = []
    public_at: datetime | None = None
    expires_at: datetime | None = None


class _After(Struct, frozen=True, kw_only=True):
    after: Raw | msgspec.UnsetType = UNSET


FIELDS = {field.name for field in msgspec.structs.fields(PastMedia)} - {"pid", "revision", "changed_at", "changed_by", "action"}


class Past:
    """The record at a revision, told by its events up to that one. Only the newest value of each field is kept."""

    def __init__(self, pid: str, revision: int) -> None:
        self._pid = pid
        self._revision = revision
        self._told: dict[str, Raw] = {}
        self._last: Event | None = None

    def tell(self, events: Iterable[Event]) -> None:
        """What happened next."""
        for event in events:
            if event.revision is None:
                continue
            if self._last is None or self._last.revision is None or event.revision > self._last.revision:
                self._last = event
            if event.action in NOT_OF_THE_RECORD:
                continue
            changes = msgspec.json.decode(event.changes, type=dict[str, _After])
            values = {name: change.after for name, change in changes.items() if name in FIELDS}
            if "status" in values:
                self._told.pop("status_reason", None)
            self._told |= {name: Raw(b"null") if value is UNSET else value.copy() for name, value in values.items()}

    def media(self) -> PastMedia:
        """Raises `RevisionNotFound` where nothing was told."""
        if (last := self._last) is None:
            raise RevisionNotFound(
                f"the history of {self._pid} does not reach back to revision {self._revision}",
                pid=self._pid,
                revision=self._revision,
            )
        facts = {
            "pid": self._pid,
            "revision": self._revision,
            "changed_at": last.at,
            "changed_by": last.actor,
            "action": last.action,
        }
        metadata = self._told.get("metadata", Raw(b"{}"))
        past = msgspec.json.decode(msgspec.json.encode({**self._told, "metadata": Raw(b"{}"), **facts}), type=PastMedia)
        return msgspec.structs.replace(past, metadata=metadata)
