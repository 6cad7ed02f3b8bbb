"""Many records to be found, written straight into the database."""

import asyncpg

from bench.rows import say

CHUNK = 100_000
TIMEOUT_S = 600

# Without triggers: a record points at its object and the object at its record, and all that the triggers would write is written
# at the end. 20 instruments, 1,000 cruises, depths from 0 to 1,000 m; two records in three have the common tag, ten of all the
# rare one, ten the same station ($4 is a tenth of all): what is looked for is as much among few as among many.
RECORDS = """
INSERT INTO media (id, pid, metadata, tags, owner, access, store, status, current_object, version, created_at, updated_at)
OVERRIDING SYSTEM VALUE
SELECT n, 'IFCB' || 101 + n % 20 || '_D' || lpad(n::text, 8, '0'),
    jsonb_build_object('cruise', 'AR' || n % 1000, 'depth', (n * 7919 % 1000000) / 1000.0, 'operator', 'A. Person',
        'station', n % $4::bigint, 'instrument', jsonb_build_object('name', 'IFCB', 'serial', 101 + n % 20),
        'note', CASE WHEN n % $4::bigint = 77 THEN 'coccolithophore bloom' ELSE 'nothing to be seen' END),
    ARRAY['plankton'] || CASE WHEN n % 3 > 0 THEN '{raw}'::text[] ELSE '{}' END
        || CASE WHEN n % $4::bigint = 99 THEN '{rare}'::text[] ELSE '{}' END || ARRAY['t' || n % 50],
    'user' || n % 100, CASE WHEN n % 2 = 0 THEN 'internal' ELSE 'private' END, $3, 'ready', n, 1,
    timestamptz '2020-01-01 00:00Z' + n * interval '1 minute', timestamptz '2020-01-01 00:00Z' + n * interval '1 minute'
FROM generate_series($1::bigint, $2::bigint) AS n
"""
OBJECTS = """
INSERT INTO stored_object (id, media, version, store, key, size, media_type, filename, checksums, state, stored_at)
OVERRIDING SYSTEM VALUE
SELECT n, n, 1, $3, 'seed/' || n, n * 7907 % 100000000, CASE WHEN n % 10 = 0 THEN 'text/csv' ELSE 'application/zip' END,
    'D' || n || '.zip', jsonb_build_object('sha256', jsonb_build_object('value', encode(sha256(n::text::bytea), 'hex'),
        'attested_by', 'server', 'at', '2026-01-01T00:00:00Z')), 'stored', now()
FROM generate_series($1::bigint, $2::bigint) AS n
"""
IDENTIFIERS = """
INSERT INTO identifier (media, type, value, is_unique)
SELECT n, 'BIN', 'D' || lpad(n::text, 8, '0'), true FROM generate_series($1::bigint, $2::bigint) AS n
UNION ALL SELECT n, 'CRUISE', 'AR' || n % 1000, false FROM generate_series($1::bigint, $2::bigint) AS n
"""
WORDS = "INSERT INTO media_text SELECT w.* FROM words_of_media(ARRAY(SELECT generate_series($1::bigint, $2::bigint))) AS w"
TYPES = """
INSERT INTO identifier_type (name, pattern, is_unique) VALUES ('BIN', '.*', true), ('CRUISE', '.*', false) ON CONFLICT DO NOTHING
"""
AFTER = """
SELECT setval(pg_get_serial_sequence('media', 'id'), max(id)), setval(pg_get_serial_sequence('stored_object', 'id'), max(id))
FROM media
"""
USAGE = """
INSERT INTO store_usage (store, owner, object_count, byte_count)
SELECT o.store, m.owner, count(*), sum(o.size) FROM stored_object o JOIN media m ON m.id = o.media WHERE o.state = 'stored'
GROUP BY o.store, m.owner ON CONFLICT (store, owner) DO UPDATE
SET object_count = excluded.object_count, byte_count = excluded.byte_count
"""
INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid IN ('media'::regclass, 'media_text'::regclass, 'identifier'::regclass, 'stored_object'::regclass)
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid) AND NOT indisunique
"""


async def seed_many(url: str, count: int) -> None:
    """Make so many records in a database without any, whose server has made its first store."""
    connection = await asyncpg.connect(url, command_timeout=TIMEOUT_S)
    try:
        store = await connection.fetchval("SELECT id FROM store WHERE name = 'local'")
        await connection.execute(TYPES)
        await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
        await connection.execute("SET maintenance_work_mem = '512MB'")
        indexes = await connection.fetch(INDEXES)
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        for first in range(1, count + 1, CHUNK):
            last = min(first + CHUNK - 1, count)
            await connection.execute(RECORDS, first, last, store, count // 10)
            await connection.execute(OBJECTS, first, last, store)
            await connection.execute(IDENTIFIERS, first, last)
            await connection.execute(WORDS, first, last)
            if count > CHUNK:
                say(f"  {last:,} records …")
        await connection.execute(AFTER)
        await connection.execute(USAGE)
        for index in indexes:
            await connection.execute(index["definition"])
        if count > CHUNK:
            say("  vacuum …")
        await connection.execute("VACUUM ANALYZE media, media_text, identifier, stored_object")
        await connection.execute("CHECKPOINT")  # or it comes while searches are measured
    finally:
        await connection.close()
