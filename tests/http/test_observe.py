"""Around every request: its id, the client's address, its line in the log."""

import json
import re
import time
from ipaddress import ip_network
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from mediastore.http.observe import Message, Observed, Receive, Scope, Send
from tests.server import Server

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


async def seen(
    *headers: tuple[bytes, bytes], client: tuple[str, int] | None = ("10.0.0.1", 5), trusted: list[Any] = TRUSTED
) -> tuple[Scope, dict[bytes, bytes]]:
    """The scope as the application gets it, and the headers of the answer."""
    scope: Scope = {"type": "http", "method": "GET", "path": "/x", "headers": list(headers), "client": client}
    sent: list[Message] = []

    async def application(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    observed = Observed(application, registry=CollectorRegistry(), access_log=None, trusted_proxies=trusted)
    await observed(scope, receive, send)
    return scope, dict(sent[0]["headers"])


@pytest.mark.parametrize("given", [b"a", b"A-b_c.9", b"x" * 64])
async def test_a_sane_request_id_is_echoed(given: bytes) -> None:
    scope, answered = await seen((b"x-request-id", given))
    assert scope["request_id"] == given.decode()
    assert answered[b"x-request-id"] == given
    assert answered[b"x"] == b"y"


@pytest.mark.parametrize("given", [b"", b"x" * 65, b"a b", b"a\nb", b"a\n", b"\xff", b"<script>", b'"', b"a;b"])
async def test_another_request_id_is_minted(given: bytes) -> None:
    scope, answered = await seen((b"x-request-id", given))
    assert re.fullmatch("[0-9a-f]{32}", scope["request_id"])
    assert answered[b"x-request-id"].decode() == scope["request_id"]


async def test_ids_are_minted_anew_each_time() -> None:
    assert (await seen())[0]["request_id"] != (await seen())[0]["request_id"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4", "1.2.3.4"),
        ("9.9.9.9", "1.2.3.4", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        ("10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.7", "1.2.3.4"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ("10.0.0.1", "6.6.6.6,, 10.0.0.8", "10.0.0.8"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " 1.2.3.4 ", "1.2.3.4"),
        ("fd00::1", "2001:db8::5", "2001:db8::5"),
        ("2001:db8::1", "1.2.3.4", "2001:db8::1"),
        ("10.0.0.1", "x" * 500, "x" * 64),
        ("not an address", "1.2.3.4", "not an address"),
    ],
)
async def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(peer: str, forwarded: str | None, address: str) -> None:
    headers = [] if forwarded is None else [(b"x-forwarded-for", forwarded.encode())]
    assert (await seen(*headers, client=(peer, 5)))[0]["client_address"] == address
    if forwarded:
        assert (await seen(*headers, client=(peer, 5), trusted=[]))[0]["client_address"] == peer


async def test_an_ipv4_proxy_seen_over_ipv6_is_the_same_proxy() -> None:
    """A socket that listens on `::` shows IPv4 peers as ::ffff:10.0.0.1."""
    scope, _ = await seen((b"x-forwarded-for", b"1.2.3.4"), client=("::ffff:10.0.0.1", 5))
    assert scope["client_address"] == "1.2.3.4"


async def test_of_two_lines_the_nearest_hop_decides() -> None:
    scope, _ = await seen((b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"1.2.3.4"))
    assert scope["client_address"] == "1.2.3.4"


async def test_a_client_without_address_is_nobody() -> None:
    assert (await seen((b"x-forwarded-for", b"1.2.3.4"), client=None))[0]["client_address"] == ""


def logged(server: Server, request_id: str) -> dict[str, Any]:
    """The line of a request in the server's log, once it is there."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for line in server.log.read_text().splitlines():
            if f'"{request_id}"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.05)
    raise AssertionError(f"no line of {request_id}")


def test_a_request_has_one_line_in_the_log_without_its_query(server: Server, admin: httpx.Client) -> None:
    answer = admin.get("/media?limit=1&cursor=MTIzNDU2Nzg5", headers={"X-Request-ID": "log-me"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "log-me")
    line = logged(server, "log-me")
    assert (line["method"], line["path"], line["status"], line["address"]) == ("GET", "/api/v1/media", 200, "127.0.0.1")
    assert line["ms"] >= 0
    assert "MTIzNDU2Nzg5" not in server.log.read_text()
    assert admin.headers["authorization"].rpartition(".")[2] not in server.log.read_text()


@pytest.mark.parametrize("path", ["/media/never", "/nothing/here", "/media?x=1", "/content/a%FF"])
def test_refusals_carry_their_id_too(server: Server, admin: httpx.Client, path: str) -> None:
    answer = admin.get(path)
    assert answer.status_code >= 400
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert logged(server, answer.headers["x-request-id"])["status"] == answer.status_code


def test_a_client_that_no_proxy_vouches_for_does_not_choose_its_address(server: Server, admin: httpx.Client) -> None:
    admin.get("/media", headers={"X-Forwarded-For": "6.6.6.6", "X-Request-ID": "forged"})
    assert logged(server, "forged")["address"] == "127.0.0.1"


def test_an_answer_to_a_body_that_nobody_read_ends_the_connection(server: Server, admin: httpx.Client) -> None:
    refused = admin.put("/content/unread", content=b"x" * 1000, headers={"Content-Type": "nonsense"})
    assert (refused.status_code, refused.headers["connection"]) == (400, "close")
    read = admin.put("/content/read", content=b"x" * 1000)
    assert (read.status_code, read.headers.get("connection")) == (201, None)
    assert admin.get("/media/read").headers.get("connection") is None
    for _ in range(50):
        assert admin.put("/content/unread", content=b"x" * 1000, headers={"Content-Type": "nonsense"}).status_code == 400
