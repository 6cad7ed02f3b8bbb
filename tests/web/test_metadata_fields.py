"""The page of declared metadata fields."""

import pytest
from playwright.async_api import Locator, Page, expect

from tests.accounts.peek import fetched
from tests.server import Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

pytestmark = needs_chromium


@pytest.fixture(scope="module", autouse=True)
def fields(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        for body in [
            {"name": "depth", "path": "ctd.depth", "type": "number", "description": "In metres, <b>positive</b> downwards"},
            {"name": "cast_at", "path": 'ctd."time of the cast"', "type": "time"},
            {"name": "odd", "path": ".".join(["a_long_name_of_a_member"] * 15), "type": "text"},
        ]:
            assert admin.post("/metadata-fields", json=body).status_code == 201


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_fields_are_shown_in_any_light(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in(then="/metadata-fields")
        await expect(row(page, "depth")).to_contain_text("ready")
        await visit.looks_right("metadata-fields")
        await page.get_by_role("button", name="Declare a field").click()
        await visit.looks_right("metadata-fields-declare")
        visit.is_clean()


async def test_a_field_is_declared_comes_along_and_is_dropped(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/metadata-fields")
        await page.get_by_role("button", name="Declare a field").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill("speed")
        await dialog.get_by_label("Where in the metadata").fill("ship..speed")
        await dialog.get_by_role("button", name="Declare").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("is no path of a field; write names with dots between")
        await dialog.get_by_label("Where in the metadata").fill("ship.speed")
        await dialog.get_by_role("button", name="Declare").click()
        await expect(row(page, "speed")).to_contain_text("ready")
        await page.get_by_role("button", name="Drop speed").click()
        await page.get_by_role("dialog").get_by_role("button", name="Drop").click()
        await expect(row(page, "speed")).to_have_count(0)
        await expect(page.get_by_role("button", name="Declare a field")).to_be_focused()


async def test_an_index_that_can_not_be_built_says_why_until_it_is(server: Server) -> None:
    await fetched(server, "UPDATE metadata_field SET state = 'failed', problem = 'the disk is full' WHERE name = 'cast_at'")
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/metadata-fields")
        await expect(row(visit.page, "cast_at")).to_contain_text("The disk is full.")
        await fetched(server, "UPDATE metadata_field SET state = 'ready', problem = NULL WHERE name = 'cast_at'")
        await expect(row(visit.page, "cast_at")).to_contain_text("ready")
        assert await visit.page.get_by_role("button").get_by_text("Drop").count() == 0
        visit.is_clean()


def row(page: Page, name: str) -> Locator:
    return page.locator(f'#list tr[data-key="{name}"]')
