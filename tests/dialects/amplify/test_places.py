"""AMPLIfy's calls about stores, S3 configs and identifier types: each request, and its exact answer."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from stores.config import S3Access
from tests.buckets import make_bucket
from tests.dialects.amplify.scene import FOLDER, Client, b64, client_of, media
from tests.server import Server, add_user


def test_a_store_is_made_listed_read_and_deleted(client: Client) -> None:
    bucket = f"/crud/{uuid.uuid4().hex[:8]}"
    made = client.good("POST", "/store", {"type": "FilesystemStore", "bucket": bucket, "s3_url": ""})
    assert made == {"pk": made["pk"], "type": "FilesystemStore", "bucket": bucket, "s3_url": ""}
    assert client.good("POST", "/store", {"type": "FilesystemStore", "bucket": bucket}) == made, "it is there already"
    assert client.good("GET", f"/store/{made['pk']}") == made
    assert made in client.good("GET", "/stores")
    assert client.call("DELETE", f"/store/{made['pk']}") == (204, None)
    assert made not in client.good("GET", "/stores")
    for method in ("GET", "DELETE"):
        status, told = client.call(method, f"/store/{made['pk']}")
        assert (status, list(told["detail"][0])) == (404, ["error"])


@pytest.mark.parametrize("bucket", ["test_bucket", "/demobucket", "Data Ünï/v1.0", "plain", "_5f", "a-b.c"])
@pytest.mark.parametrize("type", ["DictStore", "FilesystemStore"])
def test_a_bucket_is_told_as_it_was_given(client: Client, type: str, bucket: str) -> None:
    wanted = {"type": type, "bucket": bucket, "s3_url": ""}
    made = client.good("POST", "/media", media(uuid.uuid4().hex, store_config=wanted))
    assert made["store_config"] == {**wanted, "pk": made["store_config"]["pk"]}
    assert client.good("POST", "/store", wanted)["pk"] == made["store_config"]["pk"]


def test_a_folder_lies_below_an_allowed_root(server: Server, client: Client) -> None:
    root = server.home / "stores"
    long = "/very/" + "long/" * 20 + "path"
    for bucket in ("/x/y", str(root / "absolute"), long):
        shown = client.good("POST", "/store", {"type": "FilesystemStore", "bucket": bucket})
        assert client.good("POST", "/store", {"type": "FilesystemStore", "bucket": shown["bucket"]}) == shown
    assert all((root / folder).is_dir() for folder in ("x/y", "absolute", long.lstrip("/")))
    for bucket in ("/", ".", "/../etc", "a/../../b", "x\x00y", "/x"):
        status, told = client.call("POST", "/store", {"type": "FilesystemStore", "bucket": bucket})
        assert (status, list(told["detail"][0])) == (422, ["error"]), bucket
    assert not Path("/x").exists()


@pytest.mark.parametrize("type", ["HashdirStore", "ZipStore", "SqliteStore", "InvalidStore", "bucketstore", ""])
def test_other_types_are_refused(client: Client, type: str) -> None:
    for method, path, body in (
        ("POST", "/store", {"type": type, "bucket": "b"}),
        ("POST", "/media", media("refused", store_config={"type": type, "bucket": "b"})),
    ):
        status, told = client.call(method, path, body)
        assert status == 422
        assert "BucketStore, FilesystemStore, DictStore" in told["detail"][0]["error"]


def test_an_s3_url_is_for_bucket_stores_and_has_to_be_known(client: Client) -> None:
    for wrong in (
        {"type": "BucketStore", "bucket": "b", "s3_url": ""},
        {"type": "BucketStore", "bucket": "b", "s3_url": "https://nobody.example"},
        {"type": "DictStore", "bucket": "b", "s3_url": "https://nobody.example"},
    ):
        status, told = client.call("POST", "/store", wrong)
        assert (status, list(told["detail"][0])) == (422, ["error"])


def test_s3_configs_and_a_bucket_store(client: Client, ministack: S3Access) -> None:
    keys = {"access_key": ministack.access_key, "secret_key": ministack.secret_key}
    url = str(ministack.endpoint_url)
    made = client.good("POST", "/s3cfg", {"url": url, **keys})
    assert made == {"pk": made["pk"], "url": url}
    assert client.good("GET", f"/s3cfg/{made['pk']}") == made
    assert client.good("GET", "/s3cfgs") == [made]
    assert client.call("POST", "/s3cfg", {"url": url, **keys})[0] == 422
    assert client.call("PUT", f"/s3cfg/{made['pk']}", {"url": url, **keys}) == (204, None)
    bucket = make_bucket(ministack)
    store = client.good("POST", "/store", {"type": "BucketStore", "bucket": bucket, "s3_url": url})
    assert store == {"pk": store["pk"], "type": "BucketStore", "bucket": bucket, "s3_url": url}
    wanted = {"type": "BucketStore", "bucket": bucket, "s3_url": url}
    assert client.good("POST", "/upload", {"mediadata": media("in-s3", store_config=wanted), "base64": b64(b"s3")}) == {
        "status": "READY"
    }
    told = client.good("GET", "/download/in-s3")
    assert (told["mediadata"]["store_config"], told["base64"]) == (store, b64(b"s3"))
    assert client.call("DELETE", f"/store/{store['pk']}")[0] == 422, "something is in it"
    assert client.call("DELETE", f"/s3cfg/{made['pk']}")[0] == 422, "a store uses it"
    assert client.call("PUT", f"/s3cfg/{made['pk']}", {"url": "https://elsewhere.example", **keys})[0] == 422
    other = client.good("POST", "/s3cfg", {"url": "http://127.0.0.1:9", **keys})
    assert client.call("DELETE", f"/s3cfg/{other['pk']}") == (204, None)
    assert client.call("GET", f"/s3cfg/{other['pk']}")[0] == 404


@pytest.mark.parametrize("url", ["localhost:8000", "http://169.254.169.254", "http://user:pass@host", "file:///etc"])
def test_h14_an_s3_url_that_this_server_must_not_talk_to_is_refused(client: Client, url: str) -> None:
    status, told = client.call("POST", "/s3cfg", {"url": url, "access_key": "a", "secret_key": "hush hush"})
    assert (status, list(told["detail"][0])) == (422, ["error"])
    assert "hush" not in str(told)


def test_identifier_types(client: Client) -> None:
    name = f"T{uuid.uuid4().hex[:8]}"
    assert client.good("POST", "/identifier", {"name": name, "pattern": "x+"}) == {"name": name, "pattern": "x+"}
    assert client.good("GET", f"/identifier/{name}") == {"name": name, "pattern": "x+"}
    assert {"name": name, "pattern": "x+"} in client.good("GET", "/identifier/list")
    assert client.call("POST", "/identifier", {"name": name})[0] == 422
    assert client.call("PUT", "/identifier", {"name": name, "pattern": None}) == (204, None)
    assert client.good("GET", f"/identifier/{name}") == {"name": name, "pattern": ""}
    for wrong in (
        {"name": name + "2", "pattern": "*foo*"},
        {"name": "no such name!"},
        {"name": name + "3", "pattern": "(a{1000}){1000}"},
    ):
        status, told = client.call("POST", "/identifier", wrong)
        assert (status, list(told["detail"][0])) == (422, ["error"])
    assert client.call("DELETE", f"/identifier/{name}") == (204, None)
    for method, path, body in (("GET", name, ...), ("DELETE", name, ...)):
        assert client.call(method, f"/identifier/{path}", body)[0] == 404
    assert client.call("PUT", "/identifier", {"name": name})[0] == 404


def test_who_is_no_administrator_uses_stores_and_makes_none(server: Server, client: Client) -> None:
    with server.client() as admin:
        add_user(admin, "edith")
    store = client.good("POST", "/store", FOLDER)
    with client_of(server, "edith") as edith:
        assert store in edith.good("GET", "/stores")
        assert edith.good("GET", f"/store/{store['pk']}") == store
        assert edith.good("GET", "/identifier/list")
        pid = uuid.uuid4().hex
        assert edith.good("POST", "/media", media(pid))["store_config"] == store
        calls: list[tuple[str, str, Any]] = [
            ("POST", "/store", {"type": "DictStore", "bucket": "mine"}),
            ("DELETE", f"/store/{store['pk']}", ...),
            ("GET", "/s3cfgs", ...),
            ("POST", "/s3cfg", {"url": "https://x.example", "access_key": "a", "secret_key": "b"}),
            ("GET", "/s3cfg/1", ...),
            ("DELETE", "/s3cfg/1", ...),
            ("POST", "/identifier", {"name": "MINE"}),
            ("PUT", "/identifier", {"name": "DEMO2", "pattern": "x"}),
            ("DELETE", "/identifier/DEMO2", ...),
        ]
        for method, path, body in calls:
            status, told = edith.call(method, path, body)
            assert (status, list(told["detail"][0])) == (403, ["error"]), path
        status, told = edith.call("POST", "/media", media(pid + "2", store_config={"type": "DictStore", "bucket": "mine"}))
        assert (status, list(told["detail"][0])) == (403, ["error"])
