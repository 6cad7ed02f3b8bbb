"""Records for tests of their page."""

import json
import time
from typing import Any
from urllib.parse import quote

from tests.server import Server

METADATA = """{"cruise": "AR77", "station": 7, "serial": 123456789012345678901234567890, "depth_m": 12.50, "calibrated": true,
 "note": null, "ctd": {"sensors": [{"kind": "conductivity", "sn": "4-1123", "offset": -0.0001},
 {"kind": "temperature", "sn": "3P-5477", "offset": 0.0}], "rate_hz": 24.0}, "bottles": [1, 2, 5, 8],
 "comment": "Cast aborted at 380 m because of swell; restarted 20 min later. See the log of the deck."}"""
CSV = "depth,temperature,salinity\n" + "".join(f"{n},{10 - n / 10:.2f},{35 + n / 100:.3f}\n" for n in range(80))
GONE_WITHIN_S = 60


def make(server: Server, pid: str, *, metadata: str = "{}", **fields: Any) -> None:
    """A record of ann's, its metadata as exactly as they are written."""
    said = json.dumps({"pid": pid, **fields})
    with server.client("ann") as ann:
        body = f'{said[:-1]}, "metadata": {metadata}}}'
        answer = ann.post("/media", content=body.encode(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text


def fill(
    server: Server, pid: str, content: bytes | str, *, filename: str = "cast-7.csv", media_type: str = "text/csv", **fields: Any
) -> None:
    """Content for a record of ann's, which is made where there is none."""
    body = content.encode() if isinstance(content, str) else content
    with server.client("ann") as ann:
        asked = {"filename": filename, **fields}
        answer = ann.put(f"/content/{path_of(pid)}", params=asked, content=body, headers={"Content-Type": media_type})
        assert answer.is_success, answer.text


def path_of(pid: str) -> str:
    """As the end of a path, nothing left to the client."""
    return quote(pid, safe="/")


def text_of(server: Server, pid: str) -> str:
    """The record as the API writes it: JSON whose numbers nobody has read."""
    with server.client("ann") as ann:
        return ann.get(f"/media/{path_of(pid)}").text


def shown(server: Server, pid: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(server, pid))
    return found


def change(server: Server, pid: str, **changes: Any) -> None:
    """By ann, beside whatever page is open."""
    with server.client("ann") as ann:
        ann.patch(f"/media/{path_of(pid)}", json=changes).raise_for_status()


def hold(server: Server, pid: str, reason: str, **said: Any) -> None:
    with server.client("ann") as ann:
        ann.post(f"/holds/{path_of(pid)}", json={"reason": reason, **said}).raise_for_status()


def delete(server: Server, pid: str) -> None:
    with server.client("ann") as ann:
        ann.delete(f"/media/{path_of(pid)}").raise_for_status()


def fill_and_expire(server: Server, pid: str) -> None:
    fill(server, pid, CSV, ttl_s="1")
    deadline = time.monotonic() + GONE_WITHIN_S
    with server.client("ann") as ann:
        while ann.get(f"/media/{path_of(pid)}").status_code != 410:
            assert time.monotonic() < deadline, f"{pid} is still there"
            time.sleep(0.1)
