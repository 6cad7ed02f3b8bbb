"""A download without parameters goes past the framework: nobody may be able to tell."""

import re
from typing import Any

import httpx
import pytest

from tests.server import Server

BYTES = bytes(range(256)) * 40
OF_ONE_ANSWER = ("date", "x-request-id")
PARAMETER = "direct=false"
"""Says what is the default, and makes the framework do all the work."""


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    with server.client() as admin:
        for name in ("plain/a b ü", "gone", "empty"):
            sent = admin.put(f"/content/{name}", content=b"" if name == "empty" else BYTES, params={"access": "public"})
            assert sent.status_code == 201, sent.text
        assert admin.post("/media", json={"pid": "pending"}).status_code == 201
        assert admin.delete("/media/gone").status_code == 204
        yield admin


def seen(answer: httpx.Response) -> tuple[int, dict[str, str], bytes]:
    """What of an answer does not change from one to the next."""
    headers = {name: value for name, value in answer.headers.items() if name not in OF_ONE_ANSWER}
    return answer.status_code, headers, answer.content.replace(answer.headers["x-request-id"].encode(), b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("plain/a%20b%20%C3%BC", {}, 200),
        ("plain%2Fa%20b%20%C3%BC", {}, 200),
        ("empty", {}, 200),
        ("plain/a%20b%20%C3%BC", {"Range": "bytes=1-2"}, {"GET": 206, "HEAD": 200}),
        ("plain/a%20b%20%C3%BC", {"Range": "bytes=99999-"}, {"GET": 416, "HEAD": 200}),
        ("plain/a%20b%20%C3%BC", {"If-None-Match": "*"}, 304),
        ("plain/a%20b%20%C3%BC", {"If-None-Match": "x"}, 400),
        ("plain/a%20b%20%C3%BC", {"Authorization": "Bearer nobody"}, 401),
        ("plain/a%20b%20%C3%BC", {"Authorization": "Basic eA=="}, 401),
        ("plain/a%20b%20%C3%BC/", {}, 422),
        ("plain//a%20b%20%C3%BC", {}, 422),
        ("nothing", {}, 404),
        ("pending", {}, 404),
        ("gone", {}, 410),
        ("%FF", {}, 400),
        ("", {}, 405),
        ("/", {}, 405),
    ],
)
def test_it_is_answered_as_by_the_framework(
    client: httpx.Client, method: str, path: str, headers: dict[str, str], status: int | dict[str, int]
) -> None:
    plain = client.request(method, f"/content/{path}", headers=headers)
    assert plain.status_code == (status if isinstance(status, int) else status[method])
    assert seen(plain) == seen(client.request(method, f"/content/{path}?{PARAMETER}", headers=headers))


def test_an_unknown_parameter_is_still_refused(client: httpx.Client) -> None:
    assert client.get("/content/empty?colour=red").status_code == 400


def test_it_is_counted_under_the_same_route(server: Server, client: httpx.Client) -> None:
    client.get("/content/empty").raise_for_status()
    client.get(f"/content/empty?{PARAMETER}").raise_for_status()
    counted = httpx.get(f"{server.url}/metrics").text
    found = re.findall(r'mediastore_http_requests_total\{method="GET",route="(/api/v1/content[^"]*)",status="200"\}', counted)
    assert found == ["/api/v1/content/{pid}"]
