"""/docs in a browser that reaches this server and nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import FilePayload, Page, Route, async_playwright

from mediastore.openapi import TAGS
from tests.server import Server

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 120_000
SCREENSHOT = "docs-page.png"

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason="NOT TESTED: /docs, for want of Debian's chromium at /usr/bin/chromium"
)


class Visit:
    """A page at /docs, and what it did: requests to other hosts, which were denied, and complaints in its console."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.denied: list[str] = []
        self.complaints: list[str] = []
        self._url = server.url
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    async def begin(self) -> None:
        await self.page.route("**/*", self._decide)
        await self.page.goto(f"{self._url}/docs")
        await self.page.locator(".opblock").first.wait_for()

    async def _decide(self, route: Route) -> None:
        if route.request.url.startswith((f"{self._url}/", "data:", "blob:")):
            await route.continue_()
        else:
            self.denied.append(route.request.url)
            await route.abort()

    async def authorize(self, token: str) -> None:
        await self.page.get_by_role("button", name="Authorize").first.click()
        await self.page.locator(".auth-container input").fill(token)
        await self.page.locator(".auth-container").get_by_role("button", name="Apply credentials").click()
        await self.page.locator(".auth-btn-wrapper .btn-done").click()


@pytest.fixture
def operations(server: Server) -> int:
    """How many the document has."""
    return sum(len(item) for item in httpx.get(f"{server.url}/schema/openapi.json").json()["paths"].values())


@pytest.fixture
async def visit(server: Server) -> AsyncIterator[Visit]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        visit = Visit(await browser.new_page(viewport={"width": 1280, "height": 1000}), server)
        await visit.begin()
        yield visit
        await browser.close()


async def test_the_page_shows_every_operation_and_asks_no_other_host(visit: Visit, operations: int, tmp_path: Path) -> None:
    assert await visit.page.locator(".opblock").count() == operations
    assert await visit.page.locator(".opblock-tag").count() == len(TAGS)
    assert await visit.page.locator(".errors-wrapper").count() == 0
    await visit.page.screenshot(path=tmp_path / SCREENSHOT, full_page=True)
    assert visit.denied == []
    assert visit.complaints == []


async def test_authorize_keeps_a_token_and_calls_carry_it(visit: Visit, server: Server) -> None:
    await visit.authorize(server.token())
    await visit.page.reload()
    operation = visit.page.locator("#operations-Access-auth_me")
    await operation.locator(".opblock-summary").click()
    await operation.get_by_role("button", name="Execute").click()
    answer = operation.locator(".live-responses-table .response").first
    await answer.wait_for()
    assert (await answer.locator(".response-col_status").inner_text()).startswith("200")
    assert '"administrator"' in await answer.inner_text()
    assert visit.denied == []
    assert visit.complaints == []


@pytest.mark.parametrize(
    ("operation", "pid"), [("content_upload", "tr[data-param-name=pid]"), ("content_upload_form", "tr[data-property-name=pid]")]
)
async def test_a_file_is_uploaded_from_the_page(visit: Visit, server: Server, operation: str, pid: str) -> None:
    await visit.authorize(server.token())
    block = visit.page.locator(f"#operations-Content-{operation}")
    await block.locator(".opblock-summary").click()
    await block.locator(f"{pid} input[type=text]").fill(f"page/{operation}")
    file: FilePayload = {"name": "a.txt", "mimeType": "text/plain", "buffer": b"hello world"}
    await block.locator("input[type=file]").set_input_files(file)
    await block.get_by_role("button", name="Execute").click()
    answer = block.locator(".live-responses-table .response").first
    await answer.wait_for()
    assert (await answer.locator(".response-col_status").inner_text()).startswith("201"), await answer.inner_text()
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {server.token()}"}) as client:
        assert (await client.get(f"{server.url}/api/v1/content/page/{operation}")).content == b"hello world"
    assert visit.complaints == []


def test_the_page_runs_its_own_scripts_alone(server: Server) -> None:
    first, second = httpx.get(f"{server.url}/docs"), httpx.get(f"{server.url}/docs")
    assert first.headers["content-type"].startswith("text/html")
    policy = first.headers["content-security-policy"]
    assert policy != second.headers["content-security-policy"], "a nonce counts once"
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts
    assert "*" not in policy
    assert "http" not in policy
    assert "//" not in first.text.replace(server.url, "")


@pytest.mark.parametrize("path", ["/schema", "/schema/redoc", "/schema/swagger", "/schema/docs", "/schema/oauth2-redirect.html"])
def test_no_other_documentation_page_exists(server: Server, path: str) -> None:
    answer = httpx.get(f"{server.url}{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] == "path_unknown"
