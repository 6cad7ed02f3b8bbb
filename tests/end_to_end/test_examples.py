"""The README's quick start and the guide's examples do what they say, word for word."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.end_to_end.documents import ROOT, examples
from tests.server import ADMIN, Server
from tests.stores.conftest import access, bucket, moto_url

__all__ = ["access", "bucket", "moto_url"]

NUMBERS = count()


def run(script: str, *, folder: Path, server: Server, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a user would, with the server's port where the documents say 8000."""
    port = str(urlsplit(server.url).port)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script.replace("localhost:8000", f"127.0.0.1:{port}")],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            # Log-ins and what is half sent are this user's own.
            "XDG_CONFIG_HOME": str(folder / "config"),
            "XDG_STATE_HOME": str(folder / "state"),
            **environment,
        },
        input=f"{ADMIN[1]}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "docs/guide.md",
        "docs/direct-uploads.md",
        "docs/retention.md",
        "docs/bulk.md",
        "docs/client.md",
        "docs/command-line.md",
        "docs/search.md",
        "docs/registering.md",
    ],
)
def test_the_examples_work(document: str, server: Server, moto_url: str, bucket: str, tmp_path: Path) -> None:
    quick_start = examples("README.md", after="## First success")
    script = quick_start if document == "README.md" else setup(quick_start) + examples(document)
    shutil.copy(ROOT / "docs" / "upload.sh", tmp_path)
    done = run(
        script, folder=tmp_path, server=server, S3_ENDPOINT=moto_url, S3_BUCKET=bucket, S3_KEY="test-key", S3_SECRET="test-secret"
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    if document == "README.md":
        expected = hashlib.sha256((tmp_path / "sample.dat").read_bytes()).hexdigest()
        sums = re.findall(r"([0-9a-f]{64})  (?:sample\.dat|-)$", done.stdout, re.MULTILINE)
        assert sums == [expected] * 4, "the source, and what came back from local, scratch and S3"


def setup(quick_start: str) -> str:
    """What the guide starts from: logged in, with a file."""
    made = f'"name": "GUIDE-{next(NUMBERS)}"'
    return quick_start[: quick_start.index("curl -fsS -T")].replace('"name": "BIN"', made) + "\n"


def test_each_kind_of_store_gives_back_what_it_was_given(server: Server, admin: httpx.Client, moto_url: str, bucket: str) -> None:
    config = {"name": "kinds", "endpoint_url": moto_url, "access_key": "test-key", "secret_key": "test-secret"}
    assert admin.post("/s3-configs", json=config).status_code == 201
    store = {"name": "kinds", "kind": "s3", "bucket": bucket, "s3_config": "kinds"}
    assert admin.post("/stores", json=store).status_code == 201
    content = os.urandom(11 * 1024 * 1024 + 17)
    for name in ("local", "scratch", "kinds"):
        put = admin.put(f"/content/kinds/{name}", params={"store": name}, content=content)
        assert put.status_code == 201, put.text
        assert put.json()["status"] == "ready"
        assert put.json()["content"]["checksums"]["sha256"]["value"] == hashlib.sha256(content).hexdigest()
        assert admin.get(f"/content/kinds/{name}").content == content
        direct = admin.get(f"/content/kinds/{name}", params={"direct": "true"})
        assert direct.status_code == 307
        assert httpx.get(direct.headers["location"]).content == content
