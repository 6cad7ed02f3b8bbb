"""Find: changes to many records, which are tried, looked at, and then done."""

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from playwright.async_api import Route, expect

from tests.server import Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

NUMBERS = count(1)
pytestmark = needs_chromium


@pytest.fixture(scope="module", autouse=True)
def ann(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")


@pytest.fixture
def own(server: Server) -> Iterator[str]:
    """Records of ann's to change, the last one held, and one that is somebody else's: the beginning of their PIDs, and a tag."""
    name = f"own{next(NUMBERS)}"
    pids = [f"{name}/{number:03d}" for number in range(60)]
    with server.client("ann") as ann, server.client() as admin:
        items = [{"op": "create", "pid": pid, "tags": [name, "raw"]} for pid in pids]
        assert ann.post("/media/batch", json={"items": items}).status_code == 200
        foreign = {"pid": f"{name}/foreign", "tags": [name, "raw"], "access": "internal"}
        assert admin.post("/media", json=foreign).status_code == 201
        assert admin.post(f"/holds/{name}/059", json={"reason": "evidence"}).status_code == 201
        yield name
        for hold in admin.get(f"/holds/{name}/059").json()["items"]:
            admin.delete(f"/holds/{name}/059", params={"id": hold["id"]})
        answer = admin.post("/media/batch", json={"items": [{"op": "delete", "pid": pid} for pid in [*pids, f"{name}/foreign"]]})
        assert {item["status"] for item in answer.json()["items"]} <= {204, 410}


async def test_tags_of_selected_records_change_after_a_preview(server: Server, own: str) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann")
        await visit.go(f"/?q={own}/*&sort=pid")
        await page.get_by_label(f"Select {own}/001").check()
        await page.get_by_label(f"Select {own}/004").click(modifiers=["Shift"])
        await expect(page.locator("#picked")).to_have_text("4 records, 0 bytes")
        await page.get_by_role("button", name="Tags…").click()
        dialog = page.locator("#change")
        await expect(dialog.get_by_label("Add these tags")).to_be_focused()
        await dialog.get_by_role("button", name="Preview").click()
        await expect(visit.trouble).to_have_text("Write at least one tag to add or to remove.")
        await dialog.get_by_label("Add these tags").fill('good, "a, b"')
        await dialog.get_by_label("Remove these tags").fill("raw")
        await dialog.get_by_role("button", name="Preview").click()
        await expect(dialog).to_contain_text(f'{own}/001 – tags: {own}, good, "a, b"')
        with server.client("ann") as ann:
            assert ann.get(f"/media/{own}/001").json()["revision"] == 1, "a preview changes nothing"
        await visit.looks_right("find-preview")
        await dialog.get_by_role("button", name="Change the tags of 4 records").click()
        await expect(dialog).to_contain_text("4 records were changed.")
        await dialog.get_by_role("button", name="Close").click()
        await expect(page.locator("#rows tr").nth(1).locator("td.tags")).to_contain_text("good")
        await expect(page.locator("#bulk")).to_be_hidden()
        with server.client("ann") as ann:
            assert ann.get(f"/media/{own}/004").json()["tags"] == [own, "good", "a, b"]
            assert ann.get(f"/media/{own}/005").json()["tags"] == [own, "raw"]
        visit.is_clean()


async def test_all_that_match_get_an_expiry_and_refusals_are_told_before(server: Server, own: str) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann")
        await visit.go(f"/?tag={own}&sort=pid")
        await expect(page.locator("#count")).to_have_text("61 records")
        await page.get_by_label("Select all on this page").check()
        await page.get_by_role("button", name="Select all 61 that match").click()
        await expect(page.locator("#picked")).to_have_text("All 61 records that match")
        await page.get_by_role("button", name="Expiry…").click()
        dialog = page.locator("#change")
        await dialog.get_by_label("How many").fill("7")
        await dialog.get_by_role("button", name="Preview").click()
        await expect(dialog).to_contain_text("1 is not yours to change")
        await dialog.get_by_role("button", name="Set the expiry of 60 records").click()
        await expect(dialog).to_contain_text("60 records were changed.")
        await dialog.get_by_role("button", name="Close").click()
        with server.client("ann") as ann:
            assert ann.get(f"/media/{own}/058").json()["expires_at"] is not None
            assert ann.get(f"/media/{own}/foreign").json()["expires_at"] is None
        visit.is_clean()


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_deleting_tells_what_is_held_and_asks_for_the_number(
    server: Server, own: str, scheme: str, size: dict[str, int]
) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in("ann")
        await visit.go(f"/?tag={own}&sort=-pid")
        await page.get_by_label(f"Select {own}/059").check()
        await page.get_by_role("button", name="Select all 50 shown").click()
        await page.get_by_role("button", name="Select all 61 that match").click()
        await visit.looks_right("find-selected")
        await page.get_by_role("button", name="Delete…").click()
        dialog = page.locator("#change")
        await expect(dialog).to_contain_text("1 is held")
        await dialog.get_by_text("1 is held").click()
        await visit.looks_right("find-delete")
        await dialog.get_by_role("button", name="Delete 59 records").click()
        await expect(visit.trouble).to_have_text("Type 59 to delete so many records for good.")
        await dialog.get_by_label("To be sure").fill("59")
        with server.client("ann") as ann:
            ann.patch(f"/media/{own}/010", json={"add_tags": ["changed meanwhile"]}).raise_for_status()
            await dialog.get_by_role("button", name="Delete 59 records").click()
            await expect(dialog).to_contain_text("58 records were deleted.")
            await expect(dialog).to_contain_text("1 was changed by somebody meanwhile")
            await visit.looks_right("find-deleted")
            await dialog.get_by_role("button", name="Close").click()
            await expect(page.locator("#count")).to_have_text("3 records")
            assert ann.get(f"/media/{own}/011").status_code == 410
            assert [ann.get(f"/media/{own}/{name}").status_code for name in ("010", "059", "foreign")] == [200] * 3
        visit.is_clean()


async def test_a_count_that_comes_late_is_told_in_what_can_be_selected(server: Server, own: str) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann", then="/keys")
        counting = await visit.held_back("**/api/v1/media/search")
        await visit.go(f"/?tag={own}&sort=-pid")
        await page.get_by_label(f"Select {own}/059").check()
        await page.get_by_role("button", name="Select all 50 shown").click()
        found = page.locator("#pick-found")
        await expect(found).to_have_text("Select all that match")
        await (await counting.get()).continue_()
        await expect(found).to_have_text("Select all 61 that match")
        await found.click()
        await expect(page.locator("#picked")).to_have_text("All 61 records that match")
        visit.is_clean()


async def test_a_server_that_goes_away_half_way_loses_nothing(server: Server, own: str) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann")
        await visit.go(f"/?q={own}/00*&sort=pid")
        await page.get_by_label("Select all on this page").check()
        await page.get_by_role("button", name="Tags…").click()
        dialog = page.locator("#change")
        await dialog.get_by_label("Add these tags").fill("late")
        await dialog.get_by_role("button", name="Preview").click()
        go = dialog.get_by_role("button", name="Change the tags of 10 records")
        await go.wait_for()
        await page.context.set_offline(True)
        await go.click()
        await expect(dialog).to_contain_text("The server does not answer.")
        await expect(dialog).to_contain_text("10 records are left.")
        await page.context.set_offline(False)
        await dialog.get_by_role("button", name="Go on with 10 records").click()
        await expect(dialog).to_contain_text("10 records were changed.")


async def test_a_change_that_is_stopped_says_how_far_it_came_and_goes_on(server: Server) -> None:
    pids = [f"stop/{number:03d}" for number in range(520)]
    with server.client("ann") as ann:
        ann.post("/media/batch", json={"items": [{"op": "create", "pid": pid} for pid in pids]}).raise_for_status()
        async with visiting(server) as visit:
            page = visit.page
            stopped = asyncio.Event()

            async def held(route: Route) -> None:
                if '"dry_run":false' in (route.request.post_data or ""):
                    await stopped.wait()
                await route.continue_()

            await visit.log_in("ann")
            await visit.go("/?q=stop/*&sort=pid")
            await expect(page.locator("#count")).to_have_text("520 records")
            await page.get_by_label("Select all on this page").check()
            await page.get_by_role("button", name="Select all 520 that match").click()
            await page.get_by_role("button", name="Tags…").click()
            dialog = page.locator("#change")
            await dialog.get_by_label("Add these tags").fill("slow")
            await dialog.get_by_role("button", name="Preview").click()
            await page.route("**/media/batch", held)
            await dialog.get_by_role("button", name="Change the tags of 520 records").click()
            await dialog.get_by_role("button", name="Stop").click()
            stopped.set()
            await expect(dialog).to_contain_text("500 records were changed. You stopped it. 20 records are left.")
            assert ann.get("/media/stop/510").json()["tags"] == []
            await dialog.get_by_role("button", name="Go on with 20 records").click()
            await expect(dialog).to_contain_text("20 records were changed.")
            visit.is_clean()
        assert ann.get("/media/stop/510").json()["tags"] == ["slow"]
        ann.post("/media/batch", json={"items": [{"op": "delete", "pid": pid} for pid in pids]}).raise_for_status()
