"""docs/dialects/staging.sh: a whole session by plain curl, for a store on disk and one in S3."""

import hashlib
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS, of
from tests.dialects.staging.staging import send
from tests.end_to_end.documents import ROOT
from tests.faults.harness import MIB
from tests.server import Server, add_user, running_server


def session(server: Server, credential: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [ROOT / "docs" / "dialects" / "staging.sh", *arguments],
        env={**os.environ, "BASE": f"{server.url}/staging", "CREDENTIAL": credential},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def lines(data: bytes) -> list[str]:
    return [hashlib.sha1(data).hexdigest(), hashlib.md5(data).hexdigest()]


@pytest.mark.parametrize("label", ["", "Cast 7, “Gulf of Maine”"])
def test_a_session_by_curl(server: Server, tmp_path: Path, label: str) -> None:
    file = tmp_path / "cast 7.bin"
    file.write_bytes(os.urandom(5 * MIB))
    with server.client("ann") as ann:
        key = ann.post("/auth/keys", json={"name": str(uuid4()), "scopes": ["read", "write"]}).json()["key"]
    for credential in (f"token={server.token('ann')}", f"key={key}"):
        told = session(server, credential, str(file), label)
        assert all(digest in told[1] for digest in lines(file.read_bytes()))
        assert told[2:] == ["fetched back: the same", "1 of yours in all", "deleted"]


def test_a_store_in_s3_sends_clients_to_itself(
    database_server: DatabaseServer, template_database: str, ministack: S3Access, tmp_path: Path
) -> None:
    file = tmp_path / "cast.bin"
    file.write_bytes(os.urandom(12 * MIB))
    settings = {**SETTINGS, "MEDIASTORE_STAGING_STORE": "bucket"}
    with database_server.database(template=template_database) as url, running_server(url, settings) as server:
        with server.client() as admin:
            add_s3_store(admin, ministack, "bucket")
            add_user(admin, "ann")
        told = session(server, f"token={server.token('ann')}", str(file))
        assert all(digest in told[1] for digest in lines(file.read_bytes()))
        with of(server, "ann") as ann:
            report = send(ann, 'a"b\u202ec.html', b"<script>alert(1)</script>")
            where = ann.get(f"/upload/{report['id']}/data").headers["location"]
            assert where.startswith(ministack.endpoint_url or "")
            got = httpx.get(where)
            assert got.content == b"<script>alert(1)</script>"
            assert got.headers["content-disposition"].startswith("attachment")
