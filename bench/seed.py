"""Records to read: with content, identifiers and metadata, written straight into the database."""

import asyncpg
import msgspec

METADATA = {
    "cruise": "AR5",
    "depth": 12.5,
    "instrument": {"name": "IFCB", "serial": 101},
    "position": {"latitude": 41.325, "longitude": -70.5667},
    "processed": True,
    "operator": "A. Person",
}
TAGS = ["plankton", "2024", "raw"]

SEED = """
WITH types AS (
    INSERT INTO identifier_type (name, pattern, is_unique)
    VALUES ('BIN', '.*', true), ('DOI', '.*', false) ON CONFLICT DO NOTHING
), records AS (
    INSERT INTO media (pid, metadata, tags, owner, access, store, status, version)
    SELECT 'IFCB101_D' || n, $2::jsonb, $3, 'admin', 'private', s.id, 'pending', 0
    FROM generate_series(1, $1::int) AS n, (SELECT id FROM store WHERE name = 'local') AS s
    RETURNING id, pid, store
), objects AS (
    INSERT INTO stored_object (media, version, store, key, size, media_type, filename, checksums, state, stored_at)
    SELECT id, 1, store, pid, 1048576, 'application/octet-stream', pid || '.zip', $4::jsonb, 'stored', now() FROM records
)
INSERT INTO identifier (media, type, value, is_unique)
SELECT id, 'BIN', 'D' || pid, true FROM records UNION ALL SELECT id, 'DOI', '10.1234/' || pid, false FROM records
"""
POINT = """
UPDATE media SET current_object = o.id, version = 1, status = 'ready' FROM stored_object o WHERE o.media = media.id
AND media.status = 'pending' RETURNING media.pid
"""


async def seed(url: str, count: int) -> list[str]:
    """Make so many records in a database whose server has made its first store; returns their PIDs."""
    digests = {"md5": "0" * 32, "sha256": "0" * 64}
    attested = {"attested_by": "server", "at": "2026-01-01T00:00:00Z"}
    checksums = {name: {"value": value, **attested} for name, value in digests.items()}
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            SEED, count, msgspec.json.encode(METADATA).decode(), TAGS, msgspec.json.encode(checksums).decode()
        )
        rows = await connection.fetch(POINT)
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
    return [row["pid"] for row in rows]
