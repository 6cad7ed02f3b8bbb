"""The tables as Piccolo knows them, the schema that the migrations make, and docs/data-model.md say the same.

`python -m tests.test_tables` writes the columns into docs/data-model.md anew.
"""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from piccolo.columns import (
    JSONB,
    UUID,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    Column,
    Date,
    ForeignKey,
    Integer,
    Text,
    Timestamptz,
)
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.columns.defaults.timestamptz import TimestamptzNow
from piccolo.constraints import Unique
from piccolo.table import Table

from mediastore.catalog.tables import Words
from mediastore.database import MIGRATION_LOCK, MIGRATIONS, ConstraintViolated, Database, migrate, migration_ids
from mediastore.piccolo_app import APP_CONFIG, TABLE_MODULES
from tests.database import DatabaseServer

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "data-model.md"
BEGIN = "<!-- Written by `python -m tests.test_tables`: change the help texts in tables.py, not this. -->\n"
END = "<!-- End of what is written. -->\n"

TABLES: list[type[Table]] = APP_CONFIG.table_classes
COLUMNS: list[Column] = [column for table in TABLES for column in table._meta.columns]

OURS = "relnamespace = 'public'::regnamespace AND relname <> 'migration' AND relname NOT LIKE 'pgqueuer%'"
"""Not Piccolo's own table and not those of the queue."""

TYPES: dict[type[Column], str] = {
    BigInt: "bigint",
    BigSerial: "bigint",
    Boolean: "boolean",
    Bytea: "bytea",
    Date: "date",
    Integer: "integer",
    JSONB: "jsonb",
    Text: "text",
    Timestamptz: "timestamp with time zone",
    UUID: "uuid",
    Words: "tsvector",
}
ACTIONS = {b"a": OnDelete.no_action, b"r": OnDelete.restrict, b"c": OnDelete.cascade, b"n": OnDelete.set_null}


def place(column: Column) -> str:
    return f"{column._meta.table._meta.tablename}.{column._meta.name}"


def type_of(column: Column) -> str:
    """The type by PostgreSQL's name."""
    if isinstance(column, ForeignKey):
        return type_of(column._foreign_key_meta.resolved_target_column)
    if isinstance(column, Array):
        return f"{type_of(column.base_column)}[]"
    return TYPES[type(column)]


@pytest.fixture
def empty_database_url(database_server: DatabaseServer) -> Iterator[str]:
    with database_server.database() as url:
        yield url


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, pool_size=1)
    yield database
    await database.close()


class TestDrift:
    async def test_every_column_has_its_type_and_nullness_on_both_sides(
        self, connection: "asyncpg.Connection[asyncpg.Record]"
    ) -> None:
        rows = await connection.fetch(
            f"""
            SELECT relname || '.' || attname AS place, format_type(atttypid, atttypmod) AS type, NOT attnotnull AS nullable,
                attidentity <> '' AS counts
            FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
            WHERE {OURS} AND relkind IN ('r', 'p') AND attnum > 0 AND NOT attisdropped
            """
        )
        found = {row["place"]: (row["type"], row["nullable"], row["counts"]) for row in rows}
        known = {place(column): (type_of(column), column._meta.null, isinstance(column, BigSerial)) for column in COLUMNS}
        assert found == known

    async def test_every_default_is_the_same_on_both_sides(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        rows = await connection.fetch(
            f"""
            SELECT relname || '.' || attname AS place, pg_get_expr(adbin, adrelid) AS expression
            FROM pg_attrdef JOIN pg_class c ON c.oid = adrelid JOIN pg_attribute a ON a.attrelid = adrelid AND attnum = adnum
            WHERE {OURS}
            """
        )
        found = {
            row["place"]: "now()" if row["expression"] == "now()" else await connection.fetchval(f"SELECT {row['expression']}")
            for row in rows
        }
        known = {}
        for column in COLUMNS:
            default = None if isinstance(column, BigSerial) else column.get_default_value()
            if default is not None:
                known[place(column)] = "now()" if isinstance(default, TimestamptzNow) else default
        assert found == known

    async def test_primary_keys_are_the_same_on_both_sides(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        rows = await connection.fetch(
            f"""
            SELECT relname || '.' || attname AS place
            FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
                JOIN pg_attribute ON attrelid = conrelid AND attnum = ANY (conkey)
            WHERE {OURS} AND contype = 'p'
            """
        )
        assert {row["place"] for row in rows} == {place(column) for column in COLUMNS if column._meta.primary_key}

    async def test_every_check_and_unique_constraint_means_the_same_on_both_sides(
        self, connection: "asyncpg.Connection[asyncpg.Record]"
    ) -> None:
        """Piccolo's own words are put on copies of the tables, so that PostgreSQL brings both sides into one form.

        A primary key of one column is the column's; one of several is a unique constraint to Piccolo, by the key's name.
        """
        await connection.execute("CREATE SCHEMA copy")
        for table in TABLES:
            name = table._meta.tablename
            await connection.execute(f"CREATE TABLE copy.{name} (LIKE public.{name})")
            for constraint in table._meta.constraints:
                await connection.execute(f"ALTER TABLE copy.{name} ADD CONSTRAINT {constraint._meta.name} {constraint.ddl}")

        async def constraints(schema: str) -> dict[str, str]:
            rows = await connection.fetch(
                """
                SELECT conrelid::regclass::text AS table, conname AS name, contype AS type,
                    pg_get_constraintdef(c.oid) AS definition
                FROM pg_constraint c JOIN pg_class ON pg_class.oid = conrelid
                WHERE relnamespace = $1::regnamespace AND (contype IN ('u', 'c') OR contype = 'p' AND cardinality(conkey) > 1)
                    AND relname <> 'migration' AND relname NOT LIKE 'pgqueuer%'
                """,
                schema,
            )
            return {
                f"{row['table'].removeprefix('copy.')}: {row['name']}": row["definition"].replace("PRIMARY KEY", "UNIQUE")
                for row in rows
            }

        assert await constraints("public") == await constraints("copy")

    async def test_foreign_keys_are_the_same_on_both_sides(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        rows = await connection.fetch(
            f"""
            SELECT relname || '.' || a.attname AS place, confrelid::regclass || '.' || b.attname AS target,
                confdeltype, confupdtype
            FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
                JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = ANY (conkey)
                JOIN pg_attribute b ON b.attrelid = confrelid AND b.attnum = ANY (confkey)
            WHERE {OURS} AND contype = 'f'
            """
        )
        found = {
            row["place"]: (row["target"], ACTIONS[row["confdeltype"]], OnUpdate(ACTIONS[row["confupdtype"]].value))
            for row in rows
        }
        known = {
            place(column): (place(key.resolved_target_column), key.on_delete, key.on_update)
            for column in COLUMNS
            if isinstance(column, ForeignKey)
            for key in [column._foreign_key_meta]
        }
        assert found == known

    async def test_indexes_that_piccolo_can_express_are_the_same_on_both_sides(
        self, connection: "asyncpg.Connection[asyncpg.Record]"
    ) -> None:
        """That is unique ones, and plain ones of one column; never partial ones, nor those that only some databases have."""
        rows = await connection.fetch(
            f"""
            SELECT relname AS table, indisunique AS unique, ARRAY(
                SELECT attname::text FROM unnest(indkey::int2[]) WITH ORDINALITY AS k (number, place)
                    JOIN pg_attribute ON attrelid = indrelid AND attnum = number ORDER BY place) AS columns
            FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE {OURS} AND NOT indisprimary AND indpred IS NULL
                AND indexrelid::regclass::text NOT LIKE '%_trigram_idx'
            """
        )
        found = {
            (row["table"], row["unique"], tuple(row["columns"])) for row in rows if row["unique"] or len(row["columns"]) == 1
        }
        known = {
            (table._meta.tablename, column._meta.unique, (column._meta.name,))
            for table in TABLES
            for column in table._meta.columns
            if column._meta.unique or column._meta.index
        }
        known |= {
            (table._meta.tablename, True, tuple(constraint._meta.params["columns"]))
            for table in TABLES
            for constraint in table._meta.constraints
            if isinstance(constraint, Unique) and not constraint._meta.name.endswith("_pkey")
        }
        assert found == known

    def test_every_table_and_column_says_why_it_is_there(self) -> None:
        for column in COLUMNS:
            assert re.fullmatch(r"[A-Z][^\n|]{15,}\.", column._meta.help_text or ""), place(column)
        for table in TABLES:
            assert re.match(r".+\.(\n|$| )", table.__doc__ or ""), table.__name__

    def test_secrets_are_marked_as_such(self) -> None:
        found = {place(column) for column in COLUMNS if column._meta.secret}
        assert found == {place(column) for column in COLUMNS if column._meta.name.endswith(("_hash", "_sealed"))}
        assert found


class TestNames:
    """Services turn the name of a broken rule into an error of theirs, so names have to be chosen, and lasting."""

    async def test_every_constraint_is_named_by_us(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        """A name that PostgreSQL makes up may look the same, so each one has to stand in a migration too."""
        # From PostgreSQL 18 on NOT NULL is a constraint too ('n'); nobody has to tell one of those from the others.
        rows = await connection.fetch(
            f"""
            SELECT relname AS table, conname AS name FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
            WHERE {OURS} AND contype <> 'n'
            """
        )
        written = set(re.findall(r"\bCONSTRAINT\s+(\w+)\s+(?:PRIMARY|UNIQUE|REFERENCES|FOREIGN|CHECK)\b", migration_text()))
        assert rows
        for row in rows:
            assert re.fullmatch(rf"{row['table']}_(\w+_)?(pkey|key|fkey|check)", row["name"])
        assert {row["name"] for row in rows} <= written

    async def test_every_index_is_named_by_us(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        rows = await connection.fetch(
            f"""
            SELECT c.relname AS table, i.relname AS name FROM pg_index
                JOIN pg_class c ON c.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
            WHERE {OURS.replace("rel", "c.rel")}
                AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype <> 'f')
            """
        )
        written = set(re.findall(r"\bINDEX\s+(?:CONCURRENTLY\s+)?(?:IF NOT EXISTS\s+)?(\w+)\s+ON\b", migration_text()))
        assert rows
        for row in rows:
            assert re.fullmatch(rf"{row['table']}_\w+_(idx|key)", row["name"])
        assert {row["name"] for row in rows} <= written

    async def test_a_name_stands_for_one_rule_only(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        doubles = await connection.fetch(
            f"""
            SELECT conname FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
            WHERE {OURS} AND contype <> 'n' GROUP BY conname HAVING count(*) > 1
            """
        )
        assert doubles == []


def migration_text() -> str:
    return "\n".join(path.read_text() for path in MIGRATIONS.glob("mediastore_*.py"))


class TestGuards:
    """What the database refuses, whatever the code above it does."""

    @pytest.mark.parametrize(
        "statement",
        ["UPDATE history SET actor = 'eve'", "DELETE FROM history", "DELETE FROM history WHERE false", "TRUNCATE history"],
    )
    async def test_history_is_append_only(self, database: Database, statement: str) -> None:
        async with database.connection() as connection:
            await connection.execute(
                "INSERT INTO history (kind, subject, actor, action, changes) VALUES ('store', 's', 'alice', 'created', '{}')"
            )
        assert await refusal(database, statement) == "history_append_only"
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT actor FROM history") == "alice"

    @pytest.mark.parametrize(("object", "version"), [("NULL::bigint", 0), ("NULL::bigint", 1), ("id", 0)])
    async def test_a_ready_record_without_an_object_is_refused(self, database: Database, object: str, version: int) -> None:
        media = await a_record_with_an_object(database)
        ready = "UPDATE media SET status = 'ready', version = {}, current_object = (SELECT {} FROM stored_object) WHERE id = {}"
        assert await refusal(database, ready.format(version, object, media)) == "media_ready_check"
        async with database.connection() as connection:
            assert await connection.execute(ready.format(1, "id", media)) == "UPDATE 1"

    @pytest.mark.parametrize("lacking", ["media", "version", "size", "stored_at"])
    async def test_a_stored_object_that_lacks_facts_is_refused(self, database: Database, lacking: str) -> None:
        await a_record_with_an_object(database)
        stored = "UPDATE stored_object SET state = 'stored', version = 1, size = 0, stored_at = now()"
        broken = re.sub(rf"{lacking} = [^,]+", f"{lacking} = NULL", f"{stored}, media = media")
        assert await refusal(database, broken) == "stored_object_stored_check"
        async with database.connection() as connection:
            assert await connection.execute(stored) == "UPDATE 1"

    async def test_a_record_with_a_stored_object_cannot_go_without_it(self, database: Database) -> None:
        media = await a_record_with_an_object(database)
        async with database.connection() as connection:
            await connection.execute("UPDATE stored_object SET state = 'stored', version = 1, size = 0, stored_at = now()")
        assert await refusal(database, f"DELETE FROM media WHERE id = {media}") == "stored_object_stored_check"
        async with database.connection() as connection:
            await connection.execute("UPDATE stored_object SET state = 'purging'")
            assert await connection.execute(f"DELETE FROM media WHERE id = {media}") == "DELETE 1"
            assert await connection.fetchval("SELECT media FROM stored_object") is None

    @pytest.mark.parametrize("change", ["status = 'deleted'", "deleted_at = now()"])
    async def test_a_record_is_deleted_with_its_time_or_not_at_all(self, database: Database, change: str) -> None:
        media = await a_record_with_an_object(database)
        assert await refusal(database, f"UPDATE media SET {change} WHERE id = {media}") == "media_deleted_check"
        async with database.connection() as connection:
            done = await connection.execute(f"UPDATE media SET status = 'deleted', deleted_at = now() WHERE id = {media}")
        assert done == "UPDATE 1"


async def a_record_with_an_object(database: Database) -> int:
    """The id of a pending record, whose one object is being written."""
    async with database.transaction() as connection:
        store = await connection.fetchval("INSERT INTO store (name, kind) VALUES ('s', 'memory') RETURNING id")
        media: int = await connection.fetchval(
            "INSERT INTO media (pid, owner, access, store, status) VALUES ('p', 'alice', 'private', $1, 'pending') RETURNING id",
            store,
        )
        await connection.execute(
            "INSERT INTO stored_object (media, store, key, media_type, state) VALUES ($1, $2, 'k', 'text/plain', 'writing')",
            media,
            store,
        )
    return media


async def refusal(database: Database, statement: str) -> str:
    """The name of the rule that refuses the statement."""
    with pytest.raises(ConstraintViolated) as caught:
        async with database.connection() as connection:
            await connection.execute(statement)
    return caught.value.constraint


MIGRATE = """
import asyncio, json, sys
from mediastore.database import migrate
print(json.dumps(asyncio.run(migrate(sys.argv[1]))))
"""


class TestMigration:
    async def test_migrated_tells_the_truth(self, empty_database_url: str) -> None:
        database = Database(empty_database_url, pool_size=1)
        try:
            assert not await database.migrated()
            assert await migrate(empty_database_url) == migration_ids()
            assert await database.migrated()
            async with database.connection() as connection:
                await connection.execute("DELETE FROM migration WHERE name = $1", migration_ids()[-1])
            assert not await database.migrated()
        finally:
            await database.close()

    async def test_a_second_run_does_nothing(self, database_url: str, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        before = await connection.fetch("SELECT * FROM migration ORDER BY id")
        assert await migrate(database_url) == []
        assert await connection.fetch("SELECT * FROM migration ORDER BY id") == before

    async def test_migrations_at_the_same_moment_are_applied_once(self, empty_database_url: str) -> None:
        """Three processes are held at the start line, by the lock that they want, until all of them are there."""
        starter = await asyncpg.connect(empty_database_url)
        await starter.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", MIGRATE, empty_database_url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
            )
            for _ in range(3)
        ]
        try:
            async with asyncio.timeout(60):
                waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                while await starter.fetchval(waiting) < 3:  # noqa: ASYNC110 - other processes set no event
                    await asyncio.sleep(0.02)
        finally:
            await starter.close()
            outputs = await asyncio.gather(*(process.communicate() for process in processes))
        assert [process.returncode for process in processes] == [0, 0, 0]
        applied = sorted(json.loads(output.splitlines()[-1]) for output, _ in outputs)
        assert applied == [[], [], migration_ids()]
        database = Database(empty_database_url, pool_size=1)
        try:
            assert await database.migrated()
        finally:
            await database.close()


class TestDocument:
    def test_the_data_model_shows_every_column_with_its_help_text(self) -> None:
        _, _, rest = DOCUMENT.read_text().partition(BEGIN)
        written, end, _ = rest.partition(END)
        assert end, "the marks around what is written are missing"
        assert written == columns_in_markdown(), "run `python -m tests.test_tables`"

    @pytest.mark.parametrize("column", ["stored_object.state", "upload.state", "media.status", "metadata_field.state"])
    def test_the_data_model_explains_every_state(self, column: str) -> None:
        table = next(table for table in TABLES if column.startswith(f"{table._meta.tablename}."))
        check = table._meta.get_constraint_by_name(f"{column.replace('.', '_')}_check")
        words = re.findall(r"'(\w+)'", check.ddl)
        _, _, rest = DOCUMENT.read_text().partition(f"`{column}`\n")
        section, _, _ = rest.partition("\n#")
        assert words
        assert [word for word in words if f"`{word}`" not in section] == []


def columns_in_markdown() -> str:
    """Every table and column, in the order of the folders."""
    lines = []
    for module in TABLE_MODULES:
        for table in (table for table in TABLES if table.__module__ == module):
            lines += [f"### `{table._meta.tablename}` ({module.split('.')[1]})", ""]
            lines += [" ".join(str(table.__doc__).split("\n\n")[0].split()), ""]
            lines += ["| column | type | why |", "| --- | --- | --- |"]
            for column in table._meta.columns:
                notes = [type_of(column).replace("timestamp with time zone", "timestamptz")]
                if isinstance(column, ForeignKey):
                    notes.append(f"→ `{place(column._foreign_key_meta.resolved_target_column)}`")
                notes += ["key"] * column._meta.primary_key + ["null"] * column._meta.null
                lines.append(f"| `{place(column)}` | {', '.join(notes)} | {column._meta.help_text} |")
            lines.append("")
    return "\n".join(lines)


def write_columns() -> None:
    before, begin, rest = DOCUMENT.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    DOCUMENT.write_text(before + begin + columns_in_markdown() + end + after)


if __name__ == "__main__":
    write_columns()
