"""History: appended in the transaction of the change itself, never altered."""

from collections.abc import Mapping

from mediastore.database import Connection
from mediastore.events.schemas import Change, Event, SubjectKind

INSERT_EVENT = """
INSERT INTO history (kind, subject, media, revision, actor, action, changes, request_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""

MEDIA_EVENTS = """
SELECT id, kind, subject, revision, at, actor, action, changes, request_id
FROM history WHERE media = $1 AND id > $2 ORDER BY id LIMIT $3
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


async def of_media(connection: Connection, media: int, *, after: int, limit: int) -> list[Event]:
    """The events of one record, oldest first."""
    rows = await connection.fetch(MEDIA_EVENTS, media, after, limit)
    return [Event(**row) for row in rows]
