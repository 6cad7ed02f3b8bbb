"""Client and server are killed again and again while a file goes in and out: the count is right, and no record is doubled."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from mediastore.client.import_state import ImportState
from tests.client.commands import begin, command
from tests.database import DatabaseServer, run
from tests.server import running_server

RECORDS = 20_000
BAD = range(500, RECORDS, 1000)
"""Lines that are none."""
SMALL_PARTS = "import mediastore.client.importing as importing; importing.PART_LINES = 700"
LONGEST_S = 200

pytestmark = pytest.mark.timeout(LONGEST_S + 100)


@pytest.fixture
def url(database_server: DatabaseServer, template_database: str) -> Iterator[str]:
    with database_server.database(template=template_database) as url:
        yield url


def file_of(folder: Path) -> Path:
    """Every third line has no PID, so that it is made up."""
    file = folder / "in.ndjson"
    with file.open("w") as lines:
        for n in range(RECORDS):
            record = {"metadata": {"n": n}, "tags": ["imported"]} | ({"pid": f"killed/{n}"} if n % 3 else {})
            lines.write("nonsense\n" if n in BAD else json.dumps(record) + "\n")
    return file


def line_of(folder: Path) -> int:
    """How far the import has come, by its state file."""
    try:
        return msgspec.json.decode((folder / "in.ndjson.import").read_bytes(), type=ImportState).line
    except FileNotFoundError:
        return 0


async def told_by(url: str) -> tuple[int, int, int, int]:
    """Records, different ones among them, their revisions, and lines of history."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(
            """
            SELECT count(*), count(DISTINCT metadata -> 'n'), sum(revision)::bigint,
                (SELECT count(*) FROM history WHERE action = 'created' AND kind = 'media')
            FROM media
            """
        )
    finally:
        await connection.close()
    assert row is not None
    return row[0], row[1], row[2], row[3]


def test_an_import_that_is_killed_again_and_again_makes_each_record_once(url: str, tmp_path: Path) -> None:
    file_of(tmp_path)
    chance = random.Random(7)
    arguments = ("import", "in.ndjson", "--import-id", "killed", "--errors", "bad.ndjson")
    kills = {"client": 0, "server": 0}
    with running_server(url) as server:
        token = server.token()
        environment = {"MEDIASTORE_TOKEN": token}
        deadline = time.monotonic() + LONGEST_S
        while sum(kills.values()) < 6:
            client = begin(server, tmp_path, *arguments, first=SMALL_PARTS, environment=environment)
            while client.poll() is None and sum(kills.values()) < 6:
                assert time.monotonic() < deadline
                goal = line_of(tmp_path) + chance.randrange(1, 1800)
                while client.poll() is None and line_of(tmp_path) < goal:
                    time.sleep(0.002)
                time.sleep(chance.random() * 0.1)
                if kills["server"] <= kills["client"]:
                    server.kill()
                    kills["server"] += 1
                    server.start()
                else:
                    client.kill()
                    kills["client"] += 1
                    break
            client.kill()
            client.communicate()
        assert 0 < line_of(tmp_path) < RECORDS, "it was killed on its way"
        done = command(server, tmp_path, *arguments, token=token)
    assert done.returncode == 3, done.stderr
    good = RECORDS - len(BAD)
    assert run(told_by(url)) == (good, good, good, good)
    counted = {name: int(count.replace(",", "")) for count, name in (part.split() for part in done.stdout.strip().split(", "))}
    assert counted["created"] + counted.get("unchanged", 0) == good
    assert counted["failed"] == len(BAD)
    told = [json.loads(line)["line"] for line in (tmp_path / "bad.ndjson").read_text().splitlines()]
    assert told == [n + 1 for n in BAD], "each is told of once"
    assert not (tmp_path / "in.ndjson.import").exists()


def test_an_export_that_is_killed_again_and_again_has_each_record_once(url: str, tmp_path: Path) -> None:
    file_of(tmp_path)
    chance = random.Random(7)
    with running_server(url) as server:
        token = server.token()
        assert command(server, tmp_path, "import", "in.ndjson", "--import-id", "x", token=token).returncode == 3
        part = tmp_path / "out.ndjson.part"
        for turn in range(5):
            client = begin(server, tmp_path, "export", "out.ndjson", environment={"MEDIASTORE_TOKEN": token})
            goal = (part.stat().st_size if part.exists() else 0) + chance.randrange(1, 1_000_000)
            while client.poll() is None and not (part.exists() and part.stat().st_size >= goal):
                time.sleep(0.001)
            if turn % 2:
                server.kill()
                client.kill()
                server.start()
            else:
                client.kill()
            client.communicate()
        assert command(server, tmp_path, "export", "out.ndjson", token=token).returncode == 0
    found = [json.loads(line)["metadata"]["n"] for line in (tmp_path / "out.ndjson").read_text().splitlines()]
    assert found == [n for n in range(RECORDS) if n not in BAD]
