"""Days on which connections break, servers die, log-ins end and disks are full: transfers go on, or say what to do next."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mediastore.client.client import Client
from mediastore.client.errors import AnswerStrange
from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.client.commands import command
from tests.faults.harness import Proxy, eventually
from tests.server import Server, running_server

MIB = 1024 * 1024
SIZE = 48 * MIB


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(urlsplit(server.url).port or 0)
    yield proxy
    proxy.close()


@pytest.fixture
def client(server: Server, proxy: Proxy) -> Iterator[Client]:
    """Whose way to the server leads through the proxy."""
    with Client(f"http://127.0.0.1:{proxy.port}", credential=server.token()) as client:
        yield client


@pytest.fixture
def large(tmp_path: Path) -> Path:
    file = tmp_path / "large"
    file.write_bytes(os.urandom(SIZE))
    return file


def once_behind(marks: list[int], do: Callable[[], object]) -> Callable[[int, int], None]:
    """Progress that does something when so many bytes have passed, once for each."""
    left = sorted(marks)

    def on_progress(done: int, _: int) -> None:
        if left and done >= left[0]:
            left.pop(0)
            do()

    return on_progress


def test_h01_a_connection_that_is_cut_again_and_again_delays_a_transfer_and_no_more(
    client: Client, proxy: Proxy, large: Path, tmp_path: Path
) -> None:
    marks = [MIB, SIZE // 2 - MIB, SIZE // 2 + MIB, SIZE - MIB]
    cuts: list[int] = []

    def cut() -> None:
        cuts.append(1)
        proxy.set("pass")  # ends what is open

    media = client.put(large, "cut/1", store="local", part_size=16 * MIB, method="multipart", on_progress=once_behind(marks, cut))
    assert len(cuts) == 4
    assert (media.version, media.status) == (1, "ready")
    assert media.content is not None
    assert media.content.checksums["sha256"].value == hashlib.sha256(large.read_bytes()).hexdigest()
    got = client.get("cut/1", tmp_path / "got", on_progress=once_behind(marks, cut))
    assert len(cuts) == 8
    assert got.read_bytes() == large.read_bytes()


def test_few_bytes_whose_answer_was_lost_are_sent_again(client: Client, proxy: Proxy) -> None:
    lost: list[bytes] = []

    def lose(line: bytes, _: bytes) -> bool:
        lost.append(line)
        return len(lost) == 1

    proxy.on_answer = lose
    media = client.put(b"few", "lost/1", metadata={"depth": 1.5}, tags=["a,b", "c"], identifiers={}, access="internal")
    assert lost[0] == b"POST /api/v1/content HTTP/1.1"
    assert (media.status, media.metadata, media.tags, media.access) == ("ready", {"depth": 1.5}, ["a,b", "c"], "internal")
    assert media.content is not None
    assert media.content.filename is None
    assert client.read("lost/1") == b"few"


def test_h01_a_server_that_is_killed_half_way_is_waited_for(database_url: str, large: Path) -> None:
    with running_server(database_url) as server:

        def again() -> None:
            server.kill()
            server.start()

        dying = once_behind([SIZE // 2], lambda: threading.Thread(target=again).start())
        with Client(server.url, credential=server.token(), patience_s=120) as client:
            media = client.put(large, "dying/1", part_size=8 * MIB, method="multipart", on_progress=dying)
            assert (media.version, media.status) == (1, "ready")
            eventually(lambda: server.process is not None, what="started again")


def test_h03_urls_and_the_log_in_end_before_the_last_part(
    database_url: str, ministack: S3Access, large: Path, tmp_path: Path
) -> None:
    settings = {"MEDIASTORE_PRESIGNED_URL_TTL_S": "2", "MEDIASTORE_IDENTITY_CACHE_S": "0"}
    with running_server(database_url, settings) as server, server.client() as admin:
        add_s3_store(admin, ministack, "bucket")
        for store in ("local", "bucket"):
            key = admin.post("/auth/keys", json={"name": store, "scopes": ["read", "write"]}).json()

            def end(id: str = key["id"]) -> None:
                assert admin.delete(f"/auth/keys/{id}").status_code == 204
                threading.Event().wait(3)  # longer than the URLs live, which were told at the beginning

            with Client(server.url, credential=key["key"]) as client:
                how = {"part_size": 8 * MIB, "method": "multipart", "store": store}
                media = client.put(large, f"late/{store}", on_progress=once_behind([1], end), **how)
            assert (media.version, media.status) == (1, "ready")


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20 * 1024 * 1024, 20 * 1024 * 1024))
"""


def test_a_disk_that_is_full_keeps_what_came(server: Server, large: Path, tmp_path: Path) -> None:
    with server.client() as admin:
        assert admin.put("/content/full/1", content=large.read_bytes()).status_code == 201
    full = command(server, tmp_path, "get", "full/1", "-o", "got", first=FULL)
    assert full.returncode == 1
    assert "Traceback" not in full.stderr
    assert "make room" in full.stderr
    assert not (tmp_path / "got").exists()
    done = command(server, tmp_path, "get", "full/1", "-o", "got", "--json")
    assert done.returncode == 0, done.stderr
    assert f'"resumed":{20 * MIB}' in done.stdout
    assert (tmp_path / "got").read_bytes() == large.read_bytes()


def test_a_put_does_not_need_a_place_for_its_state(server: Server, large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(large))  # a file: nothing can be made below it
    with Client(server.url, credential=server.token()) as client:
        assert client.put(large, "stateless/1").status == "ready"


class Elsewhere(BaseHTTPRequestHandler):
    """Some other web server."""

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Location", "https://media.example.org/")
        self.end_headers()

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_url_that_is_another_server_s_is_told(elsewhere: str) -> None:
    with Client(elsewhere, credential="x", patience_s=0) as client:
        with pytest.raises(AnswerStrange, match=r"leads to https://media\.example\.org/; is the URL right\?"):
            client.info("any")
        with pytest.raises(AnswerStrange, match=r"none of this API.*is the URL right"):
            next(client.search())
