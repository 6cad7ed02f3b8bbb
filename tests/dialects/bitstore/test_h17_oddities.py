"""Whatever comes, the answer is a sentence, and never a fault of ours."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.dialects.bitstore.client import Client, address, files, md5, send
from tests.server import Server

BODY = b"id\n1\n"


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "/authorize", {"content": b'{"metadata": {"owner": "\\ud800", "name": "d"}}'}),
        ("POST", "/authorize", {"content": b'{"metadata": {"owner": "kim", "name": "\\u0000"}, "filedata": {"a": {}}}'}),
        ("POST", "/authorize", {"json": {"metadata": {"owner": "kim", "name": "n" * 250}, "filedata": files(a_csv=BODY)}}),
        ("POST", "/authorize", {"params": {"jwt": "\u20ac"}}),
        ("POST", "/authorize", {"headers": {"Auth-Token": b"\xff\xfe"}}),
        ("POST", "/authorize", {"headers": {"Authorization": "Basic x"}}),
        ("POST", "/files", {"content": b"x"}),
        ("POST", "/files", {"files": {"file": b"x"}}),
        ("POST", "/files", {"data": {"upload": "x"}, "files": {"file": b"x"}}),
        ("POST", "/files", {"data": {"upload": "0196f2c0-4bd9-7d0d-9c1e-9e1f6f0a3a52"}, "files": {"file": b"x"}}),
        ("POST", "/files", {"data": {"upload": "0196f2c0-4bd9-7d0d-9c1e-9e1f6f0a3a52"}}),
        ("GET", "/files/x", {}),
        ("GET", "/files/a/b/c/d", {}),
        ("GET", "/files/a/b/c/%00", {}),
        ("GET", "/files/a/b/c/%ff", {}),
        ("GET", "/files/a/b/c/../../d", {}),
        ("GET", "/presign?url=%ff%00", {}),
        ("GET", "/presign?url=a&url=b&ownerid=%00", {}),
        ("GET", "/authorize", {}),
        ("PUT", "/info", {}),
        ("GET", "/nothing", {}),
    ],
)
def test_h17_odd_requests_are_refused(server: Server, on_disk: Server, method: str, path: str, options: dict[str, Any]) -> None:
    for running in (server, on_disk):
        kim = Client(running, "kim")
        headers = options.get("headers", kim.headers if "params" not in options else {})
        answer = httpx.request(method, f"{kim.url}{path}", **(options | {"headers": headers}))
        assert 400 <= answer.status_code < 500, (answer.status_code, answer.text)


@pytest.mark.parametrize("name", ["a b.csv", "ünï/çödé.csv", "100%.csv", "a+b&c=d.csv", "a'\"<b>.csv", "emoji \U0001f600.csv"])
def test_unusual_names_come_through(server: Server, on_disk: Server, name: str) -> None:
    for running in (server, on_disk):
        liz = Client(running, "liz")
        item = {"length": len(BODY), "md5": md5(BODY)}
        offer = liz.authorize({name: item}, findability="private")[name]
        assert send(offer, BODY).status_code == 204
        answer = liz.presign(address(offer))
        assert answer.status_code == 200, answer.text
        assert httpx.get(answer.json()["url"]).content == BODY
        assert liz.presign(f"{offer['upload_url']}/{quote(offer['upload_query']['key'])}").status_code == 200


def test_a_store_that_is_not_there_is_not_the_client_s_fault(on_disk: Server, disk_admin: httpx.Client) -> None:
    liz = Client(on_disk, "liz")
    assert disk_admin.patch("/stores/local", json={"enabled": False}).status_code == 200
    try:
        assert liz.ask(files(a_csv=BODY)).status_code in {409, 503}
    finally:
        assert disk_admin.patch("/stores/local", json={"enabled": True}).status_code == 200
