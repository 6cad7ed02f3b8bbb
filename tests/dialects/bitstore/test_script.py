"""docs/dialects/bitstore.sh: a session by plain curl, with a store in S3 and with one on disk."""

import os
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.dialects.bitstore.client import becomes, token
from tests.end_to_end.documents import ROOT
from tests.server import Server


@pytest.mark.parametrize("findability", ["private", "published"])
@pytest.mark.parametrize("store", ["bucket", "local"])
def test_the_script_pushes_a_file_and_reads_it_back(
    server: Server, on_disk: Server, tmp_path: Path, store: str, findability: str
) -> None:
    running = server if store == "bucket" else on_disk
    file = tmp_path / "cast.csv"
    file.write_bytes(os.urandom(100_000))
    owner = f"judy-{findability}"

    def push() -> str:
        done = subprocess.run(
            [ROOT / "docs" / "dialects" / "bitstore.sh", owner, "ctd", file, findability],
            env={**os.environ, "API": f"{running.url}/rawstore", "TOKEN": token(owner)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert push() == "sent cast.csv\nread back cast.csv\n"
    with running.client() as admin:
        pid = f"rawstore/{owner}/ctd/data/cast.csv"
        assert becomes(admin, pid, "ready")["store"] == store
    assert push() == "there already cast.csv\nread back cast.csv\n"
    assert httpx.get(f"{running.url}/rawstore/info").status_code == 401
