"""Search: indexes for what people search and sort by, the words of records, declared metadata fields.

The indexes know nothing of tombstones, so that deleting a record writes to none of them.
"""

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder

ID = "mediastore_0007_search"
VERSION = "1.38.0"
DESCRIPTION = "search indexes, words, declared fields"

UP = r"""
-- All at once and in this order, so that servers at work neither wait in a circle with us nor write what has no words yet.
LOCK TABLE media, stored_object, identifier IN SHARE ROW EXCLUSIVE MODE;

-- In the order of the characters' numbers, whatever the collation of the database: the same everywhere, and good for prefixes.
CREATE INDEX media_pid_idx ON media (pid COLLATE "C") WHERE deleted_at IS NULL;
CREATE INDEX media_created_at_idx ON media (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX media_updated_at_idx ON media (updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX media_expiry_idx ON media (expires_at, id) WHERE deleted_at IS NULL;
CREATE INDEX media_tags_idx ON media USING gin (tags) WHERE deleted_at IS NULL;
CREATE INDEX media_metadata_idx ON media USING gin (metadata jsonb_path_ops) WHERE deleted_at IS NULL;
-- Most records are in none of these: they are for finding the few that somebody may read.
CREATE INDEX media_access_idx ON media (access, id) WHERE deleted_at IS NULL AND access <> 'private';
CREATE INDEX media_public_at_idx ON media (public_at) WHERE deleted_at IS NULL AND public_at IS NOT NULL;
CREATE INDEX media_readers_idx ON media USING gin (readers) WHERE deleted_at IS NULL AND readers <> '{}';
CREATE INDEX media_writers_idx ON media USING gin (writers) WHERE deleted_at IS NULL AND writers <> '{}';
CREATE INDEX media_current_object_idx ON media (current_object) WHERE current_object IS NOT NULL;
CREATE INDEX media_status_idx ON media (status, id) WHERE deleted_at IS NULL AND status <> 'ready';

CREATE INDEX identifier_search_idx ON identifier (value COLLATE "C", type);

CREATE INDEX stored_object_size_idx ON stored_object (size, media) WHERE state = 'stored';
CREATE INDEX stored_object_media_type_idx ON stored_object (media_type COLLATE "C") WHERE state = 'stored';
CREATE INDEX stored_object_checksum_idx ON stored_object
    USING gin (jsonb_path_query_array(checksums, '$.*.value') jsonb_path_ops) WHERE state = 'stored';

-- Trigrams, for wildcards in the middle, are an extension that not every PostgreSQL has. Nothing needs them.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        BEGIN
            CREATE EXTENSION IF NOT EXISTS pg_trgm;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE NOTICE 'pg_trgm is there, but not for this role: searches by inner wildcards read all records';
        END;
    END IF;
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
        EXECUTE 'CREATE INDEX media_pid_trigram_idx ON media USING gin (pid COLLATE "C" gin_trgm_ops) WHERE deleted_at IS NULL';
        EXECUTE 'CREATE INDEX identifier_trigram_idx ON identifier USING gin (value COLLATE "C" gin_trgm_ops)';
    END IF;
END $$;

-- Words are runs of letters and digits. Every character beyond ASCII counts as a letter, so that no locale decides.
CREATE FUNCTION search_words(text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (SELECT coalesce(array_to_tsvector(array_agg(left(word, 100))), '') FROM unnest(string_to_array(
        regexp_replace(lower(left($1, 200000)), '[\x01-\x2f:-@\[-\x60{-\x7f]+', ' ', 'g'), ' ')) AS word WHERE word <> '');

CREATE FUNCTION metadata_text(jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    (SELECT string_agg(value #>> '{}', ' ')
     FROM jsonb_path_query($1, 'strict $.**') AS value WHERE jsonb_typeof(value) IN ('string', 'number'));

CREATE TABLE media_text (
    media bigint CONSTRAINT media_text_pkey PRIMARY KEY,
    words tsvector NOT NULL
);
CREATE INDEX media_text_words_idx ON media_text USING gin (words);

CREATE FUNCTION words_of_media(bigint[]) RETURNS TABLE (media bigint, words tsvector) LANGUAGE sql STABLE AS $$
    SELECT m.id, search_words(concat_ws(' ', m.pid, array_to_string(m.tags, ' '),
        (SELECT string_agg(i.value, ' ') FROM identifier i WHERE i.media = m.id), o.filename, metadata_text(m.metadata)))
    FROM media m LEFT JOIN stored_object o ON o.id = m.current_object
    WHERE m.id = ANY ($1) AND m.deleted_at IS NULL
$$;

-- By statement, at whose end the identifiers of new records are there too: their words are written once.
CREATE FUNCTION media_has_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO media_text SELECT n.id, search_words(concat_ws(' ', n.pid, array_to_string(n.tags, ' '),
            (SELECT string_agg(i.value, ' ') FROM identifier i WHERE i.media = n.id),
            (SELECT o.filename FROM stored_object o WHERE o.id = n.current_object), metadata_text(n.metadata)))
            FROM new_rows n WHERE n.deleted_at IS NULL;
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' THEN
        DELETE FROM media_text t USING old_rows o WHERE t.media = o.id;
        RETURN NULL;
    END IF;
    changed := ARRAY(SELECT n.id FROM new_rows n JOIN old_rows o ON o.id = n.id WHERE o.deleted_at IS NULL AND (
        n.deleted_at IS NOT NULL OR n.current_object IS DISTINCT FROM o.current_object OR n.tags <> o.tags
        OR n.metadata <> o.metadata OR n.pid <> o.pid));
    IF changed <> '{}' THEN
        DELETE FROM media_text t USING new_rows n WHERE t.media = n.id AND n.deleted_at IS NOT NULL;
        INSERT INTO media_text AS t SELECT w.* FROM words_of_media(changed) AS w
            ON CONFLICT (media) DO UPDATE SET words = excluded.words WHERE t.words <> excluded.words;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER media_insert_words AFTER INSERT ON media REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION media_has_words();
CREATE TRIGGER media_update_words AFTER UPDATE ON media REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION media_has_words();
CREATE TRIGGER media_delete_words AFTER DELETE ON media REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION media_has_words();

CREATE FUNCTION identifier_has_words() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed bigint[];
BEGIN
    IF TG_OP = 'DELETE' THEN
        changed := ARRAY(SELECT DISTINCT media FROM old_rows);
    ELSE
        changed := ARRAY(SELECT DISTINCT n.media FROM new_rows n JOIN media_text t ON t.media = n.media
            WHERE TG_OP = 'UPDATE' OR NOT tsvector_to_array(t.words) @> tsvector_to_array(search_words(n.value)));
    END IF;
    IF changed <> '{}' THEN
        INSERT INTO media_text AS t SELECT w.* FROM words_of_media(changed) AS w
            ON CONFLICT (media) DO UPDATE SET words = excluded.words WHERE t.words <> excluded.words;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER identifier_insert_words AFTER INSERT ON identifier REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION identifier_has_words();
CREATE TRIGGER identifier_update_words AFTER UPDATE ON identifier REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION identifier_has_words();
CREATE TRIGGER identifier_delete_words AFTER DELETE ON identifier REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION identifier_has_words();

INSERT INTO media_text SELECT w.* FROM words_of_media(ARRAY(SELECT id FROM media WHERE deleted_at IS NULL)) AS w;

-- What declared fields are indexed by. They never raise, whatever is in the metadata: a value of another type is none.
CREATE FUNCTION metadata_number(jsonb, text[]) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN jsonb_typeof($1 #> $2) = 'number' THEN ($1 #>> $2)::numeric END;
CREATE FUNCTION metadata_string(jsonb, text[]) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN jsonb_typeof($1 #> $2) = 'string' THEN left($1 #>> $2, 500) END;
CREATE FUNCTION metadata_boolean(jsonb, text[]) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
    CASE WHEN jsonb_typeof($1 #> $2) = 'boolean' THEN ($1 #>> $2)::boolean END;
CREATE FUNCTION metadata_time(jsonb, text[]) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    p text[];
    days int;
BEGIN
    IF jsonb_typeof($1 #> $2) IS DISTINCT FROM 'string' THEN
        RETURN NULL;
    END IF;
    p := regexp_match(left($1 #>> $2, 60), '^([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])'
        || '(?:[Tt ]([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])([.][0-9]{1,9})?)?'
        || '(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))?)?$');
    IF p IS NULL OR p[1] = '0000' THEN
        RETURN NULL;
    END IF;
    days := CASE p[2]::int WHEN 2 THEN
        CASE WHEN p[1]::int % 4 = 0 AND (p[1]::int % 100 <> 0 OR p[1]::int % 400 = 0) THEN 29 ELSE 28 END
        WHEN 4 THEN 30 WHEN 6 THEN 30 WHEN 9 THEN 30 WHEN 11 THEN 30 ELSE 31 END;
    IF p[3]::int > days THEN
        RETURN NULL;
    END IF;
    RETURN (make_timestamp(p[1]::int, p[2]::int, p[3]::int, coalesce(p[4]::int, 0), coalesce(p[5]::int, 0),
            (coalesce(p[6], '0') || coalesce(left(p[7], 7), ''))::double precision)
        - make_interval(hours => coalesce((p[8] || p[9])::int, 0), mins => coalesce((p[8] || p[10])::int, 0))) AT TIME ZONE 'UTC';
END $$;

CREATE TABLE metadata_field (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT metadata_field_pkey PRIMARY KEY,
    name text NOT NULL CONSTRAINT metadata_field_name_key UNIQUE,
    path text[] NOT NULL,
    type text NOT NULL CONSTRAINT metadata_field_type_check CHECK (type IN ('number', 'text', 'time', 'boolean')),
    description text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'building' CONSTRAINT metadata_field_state_check CHECK (state IN ('building', 'ready', 'failed')),
    problem text,
    created_at timestamptz NOT NULL DEFAULT now(),
    ready_at timestamptz
);
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
