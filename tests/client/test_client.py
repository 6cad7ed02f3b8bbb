"""The Python client against a real server, with stores on disk, in memory and on S3."""

import asyncio
import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import httpx
import msgspec
import pytest

from mediastore.catalog.schemas import BatchCreate, BatchRead, MediaChange, MediaCreate
from mediastore.client.async_client import AsyncClient
from mediastore.client.client import Client
from mediastore.client.errors import (
    REFUSALS,
    BytesWrong,
    Changed,
    ClientError,
    Conflict,
    FileUnfit,
    Gone,
    Invalid,
    NotFound,
    NotLoggedIn,
    ProfileUnfit,
    ServerAway,
    StoreRefused,
)
from mediastore.client.servers import Profiles, find_server
from mediastore.client.sources import FileSource
from mediastore.client.upload_state import Begun, UploadState
from mediastore.problem_table import STATUSES
from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.server import ADMIN, Server, running_server

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person of its own for each test."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("MEDIASTORE_URL", "MEDIASTORE_API_KEY", "MEDIASTORE_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url, credential=server.token()) as client:
        yield client


@pytest.fixture(scope="module")
def stores(server: Server, ministack: S3Access) -> None:
    """One of each kind: the third besides those that every server has."""
    with server.client() as admin:
        add_s3_store(admin, ministack, "bucket")


@pytest.mark.parametrize("size", [0, 1, MIB + 1, 70 * MIB])
@pytest.mark.parametrize("store", ["local", "scratch", "bucket"])
def test_what_is_put_is_what_is_got(client: Client, stores: None, tmp_path: Path, store: str, size: int) -> None:
    source = tmp_path / "data.csv"
    source.write_bytes(os.urandom(size))
    seen: list[tuple[int, int]] = []
    media = client.put(
        source,
        f"round/{store}/{size}",
        store=store,
        tags=["b", "a"],
        metadata={"depth": 1.5},
        on_progress=lambda *at: seen.append(at),
    )
    assert media.status == "ready"
    assert media.content is not None
    assert (media.content.size, media.content.filename, media.content.media_type) == (size, "data.csv", "text/csv")
    assert media.content.checksums["sha256"].value == hashlib.sha256(source.read_bytes()).hexdigest()
    assert media.content.checksums["sha256"].attested_by in {"server", "store"}
    assert (sorted(media.tags), media.metadata) == (["a", "b"], {"depth": 1.5})
    assert seen[0] == (0, size)
    assert seen[-1] == (size, size)
    got = client.get(media.pid, tmp_path / "got", on_progress=lambda *at: seen.append(at))
    assert got.read_bytes() == source.read_bytes()
    assert seen[-1] == (size, size)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
    assert client.read(media.pid, 0, 1) == source.read_bytes()[:1]


def test_a_pid_is_minted_where_none_is_given(client: Client) -> None:
    media = client.put(b"bytes", filename="a.txt")
    assert media.pid
    assert client.read(media.pid) == b"bytes"


def test_a_second_put_is_a_new_version_and_changes_nothing_else(client: Client, tmp_path: Path) -> None:
    client.put(b"one", "again/1", access="public", tags=["kept"], metadata={"kept": True})
    media = client.put(io.BytesIO(b"two"), "again/1")
    assert (media.version, media.access, media.tags, media.metadata) == (2, "public", ["kept"], {"kept": True})
    assert client.read("again/1") == b"two"
    assert client.get("again/1", tmp_path / "first", version=1).read_bytes() == b"one"
    assert [item.version for item in client.versions("again/1").items] == [2, 1]


def test_a_download_is_named_as_its_content_and_never_leaves_the_folder(client: Client, tmp_path: Path) -> None:
    client.put(b"x", "named/1", filename="..\\..\\evil.txt")
    assert client.get("named/1", tmp_path) == tmp_path / "evil.txt"
    client.put(b"x", "named/2")
    assert client.get("named/2", tmp_path) == tmp_path / "2"


def test_a_download_goes_on_where_it_stopped(client: Client, tmp_path: Path) -> None:
    content = os.urandom(3 * MIB)
    media = client.put(content, "resumed/1")
    assert media.content is not None
    digest = media.content.checksums["sha256"].value if "sha256" in media.content.checksums else ""
    assert digest
    first = next(iter(media.content.checksums.values())).value[:12]
    (tmp_path / f".out.v1-{first}.part").write_bytes(content[: 2 * MIB])
    seen: list[tuple[int, int]] = []
    assert client.get("resumed/1", tmp_path / "out", on_progress=lambda *at: seen.append(at)).read_bytes() == content
    assert seen[1] == (2 * MIB, 3 * MIB)


async def test_a_download_that_is_cancelled_ends_at_once_and_goes_on_later(server: Server, tmp_path: Path) -> None:
    content = os.urandom(64 * MIB)
    async with AsyncClient(server.url, credential=server.token()) as client:
        await client.put(content, "cancelled/1")
        begun = asyncio.Event()
        seen: list[int] = []

        def on_progress(done: int, _: int) -> None:
            seen.append(done)
            if done:
                begun.set()

        work = asyncio.create_task(client.get("cancelled/1", tmp_path / "out", on_progress=on_progress))
        await begun.wait()
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert not (tmp_path / "out").exists()
        [kept] = [os.stat(tmp_path / name).st_size for name in os.listdir(tmp_path) if name.endswith(".part")]  # noqa: PTH116, PTH208
        seen.clear()
        assert (await client.get("cancelled/1", tmp_path / "out", on_progress=on_progress)).read_bytes() == content
    assert 0 < kept == seen[1]


class Forwarding(BaseHTTPRequestHandler):
    """A proxy, as institutes have them."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        headers = {name: value for name, value in self.headers.items() if "connection" not in name.lower()}
        answer = httpx.get(self.path, headers=headers, trust_env=False)
        self.send_response(answer.status_code)
        self.send_header("Content-Length", str(len(answer.content)))
        if answer.is_redirect:
            self.send_header("Location", answer.headers["location"])
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None: ...


def test_a_proxy_of_the_environment_is_asked_for_large_downloads_too(
    client: Client, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, token = os.urandom(10 * MIB), server.token()
    client.put(content, "proxied/1")
    with HTTPServer(("127.0.0.1", 0), Forwarding) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server_port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with Client(server.url, credential=token) as behind_proxy:
            assert behind_proxy.get("proxied/1", tmp_path / "got").read_bytes() == content
        proxy.shutdown()
    assert Forwarding.asked[-1].startswith(f"{server.url}/api/v1/content/proxied/1")


def test_bytes_that_are_not_the_right_ones_are_never_named(client: Client, tmp_path: Path) -> None:
    content = os.urandom(MIB)
    media = client.put(content, "wrong/1")
    assert media.content is not None
    first = next(iter(media.content.checksums.values())).value[:12]
    part = tmp_path / f".out.v1-{first}.part"
    part.write_bytes(b"x" * 1000)
    with pytest.raises(BytesWrong, match="nothing was kept"):
        client.get("wrong/1", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not part.exists()
    assert client.get("wrong/1", tmp_path / "out").read_bytes() == content


def test_a_file_that_changes_while_it_is_sent_is_not_published(client: Client, tmp_path: Path) -> None:
    source = tmp_path / "growing"
    source.write_bytes(b"x" * 3 * MIB)

    def grow(done: int, _: int) -> None:
        if done:
            with source.open("ab") as file:
                file.write(b"y")

    with pytest.raises(FileUnfit, match="was changed while it was sent"):
        client.put(source, "growing/1", on_progress=grow)
    with pytest.raises(NotFound):
        client.info("growing/1")
    assert client.put(source, "growing/1").status == "ready"


def test_records_are_made_found_changed_and_deleted(client: Client) -> None:
    for number in range(25):
        client.create(MediaCreate(pid=f"many/{number:02}", tags=["many"]))
    found = client.search(pid="many/*", sort="pid", limit=10)
    assert [media.pid for media in found] == [f"many/{number:02}" for number in range(25)]
    media = client.edit("many/00", MediaChange(add_tags=["first"]), revision=1)
    assert media.revision == 2
    with pytest.raises(Changed):
        client.edit("many/00", MediaChange(add_tags=["late"]), revision=1)
    assert next(client.history("many/00")).action == "created"
    client.delete("many/00")
    with pytest.raises(Gone):
        client.info("many/00")


def test_batches_answer_for_each_item_in_order(client: Client) -> None:
    items = [BatchCreate(pid="batch/1"), BatchRead(pid="batch/none"), BatchRead(pid="batch/1")]
    assert [result.status for result in client.batch(items)] == [201, 404, 200]


def test_refusals_are_errors_that_say_what_was_wrong(client: Client, server: Server) -> None:
    client.create(MediaCreate(pid="taken/1"))
    with pytest.raises(Conflict) as taken:
        client.create(MediaCreate(pid="taken/1"))
    assert taken.value.problem_code == "pid_taken"
    with pytest.raises(Invalid) as invalid:
        client.put(b"x", "a//b")
    assert "no two in a row" in invalid.value.message
    with pytest.raises(msgspec.ValidationError, match="colour"):
        client.put(b"x", "colour/1", colour="red")
    with pytest.raises(FileUnfit, match="No such file"):
        client.put("/nowhere/at/all", "none/1")
    with Client(server.url) as nobody, pytest.raises(NotLoggedIn):
        nobody.whoami()


def test_urls_stand_for_a_log_in(client: Client) -> None:
    client.put(b"signed", "urls/1")
    good, bad = client.urls(["urls/1", "urls/none"])
    assert httpx.get(str(good.url)).content == b"signed"
    assert (bad.status, bad.url) == (404, None)


def test_a_server_that_is_not_there_is_waited_for_and_then_told_of(server: Server) -> None:
    waited: list[str] = []
    with Client("http://127.0.0.1:1", credential="x", patience_s=0.3, say=waited.append) as client, pytest.raises(ServerAway):
        client.info("any")
    assert waited


async def test_a_log_in_is_renewed_before_it_ends(database_url: str, tmp_path: Path) -> None:
    with running_server(database_url, {"MEDIASTORE_TOKEN_TTL_S": "1"}) as server:
        async with AsyncClient(server.url) as client:
            await client.log_in(*ADMIN)
            first = client.server.credential
            async with asyncio.timeout(20):
                while client.server.credential == first:
                    assert (await client.whoami()).name == ADMIN[0]
            assert (await client.whoami()).name == ADMIN[0]


def test_a_profile_is_used_where_nothing_else_is_said(server: Server, tmp_path: Path) -> None:
    profiles = Profiles()
    profiles.save(find_server(server.url, server.token()))
    assert profiles.path.stat().st_mode & 0o777 == 0o600
    with Client() as client:
        assert client.whoami().name == ADMIN[0]
    with pytest.raises(ProfileUnfit, match="there are: default"):
        Client(profile="none")


def test_a_credential_is_shown_to_its_own_server_alone(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    Profiles().save(find_server("https://media.example.org", "a secret"))
    assert find_server(server.url).credential is None
    assert find_server("https://media.example.org/api/v1/").credential == "a secret"
    assert "a secret" not in repr(find_server())
    monkeypatch.setenv("MEDIASTORE_URL", server.url)
    assert find_server().credential is None


def test_every_status_of_the_server_has_a_refusal_of_its_own() -> None:
    special = {408, 416, 424, 429, 503, 507}  # away, of ranges and batches, and a full store
    assert set(STATUSES.values()) - special <= set(REFUSALS)


@pytest.mark.parametrize(
    "error",
    [
        Gone(410, {"code": "record_gone", "detail": "it expired", "record_status": "expired"}),
        ServerAway("cut", reached=False, retry_after_s=3),
        StoreRefused(403, "<Error/>"),
        FileUnfit("no file"),
    ],
)
def test_errors_reach_whoever_waits_in_another_process(error: ClientError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error)
    assert (str(there), vars(there)) == (str(error), vars(error))


def kill_half_way(server: Server, source: Path, pid: str, store: str) -> None:
    """Another process puts the file, and is killed when half of it is sent."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.client.put_process", server.url, server.token(), str(source), pid, store],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"half-way\n"
        process.kill()


@pytest.mark.parametrize("store", ["local", "bucket"])
def test_a_put_that_was_killed_sends_only_what_is_missing(
    client: Client, server: Server, stores: None, tmp_path: Path, store: str
) -> None:
    source, pid, size = tmp_path / "large", f"killed/{store}", 160 * MIB
    source.write_bytes(os.urandom(size))
    kill_half_way(server, source, pid, store)
    seen: list[tuple[int, int]] = []
    media = client.put(source, pid, store=store, on_progress=lambda *at: seen.append(at))
    assert seen[1][0] > size / 4, "what was there was not sent again"
    assert media.content is not None
    assert media.content.checksums["sha256"].value == hashlib.sha256(source.read_bytes()).hexdigest()
    assert media.version == 1
    assert not list((tmp_path / "XDG_STATE_HOME").rglob("*.json"))


@pytest.mark.parametrize("store", ["local", "bucket"])
def test_a_file_that_only_looks_like_the_one_of_a_killed_put_is_sent_whole(
    client: Client, server: Server, stores: None, tmp_path: Path, store: str
) -> None:
    source, pid, size = tmp_path / "large", f"looks-alike/{store}", 100 * MIB
    source.write_bytes(os.urandom(size))
    times = source.stat()
    kill_half_way(server, source, pid, store)
    source.write_bytes(os.urandom(size))
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    seen: list[tuple[int, int]] = []
    media = client.put(source, pid, store=store, on_progress=lambda *at: seen.append(at))
    assert media.content is not None
    assert media.content.checksums["sha256"].value == hashlib.sha256(source.read_bytes()).hexdigest()
    assert seen[-1] == (size, size)


def test_a_put_whose_upload_is_gone_begins_anew(client: Client, server: Server, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(os.urandom(2 * MIB))
    opened = FileSource.open(source)
    mark = opened.mark
    opened.close()
    state = UploadState("|".join((server.url, "anew/1", "", str(mark))))
    state.save(Begun(upload=uuid4(), sha256=hashlib.sha256(source.read_bytes()).hexdigest()))
    assert client.put(source, "anew/1").version == 1
    assert state.load() is None
