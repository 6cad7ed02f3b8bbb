"""What each store held on each day, for whoever wants to know how it grows."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0011_growth"
VERSION = "1.38.0"
DESCRIPTION = "what each store held on each day"

UP = """
CREATE TABLE store_day (
    store bigint NOT NULL CONSTRAINT store_day_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    day date NOT NULL,
    object_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    CONSTRAINT store_day_pkey PRIMARY KEY (store, day)
);
"""
# From when each object came and went. Of some that are missing or in quarantine nobody knows any more since when.
DAYS_BEFORE = """
INSERT INTO store_day (store, day, object_count, byte_count)
SELECT store, day, sum(objects) OVER by_day, sum(bytes) OVER by_day FROM (
    SELECT store, day, sum(objects) AS objects, sum(bytes) AS bytes FROM (
        SELECT store, (stored_at AT TIME ZONE 'UTC')::date AS day, 1 AS objects, size AS bytes FROM stored_object
            WHERE stored_at IS NOT NULL AND size IS NOT NULL AND (state = 'stored' OR doomed_at IS NOT NULL)
        UNION ALL
        SELECT store, (greatest(doomed_at, stored_at) AT TIME ZONE 'UTC')::date, -1, -size FROM stored_object
            WHERE stored_at IS NOT NULL AND size IS NOT NULL AND state <> 'stored' AND doomed_at IS NOT NULL
    ) AS moves GROUP BY store, day
) AS days WINDOW by_day AS (PARTITION BY store ORDER BY day);
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mediastore", description=DESCRIPTION)

    async def create() -> None:
        engine = engine_finder()
        assert engine is not None
        transaction = engine.current_transaction.get()
        assert transaction is not None
        await transaction.connection.execute(UP + DAYS_BEFORE)

    manager.add_raw(create)
    return manager
