"""The frozen SQL of the migration makes what the pinned PgQueuer wants."""

import importlib

import asyncpg
import pytest
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.settings import DBSettings

from mediastore.jobs.names import DEDUPE_INDEX, NAMES, SLOT_INDEX

MIGRATION = importlib.import_module("mediastore.migrations.mediastore_0002_jobs")


def test_the_frozen_sql_is_what_pgqueuer_would_install() -> None:
    """When this fails PgQueuer has changed its tables: a new migration has to say what `pgq upgrade --dry-run` says."""
    assert MIGRATION.PGQUEUER.strip() == QueryBuilderEnvironment(NAMES).build_install_query().strip()


async def test_pgqueuer_finds_nothing_to_upgrade_in_a_migrated_database(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        plan = await Queries(AsyncpgDriver(connection), qbe=QueryBuilderEnvironment(NAMES)).plan_upgrade()
        unlogged = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relname LIKE 'pgqueuer%' AND relkind = 'r' AND relpersistence <> 'p'"
        )
        indexes = await connection.fetch("SELECT indexname FROM pg_indexes WHERE tablename = 'pgqueuer'")
    finally:
        await connection.close()
    assert list(plan.statements) == []
    assert unlogged == []
    assert {DEDUPE_INDEX, SLOT_INDEX} <= {row["indexname"] for row in indexes}


def test_the_environment_does_not_rename_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DBSettings() == NAMES
    for name in ("PGQUEUER_PREFIX", "CHANNEL", "QUEUE_TABLE", "PGQUEUER_SCHEMA"):
        monkeypatch.setenv(name, "other")
    assert DBSettings() != NAMES
    names = importlib.reload(importlib.import_module("mediastore.jobs.names"))
    assert names.NAMES == NAMES
