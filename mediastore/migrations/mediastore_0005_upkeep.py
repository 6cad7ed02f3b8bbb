"""Upkeep of stores: listings compared with rows, bytes with their checksums."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0005_upkeep"
VERSION = "1.38.0"
DESCRIPTION = "reconciliations, findings, fixity"

UP = """
ALTER TABLE store ADD COLUMN upkeep jsonb NOT NULL DEFAULT '{}';

ALTER TABLE stored_object
    ADD COLUMN fixity text CONSTRAINT stored_object_fixity_check CHECK (fixity IN ('ok', 'missing', 'mismatch', 'error')),
    ADD COLUMN fixity_detail text,
    ADD COLUMN recheck_at timestamptz;
-- In the order in which stores list their keys, whatever the collation of the database.
CREATE INDEX stored_object_listing_idx ON stored_object (store, key COLLATE "C");
CREATE INDEX stored_object_checked_idx ON stored_object (store, checked_at) WHERE state = 'stored';
CREATE INDEX stored_object_recheck_idx ON stored_object (store, recheck_at) WHERE recheck_at IS NOT NULL;

CREATE TABLE upkeep (
    store bigint NOT NULL CONSTRAINT upkeep_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    task text NOT NULL CONSTRAINT upkeep_task_check CHECK (task IN ('reconcile', 'fixity')),
    token bigint NOT NULL DEFAULT 0,
    held_until timestamptz,
    problem text,
    problem_at timestamptz,
    believed_until timestamptz,
    objects_read bigint NOT NULL DEFAULT 0,
    bytes_read bigint NOT NULL DEFAULT 0,
    CONSTRAINT upkeep_pkey PRIMARY KEY (store, task)
);

CREATE TABLE reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT reconciliation_pkey PRIMARY KEY,
    store bigint NOT NULL CONSTRAINT reconciliation_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    asked_by text NOT NULL,
    asked_at timestamptz NOT NULL DEFAULT now(),
    believe_missing boolean NOT NULL DEFAULT false,
    believe_unknown boolean NOT NULL DEFAULT false,
    began_at timestamptz,
    ended_at timestamptz,
    after_key text NOT NULL DEFAULT '',
    counts jsonb NOT NULL DEFAULT '{}',
    stopped_by text,
    reason text
);
CREATE UNIQUE INDEX reconciliation_open_key ON reconciliation (store) WHERE ended_at IS NULL;
CREATE INDEX reconciliation_store_idx ON reconciliation (store, id);

CREATE TABLE finding (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT finding_pkey PRIMARY KEY,
    store bigint NOT NULL CONSTRAINT finding_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    kind text NOT NULL CONSTRAINT finding_kind_check
        CHECK (kind IN ('unknown_object', 'unknown_upload', 'size_differs', 'content_differs')),
    key text NOT NULL,
    upload_id text NOT NULL DEFAULT '',
    size bigint,
    detail text NOT NULL,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    times_seen int NOT NULL DEFAULT 1,
    reconciliation bigint CONSTRAINT finding_reconciliation_fkey REFERENCES reconciliation (id) ON DELETE SET NULL,
    decision text CONSTRAINT finding_decision_check CHECK (decision IN ('remove', 'quarantine', 'adopt', 'abort')),
    decided_by text,
    decided_at timestamptz,
    pid text,
    done_at timestamptz,
    problem text,
    CONSTRAINT finding_place_key UNIQUE (store, kind, key, upload_id)
);
CREATE INDEX finding_store_idx ON finding (store, id);
CREATE INDEX finding_undecided_idx ON finding (store, kind, reconciliation) WHERE decision IS NULL;
CREATE INDEX finding_done_idx ON finding (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE absence (
    stored_object bigint CONSTRAINT absence_pkey PRIMARY KEY
        CONSTRAINT absence_stored_object_fkey REFERENCES stored_object (id) ON DELETE CASCADE,
    store bigint NOT NULL CONSTRAINT absence_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    store_revision bigint NOT NULL,
    asked int NOT NULL DEFAULT 0,
    first_asked_at timestamptz,
    next_ask_at timestamptz NOT NULL
);
CREATE INDEX absence_due_idx ON absence (store, next_ask_at);
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
