"""What is due in which store, and how upkeep fares, for the schedule, the metrics and health."""

from datetime import datetime

from msgspec import Struct

from mediastore.database import Connection
from mediastore.placement.queries import StoreRow
from mediastore.retention.upkeep_schemas import FindingKind, FixityShown, UpkeepState

MOST_TOLD = 100
"""Objects that did not read well, in one answer."""


class DueRow(Struct, frozen=True, kw_only=True):
    """How far the comparisons of a store have come."""

    open: int | None
    """The one that is asked for or under way."""
    ended_at: datetime | None
    """Of the last one."""
    stopped: bool
    """Whether that one stopped before its end, for something that may be over soon."""
    absent: bool
    """Whether an object is to be asked for again."""


class StoreFigures(Struct, frozen=True, kw_only=True):
    store: str
    problem: str | None
    reconciled_age_s: float | None
    """Since the last comparison that came to its end."""
    absent: int
    fixity_age_s: float | None
    """Of the oldest comparison with checksums."""
    objects_read: int
    bytes_read: int


class FindingCount(Struct, frozen=True, kw_only=True):
    store: str
    kind: FindingKind
    count: int


async def due(connection: Connection, store: int, *, at: datetime) -> DueRow:
    row = await connection.fetchrow(
        """
        SELECT (SELECT id FROM reconciliation WHERE store = $1 AND ended_at IS NULL) AS open, l.ended_at,
            coalesce(l.stopped_by <> 'too_many_unknown', false) AS stopped,
            EXISTS (SELECT FROM absence WHERE store = $1 AND next_ask_at <= $2) AS absent
        FROM (SELECT 1) AS one LEFT JOIN LATERAL (
            SELECT ended_at, stopped_by FROM reconciliation WHERE store = $1 AND ended_at IS NOT NULL ORDER BY id DESC LIMIT 1
        ) AS l ON true
        """,
        store,
        at,
    )
    assert row is not None  # noqa: S101 - the FROM has one row
    return DueRow(**row)


async def figures(connection: Connection) -> list[StoreFigures]:
    """Of every store that is there, each by indexed look-ups."""
    rows = await connection.fetch(
        """
        SELECT s.name AS store, r.problem,
            (SELECT extract(epoch FROM now() - ended_at)::float8 FROM reconciliation
                WHERE store = s.id AND ended_at IS NOT NULL AND stopped_by IS NULL ORDER BY id DESC LIMIT 1) AS reconciled_age_s,
            (SELECT count(*) FROM absence WHERE store = s.id) AS absent,
            (SELECT extract(epoch FROM now() - checked_at)::float8 FROM stored_object
                WHERE store = s.id AND state = 'stored' AND checked_at IS NOT NULL ORDER BY checked_at LIMIT 1) AS fixity_age_s,
            coalesce(f.objects_read, 0) AS objects_read, coalesce(f.bytes_read, 0) AS bytes_read
        FROM store s
            LEFT JOIN upkeep r ON r.store = s.id AND r.task = 'reconcile'
            LEFT JOIN upkeep f ON f.store = s.id AND f.task = 'fixity'
        WHERE s.deleted_at IS NULL ORDER BY s.name
        """
    )
    return [StoreFigures(**row) for row in rows]


async def finding_counts(connection: Connection) -> list[FindingCount]:
    """Findings about which nobody has decided."""
    rows = await connection.fetch(
        """
        SELECT s.name AS store, f.kind, count(*) AS count FROM finding f JOIN store s ON s.id = f.store
        WHERE f.decision IS NULL AND s.deleted_at IS NULL GROUP BY s.name, f.kind ORDER BY s.name, f.kind
        """
    )
    return [FindingCount(**row) for row in rows]


async def state(connection: Connection, store: StoreRow) -> UpkeepState:
    """Of one store, each part by an index."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT problem FROM upkeep WHERE store = $1 AND task = 'reconcile') AS problem,
            (SELECT ended_at FROM reconciliation
                WHERE store = $1 AND ended_at IS NOT NULL AND stopped_by IS NULL ORDER BY id DESC LIMIT 1) AS compared_at,
            (SELECT count(*) FROM absence WHERE store = $1) AS absent,
            (SELECT coalesce(sum(object_count), 0)::bigint FROM store_usage WHERE store = $1) AS objects,
            (SELECT checked_at FROM stored_object
                WHERE store = $1 AND state = 'stored' AND checked_at IS NOT NULL ORDER BY checked_at LIMIT 1) AS oldest_check_at,
            coalesce((SELECT objects_read FROM upkeep WHERE store = $1 AND task = 'fixity'), 0) AS objects_read,
            coalesce((SELECT bytes_read FROM upkeep WHERE store = $1 AND task = 'fixity'), 0) AS bytes_read
        """,
        store.id,
    )
    assert row is not None  # noqa: S101 - there is no FROM that could be empty
    undecided = await connection.fetch(
        "SELECT kind, count(*) AS count FROM finding WHERE store = $1 AND decision IS NULL GROUP BY kind ORDER BY kind", store.id
    )
    bad = await connection.fetch(
        """
        SELECT fixity, count(*) AS count FROM stored_object
        WHERE store = $1 AND recheck_at IS NOT NULL AND state = 'stored' AND fixity IN ('mismatch', 'missing', 'error')
        GROUP BY fixity ORDER BY fixity
        """,
        store.id,
    )
    not_well = await connection.fetch(
        f"""
        SELECT m.pid, o.version, o.fixity, o.checked_at, o.fixity_detail AS detail
        FROM stored_object o JOIN media m ON m.id = o.media
        WHERE o.store = $1 AND o.recheck_at IS NOT NULL AND o.state = 'stored' AND o.fixity IN ('mismatch', 'missing', 'error')
        ORDER BY o.recheck_at LIMIT {MOST_TOLD}
        """,
        store.id,
    )
    return UpkeepState(
        store=store.name,
        not_well=[FixityShown(**item) for item in not_well],
        undecided={item["kind"]: item["count"] for item in undecided},
        bad={item["fixity"]: item["count"] for item in bad},
        **row,
    )
