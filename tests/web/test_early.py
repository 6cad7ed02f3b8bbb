"""Pages whose scripts are not there yet, or never come: nothing that is pressed is in vain, and nothing typed goes astray."""

import asyncio
import re

from playwright.async_api import Route, expect

from tests.server import Server
from tests.web.visit import needs_chromium, visiting

pytestmark = needs_chromium


async def test_what_is_pressed_before_the_scripts_are_there_is_done_when_they_are(server: Server) -> None:
    come = asyncio.Event()

    async def late(route: Route) -> None:
        await come.wait()
        await route.continue_()

    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/audit")
        await page.route("**/keys.js", late)
        await page.get_by_role("banner").get_by_text("admin", exact=True).click()
        await page.get_by_role("link", name="API keys and password").click()
        await page.get_by_role("button", name="Make a key").click()
        await page.get_by_role("button", name="Make a key").click()
        dialog = page.get_by_role("dialog", name="Make an API key")
        await expect(dialog).to_be_hidden()
        come.set()
        await expect(dialog).to_be_visible()
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
        visit.is_clean()


async def test_without_scripts_no_password_gets_into_an_address(server: Server) -> None:
    async with visiting(server, java_script_enabled=False) as visit:
        page = visit.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await visit.log_in(then="/keys")
        for label in ("Your present password", "A new one", "The new one again"):
            await page.get_by_label(label, exact=True).fill("correct horse battery 2")
        await page.get_by_role("button", name="Change password").click()
        await page.get_by_label("The new one again").press("Enter")
        await visit.go("/s3-configs")
        for label in ("Name", "Access key", "Secret key"):
            await page.locator("#create-form").get_by_label(label, exact=True).fill("correct")
        await page.get_by_role("button", name="Create the S3 config").click()
        await page.get_by_role("link", name="Find").click()
        await page.wait_for_url(re.compile(r"/$"))
        assert [url for url in asked if "correct" in url] == []
        visit.is_clean()
