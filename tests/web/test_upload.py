"""The page Upload, as people use it: to a store behind the server and straight to S3, on good days and bad ones."""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import CDPSession, FileChooser, FilePayload, Locator, Request, expect

from stores.config import S3Access
from tests.buckets import add_s3_store, in_bucket
from tests.server import Server, add_user
from tests.web.visit import LOOKS, Visit, needs_chromium, visiting

pytestmark = needs_chromium
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def token(server: Server) -> str:
    with server.client() as admin:
        add_user(admin, "ann")
    return server.token("ann")


@pytest.fixture
async def ann(server: Server, token: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"{server.url}/api/v1", timeout=60, headers=headers) as client:
        yield client


@pytest.fixture(scope="module")
def bucket(server: Server, ministack: S3Access) -> str:
    """A store in S3 whose bucket lets the server's own pages in; returns the beginning of its URLs."""
    with server.client() as admin:
        name = add_s3_store(admin, ministack, "bucket")
    rule = {"AllowedOrigins": [server.url], "AllowedMethods": ["GET", "HEAD", "PUT", "POST"], "AllowedHeaders": ["*"]}

    async def allow(client: Any) -> None:
        await client.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [rule | {"ExposeHeaders": ["ETag"]}]})

    in_bucket(ministack, name, allow)
    return f"{ministack.endpoint_url}/"


def file(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Uploading:
    """The page Upload in a visit."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page
        self._network: CDPSession | None = None

    def row(self, name: str) -> Locator:
        return self.page.locator(f'li.upload[data-name="{name}"]')

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name)

    async def choose(self, *paths: Path) -> None:
        await self.page.locator("#files").set_input_files(paths)

    async def upload(self, *paths: Path, pattern: str = "", store: str = "local") -> None:
        await self.page.locator("#about select[name=store]").select_option(store)
        if pattern:
            await self.page.get_by_label("Pattern of the PIDs").fill(pattern)
        await self.choose(*paths)
        await self.page.locator("#begin").click()

    async def stored(self, path: Path) -> None:
        """It is there, and both sides have the same checksum, which is the right one."""
        await expect(self.row(path.name)).to_contain_text("checksums equal")
        await expect(self.row(path.name)).to_contain_text(sha256(path))

    async def slowly(self, bytes_per_s: int = 6 * MIB, *, offline: bool = False) -> None:
        """Slower than this machine is, so that there is something to stop half-way; -1 is as fast as it goes."""
        if self._network is None:
            self._network = await self.page.context.new_cdp_session(self.page)
            await self._network.send("Network.enable")
        slow = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
        await self._network.send("Network.emulateNetworkConditions", slow)

    def parts_sent(self) -> list[str]:
        """The numbers of parts that the browser sends from now on."""
        numbers: list[str] = []

        def note(request: Request) -> None:
            if request.method == "PUT" and (found := re.search(r"partNumber=(\d+)|/parts/(\d+)", request.url)):
                numbers.append(found[1] or found[2])

        self.page.on("request", note)
        return numbers


async def half_way(ann: httpx.AsyncClient, pid: str) -> list[str]:
    """The numbers of the parts that the server has of an upload, as soon as it has some and not all."""
    for _ in range(2400):
        found = [item for item in (await ann.get("/uploads", params={"limit": 20})).json()["items"] if item["pid"] == pid]
        parts = (await ann.get(f"/uploads/{found[0]['id']}")).json()["parts"] if found else []
        received = [str(part["number"]) for part in parts if part["received"]]
        assert not parts or len(received) < len(parts), "too quick to be stopped half-way"
        if received:
            return received
        await asyncio.sleep(0.05)
    raise AssertionError("no part came")


@asynccontextmanager
async def at_upload(server: Server, *, allowed: tuple[str, ...] = (), **options: Any) -> AsyncIterator[Uploading]:
    async with visiting(server, allowed=allowed, **options) as visit:
        visit.page.on("dialog", lambda dialog: dialog.accept())  # leaving the page while something is under way
        await visit.log_in("ann", then="/upload")
        yield Uploading(visit)


async def test_small_files_of_every_length_arrive_with_the_checksums_that_the_page_computed(
    server: Server, ann: httpx.AsyncClient, tmp_path: Path
) -> None:
    paths = [file(tmp_path, f"n{size}.bin", size) for size in (0, 1, 55, 56, 63, 64, 65, 100_000)]
    async with at_upload(server) as upload:
        await upload.upload(*paths, pattern="small/{stem}")
        for path in paths:
            await upload.stored(path)
        upload.visit.is_clean()
    for path in paths:
        assert (await ann.get(f"/content/small/{path.stem}")).content == path.read_bytes()


@pytest.mark.parametrize("store", ["local", "bucket"])
async def test_an_upload_survives_a_reload_half_way(
    server: Server, ann: httpx.AsyncClient, bucket: str, tmp_path: Path, store: str
) -> None:
    path, other = file(tmp_path, "cast.bin", 50 * MIB), file(tmp_path, "other.bin", 17 * MIB)
    pid = f"reload/{store}/cast.bin"
    async with at_upload(server, allowed=(bucket,)) as upload:
        page = upload.page
        await upload.slowly()
        await upload.upload(path, pattern=f"reload/{store}/{{name}}", store=store)
        await half_way(ann, pid)
        await page.reload()
        there = await half_way(ann, pid)
        row = upload.row("cast.bin")
        await expect(row).to_contain_text("It was under way when the page was left.")
        await expect(row).to_contain_text(f"{8 * len(there)} MiB of it are on the server.")
        await expect(page.get_by_label("Pattern of the PIDs")).to_have_value(f"reload/{store}/{{name}}")
        await upload.slowly(-1)
        sent = upload.parts_sent()
        await upload.choose(path, other)
        await expect(upload.row("other.bin")).to_contain_text("→ ")
        await upload.stored(path)
        assert sorted(sent) == sorted({"1", "2", "3", "4", "5", "6", "7"} - set(there)), "what is there is not sent again"
        assert await page.evaluate("indexedDB.databases().then(all => all.length)") == 1
        await page.reload()
        await expect(page.get_by_role("heading", name="Upload")).to_be_visible()
        await expect(upload.row("cast.bin")).to_have_count(0)
        upload.visit.is_clean()
    record = (await ann.get(f"/media/{pid}")).json()
    assert (record["store"], record["version"]) == (store, 1)
    assert record["content"]["checksums"]["sha256"]["value"] == sha256(path)


async def test_pause_a_lost_connection_and_a_server_that_restarts(server: Server, ann: httpx.AsyncClient, tmp_path: Path) -> None:
    path = file(tmp_path, "long.bin", 60 * MIB)
    async with at_upload(server) as upload:
        page, row = upload.page, upload.row("long.bin")
        await upload.slowly()
        await upload.upload(path, pattern="patience/{name}")
        bar = page.get_by_role("progressbar", name="Progress of long.bin")
        seen: set[float] = set()
        while len([value for value in seen if 0 < value < 60 * MIB]) < 3:
            seen.add(await bar.evaluate("bar => bar.value"))
        await expect(page.locator("#total .how")).to_contain_text(re.compile(r"0 of 1 file, .* a second, about .* left"))
        await upload.button("Pause: long.bin").click()
        await expect(row).to_contain_text("Paused at")
        before = await row.inner_text()
        await upload.button("Go on: long.bin").click()
        await upload.slowly(offline=True)
        await expect(row).to_contain_text("No connection. It goes on by itself when you are connected again")
        await upload.slowly()
        await expect(row).to_contain_text(re.compile(r"of 60 MiB"))
        server.kill()
        await expect(row).to_contain_text("The server does not answer; next try in")
        await upload.slowly(-1)
        await asyncio.to_thread(server.start)
        await upload.stored(path)
        assert "Paused" in before
    assert (await ann.get("/content/patience/long.bin")).content == path.read_bytes()


async def test_a_session_that_ends_stops_what_has_not_begun_and_asks_where_it_is(server: Server, tmp_path: Path) -> None:
    with server.client() as admin:
        add_user(admin, "cleo")
        async with visiting(server) as visit:
            upload = Uploading(visit)
            await visit.log_in("cleo", then="/upload")
            await upload.slowly()
            await upload.upload(file(tmp_path, "begun.bin", 30 * MIB), pattern="session/{name}")
            await expect(upload.row("begun.bin")).to_contain_text("of 30 MiB")
            await expect(visit.page.get_by_role("progressbar", name="Progress of begun.bin")).not_to_have_js_property("value", 0)
            admin.patch("/users/cleo", json={"password": "another password"})
            late = file(tmp_path, "late.bin", 10)
            await upload.upload(late)
            await expect(visit.page.get_by_role("dialog")).to_contain_text("Your session has ended")
            await upload.slowly(-1)
            await upload.button("Not now").click()
            await expect(visit.page.locator("#upload-trouble")).to_contain_text("Your session has ended; log in again")
            await upload.button("Go on", visit.page.locator("#total")).click()
            await visit.page.get_by_role("dialog").get_by_label("Password").fill("another password")
            await upload.button("Log in").click()
            await upload.stored(late)
            await upload.stored(tmp_path / "begun.bin")


async def test_names_that_exist_are_new_versions_or_get_another_or_are_left(
    server: Server, ann: httpx.AsyncClient, tmp_path: Path
) -> None:
    names = ("version.csv", "rename.csv", "leave.csv", "hidden.csv")
    paths = [file(tmp_path, name, 100) for name in names]
    for name in names[:3]:
        assert (await ann.put(f"/content/there/{name}", content=b"first")).status_code == 201
    with server.client() as admin:
        admin.put("/content/there/hidden.csv", content=b"somebody else's")
    async with at_upload(server) as upload:
        page = upload.page
        await page.get_by_text("Identifier type, tags").click()
        await page.get_by_label("Tags").fill("raw, night")
        await page.get_by_label("Metadata").fill("{cruise: 7}")
        await upload.upload(*paths, pattern="there/{name}")
        await expect(page.locator("#upload-trouble")).to_contain_text("The metadata are no JSON")
        await page.get_by_label("Metadata").fill('{"n": 12345678901234567890.10}')
        await page.locator("#begin").click()
        await expect(upload.row("version.csv")).to_contain_text("There is a record there/version.csv with content already.")
        await expect(upload.row("hidden.csv")).to_contain_text("The PID there/hidden.csv is taken")
        await expect(upload.button("New versions of all 3 records")).to_be_visible()
        await upload.visit.looks_right("upload-clashes")
        await upload.button("A new version of it: version.csv").click()
        await expect(upload.row("version.csv")).to_contain_text("version 2")
        await upload.button("Leave it out: leave.csv").click()
        await expect(upload.row("leave.csv")).to_have_count(0)
        box = page.get_by_label("Another PID for rename.csv")
        await box.fill("there//other.csv")
        await box.press("Enter")
        await expect(upload.row("rename.csv")).to_contain_text("no two in a row")
        await box.fill("there/other.csv")
        await box.press("Enter")
        await upload.stored(tmp_path / "rename.csv")
        await page.get_by_label("Another PID for hidden.csv").fill("there/mine.csv")
        await page.get_by_label("Another PID for hidden.csv").press("Enter")
        await upload.stored(tmp_path / "hidden.csv")
        await upload.row("hidden.csv").get_by_role("link").click()
        await page.wait_for_url("**/records/there/mine.csv")
    assert (await ann.get("/content/there/leave.csv")).content == b"first"
    assert (await ann.get("/media/there/version.csv")).json()["tags"] == [], "what is there keeps what is said of it"
    made = await ann.get("/media/there/other.csv")
    assert made.json()["tags"] == ["raw", "night"]
    assert "12345678901234567890.1" in made.text, "as exact as it was typed"


async def test_no_room_and_files_that_change_are_told_with_what_to_do(
    server: Server, ann: httpx.AsyncClient, tmp_path: Path
) -> None:
    with server.client() as admin:
        store = {"name": "small", "kind": "filesystem", "quota": {"bytes": 1000}}
        assert admin.post("/stores", json=store).status_code == 201
    async with at_upload(server) as upload:
        page = upload.page
        page.on("filechooser", lambda _: None)  # so early that the browser asks us, not a desktop, when it comes to it
        large = file(tmp_path, "large.bin", 2000)
        await upload.upload(large, pattern="trouble/{name}", store="small")
        await expect(upload.row("large.bin")).to_contain_text("choose another store, or ask an administrator for more room")
        await page.locator("#about select[name=store]").select_option("local")
        await upload.button("Try again with what the form says").click()
        await upload.stored(large)
        changing = file(tmp_path, "changing.bin", 40 * MIB)
        await upload.slowly()
        await upload.upload(changing)
        await half_way(ann, "trouble/changing.bin")
        changing.write_bytes(os.urandom(30 * MIB))
        row = upload.row("changing.bin")
        await expect(row).to_contain_text("The file was changed, moved or deleted since it was chosen")
        await upload.slowly(-1)
        async with page.expect_file_chooser() as chosen:
            await upload.button("Choose the file again: changing.bin").click()
        await (await chosen.value).set_files(changing)
        await expect(row).to_contain_text(
            "was changed since its upload began (40 MiB then, 30 MiB now), so the two are not mixed"
        )
        await upload.button("Begin again: changing.bin").click()
        await upload.stored(changing)
    assert (await ann.get("/media/trouble/changing.bin")).json()["version"] == 1


async def test_dropped_folders_get_pids_by_pattern_and_a_thousand_files_a_few_rows(
    server: Server, ann: httpx.AsyncClient, tmp_path: Path
) -> None:
    folder = tmp_path / "cruise7"
    paths = [file(folder, name, 10) for name in ("a.csv", "b/a.csv", "b/c.tar.gz")]
    alone = file(tmp_path, "e\u0301.txt", 10)
    async with at_upload(server) as upload:
        page = upload.page
        session = await page.context.new_cdp_session(page)
        drop = await page.locator("#drop").bounding_box()
        assert drop is not None
        data = {"items": [], "files": [str(folder), str(alone)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await session.send("Input.dispatchDragEvent", {"type": kind, "x": drop["x"] + 20, "y": drop["y"] + 20, "data": data})
        rows = page.locator("#ready li.upload")
        await expect(rows).to_have_count(4)
        pattern = page.get_by_label("Pattern of the PIDs")
        await pattern.fill("drop/{stem}")
        await expect(page.locator("#ready-trouble")).to_contain_text("2 files can't get their PID by this pattern")
        await expect(page.locator("#begin")).to_be_disabled()
        await pattern.fill("drop/{nowhere}")
        await expect(page.locator("#pattern-trouble")).to_contain_text("{nowhere} means nothing here. There are {path}, {name}")
        await pattern.fill("drop/{folder}/{path}")
        await expect(page.locator("#preview")).to_contain_text("drop/cruise7/b/c.tar.gz")
        await page.locator("#begin").click()
        for path in (*paths, alone):
            await expect(page.locator("#stored li.upload").filter(has_text=sha256(path))).to_be_visible()
        for pid in ("cruise7/a.csv", "cruise7/b/a.csv", "cruise7/b/c.tar.gz", "\u00e9.txt"):
            assert (await ann.get(f"/media/drop/{pid}")).status_code == 200, pid
        many = [FilePayload(name=f"{number}.txt", mimeType="text/plain", buffer=b"%d" % number) for number in range(1000)]
        await page.locator("#files").set_input_files(many)
        await expect(page.locator("#begin")).to_contain_text("Upload 1,000 files")
        assert await rows.count() < 100
        await page.get_by_label("minted by the server").check()
        await page.locator("#begin").click()
        await expect(page.locator("#stored .count")).to_have_text(re.compile(r"\d\d"))
        assert await page.locator("li.upload").count() < 150
        longest = """() => new Promise(good => { let last = performance.now(), most = 0, left = 60;
            const frame = now => {
                most = Math.max(most, now - last);
                last = now;
                if (left--) requestAnimationFrame(frame); else good(most);
            };
            requestAnimationFrame(frame); })"""
        assert await page.evaluate(longest) < 1000, "the page stays usable meanwhile"
        upload.visit.is_clean()
        await upload.button("Cancel all").click()
        await upload.button("Cancel them").click()
        await expect(page.locator("#active")).to_be_hidden()
        # One that was completed at the same moment can't be cancelled, and the browser says so.
        assert not [text for text in upload.visit.complaints if "409" not in text], upload.visit.complaints


async def test_h14_names_are_text_and_what_people_upload_can_not_work_beside_the_page(
    server: Server, ann: httpx.AsyncClient, tmp_path: Path
) -> None:
    name = "<img src=x onerror=alert(1)>\u202egpj.html"
    path = file(tmp_path, name, 10)
    await ann.put("/content/worker.js", content=b"postMessage(1)", headers={"Content-Type": "text/javascript"})
    async with at_upload(server) as upload:
        await upload.choose(path)
        row = upload.page.locator("#ready li.upload")
        await expect(row).to_contain_text("<img src=x onerror=alert(1)>")
        await expect(row).to_contain_text("U+202E")
        await expect(row).to_contain_text("A PID holds printable characters only.")
        await upload.page.get_by_label("Pattern of the PIDs").fill("named/{number}")
        await upload.page.locator("#begin").click()
        await expect(upload.page.locator("#stored li.upload")).to_contain_text("checksums equal")
        upload.visit.is_clean()
        worker = """new Promise(good => {
            const made = new Worker("/api/v1/content/worker.js");
            made.onerror = () => good("no");
            made.onmessage = () => good("yes");
        }).catch(() => "no")"""
        assert await upload.page.evaluate(worker) == "no"


async def test_by_keyboard_alone(server: Server, ann: httpx.AsyncClient, tmp_path: Path) -> None:
    path = file(tmp_path, "keys.bin", 10)
    async with at_upload(server) as upload:
        page = upload.page
        asked: asyncio.Queue[FileChooser] = asyncio.Queue()
        page.on("filechooser", asked.put_nowait)
        await upload.button("Choose files").focus()
        await expect(upload.button("Choose files")).to_be_focused()
        await page.keyboard.press("Enter")
        await (await asyncio.wait_for(asked.get(), 60)).set_files(path)
        await expect(page.locator("#begin")).to_be_focused()
        await page.keyboard.press("Enter")
        await upload.stored(path)
        await expect(upload.visit.news).to_have_text("The file is stored.")
        upload.visit.is_clean()


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_it_is_drawn_in_light_and_dark_and_on_a_phone(
    server: Server, ann: httpx.AsyncClient, tmp_path: Path, scheme: str, size: dict[str, int]
) -> None:
    looks = f"looks-{scheme}-{size['width']}"
    await ann.put(f"/content/{looks}/IFCB101_D20240101T000000.csv", content=b"there")
    async with at_upload(server, viewport=size, color_scheme=scheme) as upload:
        page = upload.page
        await upload.visit.looks_right("upload-empty")
        small = [file(tmp_path, name, 3000) for name in ("IFCB101_D20240101T000000.csv", "ctd_007.cnv", "x" * 180 + ".csv")]
        await upload.choose(*small, file(tmp_path, "video.mp4", 60 * MIB), file(tmp_path, "later.tar", 20 * MIB))
        await page.get_by_text("Identifier type, tags").click()
        await page.get_by_label("Tags").fill("raw, night")
        await page.get_by_label("Pattern of the PIDs").fill(f"{looks}/{{name}}")
        await expect(page.locator("#preview li")).to_have_count(3)
        await upload.visit.looks_right("upload-chosen")
        await upload.slowly(4 * MIB)
        await page.locator("#begin").click()
        await expect(upload.row("ctd_007.cnv")).to_contain_text("checksums equal")
        await expect(upload.row("IFCB101_D20240101T000000.csv")).to_contain_text("with content already")
        await expect(page.get_by_role("progressbar", name="Progress of video.mp4")).not_to_have_js_property("value", 0)
        await upload.button("Pause: later.tar").click()
        await expect(upload.row("later.tar")).to_contain_text("Paused at")
        await upload.visit.looks_right("upload-under-way")
        await page.reload()
        await expect(upload.row("video.mp4")).to_contain_text("It was under way")
        await upload.visit.looks_right("upload-interrupted")
        await upload.button("Leave all out").click()
        await upload.button("Leave them out").click()
        await expect(page.locator("#needs")).to_be_hidden()
