"""Records in the order of their ids, a span at a time: each statement looks at so many rows, whoever may read them."""

from collections.abc import Sequence
from datetime import datetime

from mediastore.catalog.queries import MEDIA, READABLE, MediaRow
from mediastore.database import Connection


async def span_end(connection: Connection, *, after: int, limit: int, size: int) -> int | None:
    """The last id of the next span: at most `limit` records with at most `size` bytes of metadata, but at least one."""
    end: int | None = await connection.fetchval(
        """
        SELECT max(id) FROM (
            SELECT id, sum(octet_length(metadata::text)) OVER (ORDER BY id) AS bytes, row_number() OVER (ORDER BY id) AS number
            FROM (SELECT id, metadata FROM media WHERE id > $1 ORDER BY id LIMIT $2) AS next
        ) AS summed WHERE bytes <= $3 OR number = 1
        """,
        after,
        limit,
        size,
    )
    return end


async def span(
    connection: Connection, *, administrator: bool, name: str, principals: Sequence[str], now: datetime, after: int, end: int
) -> list[MediaRow]:
    """Records of the span that the caller may read and that are neither deleted nor expired."""
    rows = await connection.fetch(
        f"""
        {MEDIA}
        WHERE m.id > $5 AND m.id <= $6 AND m.status NOT IN ('deleted', 'expired') AND (m.expires_at IS NULL OR m.expires_at > $4)
            AND {READABLE}
        ORDER BY m.id
        """,
        administrator,
        name,
        principals,
        now,
        after,
        end,
    )
    return [MediaRow(**row) for row in rows]
