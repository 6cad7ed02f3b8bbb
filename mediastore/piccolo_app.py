"""Tells Piccolo which tables and migrations are ours."""

from piccolo.conf.apps import AppConfig, table_finder

from mediastore.database import APP, MIGRATIONS

TABLE_MODULES = [
    "mediastore.accounts.tables",
    "mediastore.events.tables",
    "mediastore.jobs.tables",
    "mediastore.placement.tables",
    "mediastore.catalog.tables",
    "mediastore.transfers.tables",
    "mediastore.registering.tables",
    "mediastore.retention.tables",
    "mediastore.retention.upkeep_tables",
]

APP_CONFIG = AppConfig(app_name=APP, migrations_folder_path=str(MIGRATIONS), table_classes=table_finder(TABLE_MODULES))
