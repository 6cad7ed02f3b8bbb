"""AMPLIfy's uploads and downloads: base64 both ways, URLs for plain clients, and what is left where they fail."""

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import keys_in, make_bucket
from tests.dialects.amplify.scene import FOLDER, Client, b64, client_of, media, some_bytes
from tests.server import Server, add_user

PLACES = ("FilesystemStore", "DictStore", "BucketStore")


@pytest.fixture(scope="module")
def bucket(client: Client, ministack: S3Access) -> str:
    keys = {"access_key": ministack.access_key, "secret_key": ministack.secret_key}
    client.good("POST", "/s3cfg", {"url": ministack.endpoint_url, **keys})
    return make_bucket(ministack)


@pytest.fixture(scope="module")
def configs(client: Client, ministack: S3Access, bucket: str) -> dict[str, dict[str, Any]]:
    """A store config for each type."""
    return {
        "FilesystemStore": FOLDER,
        "DictStore": {"type": "DictStore", "bucket": "ram", "s3_url": ""},
        "BucketStore": {"type": "BucketStore", "bucket": bucket, "s3_url": ministack.endpoint_url},
    }


@pytest.fixture
def pid() -> str:
    return f"{uuid.uuid4().hex}/raw"


def files(root: Path) -> set[str]:
    """Folders may go while they are looked through."""
    return {f"{folder}/{name}" for folder, _, names in os.walk(root) for name in names}


def eventually(client: Client, pid: str, content: bytes) -> None:
    """Large content is verified by a job."""
    deadline = time.monotonic() + 30
    while client.good("GET", f"/media/{pid}")["store_status"] != "READY":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.good("GET", f"/download/{pid}")["base64"] == b64(content)


@pytest.mark.parametrize("order", [("mediadata", "base64"), ("base64", "mediadata")], ids=["record first", "bytes first"])
@pytest.mark.parametrize("size", [1, 20, 3 * 1024 * 1024 + 1])
@pytest.mark.parametrize("place", PLACES)
def test_base64_goes_in_and_comes_out(
    client: Client, configs: Any, pid: str, place: str, size: int, order: tuple[str, str]
) -> None:
    content = some_bytes(size)
    parts = {"mediadata": media(pid, store_config=configs[place], tags=["x"]), "base64": b64(content)}
    assert client.good("POST", "/upload", {name: parts[name] for name in order}) == {"status": "READY"}
    told = client.good("GET", f"/download/{pid}")
    assert list(told) == ["mediadata", "base64"]
    assert told["base64"] == b64(content)
    assert told["mediadata"] == client.good("GET", f"/media/{pid}")
    assert told["mediadata"]["store_status"] == "READY"
    assert told["mediadata"]["tags"] == ["x"]
    link = client.good("GET", f"/download/url/{pid}")
    assert sorted(link) == ["mediadata", "presigned_get"]
    assert httpx.get(link["presigned_get"]).content == content
    [link, missing] = client.good("POST", "/download/urls", [pid, "nowhere"])
    assert httpx.get(link["presigned_get"]).content == content
    assert (sorted(missing), missing["pid"]) == (["error", "msg", "pid"], "nowhere")


@pytest.mark.parametrize("size", [0, 20, 17 * 1024 * 1024])
@pytest.mark.parametrize("place", PLACES)
def test_without_base64_a_plain_put_makes_it_ready(client: Client, configs: Any, pid: str, place: str, size: int) -> None:
    """Seen and verified: by who reads it, by downloads and by a job, without another call."""
    told = client.good("POST", "/upload", {"mediadata": media(pid, store_config=configs[place])})
    assert (sorted(told), told["status"]) == (["presigned_put", "status"], "PENDING")
    assert client.good("GET", f"/media/{pid}")["store_status"] == "PENDING"
    status, failed = client.call("GET", f"/download/{pid}")
    assert (status, sorted(failed), failed["pid"]) == (401, ["error", "msg", "pid"], pid)
    content = some_bytes(size)
    assert httpx.put(told["presigned_put"], content=content).status_code == 200
    eventually(client, pid, content)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("headers", [{}, {"Content-Type": "text/csv"}, {"Content-Type": "application/x-www-form-urlencoded"}])
def test_a_plain_client_sends_whatever_headers_it_likes(
    client: Client, configs: Any, pid: str, place: str, headers: dict[str, str]
) -> None:
    told = client.good("POST", "/upload", {"mediadata": media(pid, store_config=configs[place]), "base64": None})
    assert httpx.put(told["presigned_put"], content=b"a,b", headers=headers).status_code == 200
    assert client.good("GET", f"/download/{pid}")["base64"] == b64(b"a,b")


@pytest.mark.parametrize("place", PLACES)
def test_the_same_upload_asked_for_twice_works(client: Client, configs: Any, pid: str, place: str) -> None:
    wanted = {"mediadata": media(pid, store_config=configs[place], metadata={"a": 1}, tags=["t"])}
    first, second = (client.good("POST", "/upload", wanted)["presigned_put"] for _ in range(2))
    assert first != second
    assert httpx.put(first, content=b"first").status_code == 200
    assert client.good("GET", f"/download/{pid}")["base64"] == b64(b"first")
    assert httpx.put(second, content=b"second").status_code == 200
    assert client.good("POST", "/media/read", [pid])[0]["tags"] == ["t"]
    assert client.good("GET", f"/download/{pid}")["base64"] == b64(b"second")


@pytest.mark.parametrize("place", PLACES)
def test_a_library_that_falls_back_to_base64_works(client: Client, configs: Any, pid: str, place: str) -> None:
    """It asks without base64, and sends base64 under the same PID; a store config as the list of stores has it."""
    store = next(store for store in client.good("GET", "/stores") if store["bucket"] == configs[place]["bucket"])
    wanted = {"mediadata": media(pid, store_config=store)}
    client.good("POST", "/upload", wanted)
    assert client.good("POST", "/upload", {**wanted, "base64": b64(b"after all")}) == {"status": "READY"}
    assert client.good("GET", f"/download/{pid}")["base64"] == b64(b"after all")


def test_new_bytes_are_a_new_version_and_take_nothing_else_away(client: Client, server: Server, pid: str) -> None:
    given = {"tags": ["a"], "metadata": {"x": 1}, "identifiers": {"BIN": "b"}}
    client.good("POST", "/upload", {"mediadata": media(pid, **given), "base64": b64(b"one")})
    client.good("POST", "/upload", {"mediadata": media(pid, tags=[], metadata={"y": 2}), "base64": b64(b"two")})
    told = client.good("GET", f"/download/{pid}")
    assert told["base64"] == b64(b"two")
    assert {name: told["mediadata"][name] for name in given} == {**given, "metadata": {"x": 1, "y": 2}}
    with server.client() as admin:
        assert admin.get(f"/media/{pid}").json()["version"] == 2


@pytest.mark.parametrize("place", PLACES)
def test_deleting_removes_the_bytes(
    server: Server, client: Client, configs: Any, ministack: S3Access, bucket: str, pid: str, place: str
) -> None:
    marked = some_bytes(64)
    client.good("POST", "/upload", {"mediadata": media(pid, store_config=configs[place]), "base64": b64(marked)})
    root = server.home / "stores" / "demobucket"

    def there() -> bool:
        if place == "BucketStore":
            return len(keys_in(ministack, bucket)) == before
        return len(files(root)) == before

    before = len(keys_in(ministack, bucket)) if place == "BucketStore" else len(files(root))
    assert place == "DictStore" or there()
    assert client.call("DELETE", f"/media/{pid}") == (204, None)
    assert client.call("GET", f"/download/{pid}")[0] == 404
    deadline = time.monotonic() + 20
    while place != "DictStore" and there():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("text", ["not base64 at all!", "aGVsbG8", "aGVs=GVs"])
@pytest.mark.parametrize("order", [("mediadata", "base64"), ("base64", "mediadata")], ids=["record first", "bytes first"])
def test_a_failed_upload_leaves_nothing(client: Client, pid: str, text: str, order: tuple[str, str]) -> None:
    parts = {"mediadata": media(pid), "base64": text}
    status, told = client.call("POST", "/upload", {name: parts[name] for name in order})
    assert (status, list(told)) == (401, ["error"])
    assert client.call("GET", f"/media/{pid}")[0] == 404
    client.good("POST", "/upload", {**parts, "base64": b64(b"good")})


def test_what_is_wrong_with_the_record_is_refused_like_anywhere(client: Client, pid: str) -> None:
    for wrong, error in (
        ({"pid_type": "NOPE"}, "bad pid_type: NOPE"),
        ({"identifiers": {"NOPE": "x"}}, "bad identifier_type: NOPE"),
    ):
        for more in ({}, {"base64": b64(b"x")}):
            answer = client.call("POST", "/upload", {"mediadata": media(pid, **wrong), **more})
            assert answer == (422, {"detail": [{"error": error}]})
    hashed = {"type": "HashdirStore", "bucket": "b"}
    assert client.call("POST", "/upload", {"mediadata": media(pid, store_config=hashed), "base64": b64(b"x")})[0] == 422
    assert client.call("POST", "/upload", {"base64": b64(b"x")})[0] == 422
    assert client.call("GET", f"/media/{pid}")[0] == 404


def test_a_body_that_is_cut_short_leaves_nothing(server: Server, client: Client, pid: str) -> None:
    def broken() -> Iterator[bytes]:
        yield b'{"mediadata": ' + httpx.Request("POST", "http://x", json=media(pid)).content + b', "base64": "'
        yield b"aGVs" * 100_000
        raise ConnectionError

    before = files(server.home / "stores")
    with pytest.raises((ConnectionError, httpx.TransportError)):
        client.http.post("/upload", content=broken())
    deadline = time.monotonic() + 20
    while files(server.home / "stores") - before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert client.call("GET", f"/download/{pid}")[0] in {401, 404}


def test_h05_bytes_are_hashed_and_never_claimed(server: Server, client: Client, pid: str) -> None:
    client.good("POST", "/upload", {"mediadata": media(pid), "base64": b64(b"abc")})
    with server.client() as admin:
        checksums = admin.get(f"/media/{pid}").json()["content"]["checksums"]
    assert checksums["md5"]["value"] == "900150983cd24fb0d6963f7d28e17f72"
    assert {one["attested_by"] for one in checksums.values()} == {"server"}


def test_who_only_reads_uploads_nothing(server: Server, client: Client, pid: str) -> None:
    with server.client() as admin:
        add_user(admin, "rita", role="reader")
    client.good("POST", "/upload", {"mediadata": media(pid), "base64": b64(b"abc")})
    with client_of(server, "rita") as rita:
        assert rita.good("GET", f"/download/{pid}")["base64"] == b64(b"abc")
        assert rita.call("POST", "/upload", {"mediadata": media(pid + "2"), "base64": b64(b"abc")})[0] == 403
        assert rita.call("POST", "/upload", {"mediadata": media(pid + "2")})[0] == 403
    with client_of(server, "") as nobody:
        status, told = nobody.call("POST", "/upload", {"mediadata": media(pid)})
        assert (status, list(told)) == (401, ["error"])
        for path in (f"/download/{pid}", f"/download/url/{pid}"):
            status, told = nobody.call("GET", path)
            assert (status, list(told), told["pid"]) == (401, ["pid", "error", "msg"], pid)
