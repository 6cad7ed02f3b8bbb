"""Parts that come to their places in one object, so that completing an upload copies nothing."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0012_in_place"
VERSION = "1.38.0"
DESCRIPTION = "parts in their places"

UP = """
ALTER TABLE upload_part ADD COLUMN in_place boolean NOT NULL DEFAULT false;
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
