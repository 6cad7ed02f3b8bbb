"""The page where records are found, at 1,000,000 of them: from opening its address to the painted table, in Chromium."""

from asyncio import run
from collections.abc import Sequence
from statistics import median

import httpx
from playwright.async_api import async_playwright

from bench.parts import Parts
from bench.rows import Row, say
from bench.search import MANY, served
from mediastore.web.session import COOKIE
from tests.http.test_docs_page import CHROMIUM, FLAGS
from tests.server import ADMIN

AT_MOST_MS = 1000
ROUNDS = 15
SEARCHES = ("/", "/?q=IFCB107_D0050*", "/?q=BIN:D00500077", "/?q=coccolithophore+bloom", "/?tag=raw&sort=-size")
# When the frame with the first rows is there, in milliseconds since the address was opened.
WATCH = """
window.painted = new Promise(resolve => new MutationObserver((_, observer) => {
  if (!document.querySelector("#rows tr")) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
}).observe(document, {childList: true, subtree: true}));
"""


def search_page(parts: Parts) -> tuple[float, float]:
    """The slowest of several searches, by its median, against what is allowed."""
    server, _ = served(parts, MANY)
    found = parts.in_client(painted, server.url, SEARCHES, rounds=ROUNDS)
    for path, took in found.items():
        say(f"  {path}: p50 {median(took):.0f} ms, slowest {max(took):.0f} ms")
    return max(median(took) for took in found.values()), AT_MOST_MS


def painted(url: str, paths: Sequence[str], *, rounds: int) -> dict[str, list[float]]:
    """Milliseconds for each, of somebody who is logged in and was here before."""
    form = {"name": ADMIN[0], "password": ADMIN[1]}
    session = httpx.post(f"{url}/login", data=form, headers={"Sec-Fetch-Site": "same-origin"}).cookies[COOKIE]
    return run(_painted(url, session, paths, rounds=rounds))


async def _painted(url: str, session: str, paths: Sequence[str], *, rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {path: [] for path in paths}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        await page.context.add_cookies([{"name": COOKIE, "value": session, "url": url}])
        await page.add_init_script(WATCH)
        for number in range(rounds + 1):
            for path, times in took.items():
                await page.goto(url + path, wait_until="commit")
                ms = await page.evaluate("window.painted")
                if number:
                    times.append(ms)
        await browser.close()
    return took


SEARCH_PAGE_ROWS = [
    Row(name="search_page_1m", unit="ms", target=1, bound="at most", measure=search_page),
]
