"""Metadata in the page of a record: a tree in which values are changed, digit by digit as they are written."""

import pytest
from playwright.async_api import Page, expect

from tests.server import Server, add_user
from tests.web.records import METADATA, change, make, shown, text_of
from tests.web.visit import needs_chromium, visiting


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")


async def put(page: Page, name: str, text: str) -> None:
    await page.get_by_role("button", name=f"{name}: ").click()
    await page.locator(".small textarea").fill(text)
    await page.keyboard.press("Enter")


async def choose(page: Page, path: str, what: str) -> None:
    await page.get_by_label(f"Change {path}", exact=True).click()
    await page.locator(".tree .menu[open]").get_by_role("button", name=what).click()


async def save(page: Page) -> None:
    await page.locator(".unsaved").get_by_role("button", name="Save", exact=True).click()


@needs_chromium
async def test_values_are_changed_where_they_stand_and_no_number_loses_a_digit(server: Server) -> None:
    make(server, "tree/1", metadata=METADATA)
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/records/tree/1")
        page = visit.page
        await put(page, "depth_m", "12,5")
        await expect(page.locator(".small .trouble")).to_have_text(
            '"12,5" is no number; one is written like 12, -0.5 or 1e6. Or choose the kind text.'
        )
        await page.locator(".small textarea").fill("9007199254740993.10")
        await page.keyboard.press("Enter")
        await choose(page, "$.cruise", "Rename")
        await page.locator(".small input").fill("voyage <i>")
        await page.keyboard.press("Enter")
        await choose(page, "$.note", "Remove")
        await choose(page, "$.bottles", "Add an item")
        await page.locator(".small textarea").fill("1.0")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="calibrated: ").click()
        await page.get_by_label("Kind of $.calibrated").select_option("false")
        await page.get_by_role("button", name="Done").click()
        await page.get_by_role("button", name="Add a member").click()
        await page.locator(".small").get_by_label("Name").fill("station")
        await page.keyboard.press("Enter")
        await expect(page.locator(".small .trouble")).to_contain_text('There is a member "station" already')
        await page.locator(".small").get_by_label("Name").fill("code")
        await page.get_by_label("Value of the new member").fill("007")
        await page.keyboard.press("Enter")
        await expect(page.locator(".unsaved h3")).to_have_text("7 changes are not saved")
        await (
            page.get_by_role("button", name="Undo the change of $.station")
            .or_(page.get_by_role("button", name="Undo the change of $.note"))
            .click()
        )
        await expect(page.locator(".unsaved h3")).to_have_text("6 changes are not saved")
        await save(page)
        await expect(visit.news).to_have_text("The metadata is saved.")
        await expect(page.locator(".unsaved")).to_be_hidden()
        await expect(page.locator(".events > li").first).to_contain_text("metadata.depth_m: 12.50 → became 9007199254740993.10")
        visit.is_clean()
    text = text_of(server, "tree/1").replace(" ", "")
    for kept in ('"serial":123456789012345678901234567890', '"depth_m":9007199254740993.10', '"voyage<i>":"AR77"', '"note":null',
                 '"bottles":[1,2,5,8,1.0]', '"calibrated":false', '"code":"007"', '"rate_hz":24.0'):  # fmt: skip
        assert kept in text, kept


@needs_chromium
async def test_a_branch_is_edited_as_json_and_a_mistake_is_told_by_line_and_column(server: Server) -> None:
    make(server, "tree/2", metadata='{"ctd": {"rate_hz": 24.0}, "keep": 1.0}')
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/records/tree/2")
        page = visit.page
        await choose(page, "$.ctd", "Edit as JSON")
        text, trouble = page.locator("#json-text"), page.locator("#json-trouble")
        await expect(text).to_have_value('{\n  "rate_hz": 24.0\n}')
        for wrong, told in [
            ('{\n  "a": 1.0.0\n}', "Line 2, column 8: 1.0.0 is no number; one is written like 12, -0.5 or 1e6."),
            ('{"a": 1,}', "Line 1, column 8: the comma before } is one too many."),
            ('{"a": 1,\n "a": 2}', 'Line 2, column 2: the name "a" is there twice.'),
            ("{'a': 1}", 'Line 1, column 2: a name in double quotes is expected, and here stands "\'".'),
            ('{"a": yes}', 'Line 1, column 7: "yes" is no value; words stand in double quotes.'),
            ('{"a": "b', "Line 1, column 7: this text in quotes does not end."),
            ("[1, 2", "Line 1, column 6: a comma or ] is expected, and the text ends here."),
        ]:
            await text.fill(wrong)
            await page.get_by_role("button", name="Done").click()
            await expect(trouble).to_have_text(told)
            await expect(text).to_be_focused()
        await text.fill('{"rate_hz": 24.00, "big": 1e400, "list": [1.50, "\\u00e9"]}')
        await page.get_by_role("button", name="Done").click()
        await save(page)
        await expect(visit.news).to_have_text("The metadata is saved.")
    text_now = text_of(server, "tree/2").replace(" ", "")
    assert '"rate_hz":24.00' in text_now
    assert f'"big":1{"0" * 400}' in text_now
    assert '"list":[1.50,"é"]' in text_now
    assert '"keep":1.0' in text_now


@needs_chromium
async def test_two_who_change_the_same_metadata_meet_value_by_value(server: Server) -> None:
    make(server, "tree/3", metadata='{"a": 1.0, "b": 2, "c": {"d": 3, "e": 4}, "f": 5}')
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/records/tree/3")
        page = visit.page
        for name, value in (("a", "1.50"), ("b", "20"), ("d", "30"), ("f", "6")):
            await put(page, name, value)
        theirs = [{"path": [name], "value": value} for name, value in (("a", 9), ("b", 9), ("g", 7), ("f", 6))]
        change(server, "tree/3", set_metadata=theirs, remove_metadata=[["c"]])
        await save(page)
        dialog = page.locator("dialog.conflict")
        await expect(dialog.locator("legend")).to_have_text(["$.a", "$.b", "$.c"])
        await expect(dialog).to_contain_text("$.g: added 7")
        await visit.looks_right("conflict")
        await dialog.get_by_role("button", name="Not now").click()
        await expect(page.locator("#metadata .trouble").last).to_contain_text("Save again to compare")
        await save(page)
        await dialog.get_by_role("group", name="$.b").get_by_label("Take theirs").check()
        await dialog.get_by_role("button", name="Save it so").click()
        await expect(visit.news).to_have_text("The metadata is saved.")
    assert shown(server, "tree/3")["metadata"] == {"a": 1.5, "b": 9, "c": {"d": 30, "e": 4}, "f": 6, "g": 7}


@needs_chromium
async def test_what_is_typed_stays_while_other_things_change_or_the_server_is_away(server: Server) -> None:
    make(server, "tree/4", metadata='{"a": 1}')
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/records/tree/4")
        page = visit.page
        await page.get_by_role("button", name="a: ").click()
        await page.locator(".small textarea").fill("2")
        await page.get_by_label("New tag").fill("ctd")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.locator(".tags")).to_contain_text("ctd")
        await page.context.route("**/api/v1/media/**", lambda route: route.abort())
        await save(page)
        await expect(page.locator("#metadata .trouble").last).to_contain_text("The server does not answer.")
        await page.context.unroute("**/api/v1/media/**")
        await expect(page.locator(".unsaved h3")).to_have_text("One change is not saved")
        await save(page)
        await expect(visit.news).to_have_text("The metadata is saved.")
        await put(page, "a", "3")
        await page.get_by_role("button", name="a: ").click()
        await page.get_by_role("button", name="Undo all").click()
        await put(page, "a", "4")
        await expect(page.locator(".unsaved")).to_contain_text("$.a: 2 → became 4")
    assert shown(server, "tree/4")["metadata"] == {"a": 2}


@needs_chromium
async def test_large_metadata_are_drawn_as_they_are_opened(server: Server) -> None:
    many = ", ".join(f'"m{number:05}": {{"value": {number}.0}}' for number in range(5000))
    make(server, "tree/5", metadata=f"{{{many}}}")
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/records/tree/5")
        await expect(visit.page.locator(".tree .toggle")).to_have_count(100)
        await visit.page.get_by_role("button", name="Show 100 of 4900 more").click()
        await expect(visit.page.locator(".tree .toggle")).to_have_count(200)
        visit.is_clean()
