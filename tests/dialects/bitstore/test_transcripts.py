"""Each call as BitStore's documentation has it: the request, the exact status, the shape of the answer."""

import hashlib
import json
from typing import Any

import httpx
import pytest

from tests.dialects.bitstore.client import Client, address, files, md5, send, token
from tests.server import Server

BODY = b"id,name\n1,one\n"
MD5 = md5(BODY)
HEX = hashlib.md5(BODY).hexdigest()
FORM = {
    "Content-MD5",
    "Content-Type",
    "acl",
    "key",
    "policy",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-signature",
}


def asked(owner: str, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"owner": owner, "name": "finance", **metadata},
        "filedata": {"data/file1.xls": {"name": "file1.xls", "length": len(BODY), "md5": MD5, "type": "text/csv"}},
    }


@pytest.mark.parametrize("path", ["/authorize", "", "/"])
@pytest.mark.parametrize("way", ["jwt", "Auth-Token", "Authorization"])
def test_authorize(server: Server, path: str, way: str) -> None:
    owner = f"u{len(path)}{way}"
    given: dict[str, Any] = {
        "jwt": {"params": {"jwt": token(owner), "unknown": "1"}},
        "Auth-Token": {"headers": {"Auth-Token": token(owner)}},
        "Authorization": {"headers": {"Authorization": f"Bearer {token(owner)}"}},
    }[way]
    answer = httpx.post(f"{server.url}/rawstore{path}", json=asked(owner), **given)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert set(answer.json()) == {"filedata"}
    [(name, offer)] = answer.json()["filedata"].items()
    assert name == "data/file1.xls"
    query = offer.pop("upload_query")
    assert set(query) == FORM
    assert (query["key"], query["acl"]) == (f"raw/{owner}/finance/{HEX}/data/file1.xls", "public-read")
    assert (query["Content-MD5"], query["Content-Type"]) == (MD5, "text/csv")
    url = offer.pop("upload_url")
    assert url.startswith("http")
    assert not url.endswith("/")
    assert offer == {"type": "text/csv", "name": "file1.xls", "md5-hash": MD5, "exists": False}


def test_authorize_by_a_token_of_this_server(server: Server) -> None:
    answer = httpx.post(f"{server.url}/rawstore/authorize", json=asked("admin"), headers={"Auth-Token": server.token()})
    assert answer.status_code == 200
    other = httpx.post(f"{server.url}/rawstore/authorize", json=asked("alice"), headers={"Auth-Token": server.token()})
    assert other.status_code == 401, "not for administrators either"


def test_what_nobody_says_has_a_default(server: Server) -> None:
    lena = Client(server, "lena")
    [offer] = lena.authorize({"a/b": {"length": len(BODY), "md5": MD5}}).values()
    assert (offer["name"], offer["type"], offer["upload_query"]["acl"]) == ("b", "text/plain", "public-read")
    assert lena.authorize({}) == {}
    [offer] = lena.authorize({"c": {"length": len(BODY), "md5": f" {HEX.upper()} ", "colour": "red"}}, licence="none").values()
    assert (offer["md5-hash"], offer["upload_query"]["Content-MD5"]) == (f" {HEX.upper()} ", MD5)
    [offer] = lena.authorize({"d": {"length": 0, "md5": md5(b"")}}, findability="private").values()
    assert offer["upload_query"]["acl"] == "private"
    assert send(offer, b"").status_code == 204


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"metadata": {"name": "d"}}, 400),
        ({"metadata": {"owner": "", "name": "d"}}, 400),
        ({"metadata": {"owner": None, "name": "d"}}, 400),
        ({"metadata": {"owner": "mia"}}, 400),
        ({"metadata": {}}, 400),
        ({"metadata": []}, 400),
        ({"metadata": {"owner": "eve", "name": "d"}}, 401),
        ({"metadata": {"owner": "mia ", "name": "d"}}, 401),
        ({"filedata": {"a": {"md5": MD5}}}, 400),
        ({"filedata": {"a": {"length": -1, "md5": MD5}}}, 400),
        ({"filedata": {"a": {"length": 2**70, "md5": MD5}}}, 400),
        ({"filedata": {"a": {"length": 2**62, "md5": MD5}}}, 403),
        ({"filedata": {"a": {"length": 1.5, "md5": MD5}}}, 400),
        ({"filedata": {"a": {"length": 1}}}, 400),
        ({"filedata": {"a": {"length": 1, "md5": "aaa"}}}, 400),
        ({"filedata": {"a": {"length": 1, "md5": f'"{HEX}-3"'}}}, 400),
        ({"filedata": {"a": {"length": 1, "md5": MD5, "type": "text/csv\r\nacl: x"}}}, 400),
        ({"filedata": {"a": {"length": 1, "md5": MD5, "type": "${filename}"}}}, 400),
        ({"filedata": ["a"]}, 400),
    ],
)
def test_h05_h14_bad_input_is_refused_in_words(server: Server, change: dict[str, Any], status: int) -> None:
    answer = httpx.post(f"{server.url}/rawstore/authorize", json=asked("mia") | change, headers={"Auth-Token": token("mia")})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert len(answer.text) > 10


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"\xff"', b"[" * 100_000])
def test_h17_what_is_no_json_is_refused(server: Server, body: bytes) -> None:
    answer = httpx.post(f"{server.url}/rawstore/authorize", content=body, headers={"Auth-Token": token("mia")})
    assert (answer.status_code, answer.headers["content-type"].startswith("text/plain")) == (400, True), answer.text


def test_h17_the_files_of_one_request_are_bounded(server: Server) -> None:
    filedata = {f"f{number}": {"length": 1, "md5": MD5} for number in range(1001)}
    answer = Client(server, "mia").ask(filedata)
    assert (answer.status_code, "1000" in answer.text) == (400, True)
    assert httpx.post(f"{server.url}/rawstore/authorize", content=b" " * 17_000_000).status_code in {400, 403}


def test_info(server: Server) -> None:
    assert httpx.get(f"{server.url}/rawstore/info").status_code == 401
    answer = httpx.get(f"{server.url}/rawstore/info", params={"jwt": token("nina")})
    assert (answer.status_code, set(answer.json())) == (200, {"prefixes"})
    assert [prefix.rpartition("/raw/")[2] for prefix in answer.json()["prefixes"]] == ["nina/"]


def test_presign(server: Server) -> None:
    olga = Client(server, "olga")
    public = address(olga.push(BODY, name="public.csv"))
    private = address(olga.push(BODY, name="private.csv", findability="private"))
    answer = olga.presign(public, ownerid="olga")
    assert (answer.status_code, answer.json()) == (200, {"url": public})
    assert httpx.get(f"{olga.url}/presign", params={"url": public}).json() == {"url": public}, "anybody may read it"
    signed = httpx.get(f"{olga.url}/presign?ownerid=olga&jwt={olga.token}&url={private}")
    assert set(signed.json()) == {"url"}
    assert httpx.get(signed.json()["url"]).content == BODY
    assert olga.get(f"{olga.url}/presign").status_code == 400


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "https://evil.example.org/raw/olga/d/x",
        "//evil.example.org",
        "{bucket}",
        "{bucket}/",
        "{bucket}/raw/",
        "{bucket}/raw/../other/x",
        "{bucket}/raw/%2e%2e/x",
        "{bucket}/raw/%00",
        "{bucket}/raw/" + "a" * 2000,
        "{bucket}/raw/olga/d/\ud83d\ude00",
        "{bucket}@evil.example.org/raw/olga",
        "{bucket}/elsewhere/key",
    ],
)
def test_h14_a_url_that_is_none_of_our_files_is_never_signed(server: Server, url: str) -> None:
    olga = Client(server, "olga")
    [offer] = olga.authorize(files(a_csv=BODY)).values()
    told = json.loads(json.dumps(url).replace("{bucket}", offer["upload_url"]))
    answer = olga.presign(told)
    assert (answer.status_code, "X-Amz" in answer.text) == (404, False), answer.text


def test_what_is_not_there_is_not_verified(server: Server) -> None:
    paul = Client(server, "paul")
    [offer] = paul.authorize(files(a_csv=BODY), findability="private").values()
    assert paul.presign(address(offer)).status_code == 404
    assert send(offer, BODY).status_code == 204
    assert paul.presign(address(offer)).status_code == 200
