"""`mediastore sweep`: a table that a person can read, then the run that is bound to it."""

import os
import re
import subprocess
import sys

import httpx

from tests.server import Server


def command(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from mediastore.cli import main; main()", "sweep", *arguments],
        env={**os.environ, **server._environment, "COLUMNS": "80"},
        cwd=server.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_rehearsal_prints_what_its_run_then_removes(server: Server, admin: httpx.Client) -> None:
    policy = {"grace_s": 0, "sweep_interval_s": 31_536_000}
    admin.patch("/stores/local", json={"retention": policy}).raise_for_status()
    admin.post("/stores/local/sweep").raise_for_status()
    assert command(server, "local", "--dry-run").stdout.startswith("Nothing in local is due.")
    long = "IFCB101/" + "D20240101T000000-" * 6
    for pid, size in ((long, 1000), ("b", 5_000_000), ("held", 1)):
        admin.put(f"/content/{pid}?ttl_s=1", content=b"x" * size).raise_for_status()
    admin.post("/holds/held", json={"reason": "paper"}).raise_for_status()
    while admin.get("/media/held").status_code != 410:
        pass
    listed = command(server, "local", "--dry-run")
    assert listed.returncode == 0, listed.stderr
    assert all(len(line) <= 80 for line in listed.stdout.splitlines()), listed.stdout
    assert "4.8 MiB" in listed.stdout
    assert re.search(r"2 would be removed \(2 objects, 4.8 MiB\); kept by a hold 1", " ".join(listed.stdout.split()))
    admin.put("/content/later?ttl_s=1", content=b"later").raise_for_status()
    found = re.search(r"mediastore sweep local --rehearsal (\d+)", " ".join(listed.stdout.split()))
    assert found is not None
    while admin.get("/media/later").status_code != 410:
        pass
    done = command(server, "local", "--rehearsal", found[1])
    assert done.returncode == 0, done.stderr
    assert "2 removed (2 objects, 4.8 MiB freed)" in " ".join(done.stdout.split())
    assert admin.get("/media/b").json()["record_status"] == "deleted"
    assert admin.get("/media/later").json()["record_status"] == "expired"
    assert command(server, "nowhere").returncode != 0


def test_the_brake_ends_the_command_with_an_error(server: Server, admin: httpx.Client) -> None:
    store = {"name": "braked", "kind": "filesystem", "retention": {"grace_s": 0, "max_objects_per_run": 1}}
    admin.post("/stores", json=store).raise_for_status()
    for number in range(2):
        admin.put(f"/content/braked-{number}?store=braked&ttl_s=1", content=b"x").raise_for_status()
    while admin.get("/media/braked-1").status_code != 410:
        pass
    stopped = command(server, "braked")
    assert stopped.returncode == 1
    assert "max_objects_per_run" in stopped.stderr
    assert httpx.get(f"{server.url}/health/ready").json()["brakes"].keys() == {"braked"}
    released = command(server, "braked", "--release-brake")
    assert (released.returncode, "2 removed" in released.stdout) == (0, True)
