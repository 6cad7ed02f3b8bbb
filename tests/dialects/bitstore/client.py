"""What a client of BitStore does, by plain HTTP, and a service that signs its tokens."""

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.server import Server

Json = dict[str, Any]
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def issuers_file(folder: Path) -> Path:
    """As docs/dialects/bitstore.md has it, with the key in a file."""
    (folder / "key.pem").write_bytes(PEM)
    hub = {
        "name": "datahub",
        "audience": "rawstore",
        "audience_claim": "service",
        "lasting": True,
        "algorithms": ["RS256"],
        "public_key_file": str(folder / "key.pem"),
        "name_claim": "userid",
        "limits_claim": "permissions",
        "default_role": "editor",
    }
    (folder / "issuers.json").write_text(json.dumps({"issuers": [hub]}))
    return folder / "issuers.json"


def token(userid: str, *, key: Any = KEY, public_mb: float = 100, private_mb: float = 100, **changed: Any) -> str:
    permissions = {"max_public_storage_mb": public_mb, "max_private_storage_mb": private_mb, "max_dataset_num": 1}
    return jwt.encode({"userid": userid, "permissions": permissions, "service": "rawstore", **changed}, key, algorithm="RS256")


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def files(**bodies: bytes) -> Json:
    """`filedata` of files whose names have `_` for `.`."""
    names = {name.replace("_", "."): body for name, body in bodies.items()}
    return {f"data/{name}": {"length": len(body), "md5": md5(body), "name": name} for name, body in names.items()}


class Client:
    """Somebody with a token, at a server that speaks BitStore at `/rawstore`."""

    def __init__(self, server: Server, userid: str, *, prefix: str = "/rawstore", **changed: Any) -> None:
        self.userid = userid
        self.url = f"{server.url}{prefix}"
        self.token = token(userid, **changed)
        self.headers = {"Auth-Token": self.token}

    def ask(self, filedata: Json, *, dataset: str = "d", findability: str | None = None, **metadata: Any) -> httpx.Response:
        said = {"owner": self.userid, "dataset": dataset, "findability": findability} | metadata
        body = {"metadata": {name: value for name, value in said.items() if value is not None}, "filedata": filedata}
        return httpx.post(f"{self.url}/authorize", json=body, headers=self.headers, timeout=60)

    def authorize(self, filedata: Json, **said: Any) -> Json:
        answer = self.ask(filedata, **said)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["filedata"])

    def presign(self, url: str, **said: str) -> httpx.Response:
        return self.get(f"{self.url}/presign", params={"url": url, **said})

    def get(self, url: str, **options: Any) -> httpx.Response:
        return httpx.get(url, headers=self.headers, timeout=60, **options)

    def push(self, body: bytes, *, name: str = "a.csv", **said: Any) -> Json:
        """One file, authorized and sent; its offer."""
        item = {"length": len(body), "md5": md5(body), "name": name}
        offer: Json = self.authorize({f"data/{name}": item}, **said)[f"data/{name}"]
        answer = send(offer, body)
        assert answer.status_code == 204, answer.text
        return offer


def send(offer: Json, body: bytes) -> httpx.Response:
    return httpx.post(offer["upload_url"], data=offer["upload_query"], files={"file": ("f", body)}, timeout=60)


def address(offer: Json) -> str:
    """Where clients take the file to be."""
    return f"{offer['upload_url']}/{offer['upload_query']['key']}"


def becomes(admin: httpx.Client, pid: str, status: str, *, within_s: float = 30) -> Json:
    """The record, once it has this status."""
    deadline = time.monotonic() + within_s
    while True:
        found = admin.get(f"/media/{pid}")
        if found.status_code == 200 and found.json()["status"] == status:
            return dict(found.json())
        assert time.monotonic() < deadline, found.text
        time.sleep(0.1)
