"""Uploads under way and cut short, as another request of the same person sees them."""

import hashlib
import http.client
import os
import socket
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS
from tests.dialects.staging.staging import Json, add_staging_store, send
from tests.faults.harness import MIB, eventually
from tests.server import Server, running_server

HEAD = b'--b\r\nContent-Disposition: form-data; name="label"\r\n\r\nSlow\r\n'
HEAD += b'--b\r\nContent-Disposition: form-data; name="file"; filename="slow.bin"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


class Slow:
    """A form that is sent by hand, as far as the test says."""

    def __init__(self, server: Server, token: str, size: int) -> None:
        host = urlsplit(server.url)
        self.connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
        self.connection.putrequest("POST", f"/staging/upload?token={token}")
        self.connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        self.connection.putheader("Content-Length", str(len(HEAD) + size + len(TAIL)))
        self.connection.endheaders(HEAD)

    def send(self, data: bytes) -> None:
        self.connection.send(data)

    def cut(self) -> None:
        assert self.connection.sock is not None
        self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def answer(self) -> tuple[int, Any]:
        with closing(self.connection):
            response = self.connection.getresponse()
            return response.status, response.read()


def listed(client: httpx.Client, status: str) -> Json | None:
    """The newest upload, when it has this status."""
    reports = client.get("/upload").json()
    found: Json | None = reports[0] if reports and reports[0]["status"] == status else None
    return found


def test_h01_an_upload_is_pending_while_its_bytes_come_and_whole_afterwards(server: Server, ann: httpx.Client) -> None:
    data = os.urandom(3 * MIB)
    slow = Slow(server, server.token("ann"), len(data))
    slow.send(data[:MIB])
    report = eventually(lambda: listed(ann, "pending"))
    assert (report["label"], report["filename"], report["sha1"], report["size"]) == ("Slow", "slow.bin", None, None)
    assert ann.get(f"/upload/{report['id']}/data").status_code == 404
    slow.send(data[MIB:] + TAIL)
    status, _ = slow.answer()
    assert status == 202
    done = ann.get(f"/upload/{report['id']}").json()
    assert (done["status"], done["sha1"]) == ("success", hashlib.sha1(data).hexdigest())


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_h01_an_upload_that_is_cut_is_a_failure_with_its_reason_and_can_be_deleted(
    server: Server, ann: httpx.Client, share: float
) -> None:
    slow = Slow(server, server.token("ann"), 4 * MIB)
    slow.send(os.urandom(int(4 * MIB * share)))
    pending = eventually(lambda: listed(ann, "pending"))
    slow.cut()
    failed = eventually(lambda: listed(ann, "failure"))
    assert failed["id"] == pending["id"]
    assert "connection" in failed["reason"]
    assert (failed["sha1"], failed["md5"], failed["uploaded_at"]) == (None, None, None)
    assert ann.get(f"/upload/{failed['id']}/data").status_code == 404
    assert ann.delete(f"/upload/{failed['id']}").status_code == 204
    assert ann.get(f"/upload/{failed['id']}").status_code == 404


def test_deleting_an_upload_under_way_ends_it(server: Server, ann: httpx.Client) -> None:
    slow = Slow(server, server.token("ann"), 2 * MIB)
    slow.send(bytes(MIB))
    pending = eventually(lambda: listed(ann, "pending"))
    assert ann.delete(f"/upload/{pending['id']}").status_code == 204
    slow.send(bytes(MIB) + TAIL)
    status, _ = slow.answer()
    assert status in {404, 409}
    assert ann.get(f"/upload/{pending['id']}").status_code == 404


def test_h01_a_server_that_is_killed_leaves_failures_and_no_bytes(
    database_server: DatabaseServer, template_database: str
) -> None:
    quick = {**SETTINGS, "MEDIASTORE_UPLOAD_STALE_S": "2", "MEDIASTORE_CLEANUP_INTERVAL_S": "0.5"}
    with database_server.database(template=template_database) as url, running_server(url, quick) as server:
        with server.client() as native:
            add_staging_store(native)
        token = server.token()
        with httpx.Client(base_url=f"{server.url}/staging", params={"token": token}, timeout=60) as admin:
            kept = send(admin, "kept.bin", b"kept")
            slow = Slow(server, token, 4 * MIB)
            slow.send(bytes(2 * MIB))
            eventually(lambda: listed(admin, "pending"))
            server.kill()
            slow.connection.close()
            server.start()
            failed = eventually(lambda: listed(admin, "failure"), within_s=30)
            assert "server" in failed["reason"]
            assert admin.get(f"/upload/{kept['id']}").json() == kept
            files = [path for path in (server.home / "stores" / "staging").rglob("*") if path.is_file()]
            assert [path.read_bytes() for path in files] == [b"kept"]


def test_a_gigantic_upload_does_not_grow_the_server(server: Server, ann: httpx.Client) -> None:
    """Law 9, for this route: 256 MiB come through, and the server is not that much larger."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)

    def resident() -> int:
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))

    block = os.urandom(MIB)
    slow = Slow(server, server.token("ann"), 256 * MIB)
    before, most = resident(), 0
    for number in range(256):
        slow.send(block)
        if number % 16 == 0:
            most = max(most, resident())
    slow.send(TAIL)
    status, body = slow.answer()
    assert status == 202, body
    assert most - before < 48 * MIB, f"{(most - before) / MIB:.0f} MiB more"
