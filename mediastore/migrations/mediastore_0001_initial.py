"""Accounts, placement, records, objects, uploads and history.

Written as SQL, because named constraints, partial and GIN indexes, identity columns and triggers are what guards the data;
a test compares the result with the tables as Piccolo knows them.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0001_initial"
VERSION = "1.38.0"
DESCRIPTION = "accounts, placement, records, objects, uploads, history"

UP = """
CREATE TABLE account (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT account_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT account_name_key UNIQUE,
    role text NOT NULL CONSTRAINT account_role_check CHECK (role IN ('administrator', 'editor', 'reader')),
    password_hash text,
    credential_version int NOT NULL DEFAULT 1,
    disabled boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);

CREATE TABLE group_member (
    account bigint NOT NULL CONSTRAINT group_member_account_fkey REFERENCES account (id) ON DELETE CASCADE,
    group_name text NOT NULL,
    CONSTRAINT group_member_pkey PRIMARY KEY (account, group_name)
);

CREATE TABLE api_key (
    id uuid CONSTRAINT api_key_pkey PRIMARY KEY,
    account bigint NOT NULL CONSTRAINT api_key_account_fkey REFERENCES account (id) ON DELETE CASCADE,
    name text NOT NULL,
    secret_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
CREATE INDEX api_key_account_idx ON api_key (account);

CREATE TABLE login_throttle (
    key text CONSTRAINT login_throttle_pkey PRIMARY KEY,
    failures int NOT NULL,
    last_failure_at timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL
);
CREATE INDEX login_throttle_last_failure_at_idx ON login_throttle (last_failure_at);

CREATE TABLE history (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT history_pkey PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    media bigint,
    revision bigint,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    action text NOT NULL,
    changes jsonb NOT NULL,
    request_id text
);
CREATE INDEX history_media_idx ON history (media, id) WHERE media IS NOT NULL;
CREATE INDEX history_subject_idx ON history (kind, subject, id) WHERE media IS NULL;

CREATE FUNCTION history_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'history is append-only' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'history_append_only';
END $$;
CREATE TRIGGER history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON history
    FOR EACH STATEMENT EXECUTE FUNCTION history_is_append_only();

CREATE TABLE s3_config (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT s3_config_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT s3_config_name_key UNIQUE,
    endpoint_url text,
    region text,
    addressing_style text NOT NULL CONSTRAINT s3_config_addressing_style_check CHECK (addressing_style IN ('path', 'virtual')),
    access_key_sealed bytea,
    secret_key_sealed bytea,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT s3_config_keys_check CHECK ((access_key_sealed IS NULL) = (secret_key_sealed IS NULL))
);

CREATE TABLE store (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT store_pkey PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL,
    bucket text,
    prefix text NOT NULL DEFAULT '',
    path text,
    s3_config bigint CONSTRAINT store_s3_config_fkey REFERENCES s3_config (id),
    options jsonb NOT NULL DEFAULT '{}',
    checksums text[] NOT NULL DEFAULT '{md5,sha256}',
    retention jsonb NOT NULL DEFAULT '{}',
    enabled boolean NOT NULL DEFAULT true,
    incarnation uuid,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE UNIQUE INDEX store_name_key ON store (name) WHERE deleted_at IS NULL;
CREATE INDEX store_s3_config_idx ON store (s3_config) WHERE s3_config IS NOT NULL;

CREATE TABLE identifier_type (
    name text CONSTRAINT identifier_type_pkey PRIMARY KEY,
    pattern text NOT NULL,
    is_unique boolean NOT NULL DEFAULT false,
    description text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE media (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT media_pkey PRIMARY KEY,
    pid text NOT NULL CONSTRAINT media_pid_key UNIQUE,
    pid_type text CONSTRAINT media_pid_type_fkey REFERENCES identifier_type (name),
    metadata jsonb NOT NULL DEFAULT '{}' CONSTRAINT media_metadata_check CHECK (jsonb_typeof(metadata) = 'object'),
    tags text[] NOT NULL DEFAULT '{}',
    owner text NOT NULL,
    access text NOT NULL CONSTRAINT media_access_check CHECK (access IN ('private', 'internal', 'public')),
    readers text[] NOT NULL DEFAULT '{}',
    writers text[] NOT NULL DEFAULT '{}',
    public_at timestamptz,
    store bigint NOT NULL CONSTRAINT media_store_fkey REFERENCES store (id),
    status text NOT NULL CONSTRAINT media_status_check
        CHECK (status IN ('pending', 'ready', 'expired', 'deleted', 'failed', 'lost')),
    status_reason text,
    current_object bigint,
    version int NOT NULL DEFAULT 0,
    expires_at timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    CONSTRAINT media_ready_check CHECK (status <> 'ready' OR (current_object IS NOT NULL AND version > 0)),
    CONSTRAINT media_deleted_check CHECK ((status = 'deleted') = (deleted_at IS NOT NULL))
);
CREATE INDEX media_store_idx ON media (store, id);
CREATE INDEX media_owner_idx ON media (owner, id);
CREATE INDEX media_pid_type_idx ON media (pid_type) WHERE pid_type IS NOT NULL;

CREATE TABLE identifier (
    media bigint NOT NULL CONSTRAINT identifier_media_fkey REFERENCES media (id) ON DELETE CASCADE,
    type text NOT NULL CONSTRAINT identifier_type_fkey REFERENCES identifier_type (name),
    value text NOT NULL CONSTRAINT identifier_value_check CHECK (length(value) BETWEEN 1 AND 600),
    is_unique boolean NOT NULL,
    CONSTRAINT identifier_pkey PRIMARY KEY (media, type)
);
CREATE INDEX identifier_value_idx ON identifier (type, value);
CREATE UNIQUE INDEX identifier_unique_value_key ON identifier (type, value) WHERE is_unique;

CREATE TABLE stored_object (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT stored_object_pkey PRIMARY KEY,
    media bigint CONSTRAINT stored_object_media_fkey REFERENCES media (id) ON DELETE SET NULL,
    version int,
    store bigint NOT NULL CONSTRAINT stored_object_store_fkey REFERENCES store (id),
    key text NOT NULL,
    size bigint,
    media_type text NOT NULL,
    filename text,
    checksums jsonb NOT NULL DEFAULT '{}',
    state text NOT NULL CONSTRAINT stored_object_state_check
        CHECK (state IN ('writing', 'verifying', 'stored', 'purging', 'purged', 'quarantined', 'missing')),
    state_reason text,
    doomed_at timestamptz,
    attempts int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    stored_at timestamptz,
    checked_at timestamptz,
    receipt jsonb,
    CONSTRAINT stored_object_key_key UNIQUE (store, key),
    CONSTRAINT stored_object_stored_check
        CHECK (state <> 'stored' OR (media IS NOT NULL AND version IS NOT NULL AND size IS NOT NULL AND stored_at IS NOT NULL))
);
CREATE INDEX stored_object_media_idx ON stored_object (media, version);
CREATE INDEX stored_object_purging_idx ON stored_object (next_attempt_at) WHERE state = 'purging';
ALTER TABLE media ADD CONSTRAINT media_current_object_fkey FOREIGN KEY (current_object) REFERENCES stored_object (id);

CREATE TABLE upload (
    id uuid CONSTRAINT upload_pkey PRIMARY KEY,
    stored_object bigint NOT NULL CONSTRAINT upload_stored_object_fkey REFERENCES stored_object (id) ON DELETE CASCADE,
    method text NOT NULL CONSTRAINT upload_method_check CHECK (method IN ('proxied', 'put', 'post', 'multipart')),
    state text NOT NULL CONSTRAINT upload_state_check CHECK (state IN ('open', 'verifying', 'completed', 'failed')),
    caller text NOT NULL,
    created_record boolean NOT NULL,
    size bigint,
    part_size bigint,
    s3_upload_id text,
    reserved bigint NOT NULL DEFAULT 0,
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_activity timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
CREATE UNIQUE INDEX upload_stored_object_key ON upload (stored_object);
CREATE INDEX upload_open_idx ON upload (last_activity) WHERE state IN ('open', 'verifying');
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
