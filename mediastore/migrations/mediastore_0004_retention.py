"""Retention: holds, sweeps and what they would remove, the brake, and since when a content is not the current one."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0004_retention"
VERSION = "1.38.0"
DESCRIPTION = "holds, sweeps, brake"

UP = """
LOCK TABLE media, stored_object, store IN ACCESS EXCLUSIVE MODE;

ALTER TABLE store ADD COLUMN brake jsonb;

CREATE TABLE hold (
    id uuid CONSTRAINT hold_pkey PRIMARY KEY,
    media bigint NOT NULL CONSTRAINT hold_media_fkey REFERENCES media (id) ON DELETE CASCADE,
    placed_by text NOT NULL,
    reason text NOT NULL,
    until timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    lifted_by text,
    lifted_at timestamptz
);
CREATE INDEX hold_media_idx ON hold (media) WHERE lifted_at IS NULL;

CREATE TABLE sweep (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT sweep_pkey PRIMARY KEY,
    store bigint NOT NULL CONSTRAINT sweep_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    dry_run boolean NOT NULL,
    rehearsal bigint CONSTRAINT sweep_rehearsal_fkey REFERENCES sweep (id) ON DELETE SET NULL,
    approved boolean NOT NULL,
    requested_by text NOT NULL,
    state text NOT NULL CONSTRAINT sweep_state_check CHECK (state IN ('running', 'done', 'stopped', 'failed')),
    runner uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    cutoff timestamptz NOT NULL,
    found bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    object_count bigint NOT NULL DEFAULT 0,
    bytes_freed bigint NOT NULL DEFAULT 0,
    held bigint NOT NULL DEFAULT 0,
    exempt bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    stopped_by text,
    detail text,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz
);
CREATE INDEX sweep_store_idx ON sweep (store, id);
-- One at a time, however many servers there are: PostgreSQL says no to the second.
CREATE UNIQUE INDEX sweep_running_key ON sweep (store) WHERE state = 'running' AND NOT dry_run;

CREATE TABLE sweep_item (
    sweep bigint NOT NULL CONSTRAINT sweep_item_sweep_fkey REFERENCES sweep (id) ON DELETE CASCADE,
    media bigint NOT NULL,
    version int NOT NULL,
    pid text NOT NULL,
    rule text NOT NULL,
    due_at timestamptz NOT NULL,
    object_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    CONSTRAINT sweep_item_pkey PRIMARY KEY (sweep, media, version)
);

ALTER TABLE stored_object
    ADD COLUMN superseded_at timestamptz,
    ADD COLUMN sweep bigint;
UPDATE stored_object o SET superseded_at = now() WHERE state = 'stored'
    AND NOT EXISTS (SELECT FROM media m WHERE m.current_object = o.id);
CREATE INDEX stored_object_superseded_idx ON stored_object (store, superseded_at)
    WHERE state = 'stored' AND superseded_at IS NOT NULL;
CREATE INDEX stored_object_sweep_idx ON stored_object (sweep) WHERE sweep IS NOT NULL;
CREATE INDEX media_expires_at_idx ON media (store, expires_at, id) WHERE expires_at IS NOT NULL AND deleted_at IS NULL;
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
