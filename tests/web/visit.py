"""A person with a browser: a headless Chromium that reaches the server and what a test allows, and nothing else."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Locator, Page, Route, async_playwright, expect

from tests.http.test_docs_page import CHROMIUM, FLAGS, PATIENCE_MS
from tests.server import ADMIN, PASSWORD, Server

needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason="NOT TESTED: the web console, for want of Debian's chromium")
PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
LOOKS = [("light", WIDE), ("dark", WIDE), ("light", PHONE)]
"""How each page is drawn once: scheme and size."""


class Visit:
    """A page, and what it did: requests to other hosts, which were denied, and complaints in its console."""

    def __init__(self, page: Page, server: Server, allowed: Sequence[str]) -> None:
        self.page = page
        self.server = server
        self.denied: list[str] = []
        self.complaints: list[str] = []
        self._allowed = (f"{server.url}/", "data:", "blob:", *allowed)
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def begin(self) -> None:
        await self.page.context.route("**/*", self._decide)

    async def _decide(self, route: Route) -> None:
        if route.request.url.startswith(self._allowed):
            await route.continue_()
        else:
            self.denied.append(route.request.url)
            await route.abort()

    async def held_back(self, pattern: str, *, times: int | None = None) -> asyncio.Queue[Route]:
        """The requests to such URLs, the first `times` of them: each waits until the test lets it go on, or answers it."""
        held: asyncio.Queue[Route] = asyncio.Queue()

        async def hold(route: Route) -> None:
            held.put_nowait(route)

        await self.page.route(pattern, hold, times=times)
        return held

    async def go(self, path: str) -> None:
        await self.page.goto(f"{self.server.url}{path}")

    async def log_in(self, name: str = ADMIN[0], password: str | None = None, *, then: str = "/") -> None:
        """By the form, as a person does; `then` is the page to see next."""
        await self.go(f"/login?next={then}")
        await self.page.get_by_label("Name").fill(name)
        await self.page.get_by_label("Password").fill(password or (ADMIN[1] if name == ADMIN[0] else PASSWORD))
        await self.page.get_by_role("button", name="Log in", exact=True).click()
        await self.page.wait_for_url(f"{self.server.url}{then}")

    @property
    def trouble(self) -> Locator:
        return self.page.get_by_role("alert")

    @property
    def news(self) -> Locator:
        return self.page.locator("#news")

    async def looks_right(self, name: str) -> None:
        """Nothing sticks out or gets into an address by itself, axe finds nothing serious; pictures are for who asks."""
        folder = os.environ.get("MEDIASTORE_TEST_SCREENSHOTS")
        size = self.page.viewport_size
        assert size is not None
        if folder:
            scheme = await self.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
            await self.page.screenshot(path=Path(folder) / f"{name}-{scheme}-{size['width']}.png", full_page=True)
        assert await self.page.evaluate("document.documentElement.scrollWidth") <= size["width"], "nothing sticks out"
        in_address = await self.page.evaluate(
            "[...document.forms].filter(form => form.method === 'get').map(form => form.role ?? form.id)"
        )
        assert set(in_address) <= {"search", "growth-range"}, "only what is asked for is put into the address"
        found = await Axe().run(self.page)
        serious = [each for each in found.response["violations"] if each["impact"] in {"serious", "critical"}]
        assert serious == [], [(each["id"], [node["html"] for node in each["nodes"]]) for each in serious]

    def is_clean(self) -> None:
        """It asked nobody else for anything, and complained of nothing."""
        assert (self.denied, self.complaints) == ([], [])


@asynccontextmanager
async def visiting(server: Server, *, allowed: Sequence[str] = (), **options: Any) -> AsyncIterator[Visit]:
    """`allowed`: beginnings of URLs beside the server's; `options`: those of a Playwright page, such as `color_scheme`."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visit = Visit(await browser.new_page(**{"viewport": WIDE, **options}), server, allowed)
        await visit.begin()
        yield visit
        await browser.close()
