"""Records as lines of a file: what an export writes and an import reads, and what an import says of it."""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

from mediastore.accounts.schemas import AccountName
from mediastore.catalog.schemas import Content, MediaCreate, Pid, Status
from mediastore.catalog.search_schemas import Filters

Existing: TypeAlias = Literal["error", "skip", "update"]


class ImportLine(MediaCreate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record to be, as a creation says it or as an export wrote it.

    What an export says beyond a creation is a claim: where it matters later it is written into the history as `imported`, and
    nothing here follows from it.
    """

    owner: AccountName | None = None
    """Administrators may name another one than themselves."""
    content: Content | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    status: Status | None = None
    status_reason: str | None = None
    version: int | None = None
    revision: int | None = None
    held: bool | None = None


class ImportCounts(Struct, frozen=True, kw_only=True):
    lines: int
    """Read so far, empty ones too. All before it are decided, and those that are made are committed."""
    created: int
    updated: int
    unchanged: int
    """Were there already, and say the same."""
    skipped: int
    """Were there already, and were left as they are."""
    failed: int


class ImportReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the answer to an import: of a record that was not taken, or of how far it is.

    The last one has `done` or `stopped`; an answer without it was cut.
    """

    line: int | None = None
    pid: str | None = None
    status: int | None = None
    """That the record would have got alone."""
    problem: dict[str, Any] | None = None
    """Why the record was not taken; beside `stopped`, why the rest was not read."""
    progress: ImportCounts | None = None
    done: ImportCounts | None = None
    stopped: ImportCounts | None = None


class ExportRequest(Filters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    after: Annotated[Pid | None, Meta(description="Go on behind this record: the last one that you have")] = None
