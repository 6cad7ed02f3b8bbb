"""Tokens and names that try to get further than they may."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable

import httpx
import jwt
import pytest

from tests.dialects.bitstore.client import PEM, STRANGER, Client, files, md5, token
from tests.server import Server

BODY = b"id\n1\n"


def hs_by_public_key() -> str:
    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    head = part({"alg": "HS256", "typ": "JWT"}) + b"." + part({"userid": "eve", "service": "rawstore"})
    return (head + b"." + base64.urlsafe_b64encode(hmac.new(PEM, head, hashlib.sha256).digest()).rstrip(b"=")).decode()


BAD: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: jwt.encode({"userid": "eve", "service": "rawstore"}, None, algorithm="none"),
    "the public key as a secret": hs_by_public_key,
    "another's key": lambda: token("eve", key=STRANGER),
    "another audience": lambda: token("eve", service="source"),
    "no audience": lambda: token("eve", service=None),
    "expired": lambda: token("eve", exp=int(time.time()) - 10),
    "an end beyond all numbers": lambda: token("eve", exp=10**400),
    "no name": lambda: token(""),
    "a name that leads out": lambda: token("../eve"),
    "our own issuer": lambda: token("eve", iss="mediastore"),
    "no token": lambda: "x",
    "cut": lambda: token("eve")[:-10],
}


@pytest.mark.parametrize("what", BAD)
def test_h14_a_wrong_token_is_refused_and_stands_nowhere(server: Server, what: str) -> None:
    given = BAD[what]()
    body = {"metadata": {"owner": "eve", "dataset": "d"}, "filedata": files(a_csv=BODY)}
    for answer in (
        httpx.post(f"{server.url}/rawstore/authorize", params={"jwt": given}, json=body),
        httpx.post(f"{server.url}/rawstore/", headers={"Auth-Token": given}, json=body),
        httpx.get(f"{server.url}/rawstore/info", params={"jwt": given}),
        httpx.get(f"{server.url}/rawstore/presign", params={"jwt": given, "url": "x"}),
    ):
        assert answer.status_code == 401, answer.text
        assert given not in answer.text or len(given) < 5
    assert len(given) < 5 or given not in server.log.read_text()


def test_h14_no_token_stands_in_the_log(server: Server) -> None:
    quinn = Client(server, "quinn")
    quinn.push(BODY)
    httpx.get(f"{quinn.url}/info", params={"jwt": quinn.token})
    httpx.get(f"{quinn.url}/presign", params={"jwt": quinn.token, "url": "nowhere"})
    log = server.log.read_text()
    assert "/rawstore/info" in log
    assert quinn.token not in log
    assert quinn.token.rpartition(".")[2] not in log


NAMES = (
    "../a",
    "a/../../b",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "",
    "a\0b",
    "a\nb",
    "a\\b",
    "%2e%2e/a",
    "%252e%252e/a",
    "a/%2E%2E/b",
    "%2fa",
    "a%00b",
    "%5c",
    "a" * 1025,
    "a/" * 200 + "b",
    "\u202egnp.exe",
    "${filename}",
    ".tmp-a",
)


@pytest.mark.parametrize("name", NAMES)
def test_h14_no_name_leaves_its_owner_s_folder(server: Server, name: str) -> None:
    rosa = Client(server, "rosa")
    item = {"length": len(BODY), "md5": md5(BODY)}
    answers = [rosa.ask({name: item}), rosa.ask({"a.csv": item}, dataset=name)]
    if name == "":
        assert answers.pop().status_code == 400
    for answer in answers:
        if answer.status_code == 200:  # nothing is wrong with it where it stands
            for offer in answer.json()["filedata"].values():
                assert offer["upload_query"]["key"].startswith("raw/rosa/")
        assert answer.status_code == 400, answer.text


def test_h14_another_s_pid_tells_nothing(server: Server, admin: httpx.Client) -> None:
    assert admin.post("/media", json={"pid": "rawstore/sam/d/data/a.csv"}).status_code == 201
    assert Client(server, "sam").ask(files(a_csv=BODY)).status_code == 404
    assert admin.get("/media/rawstore/sam/d/data/a.csv").json()["owner"] == "admin"


def test_h14_what_another_has_is_not_learned_by_its_digest(server: Server) -> None:
    Client(server, "tess").push(BODY)
    [offer] = Client(server, "uma").authorize(files(a_csv=BODY)).values()
    assert (offer["exists"], offer["upload_query"]["key"].split("/")[1]) == (False, "uma")
