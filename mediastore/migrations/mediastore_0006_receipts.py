"""Receipts that tell what was freed: what a store said when bytes would not go, and what a sweep decided and what it freed."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0006_receipts"
VERSION = "1.38.0"
DESCRIPTION = "what is freed by deleting, and what is not"

UP = """
LOCK TABLE stored_object, sweep IN ACCESS EXCLUSIVE MODE;

ALTER TABLE stored_object ADD COLUMN purge_problem text;

ALTER TABLE sweep
    ADD COLUMN byte_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN bytes_kept bigint NOT NULL DEFAULT 0;
UPDATE sweep w SET byte_count = (SELECT coalesce(sum(size), 0) FROM stored_object o WHERE o.sweep = w.id);
CREATE INDEX sweep_unsettled_idx ON sweep (id) WHERE failed > 0 OR state = 'running';
"""


async def forwards() -> MigrationManager:
    manager = MigrationManager(migration_id=ID, app_name="mediastore", description=DESCRIPTION)

    async def create() -> None:
        engine = engine_finder()
        assert engine is not None
        transaction = engine.current_transaction.get()
        assert transaction is not None
        await transaction.connection.execute(UP)

    manager.add_raw(create)
    return manager
