"""History in the database, read."""

from collections.abc import Sequence
from datetime import datetime

from mediastore.catalog.queries import READABLE
from mediastore.database import Connection
from mediastore.events.schemas import Event

COLUMNS = "h.id, h.kind, h.subject, h.revision, h.at, h.actor, h.action, h.changes, h.request_id"


async def of_media(connection: Connection, media: int, *, reads: bool, after: int, limit: int) -> list[Event]:
    """The events of one record, oldest first."""
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM history h WHERE h.media = $1 AND h.id > $2 AND ($4 OR h.action <> 'read') ORDER BY h.id LIMIT $3
        """,
        media,
        after,
        limit,
        reads,
    )
    return [Event(**row) for row in rows]


async def up_to(connection: Connection, media: int, *, revision: int) -> list[Event]:
    """The events that made a record what it was at a revision, oldest first."""
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM history h WHERE h.media = $1 AND h.revision <= $2 ORDER BY h.revision, h.id", media, revision
    )
    return [Event(**row) for row in rows]


async def matching(
    connection: Connection,
    *,
    administrator: bool,
    name: str,
    principals: Sequence[str],
    now: datetime,
    kind: str | None,
    subject: str | None,
    actor: str | None,
    action: str | None,
    since: datetime | None,
    until: datetime | None,
    reads: bool,
    newest: bool,
    place: int,
    limit: int,
) -> list[Event]:
    """Events of everything for administrators, of records that one may read for others, on from `place`.

    What a filter is not asked for is left out of the statement, so that each combination gets the index that fits it.
    """
    values: list[object] = [administrator, name, principals, now, place, limit]
    conditions = [f"h.id {'<' if newest else '>'} $5", f"($1 OR h.kind = 'media') AND {READABLE}"]

    def narrow(condition: str, value: object) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    if kind is not None:
        narrow("h.kind = {}", kind)
    if subject is not None:
        # By the record where it is one, for its events have an index; what was withdrawn has only its name.
        narrow("(h.media = (SELECT id FROM media WHERE pid = {0}) OR h.media IS NULL AND h.subject = {0})", subject)
    if actor is not None:
        narrow("h.actor = {}", actor)
    if action is not None:
        narrow("h.action = {}", action)
    if since is not None:
        narrow("h.at >= {}", since)
    if until is not None:
        narrow("h.at < {}", until)
    if not reads:
        conditions.append("h.action <> 'read'")
    rows = await connection.fetch(
        f"""
        SELECT {COLUMNS} FROM history h LEFT JOIN media m ON m.id = h.media
        WHERE {" AND ".join(conditions)} ORDER BY h.id {"DESC" if newest else ""} LIMIT $6
        """,
        *values,
    )
    return [Event(**row) for row in rows]
