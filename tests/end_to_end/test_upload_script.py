"""docs/upload.sh: the same code for a store in S3 and one on disk, through a part sent twice and a server that is killed."""

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.database import DatabaseServer
from tests.end_to_end.documents import ROOT
from tests.server import Server, running_server

MIB = 1024 * 1024


@pytest.fixture
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    """One of the test's own, to be killed."""
    with database_server.database(template=template_database) as url, running_server(url) as running:
        yield running


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "cast.dat"
    block = os.urandom(8 * MIB)
    path.write_bytes(block * 24 + os.urandom(8 * MIB))
    return path


@pytest.mark.parametrize("store", ["bucket", "local"])
def test_a_file_of_200_mib_comes_whole_through_everything(server: Server, ministack: S3Access, file: Path, store: str) -> None:
    with server.client() as admin:
        if store == "bucket":
            add_s3_store(admin, ministack, "bucket")
        token = server.token()

    def upload(*numbers: int) -> list[str]:
        done = subprocess.run(
            [ROOT / "docs" / "upload.sh", file, f"script/{store}", store, *map(str, numbers)],
            env={**os.environ, "API": f"{server.url}/api/v1", "AUTH": f"Authorization: Bearer {token}"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    assert upload(1, 2) == ["part 1: 16777216 bytes", "part 2: 16777216 bytes"]
    assert upload(2) == ["part 2: 16777216 bytes"], "sent twice"
    server.kill()
    server.start()
    token = "expired, for all that the script cares"
    *parts, last = upload()
    assert [line.partition(":")[0] for line in parts] == [f"part {number}" for number in range(3, 14)]
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    assert last == f"ready script/{store} {sha256}"
    with server.client() as admin:
        record = admin.get(f"/media/script/{store}").json()
        assert (record["status"], record["content"]["size"], record["content"]["filename"]) == ("ready", 200 * MIB, "cast.dat")
        assert record["content"]["checksums"]["sha256"]["value"] == sha256
        with admin.stream("GET", f"/content/script/{store}") as answer:
            digest = hashlib.sha256()
            for piece in answer.iter_bytes():
                digest.update(piece)
    assert digest.hexdigest() == sha256
