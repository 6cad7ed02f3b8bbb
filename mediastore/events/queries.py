"""History: appended in the transaction of the change itself, never altered."""

from collections.abc import Mapping

from mediastore.database import Connection
from mediastore.events.schemas import Change, SubjectKind

INSERT_EVENT = """
INSERT INTO history (kind, subject, media, revision, actor, action, changes, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def append(
    connection: Connection,
    *,
    kind: SubjectKind,
    subject: str,
    actor: str,
    action: str,
    changes: Mapping[str, Change],
    request_id: str | None,
    media: int | None = None,
    revision: int | None = None,
) -> None:
    """Write down one event. `changes` must hold no secret."""
    await connection.execute(INSERT_EVENT, kind, subject, media, revision, actor, action, changes, request_id)
