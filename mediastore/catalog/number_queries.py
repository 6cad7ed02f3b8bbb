"""The numbers of records, and the keys of their contents, in the database."""

from collections.abc import Sequence

from msgspec import Struct

from mediastore.database import Connection


class Numbered(Struct, frozen=True, kw_only=True):
    pid: str
    id: int
    key: str | None
    """Where in its store the current content lies."""


async def numbered(connection: Connection, pids: Sequence[str]) -> dict[str, Numbered]:
    rows = await connection.fetch(
        "SELECT m.pid, m.id, o.key FROM media m LEFT JOIN stored_object o ON o.id = m.current_object WHERE m.pid = ANY ($1)", pids
    )
    return {row["pid"]: Numbered(**row) for row in rows}
