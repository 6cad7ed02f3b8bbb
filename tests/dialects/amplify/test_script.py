"""docs/dialects/amplify.py: a whole session with plain HTTP, on every type of store, twice."""

import os
import subprocess
import sys
from pathlib import Path

from stores.config import S3Access
from tests.buckets import make_bucket
from tests.server import ADMIN, Server

SCRIPT = Path(__file__).parents[3] / "docs" / "dialects" / "amplify.py"


def test_a_whole_session_works_again_and_again(server: Server, ministack: S3Access) -> None:
    environment = {
        **os.environ,
        "AMPLIFY": f"{server.url}/amplify",
        "AMPLIFY_USER": ADMIN[0],
        "AMPLIFY_PASSWORD": ADMIN[1],
        "S3_ENDPOINT": str(ministack.endpoint_url),
        "S3_KEY": str(ministack.access_key),
        "S3_SECRET": str(ministack.secret_key),
        "S3_BUCKET": make_bucket(ministack),
    }
    for _ in range(2):
        done = subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout == "10 records made, read, changed and deleted; 3 stores\n"
