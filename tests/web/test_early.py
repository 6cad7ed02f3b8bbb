"""Pages whose scripts are not there yet, or never come: nothing that is pressed is in vain, and nothing typed goes astray."""

from playwright.async_api import expect

from tests.server import ADMIN, Server
from tests.web.visit import needs_chromium, visiting

pytestmark = needs_chromium


async def test_what_is_pressed_before_the_scripts_are_there_is_done_when_they_are(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/audit")
        script = await visit.held_back("**/keys.js")
        await page.get_by_role("banner").get_by_text("admin", exact=True).click()
        await page.get_by_role("link", name="API keys and password").click()
        await page.get_by_role("button", name="Make a key").click()
        await page.get_by_role("button", name="Make a key").click()
        dialog = page.get_by_role("dialog", name="Make an API key")
        await expect(dialog).to_be_hidden()
        await (await script.get()).continue_()
        await expect(dialog).to_be_visible()
        await dialog.get_by_role("button", name="Cancel").click()
        await expect(dialog).to_be_hidden()
        visit.is_clean()


async def test_a_log_in_waits_for_no_script(server: Server) -> None:
    async with visiting(server) as visit:
        scripts = await visit.held_back("**/base.js")
        await visit.page.goto(f"{server.url}/login?next=/keys", wait_until="commit")
        await visit.page.get_by_label("Name").fill(ADMIN[0])
        await visit.page.get_by_label("Password").fill(ADMIN[1])
        await visit.page.get_by_role("button", name="Log in", exact=True).click()
        await expect(visit.page.get_by_role("heading", name="API keys and password")).to_be_visible()
        for _ in ("log-in", "keys"):
            await scripts.get()


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
        await visit.go("/stores/local")
        await page.get_by_label("The last").select_option("30")
        await page.get_by_role("button", name="Show", exact=True).click()
        await page.wait_for_url("**/stores/local?days=30")
        assert [url for url in asked if "correct" in url] == []
        visit.is_clean()
