"""The page of identifier types, with patterns that the server's own matcher judges."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Locator, Page, expect

from tests.server import Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

pytestmark = needs_chromium
LONG = "D[0-9]{8}T[0-9]{6}(_and_on){0,5}" * 8


@pytest.fixture(scope="module", autouse=True)
def types(server: Server) -> Iterator[None]:
    with server.client() as admin:
        add_user(admin, "ann")
        for name, pattern, unique in [("CRUISE", "[A-Z]{2}[0-9]{2,4}", False), ("BIN", LONG, True)]:
            body = {"name": name, "pattern": pattern, "unique": unique, "description": "As <i>operators</i> name it"}
            assert admin.post("/identifier-types", json=body).status_code == 201
        yield


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_types_are_shown_in_any_light(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in(then="/identifier-types")
        await visit.looks_right("identifier-types")
        await page.get_by_role("button", name="Change CRUISE").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Pattern").fill("[A-Z]{2}[0-9]+")
        await dialog.get_by_label("Values to try").fill("AR77\nAR 77\n\u202e77RA")
        await expect(dialog.get_by_role("listitem")).to_have_count(3)
        await visit.looks_right("identifier-types-change")
        visit.is_clean()


async def test_a_pattern_is_tried_on_values_before_it_holds(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/identifier-types")
        await page.get_by_role("button", name="Add a type").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("CAST")
        await dialog.get_by_label("Pattern").fill("(?=x)[0-9]+")
        await expect(dialog.locator("#pattern-trouble")).to_contain_text("is not valid RE2")
        await dialog.get_by_label("Pattern").fill("[0-9]+")
        await dialog.get_by_label("Values to try").fill("17\n17b")
        await expect(dialog.get_by_role("listitem")).to_have_text(["matches 17", "does not match 17b"])
        await expect(dialog.locator("#pattern-trouble")).to_be_hidden()
        await dialog.get_by_role("button", name="Save").click()
        await expect(row(page, "CAST")).to_contain_text("[0-9]+")
        await expect(row(page, "CAST")).to_contain_text("shared")
        visit_complaints = [text for text in visit.complaints if "422" not in text]
        assert visit_complaints == []


async def test_what_the_server_refuses_stays_typed(server: Server) -> None:
    with server.client() as admin:
        admin.post("/identifier-types", json={"name": "LEG", "pattern": "[0-9]+"})
        for pid in ("one", "two"):
            assert admin.post("/media", json={"pid": f"leg-{pid}", "identifiers": {"LEG": "7"}}).status_code == 201
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/identifier-types")
        await page.get_by_role("button", name="Change LEG").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("What it is").fill("A leg of a cruise")
        await dialog.get_by_label("Unique").check()
        await expect(dialog.get_by_text("This is refused while some share one.")).to_be_visible()
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_role("alert")).to_have_text("LEG can't become unique: some records share a value of it.")
        await dialog.get_by_label("Unique").uncheck()
        await dialog.get_by_role("button", name="Save").click()
        await expect(row(page, "LEG")).to_contain_text("A leg of a cruise")
        await page.get_by_role("button", name="Delete LEG").click()
        await dialog.get_by_role("button", name="Delete").click()
        await expect(visit.trouble).to_have_text("2 records use the identifier type LEG.")
        await page.get_by_role("button", name="Add a type").click()
        await dialog.get_by_label("Name").fill("LEG")
        await dialog.get_by_label("Pattern").fill("x+")
        await dialog.get_by_role("button", name="Save").click()
        await expect(dialog.get_by_role("alert")).to_have_text("There is an identifier type LEG already.")
        await expect(dialog.get_by_label("Pattern")).to_have_value("x+")


async def test_who_is_no_administrator_reads_types_and_changes_none(server: Server) -> None:
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/identifier-types")
        await expect(row(visit.page, "CRUISE")).to_contain_text("[A-Z]{2}")
        assert await visit.page.get_by_role("button", name="Add a type").count() == 0
        visit.is_clean()


def row(page: Page, name: str) -> Locator:
    return page.locator(f'#list tr[data-key="{name}"]')
