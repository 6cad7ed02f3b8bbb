"""Quotas and names hold for AMPLIfy's clients, also when everything comes at once."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import make_bucket
from tests.dialects.amplify.scene import Client, b64, media, some_bytes
from tests.server import Server

ROOM = 1_000_000
MOST = some_bytes(600_000)
"""More than half of it."""


@pytest.fixture(params=["FilesystemStore", "DictStore", "BucketStore"])
def place(request: pytest.FixtureRequest, server: Server, client: Client, ministack: S3Access) -> dict[str, Any]:
    """A store of this type in which there is little room."""
    config = {"type": request.param, "bucket": f"narrow-{uuid.uuid4().hex[:8]}", "s3_url": ""}
    if request.param == "BucketStore":
        keys = {"access_key": ministack.access_key, "secret_key": ministack.secret_key}
        client.call("POST", "/s3cfg", {"url": ministack.endpoint_url, **keys})
        config |= {"bucket": make_bucket(ministack), "s3_url": str(ministack.endpoint_url)}
    client.good("POST", "/store", config)
    with server.client() as admin:
        assert admin.patch(f"/stores/{name_of(server, config)}", json={"quota": {"bytes": ROOM}}).status_code == 200
    return config


def name_of(server: Server, config: dict[str, Any]) -> str:
    """What our own API calls it."""
    with server.client() as admin:
        stores = admin.get("/stores").json()["items"]
    [name] = [one["name"] for one in stores if config["bucket"] == one.get("bucket") or one["name"].endswith(config["bucket"])]
    return str(name)


def used(server: Server, config: dict[str, Any]) -> int:
    """Bytes that count, those that are announced among them."""
    with server.client() as admin:
        usage = admin.get(f"/stores/{name_of(server, config)}/usage").json()
    return int(usage["used"]["bytes"] + usage["reserved"]["bytes"])


def test_h13_of_many_uploads_at_once_one_gets_in(server: Server, client: Client, place: dict[str, Any]) -> None:
    pids = [uuid.uuid4().hex for _ in range(12)]
    with ThreadPoolExecutor(len(pids)) as pool:
        wanted = [{"mediadata": media(pid, store_config=place), "base64": b64(MOST)} for pid in pids]
        answers = list(pool.map(lambda body: client.call("POST", "/upload", body), wanted))
    assert sorted(status for status, _ in answers) == [200] + [401] * 11
    assert {tuple(told) for status, told in answers if status == 401} == {("error",)}
    ready = [one["pid"] for one in client.good("POST", "/media/read", pids) if one["store_status"] == "READY"]
    assert ready == [pid for pid, (status, _) in zip(pids, answers, strict=True) if status == 200]
    assert used(server, place) == len(MOST)
    client.good("DELETE", f"/media/{ready[0]}")
    deadline = time.monotonic() + 60
    while client.call("POST", "/upload", wanted[-1])[0] != 200:
        assert time.monotonic() < deadline, "what was deleted makes room"
        time.sleep(0.2)


def test_h13_more_by_a_url_than_there_is_room_never_becomes_ready(server: Server, client: Client, place: dict[str, Any]) -> None:
    pid = uuid.uuid4().hex
    url = client.good("POST", "/upload", {"mediadata": media(pid, store_config=place)})["presigned_put"]
    httpx.put(url, content=MOST + MOST, timeout=60)
    deadline = time.monotonic() + 60
    while used(server, place):
        assert client.good("GET", f"/media/{pid}")["store_status"] == "PENDING"
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert client.call("GET", f"/download/{pid}")[0] == 401
    assert client.good("POST", "/upload", {"mediadata": media(pid, store_config=place), "base64": b64(MOST)})["status"] == "READY"


def test_h13_of_two_that_make_the_same_record_one_gets_it(client: Client, place: dict[str, Any]) -> None:
    pid = uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.call("POST", "/media", media(pid, store_config=place))[0], range(8)))
    assert sorted(answers) == [200] + [422] * 7
