"""History in the database, read."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from mediastore.catalog.queries import READABLE
from mediastore.database import Connection
from mediastore.events.schemas import Event

NAMES = ("id", "kind", "subject", "revision", "at", "actor", "action", "changes", "request_id")
COLUMNS = ", ".join(f"h.{name}" for name in NAMES)
MOST_BYTES = 8 * 1024 * 1024
"""Of changes that are read at a time, unless one event alone has more: each can hold all of a record's metadata twice."""


class Events(Struct, frozen=True, kw_only=True):
    items: list[Event]
    more: bool
    """Whether there are others behind them."""


async def _read(connection: Connection, statement: str, *values: object, order: str, limit: int) -> Events:
    """The first `limit` events of a statement that has a LIMIT of one more, or as many of them as have `MOST_BYTES`."""
    rows = await connection.fetch(
        f"""
        SELECT {", ".join(NAMES)}, there FROM (
            SELECT e.*, count(*) OVER () AS there, row_number() OVER (ORDER BY {order}) AS number,
                sum(octet_length(changes::text)) OVER (ORDER BY {order}) AS bytes
            FROM ({statement}) AS e
        ) AS summed WHERE number <= {limit:d} AND (bytes <= {MOST_BYTES} OR number = 1) ORDER BY number
        """,
        *values,
    )
    items = [Event(**{name: row[name] for name in NAMES}) for row in rows]
    return Events(items=items, more=bool(rows) and rows[0]["there"] > len(items))


async def of_media(connection: Connection, media: int, *, reads: bool, after: int, limit: int) -> Events:
    """The events of one record, oldest first."""
    statement = f"""
        SELECT {COLUMNS} FROM history h WHERE h.media = $1 AND h.id > $2 AND ($4 OR h.action <> 'read') ORDER BY h.id LIMIT $3
        """
    return await _read(connection, statement, media, after, limit + 1, reads, order="id", limit=limit)


async def up_to(connection: Connection, media: int, *, revision: int, after: tuple[int, int], limit: int) -> Events:
    """The events that made a record what it was at a revision, oldest first, behind this revision and id."""
    statement = f"""
        SELECT {COLUMNS} FROM history h WHERE h.media = $1 AND h.revision <= $2 AND (h.revision, h.id) > ($3, $4)
        ORDER BY h.revision, h.id LIMIT $5
        """
    return await _read(connection, statement, media, revision, *after, limit + 1, order="revision, id", limit=limit)


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
) -> Events:
    """Events of everything for administrators, of records that one may read for others, on from `place`.

    What a filter is not asked for is left out of the statement, so that each combination gets the index that fits it.
    """
    values: list[object] = [administrator, name, principals, now, place, limit + 1]
    conditions = [f"h.id {'<' if newest else '>'} $5", f"($1 OR h.kind = 'media') AND {READABLE}"]

    def narrow(condition: str, value: object) -> None:
        values.append(value)
        conditions.append(condition.format(f"${len(values)}"))

    if kind is not None:
        narrow("h.kind = {}", kind)
    if subject is not None:
        # By the record where it is one, for its events have an index. Records that were withdrawn are not found.
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
    order = "id DESC" if newest else "id"
    statement = f"""
        SELECT {COLUMNS} FROM history h LEFT JOIN media m ON m.id = h.media
        WHERE {" AND ".join(conditions)} ORDER BY h.{order} LIMIT $6
        """
    return await _read(connection, statement, *values, order=order, limit=limit)
