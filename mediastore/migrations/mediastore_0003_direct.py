"""Direct uploads: what was asked and claimed, parts at this server, quotas and what they count."""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0003_direct"
VERSION = "1.38.0"
DESCRIPTION = "direct uploads, parts, quotas"

UP = """
-- All at once and in this order, so that servers at work neither wait in a circle with us nor change what is being counted.
LOCK TABLE media, upload, stored_object, store IN ACCESS EXCLUSIVE MODE;

ALTER TABLE upload
    ADD COLUMN pid text,
    ADD COLUMN about jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN claims jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN landing bigint CONSTRAINT upload_landing_fkey REFERENCES stored_object (id) ON DELETE SET NULL,
    ADD COLUMN version_before int,
    ADD COLUMN urls_until timestamptz,
    ADD COLUMN verifying_at timestamptz,
    ADD COLUMN problem jsonb;
CREATE UNIQUE INDEX upload_landing_key ON upload (landing) WHERE landing IS NOT NULL;
CREATE INDEX upload_caller_idx ON upload (caller, id) WHERE method <> 'proxied';

CREATE TABLE upload_part (
    stored_object bigint CONSTRAINT upload_part_pkey PRIMARY KEY
        CONSTRAINT upload_part_stored_object_fkey REFERENCES stored_object (id) ON DELETE CASCADE,
    upload uuid NOT NULL CONSTRAINT upload_part_upload_fkey REFERENCES upload (id) ON DELETE CASCADE,
    number int NOT NULL CONSTRAINT upload_part_number_check CHECK (number BETWEEN 1 AND 10000),
    size bigint NOT NULL,
    checksums jsonb NOT NULL DEFAULT '{}',
    received_at timestamptz,
    last_activity timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX upload_part_received_key ON upload_part (upload, number) WHERE received_at IS NOT NULL;
CREATE INDEX upload_part_upload_idx ON upload_part (upload);
CREATE INDEX upload_part_coming_idx ON upload_part (last_activity) WHERE received_at IS NULL;

CREATE INDEX stored_object_quarantined_idx ON stored_object (next_attempt_at) WHERE state = 'quarantined';

ALTER TABLE store ADD COLUMN quota jsonb NOT NULL DEFAULT '{}';

CREATE TABLE store_usage (
    store bigint NOT NULL CONSTRAINT store_usage_store_fkey REFERENCES store (id) ON DELETE CASCADE,
    owner text NOT NULL,
    object_count bigint NOT NULL,
    byte_count bigint NOT NULL,
    CONSTRAINT store_usage_pkey PRIMARY KEY (store, owner)
);
INSERT INTO store_usage (store, owner, object_count, byte_count)
    SELECT o.store, m.owner, count(*), sum(o.size) FROM stored_object o JOIN media m ON m.id = o.media
    WHERE o.state = 'stored' GROUP BY o.store, m.owner;

-- Kept by the database itself, in the transaction of the change, so that sums equal a recount whatever code makes the change.
-- By statement and in order of the key: a sweep of 100,000 objects is one addition, and no two wait for each other in a circle.
CREATE FUNCTION stored_object_is_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO store_usage AS u (store, owner, object_count, byte_count)
            SELECT n.store, m.owner, count(*), sum(n.size) FROM new_rows n JOIN media m ON m.id = n.media
            WHERE n.state = 'stored' GROUP BY n.store, m.owner ORDER BY n.store, m.owner
            ON CONFLICT (store, owner) DO UPDATE SET object_count = u.object_count + excluded.object_count,
                byte_count = u.byte_count + excluded.byte_count;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO store_usage AS u (store, owner, object_count, byte_count)
            SELECT o.store, m.owner, -count(*), -sum(o.size) FROM old_rows o JOIN media m ON m.id = o.media
            WHERE o.state = 'stored' GROUP BY o.store, m.owner ORDER BY o.store, m.owner
            ON CONFLICT (store, owner) DO UPDATE SET object_count = u.object_count + excluded.object_count,
                byte_count = u.byte_count + excluded.byte_count;
    ELSIF EXISTS (SELECT FROM new_rows WHERE state = 'stored') OR EXISTS (SELECT FROM old_rows WHERE state = 'stored') THEN
        INSERT INTO store_usage AS u (store, owner, object_count, byte_count)
            SELECT n.store, m.owner, sum(CASE n.state WHEN 'stored' THEN 1 ELSE -1 END),
                sum(CASE n.state WHEN 'stored' THEN n.size ELSE -o.size END)
            FROM new_rows n JOIN old_rows o ON o.id = n.id JOIN media m ON m.id = coalesce(n.media, o.media)
            WHERE (n.state = 'stored') <> (o.state = 'stored') GROUP BY n.store, m.owner ORDER BY n.store, m.owner
            ON CONFLICT (store, owner) DO UPDATE SET object_count = u.object_count + excluded.object_count,
                byte_count = u.byte_count + excluded.byte_count;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stored_object_insert_counted AFTER INSERT ON stored_object REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION stored_object_is_counted();
CREATE TRIGGER stored_object_update_counted AFTER UPDATE ON stored_object
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION stored_object_is_counted();
CREATE TRIGGER stored_object_delete_counted AFTER DELETE ON stored_object REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION stored_object_is_counted();

CREATE FUNCTION owner_takes_usage_along() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO store_usage AS u (store, owner, object_count, byte_count)
        SELECT o.store, who.owner, count(*) * who.sign, sum(o.size) * who.sign
        FROM stored_object o CROSS JOIN (VALUES (OLD.owner, -1), (NEW.owner, 1)) AS who (owner, sign)
        WHERE o.media = NEW.id AND o.state = 'stored' GROUP BY o.store, who.owner, who.sign ORDER BY o.store, who.owner
        ON CONFLICT (store, owner) DO UPDATE SET object_count = u.object_count + excluded.object_count,
                byte_count = u.byte_count + excluded.byte_count;
    RETURN NULL;
END $$;
CREATE TRIGGER media_owner_takes_usage_along AFTER UPDATE OF owner ON media
    FOR EACH ROW WHEN (OLD.owner IS DISTINCT FROM NEW.owner) EXECUTE FUNCTION owner_takes_usage_along();
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
