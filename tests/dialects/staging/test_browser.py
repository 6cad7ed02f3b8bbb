"""The page, as people use it, in a headless Chromium that reaches this server and nothing else."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, Route, async_playwright, expect
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS
from tests.dialects.staging.staging import add_staging_store
from tests.faults.harness import MIB
from tests.http.test_docs_page import CHROMIUM, FLAGS, PATIENCE_MS
from tests.server import PASSWORD, Server, add_user, running_server

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="NOT TESTED: the staging page, for want of Debian's chromium")
PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
LIMIT = 40 * MIB


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str) -> Iterator[Server]:
    settings = {**SETTINGS, "MEDIASTORE_MAX_UPLOAD_BYTES": str(LIMIT)}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        with running.client() as admin:
            add_staging_store(admin, quota={"bytes_per_owner": 60 * MIB})
            for name in ("ann", "bea", "cleo", "dora", "emma", "fay"):
                add_user(admin, name)
            add_user(admin, "rita", role="reader")
        yield running


class Visit:
    """A page, and what it did: requests to other hosts, which were denied, and complaints in its console."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.denied: list[str] = []
        self.complaints: list[str] = []
        self._server = server
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def begin(self) -> None:
        await self.page.route("**/*", self._decide)
        await self.page.goto(f"{self._server.url}/staging/?from=a+mail")

    async def _decide(self, route: Route) -> None:
        if route.request.url.startswith((f"{self._server.url}/", "data:", "blob:")):
            await route.continue_()
        else:
            self.denied.append(route.request.url)
            await route.abort()

    async def log_in(self, name: str, password: str = PASSWORD) -> None:
        await self.page.get_by_label("Name", exact=True).fill(name)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Log in").click()

    async def upload(self, *files: Path, label: str = "") -> None:
        await expect(self.page.locator("#staging")).to_be_visible()
        if label:
            await self.page.get_by_label("Label").fill(label)
        await self.page.locator("#files").set_input_files(files)

    def card(self, label: str) -> Locator:
        return self.page.locator("#uploads li").filter(has=self.page.get_by_text(label, exact=True))

    def under_way(self, text: str) -> Locator:
        return self.page.locator("#under-way").get_by_text(text)

    @property
    def trouble(self) -> Locator:
        return self.page.get_by_role("alert")


@asynccontextmanager
async def visiting(server: Server, **options: Any) -> AsyncIterator[Visit]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visit = Visit(await browser.new_page(**{"viewport": WIDE, **options}), server)
        await visit.begin()
        yield visit
        await browser.close()


def file(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path


async def test_log_in_drop_two_files_watch_them_come_download_and_delete(server: Server, tmp_path: Path) -> None:
    first, second = file(tmp_path, "cast-007.csv", 300_000), file(tmp_path, "plankton.tar", 30 * MIB)
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann")
        await expect(page.get_by_text("Nothing here yet")).to_be_visible()
        # Slower than this machine is, so that there is something to watch.
        session = await page.context.new_cdp_session(page)
        await session.send("Network.enable")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 12 * MIB}
        await session.send("Network.emulateNetworkConditions", slow)
        # Dropped as the browser itself has it from a file manager.
        drop = await page.locator("#drop").bounding_box()
        assert drop is not None
        data = {"items": [], "files": [str(first), str(second)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await session.send("Input.dispatchDragEvent", {"type": kind, "x": drop["x"] + 20, "y": drop["y"] + 20, "data": data})
        bar = page.get_by_role("progressbar", name="Progress of plankton.tar")
        seen: set[float] = set()
        while await bar.count():
            with suppress(PlaywrightTimeoutError):  # it goes when all is sent
                seen.add(await bar.evaluate("bar => bar.value", timeout=100))
                if len(seen) == 3:
                    await page.screenshot(path=Path(os.environ.get("MEDIASTORE_TEST_SCREENSHOTS", tmp_path)) / "under-way.png")
            await page.wait_for_timeout(20)
        assert len([value for value in seen if 0 < value < 1]) >= 3, f"it moves: {sorted(seen)}"
        for path in (first, second):
            card = visit.card(path.name)
            await expect(card.get_by_text("Stored")).to_be_visible()
            told = await card.inner_text()
            assert hashlib.sha1(path.read_bytes()).hexdigest() in told
            assert hashlib.md5(path.read_bytes()).hexdigest() in told
            async with page.expect_download() as begun:
                await card.get_by_role("button", name="Download").click()
            done = await begun.value
            assert done.suggested_filename == path.name
            await done.save_as(tmp_path / "got")
            assert (tmp_path / "got").read_bytes() == path.read_bytes()
        card = visit.card(first.name)
        await card.get_by_role("button", name="Delete").click()
        await page.get_by_role("button", name="Keep it").click()
        await expect(card).to_be_visible()
        await card.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(card).to_have_count(0)
        await expect(visit.card(second.name)).to_be_visible()
        assert (visit.denied, visit.complaints) == ([], [])
    async with httpx.AsyncClient(base_url=f"{server.url}/staging", params={"token": server.token("ann")}) as ann:
        assert [report["filename"] for report in (await ann.get("/upload")).json()] == [second.name]


async def test_h14_names_are_shown_as_text_and_can_not_look_like_others(server: Server, tmp_path: Path) -> None:
    label = '<img src=x onerror=alert(1)>"\u202egpj.exe'
    async with visiting(server, viewport=PHONE) as visit:
        await visit.log_in("bea")
        await visit.upload(file(tmp_path, "x" * 200 + ".html", 10), label=label)
        await expect(visit.page.get_by_text("Stored", exact=True)).to_be_visible()
        shown = await visit.page.locator("#uploads .label").inner_text()
        assert shown == label.replace("\u202e", "\ufffd")
        wide = await visit.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], "nothing sticks out"
        async with visit.page.expect_download() as begun:
            await visit.page.get_by_role("button", name="Download").click()
        assert (await begun.value).suggested_filename.endswith(".html")
        assert await visit.page.title() == "Staging", "it is not shown in place of the page"
        assert visit.complaints == []


async def test_what_goes_wrong_is_said_in_sentences_that_help(server: Server, tmp_path: Path) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("cleo", "not her password")
        await expect(visit.trouble).to_have_text("The name or the password is wrong. Check both and try again.")
        await visit.log_in("cleo")
        await expect(visit.trouble).to_be_hidden()
        await visit.upload(file(tmp_path, "huge.bin", LIMIT + 1))
        await expect(visit.under_way("huge.bin is larger than the 40 MiB")).to_be_visible()
        await page.get_by_role("button", name="Dismiss the message about huge.bin").click()
        await visit.upload(file(tmp_path, "half.bin", 35 * MIB))
        await expect(visit.card("half.bin")).to_be_visible()
        await visit.upload(file(tmp_path, "more.bin", 35 * MIB))
        await expect(visit.under_way("There is no room for more.bin. Delete uploads")).to_be_visible()
        await page.context.set_offline(True)
        await visit.upload(file(tmp_path, "away.bin", 10))
        await expect(visit.under_way("The server does not answer.")).to_be_visible()
        await page.context.set_offline(False)
        # An administrator gives her a new password: what she holds is worth nothing from then on.
        with server.client() as admin:
            admin.patch("/users/cleo", json={"password": "another password"})
        await visit.upload(file(tmp_path, "late.bin", 10))
        await expect(visit.trouble).to_have_text("Your session has ended. Log in again; what you have uploaded is still here.")
        await expect(page.get_by_label("Name", exact=True)).to_be_focused()
        await visit.log_in("cleo", "another password")
        await expect(visit.card("half.bin")).to_be_visible()


async def test_an_older_list_that_comes_later_is_not_shown(server: Server, tmp_path: Path) -> None:
    held, free, lists = asyncio.Event(), asyncio.Event(), 0
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("fay")
        await expect(page.get_by_text("Nothing here yet")).to_be_visible()

        async def hold(route: Route) -> None:
            """The first list is answered last."""
            nonlocal lists
            lists += route.request.method == "GET"
            if route.request.method != "GET" or lists > 1:
                await route.continue_()
                return
            answer = await route.fetch()
            held.set()
            await free.wait()
            await route.fulfill(response=answer)

        await page.route(f"{server.url}/staging/upload", hold)
        await visit.upload(file(tmp_path, "first.bin", 10))
        await asyncio.wait_for(held.wait(), PATIENCE_MS / 1000)
        await visit.upload(file(tmp_path, "second.bin", 10))
        await expect(visit.card("second.bin").get_by_text("Stored")).to_be_visible()
        async with page.expect_event("response"):
            free.set()
        await page.evaluate("new Promise(done => setTimeout(done, 200))")  # in which the page would show what has come
        await expect(visit.card("second.bin")).to_be_visible()


async def test_readers_are_told_what_they_may(server: Server, tmp_path: Path) -> None:
    async with visiting(server) as visit:
        await visit.log_in("rita")
        await visit.upload(file(tmp_path, "a.bin", 10))
        await expect(visit.under_way("Your account may look, but not upload.")).to_be_visible()


async def test_by_keyboard_alone_with_an_api_key_that_stays_in_this_tab(server: Server, tmp_path: Path) -> None:
    with server.client("dora") as dora:
        key = dora.post("/auth/keys", json={"name": "page", "scopes": ["read", "write"]}).json()["key"]
    async with visiting(server) as visit:
        page = visit.page
        page.on("filechooser", lambda _: None)  # so early that the browser asks us, not a desktop, when it comes to it
        await expect(page.get_by_label("Name", exact=True)).to_be_focused()
        for press in ("Tab", "Tab", "Tab", "Enter", "Tab"):
            await page.keyboard.press(press)
        await page.keyboard.type("not a key")
        await page.keyboard.press("Enter")
        await expect(visit.trouble).to_contain_text("Paste it again")
        await page.get_by_label("Token or API key").fill(key)
        await page.keyboard.press("Enter")
        await expect(page.get_by_label("Label")).to_be_focused()
        await expect(page.locator("#name")).to_have_text("dora")
        await page.keyboard.type("By keyboard")
        await page.keyboard.press("Tab")
        await expect(page.locator("#files")).to_be_focused()
        async with page.expect_file_chooser(timeout=10_000) as chosen:
            await page.keyboard.press("Space")
        await (await chosen.value).set_files(file(tmp_path, "a.bin", 10))
        await expect(visit.card("By keyboard").get_by_text("Stored")).to_be_visible()
        await expect(page.get_by_role("status")).to_have_text("a.bin is stored.")
        for press in ("Tab", "Tab", "Tab", "Enter"):
            await page.keyboard.press(press)
        await expect(page.get_by_role("button", name="Keep it")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Delete By keyboard")).to_be_focused()
        await page.reload()
        await expect(visit.card("By keyboard")).to_be_visible()
        assert await page.evaluate("document.cookie") == ""
        assert await page.evaluate("localStorage.length") == 0
        await page.get_by_role("button", name="Log out").click()
        assert await page.evaluate("sessionStorage.length") == 0
        await expect(visit.card("By keyboard")).to_have_count(0)
        assert visit.denied == []


@pytest.mark.parametrize(("scheme", "size"), [("light", WIDE), ("dark", WIDE), ("light", PHONE)])
async def test_it_is_drawn_in_light_and_dark_and_on_a_phone(
    server: Server, tmp_path: Path, scheme: str, size: dict[str, int]
) -> None:
    folder = Path(os.environ.get("MEDIASTORE_TEST_SCREENSHOTS", tmp_path))
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page, name = visit.page, f"{scheme}-{size['width']}"
        await page.screenshot(path=folder / f"{name}-1-log-in.png", full_page=True)
        await visit.log_in("emma", "wrong password")
        await expect(visit.trouble).to_be_visible()
        await page.screenshot(path=folder / f"{name}-2-wrong.png", full_page=True)
        await visit.log_in("emma")
        await expect(page.locator("#staging")).to_be_visible()
        await page.screenshot(path=folder / f"{name}-3-begin.png", full_page=True)
        await visit.upload(file(tmp_path, "cast.csv", 12345), label="Cast 7, Gulf of Maine")
        await visit.upload(file(tmp_path, "a_very_long_name_" * 10 + ".csv", 10))
        await expect(page.get_by_text("Stored").nth(1)).to_be_visible()
        await visit.upload(file(tmp_path, "huge.bin", LIMIT + 1))
        await expect(visit.under_way("huge.bin is larger")).to_be_visible()
        await page.screenshot(path=folder / f"{name}-4-uploads.png", full_page=True)
        await page.get_by_role("button", name="Delete Cast 7").first.click()
        await page.screenshot(path=folder / f"{name}-5-delete.png")
        assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert not [text for text in visit.complaints if "401" not in text]
