"""A plain HTTP client of direct uploads: it knows nothing but what the answers say."""

import time
from collections.abc import Mapping
from typing import Any

import httpx

MIB = 1024 * 1024


def begin(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    answer = client.post("/uploads", json=asked)
    assert answer.status_code == 201, answer.text
    upload: dict[str, Any] = answer.json()
    return upload


def send(upload: Mapping[str, Any], content: bytes) -> list[httpx.Response]:
    """Send all that is missing."""
    if upload["fields"]:
        return [httpx.post(upload["url"], data=upload["fields"], files={"file": ("f", content)}, timeout=60)]
    return [send_part(part, content) for part in upload["parts"] if not part["received"]]


def send_part(part: Mapping[str, Any], content: bytes) -> httpx.Response:
    body = content[part["offset"] : part["offset"] + part["size"]]
    return httpx.put(part["url"], content=body, headers=part["headers"], timeout=60)


def complete(client: httpx.Client, upload: Mapping[str, Any], *, within_s: float = 30, **asked: Any) -> httpx.Response:
    """Complete, and wait where a job verifies; the last answer."""
    answer = client.post(f"/uploads/{upload['id']}/complete", json=asked)
    deadline = time.monotonic() + within_s
    while answer.status_code == 202:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
        answer = client.post(f"/uploads/{upload['id']}/complete", json=asked)
    return answer
