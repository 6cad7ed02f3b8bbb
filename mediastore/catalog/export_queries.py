"""Records in the order of their ids, a span at a time: each statement looks at so many rows, whoever may read them."""

from mediastore.catalog.filter_queries import Asked, conditions
from mediastore.catalog.queries import MEDIA, MediaRow
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


async def span(connection: Connection, asked: Asked, *, after: int, end: int) -> list[MediaRow]:
    """Records of the span that are what was asked for, among those that the caller may read."""
    where = conditions(asked)
    where.add(f"m.id > {where.value(after, 'bigint')} AND m.id <= {where.value(end, 'bigint')}")
    rows = await connection.fetch(
        f"{MEDIA} WHERE m.id IN (SELECT m.id FROM media m {' '.join(where.joins)} WHERE {where.sql()}) ORDER BY m.id",
        *where.values,
    )
    return [MediaRow(**row) for row in rows]
