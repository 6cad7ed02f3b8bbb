"""Accounts of those who log in at an outside service."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0008_issuers"
VERSION = "1.38.0"
DESCRIPTION = "which outside service vouches for an account"

UP = """
ALTER TABLE account ADD COLUMN issuer text;
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
