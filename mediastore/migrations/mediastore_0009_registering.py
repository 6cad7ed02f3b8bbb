"""Registrations: objects that lie in a store already, on their way to a record; and scans, which make many of them."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0009_registering"
VERSION = "1.38.0"
DESCRIPTION = "registrations of objects that exist, scans"

UP = """
CREATE TABLE scan (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT scan_pkey PRIMARY KEY,
    store bigint NOT NULL CONSTRAINT scan_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    prefix text NOT NULL,
    pid_pattern text NOT NULL,
    about jsonb NOT NULL DEFAULT '{}',
    media_type text,
    min_age_s int NOT NULL,
    state text NOT NULL DEFAULT 'running' CONSTRAINT scan_state_check CHECK (state IN ('running', 'done', 'stopped')),
    after_key text NOT NULL DEFAULT '',
    listed bigint NOT NULL DEFAULT 0,
    named bigint NOT NULL DEFAULT 0,
    young bigint NOT NULL DEFAULT 0,
    reason text,
    caller text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE INDEX scan_store_idx ON scan (store, id);
CREATE INDEX scan_running_idx ON scan (id) WHERE state = 'running';

CREATE TABLE registration (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT registration_pkey PRIMARY KEY,
    store bigint NOT NULL CONSTRAINT registration_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    key text NOT NULL,
    scan bigint CONSTRAINT registration_scan_fkey REFERENCES scan (id) ON DELETE CASCADE,
    stored_object bigint CONSTRAINT registration_stored_object_fkey REFERENCES stored_object (id) ON DELETE SET NULL,
    media bigint CONSTRAINT registration_media_fkey REFERENCES media (id) ON DELETE SET NULL,
    pid text NOT NULL,
    created_record boolean NOT NULL,
    about jsonb NOT NULL DEFAULT '{}',
    claims jsonb NOT NULL DEFAULT '{}',
    size bigint,
    state text NOT NULL CONSTRAINT registration_state_check CHECK (state IN ('waiting', 'done', 'failed')),
    problem jsonb,
    caller text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT registration_scan_key UNIQUE (scan, key)
);
CREATE INDEX registration_store_idx ON registration (store, id);
CREATE INDEX registration_stored_object_idx ON registration (stored_object);
CREATE INDEX registration_media_idx ON registration (media);
CREATE INDEX registration_outcome_idx ON registration (scan, state, id);
CREATE INDEX registration_waiting_idx ON registration (created_at) WHERE state = 'waiting';
CREATE INDEX registration_ended_idx ON registration (ended_at) WHERE ended_at IS NOT NULL;
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
