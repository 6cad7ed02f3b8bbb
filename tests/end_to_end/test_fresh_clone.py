"""A fresh clone on a machine with Python, venv and make: `make run` sets itself up and serves."""

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.documents import ROOT
from tests.end_to_end.test_serve import Serving


def packages_can_be_had() -> bool:
    """Whether this machine reaches the packages that a set-up needs, as pip would."""
    probe = subprocess.run(
        [shutil.which("python3") or "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", os.devnull, "six"],
        capture_output=True,
        check=False,
        timeout=120,
    )
    return b"No matching distribution" not in probe.stderr


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may pass. PostgreSQL never runs as root, and its programs have to be where it can reach them."""
    with tempfile.TemporaryDirectory(prefix="mediastore-clone-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.timeout(900)
def test_make_run_serves_from_a_fresh_clone(open_folder: Path) -> None:
    if not packages_can_be_had():
        pytest.skip("this machine reaches no package index, so that nothing can set itself up")
    clone = open_folder / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MEDIASTORE_", "VIRTUAL_ENV", "MAKE"))},
        "MEDIASTORE_PORT": "0",
        "MEDIASTORE_ADMIN_PASSWORD": "a password for the clone",
    }
    process = subprocess.Popen(
        ["make", "run"],
        cwd=clone,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        server = Serving(process)
        answer = httpx.post(f"{server.url}/api/v1/auth/login", json={"username": "admin", "password": "a password for the clone"})
        assert answer.status_code == 200, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        assert httpx.put(f"{server.url}/api/v1/content/one", content=b"1", headers=headers).status_code == 201
        with urllib.request.urlopen(f"{server.url}/docs") as page:
            assert page.status == 200
        status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
        assert status.stdout == "", "everything that a run makes is ignored by git"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()
