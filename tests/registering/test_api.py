"""Registering as administrators meet it, over HTTP."""

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store, in_bucket
from tests.database import DatabaseServer
from tests.server import Server, add_user, running_server

BYTES = b"somebody's"


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    settings = {"MEDIASTORE_VERIFY_INLINE_BYTES": "1000000"}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        yield running


def add_store(admin: httpx.Client, name: str, **settings: Any) -> Path:
    made = admin.post("/stores", json={"name": name, "kind": "filesystem", **settings})
    assert made.status_code == 201, made.text
    return Path(made.json()["path"])


def until_ended(admin: httpx.Client, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        shown: dict[str, Any] = admin.get(path).json()
        if shown["ended_at"] is not None:
            return shown
        time.sleep(0.05)
    raise AssertionError(f"{path} does not end: {shown}")


def test_by_key(server: Server, admin: httpx.Client) -> None:
    folder = add_store(admin, "bykey", checksums=["sha256"])
    (folder / "a.csv").write_bytes(BYTES)
    (folder / "b.csv").write_bytes(BYTES)
    sha256 = hashlib.sha256(BYTES).hexdigest()
    asked = {"key": "a.csv", "pid": "by/key", "tags": ["raw"], "checksums": {"sha256": sha256}}
    made = admin.post("/stores/bykey/registrations", json=asked)
    assert (made.status_code, made.headers["location"]) == (201, "/api/v1/media/by/key"), made.text
    assert (made.json()["status"], made.json()["tags"]) == ("ready", ["raw"])
    checksum = made.json()["content"]["checksums"]["sha256"]
    assert (checksum["value"], checksum["attested_by"]) == (sha256, "server")
    assert admin.get("/content/by/key").content == BYTES
    again = admin.post("/stores/bykey/registrations", json=asked | {"pid": "by/other"})
    assert (again.status_code, again.json()["code"], again.json()["pid"]) == (409, "key_named", "by/key")
    lie = admin.post("/stores/bykey/registrations", json={"key": "b.csv", "pid": "by/lie", "checksums": {"md5": "0" * 32}})
    assert (lie.status_code, lie.json()["code"]) == (422, "digest_mismatch")
    assert (lie.json()["claimed"], lie.json()["computed"]) == ("0" * 32, hashlib.md5(BYTES).hexdigest())
    assert admin.get("/media/by/lie").status_code == 404
    assert (folder / "b.csv").read_bytes() == BYTES
    [failed] = admin.get("/stores/bykey/registrations?status=failed").json()["items"]
    assert (failed["key"], failed["problem"]["code"]) == ("b.csv", "digest_mismatch")
    assert admin.get(f"/stores/bykey/registrations/{failed['id']}").json() == failed
    assert admin.delete(f"/stores/bykey/registrations/{failed['id']}").json()["code"] == "registration_ended"
    page = admin.get("/stores/bykey/registrations?limit=1").json()
    [older] = admin.get("/stores/bykey/registrations", params={"cursor": page["next"]}).json()["items"]
    assert (older["pid"], older["status"]) == ("by/key", "done")


def test_a_large_object_is_read_by_a_job(server: Server, admin: httpx.Client) -> None:
    folder = add_store(admin, "large")
    (folder / "large").write_bytes(b"x" * 3_000_000)
    (folder / "wrong").write_bytes(b"y" * 3_000_000)
    made = admin.post("/stores/large/registrations", json={"key": "large", "pid": "large"})
    assert (made.status_code, made.json()["status"], made.json()["size"]) == (202, "waiting", 3_000_000), made.text
    assert until_ended(admin, made.headers["location"].removeprefix("/api/v1"))["status"] == "done"
    assert admin.get("/media/large").json()["status"] == "ready"
    made = admin.post("/stores/large/registrations", json={"key": "wrong", "checksums": {"md5": "0" * 32}})
    shown = until_ended(admin, made.headers["location"].removeprefix("/api/v1"))
    assert (shown["status"], shown["problem"]["claimed"]) == ("failed", "0" * 32)
    assert admin.get(f"/media/{made.json()['pid']}").status_code == 404


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("../local/secret", "store_key_invalid"),
        ("/etc/passwd", "store_key_invalid"),
        ("a\0b", "store_key_invalid"),
        ("ä" * 513, "store_key_invalid"),
        ("x" * 1025, "body_invalid"),
        ("%2e%2e/secret", "nothing_there"),
        ("no-such", "nothing_there"),
        ("folder", "nothing_there"),
    ],
)
def test_h14_keys_that_name_no_object_are_refused(server: Server, admin: httpx.Client, key: str, code: str) -> None:
    if admin.get("/stores/keys").status_code == 404:
        add_store(admin, "keys")
    folder = Path(admin.get("/stores/keys").json()["path"])
    (folder / "folder").mkdir(exist_ok=True)
    answer = admin.post("/stores/keys/registrations", json={"key": key})
    assert answer.json()["code"] == code, answer.text
    assert answer.status_code == (404 if code == "nothing_there" else 422)


def test_only_administrators_register(server: Server, admin: httpx.Client) -> None:
    folder = add_store(admin, "mine")
    (folder / "a").write_bytes(BYTES)
    add_user(admin, "editor-of-mine", "editor")
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/stores/mine/registrations", {"key": "a"}),
        ("GET", "/stores/mine/registrations", None),
        ("GET", "/stores/mine/registrations/1", None),
        ("DELETE", "/stores/mine/registrations/1", None),
        ("POST", "/stores/mine/scans", {"pid_pattern": "{key}"}),
        ("GET", "/stores/mine/scans", None),
        ("GET", "/stores/mine/scans/1", None),
        ("DELETE", "/stores/mine/scans/1", None),
    ]
    with server.client("editor-of-mine") as editor, server.client("") as nobody:
        for method, path, body in calls:
            assert editor.request(method, path, json=body).status_code == 403, (method, path)
            assert nobody.request(method, path, json=body).status_code == 401, (method, path)
    assert admin.get("/stores/mine/registrations").json()["items"] == []


def test_a_scan_of_a_bucket(server: Server, admin: httpx.Client, ministack: S3Access) -> None:
    bucket = add_s3_store(admin, ministack, "scanned", prefix="ours/")

    async def fill(client: Any) -> None:
        for number in range(30):
            await client.put_object(Bucket=bucket, Key=f"ours/in/{number:02}.txt", Body=f"{number}".encode())
        await client.put_object(Bucket=bucket, Key="theirs/00.txt", Body=b"others'")

    in_bucket(ministack, bucket, fill)
    asked = {"prefix": "in/", "pid_pattern": "scanned/{stem}", "tags": ["raw"], "min_age_s": 0}
    begun = admin.post("/stores/scanned/scans", json=asked)
    assert (begun.status_code, begun.json()["status"]) == (202, "running"), begun.text
    shown = until_ended(admin, begun.headers["location"].removeprefix("/api/v1"))
    counts = {"listed": 30, "named": 0, "young": 0, "waiting": 0, "done": 30, "failed": 0}
    assert (shown["status"], shown["counts"], shown["problems"]) == ("done", counts, [])
    assert admin.get("/content/scanned/07").content == b"7"
    assert admin.get("/media/scanned/07").json()["content"]["media_type"] == "text/plain"
    assert admin.delete(f"/stores/scanned/scans/{shown['id']}").json()["code"] == "scan_ended"
    assert [item["id"] for item in admin.get("/stores/scanned/scans").json()["items"]] == [shown["id"]]
    wrong = admin.post("/stores/scanned/scans", json={"pid_pattern": "same"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "pid_pattern_invalid")
    assert admin.get("/stores/scanned/scans/4711").json()["code"] == "scan_not_found"
    assert admin.get("/stores/scanned/registrations/4711").json()["code"] == "registration_not_found"


def test_a_server_that_was_killed_as_it_registered_goes_on_by_itself(database_url: str) -> None:
    settings = {"MEDIASTORE_WORKER_LOST_S": "5", "MEDIASTORE_VERIFY_INLINE_BYTES": "0"}
    with running_server(database_url, settings) as server:
        with server.client() as admin:
            folder = add_store(admin, "many")
            for number in range(300):
                (folder / f"{number:03}").write_bytes(b"x" * 1000)
            begun = admin.post("/stores/many/scans", json={"pid_pattern": "m/{key}", "min_age_s": 0}).json()
            path = f"/stores/many/scans/{begun['id']}"
            while admin.get(path).json()["counts"]["listed"] < 100:
                time.sleep(0.01)
        server.kill()
        server.start()
        with server.client() as admin:
            shown = until_ended(admin, path)
            assert (shown["counts"]["listed"], shown["counts"]["done"], shown["counts"]["failed"]) == (300, 300, 0)
            assert len(list(folder.iterdir())) == 300
            assert admin.get("/media/m/299").json()["version"] == 1
