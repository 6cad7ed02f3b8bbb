"""The page of people, as an administrator uses it."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.server import ADMIN, PASSWORD, Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

pytestmark = needs_chromium
LONG = "a-very-long-name.of-somebody@an-institute-far-away.example.org"


@pytest.fixture(scope="module", autouse=True)
def crew(server: Server) -> Iterator[None]:
    with server.client() as admin:
        add_user(admin, "ann", groups=("plankton", "crew-77"))
        add_user(admin, "bob", role="reader")
        add_user(admin, LONG, groups=tuple(f"expedition-{number}" for number in range(1, 7)))
        yield


def row(page: Page, name: str) -> Locator:
    return page.locator(f'tr[data-key="{name}"]')


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_people_are_shown_in_any_light(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in(then="/people")
        await expect(page.locator("#shown")).to_contain_text("accounts")
        await row(page, "ann").get_by_text("More").click()
        await visit.looks_right("people")
        await page.keyboard.press("Escape")
        await expect(row(page, "ann").get_by_text("More")).to_be_focused()
        await page.get_by_role("button", name="Add a person").click()
        await visit.looks_right("people-add")
        visit.is_clean()


async def test_somebody_is_added_and_logs_in_with_the_password_that_was_made(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/people")
        await page.get_by_role("button", name="Add a person").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("bob")
        await dialog.get_by_label("Groups").fill("crew-77, plankton,")
        await dialog.get_by_label("Role").select_option("editor")
        password = await dialog.get_by_label("Password").input_value()
        await dialog.get_by_role("button", name="Add", exact=True).click()
        await expect(dialog.get_by_role("alert")).to_contain_text("The user name bob is taken, or was once")
        await expect(dialog.get_by_label("Groups")).to_have_value("crew-77, plankton,")
        await dialog.get_by_label("Name").fill("dora")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("heading", name="The password of dora")).to_be_visible()
        await visit.looks_right("people-password")
        await page.keyboard.press("Escape")
        await expect(dialog.get_by_text(password)).to_be_visible()
        await dialog.get_by_role("button", name="I have kept it").click()
        await expect(row(page, "dora")).to_contain_text("editor")
        await expect(row(page, "dora")).to_contain_text("plankton")
        await expect(row(page, "dora").get_by_role("button", name="Change dora")).to_be_focused()
        assert await page.get_by_text(password).count() == 0
        assert server.token("dora", password)


async def test_role_groups_and_password_of_somebody_are_changed(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "eve")
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/people")
        await page.get_by_role("button", name="Change eve").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_label("Role")).to_have_value("editor")
        await dialog.get_by_label("Role").select_option("reader")
        await dialog.get_by_label("Groups").fill("no such/name")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("can’t be the name of a group")
        await dialog.get_by_label("Groups").fill("night-watch")
        await dialog.get_by_role("button", name="Save").click()
        await expect(visit.news).to_have_text("eve was changed.")
        await expect(row(page, "eve")).to_contain_text("reader")
        await expect(row(page, "eve")).to_contain_text("night-watch")
        await row(page, "eve").get_by_text("More").click()
        await page.get_by_role("button", name="New password").click()
        first = await dialog.get_by_label("Password").input_value()
        await dialog.get_by_role("button", name="Generate another").click()
        assert re.fullmatch(r"(\w{5}-){3}\w{5}", first)
        await expect(dialog.get_by_label("Password")).not_to_have_value(first)
        await dialog.get_by_label("Password").fill("typed by hand")
        await dialog.get_by_role("button", name="Set it").click()
        await dialog.get_by_role("button", name="I have kept it").click()
        assert server.token("eve", "typed by hand")


async def test_switched_off_is_out_until_switched_on_and_deleted_is_out_for_good(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "finn")
    with server.client("finn") as finn:
        assert finn.put("/content/finns", content=b"fish").status_code == 201
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/people?q=finn")
        await expect(row(page, "bob")).to_be_hidden()
        await expect(page.locator("#shown")).to_contain_text("1 of ")
        await row(page, "finn").get_by_text("More").click()
        await page.get_by_role("button", name="Switch off").click()
        await expect(page.get_by_role("button", name="Cancel")).to_be_focused()
        await page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
        await expect(row(page, "finn")).to_contain_text("switched off")
        assert log_in(server, "finn").status_code == 401
        await row(page, "finn").get_by_text("More").click()
        await page.get_by_role("button", name="Switch on").click()
        await expect(row(page, "finn")).to_contain_text("active")
        assert log_in(server, "finn").status_code == 200
        await row(page, "finn").get_by_text("More").click()
        await page.get_by_role("button", name="Delete").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("1 record belongs to finn")
        await visit.looks_right("people-delete")
        await dialog.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("Nobody is called that")).to_be_visible()
        await page.get_by_role("button", name="Show everybody").click()
        await expect(row(page, "bob")).to_be_visible()
        assert page.url == f"{server.url}/people"
        assert log_in(server, "finn").status_code == 401
        visit.is_clean()


async def test_the_last_administrator_stays_with_the_sentence_that_says_why(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/people")
        await row(page, "admin").get_by_text("More").click()
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await expect(visit.trouble).to_have_text("Admin is the last active administrator; make another one first.")
        await page.get_by_role("button", name="Change admin").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Role").select_option("reader")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("is the last active administrator")


def test_who_is_no_administrator_sees_no_people(server: Server) -> None:
    assert page_of(server, "bob", PASSWORD) == 403
    assert page_of(server, *ADMIN) == 200
    assert httpx.get(f"{server.url}/people", headers={"Accept": "text/html"}).status_code == 401


def log_in(server: Server, name: str) -> httpx.Response:
    return httpx.post(f"{server.url}/api/v1/auth/login", json={"username": name, "password": PASSWORD})


def page_of(server: Server, name: str, password: str) -> int:
    with httpx.Client(base_url=server.url, headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}) as client:
        client.post("/login", data={"name": name, "password": password})
        return client.get("/people").status_code
