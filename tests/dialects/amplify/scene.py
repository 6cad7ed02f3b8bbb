"""AMPLIfy's API of a running server, as its clients use it: a base URL, a token, and `/api/...`."""

import base64
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.server import Server

SETTINGS = {"MEDIASTORE_DIALECTS": "amplify", "MEDIASTORE_IDENTITY_CACHE_S": "0"}
FOLDER = {"type": "FilesystemStore", "bucket": "/demobucket", "s3_url": ""}


class Client:
    """Everything is JSON; `None` for an answer without a body."""

    def __init__(self, server: Server, name: str | None = None) -> None:
        self.http = httpx.Client(
            base_url=f"{server.url}/amplify/api",
            timeout=60,
            headers={} if name == "" else {"Authorization": f"Bearer {server.token(name)}"},
        )

    def call(self, method: str, path: str, body: Any = ...) -> tuple[int, Any]:
        answer = self.http.request(method, path, **({} if body is ... else {"json": body}))
        return answer.status_code, answer.json() if answer.content else None

    def good(self, method: str, path: str, body: Any = ...) -> Any:
        """What its clients take for success: 200 with JSON, or 204."""
        status, told = self.call(method, path, body)
        assert status == (204 if told is None else 200), (status, told)
        return told


@contextmanager
def client_of(server: Server, name: str | None = None) -> Iterator[Client]:
    client = Client(server, name)
    with client.http:
        yield client


def media(pid: str, **more: Any) -> dict[str, Any]:
    return {"pid": pid, "pid_type": "DEMO", "store_config": FOLDER, **more}


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def some_bytes(size: int) -> bytes:
    return os.urandom(size)
