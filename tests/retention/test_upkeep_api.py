"""Upkeep as administrators and owners meet it: over HTTP and at the command line."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.database import DatabaseServer
from tests.server import SECRET_KEY, Server, add_user, running_server


@pytest.fixture(scope="module")
def url(database_server: DatabaseServer, template_database: str) -> Iterator[str]:
    with database_server.database(template=template_database) as url:
        yield url


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with running_server(url) as running:
        yield running


def add_store(server: Server, admin: httpx.Client, name: str) -> Path:
    assert (answer := admin.post("/stores", json={"name": name, "kind": "filesystem"})).status_code == 201, answer.text
    return server.home / "stores" / name


def files(folder: Path) -> list[Path]:
    return [Path(inside, name) for inside, _, names in os.walk(folder) for name in names]


def leave(folder: Path, name: str) -> None:
    """A file that nobody knows, a month old."""
    (folder / "00").mkdir(exist_ok=True)
    (folder / "00" / name).write_bytes(b"nobody's")
    then = time.time() - 30 * 86_400
    os.utime(folder / "00" / name, (then, then))


def command(server: Server, url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEDIASTORE_")}
    settings = {"MEDIASTORE_DATABASE_URL": url, "MEDIASTORE_SECRET_KEY": SECRET_KEY, "MEDIASTORE_HOME": str(server.home)}
    return subprocess.run(
        [sys.executable, "-c", "from mediastore.cli import main; main()", *arguments],
        env={**clean, **settings, "COLUMNS": "80"},
        cwd=server.home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_state_of_upkeep_counts_what_waits_for_a_decision(server: Server, admin: httpx.Client) -> None:
    folder = add_store(server, admin, "stated")
    assert admin.put("/content/stated/1", content=b"12345", params={"store": "stated"}).status_code == 201
    before = admin.get("/stores/stated/upkeep").json()
    assert (before["compared_at"], before["undecided"], before["objects"], before["bad"]) == (None, {}, 1, {})
    leave(folder, "stray")
    assert admin.post("/stores/stated/reconcile").status_code == 200
    after = admin.get("/stores/stated/upkeep").json()
    assert (after["undecided"], after["problem"], after["absent"]) == ({"unknown_object": 1}, None, 0)
    assert after["compared_at"] is not None
    assert admin.get("/stores/nowhere/upkeep").status_code == 404


def test_a_store_is_compared_found_wanting_and_mended(server: Server, admin: httpx.Client) -> None:
    folder = add_store(server, admin, "mended")
    admin.put("/content/mended/a?store=mended", content=b"bytes")
    leave(folder, "one")
    leave(folder, "two")
    report = admin.post("/stores/mended/reconcile")
    assert report.status_code == 200, report.text
    body = report.json()
    assert (body["store"], body["asked_by"], body["stopped_by"]) == ("mended", "admin", None)
    assert (body["counts"]["listed"], body["counts"]["unknown"]) == (3, 2)
    assert body["duration_s"] >= 0
    page = admin.get("/stores/mended/findings?limit=1").json()
    [first] = page["items"]
    assert (first["what"], first["key"], first["times_seen"], first["decision"]) == ("unknown_object", "00/one", 1, None)
    [second] = admin.get("/stores/mended/findings", params={"cursor": page["next"]}).json()["items"]
    removed = admin.post(f"/stores/mended/findings/{first['id']}", json={"decision": "remove"})
    assert (removed.status_code, removed.json()["decided_by"]) == (200, "admin"), removed.text
    adopted = admin.post(f"/stores/mended/findings/{second['id']}", json={"decision": "adopt", "pid": "mended/a"})
    assert adopted.status_code == 200, adopted.text
    assert admin.get("/content/mended/a").content == b"nobody's"
    assert admin.post(f"/stores/mended/findings/{second['id']}", json={"decision": "remove"}).json()["code"] == "finding_decided"
    again = admin.post("/stores/mended/reconcile", json={}).json()
    assert again["counts"]["unknown"] == 0
    reports = admin.get("/stores/mended/reconciliations?limit=1").json()
    assert [item["id"] for item in reports["items"]] == [again["id"]]
    [older] = admin.get("/stores/mended/reconciliations", params={"cursor": reports["next"]}).json()["items"]
    assert older["id"] == body["id"]


def test_a_store_with_a_problem_shows_in_health_and_metrics(server: Server, admin: httpx.Client) -> None:
    folder = add_store(server, admin, "emptied")
    admin.put("/content/emptied/a?store=emptied", content=b"bytes")
    assert httpx.get(f"{server.url}/health/ready").json()["stores"]["emptied"] == "ok"
    [file] = files(folder)
    file.rename(server.home / "aside")
    report = admin.post("/stores/emptied/reconcile").json()
    assert report["stopped_by"] == "nothing_found"
    health = httpx.get(f"{server.url}/health/ready")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert "reconciliations tell more" in health.json()["stores"]["emptied"], "how many is not for everybody"
    assert "none of the 1 objects" in admin.get("/stores/emptied/reconciliations").json()["items"][0]["reason"]
    assert 'mediastore_reconcile_problem{store="emptied"} 1.0' in httpx.get(f"{server.url}/metrics").text
    assert admin.get("/media/emptied/a").json()["status"] == "ready"
    (server.home / "aside").rename(file)
    assert admin.post("/stores/emptied/reconcile").json()["stopped_by"] is None
    assert httpx.get(f"{server.url}/health/ready").json()["stores"]["emptied"] == "ok"


def test_content_is_checked_for_those_who_may_change_it(server: Server, admin: httpx.Client) -> None:
    folder = add_store(server, admin, "checked")
    admin.put("/content/checked/a?store=checked&access=public", content=b"bytes")
    shown = admin.get("/versions/checked/a").json()["items"][0]
    assert (shown["fixity"], shown["checked_at"]) == (None, shown["stored_at"])
    answer = admin.post("/fixity/checked/a")
    assert (answer.status_code, answer.json()["fixity"], answer.json()["version"]) == (200, "ok", 1), answer.text
    [file] = files(folder)
    file.chmod(0o600)
    file.write_bytes(b"BYTES")
    assert admin.post("/fixity/checked/a").json()["fixity"] == "mismatch"
    assert admin.get("/versions/checked/a").json()["items"][0]["fixity"] == "mismatch"
    assert "fixity" in [event["action"] for event in admin.get("/history/checked/a").json()["items"]]
    assert "not those that were verified" in httpx.get(f"{server.url}/health/ready").json()["stores"]["checked"]
    assert 'mediastore_fixity_bad{fixity="mismatch",store="checked"} 1.0' in httpx.get(f"{server.url}/metrics").text
    add_user(admin, "reader-of-checks", "editor")
    with server.client("reader-of-checks") as other, server.client("") as nobody:
        assert other.post("/fixity/checked/a").status_code == 403
        assert nobody.post("/fixity/checked/a").status_code == 401
        assert other.post("/fixity/no-such-record").status_code == 404
        assert other.post("/stores/checked/reconcile").status_code == 403
        assert other.get("/stores/checked/findings").status_code == 403
    admin.post("/media", json={"pid": "checked/empty"})
    assert admin.post("/fixity/checked/empty").json()["code"] == "content_missing"


def test_the_policy_is_set_like_any_other_and_in_the_settings(admin: httpx.Client) -> None:
    upkeep = {"reconcile_interval_s": 3600, "unknown": "quarantine", "fixity_bytes_per_s": 1048576}
    made = admin.post("/stores", json={"name": "policy", "kind": "filesystem", "upkeep": upkeep})
    assert made.json()["upkeep"] | upkeep == made.json()["upkeep"]
    assert made.json()["upkeep"]["unknown_grace_s"] == 86_400
    changed = admin.patch("/stores/policy", json={"upkeep": {"unknown": "remove"}})
    assert (changed.json()["upkeep"]["unknown"], changed.json()["upkeep"]["reconcile_interval_s"]) == ("remove", 86_400)
    for wrong in (
        {"unknown": "adopt"},
        {"unknown_grace_s": 5},
        {"fixity_bytes_per_s": 0},
        {"nothing": 1},
        {"missing_period_s": -1},
    ):
        assert admin.patch("/stores/policy", json={"upkeep": wrong}).status_code == 422, wrong


def test_commands_tell_it_at_eighty_columns(server: Server, admin: httpx.Client, url: str) -> None:
    folder = add_store(server, admin, "told")
    admin.put("/content/told/a?store=told", content=b"bytes")
    leave(folder, "one")
    done = command(server, url, "reconcile", "told")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "objects in the store" in done.stdout
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("objects in the")] == ["2", "1"]
    done = command(server, url, "verify-content", "told/a")
    assert (done.returncode, done.stdout) == (0, "told/a, version 1: ok\n")
    for file in files(folder):
        file.unlink()
    done = command(server, url, "reconcile", "told")
    assert done.returncode == 1
    assert "none of the 1 objects" in done.stderr
    done = command(server, url, "verify-content", "told/a")
    assert (done.returncode, "missing" in done.stdout) == (1, True)
    assert command(server, url, "verify-content", "no-such-record").returncode == 1
