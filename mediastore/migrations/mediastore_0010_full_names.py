"""What an outside service says of those who log in there."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0010_full_names"
VERSION = "1.38.0"
DESCRIPTION = "what people are called, and where they have their mail"

UP = """
ALTER TABLE account ADD COLUMN full_name text, ADD COLUMN email text;
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
