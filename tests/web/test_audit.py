"""The page where what happened is searched."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Locator, Page, expect

from tests.server import Server, add_user
from tests.web.visit import LOOKS, Visit, needs_chromium, visiting

pytestmark = needs_chromium
ODD = "casts/" + "a-long-name-of-a-cast." * 11 + "<b>"


@pytest.fixture(scope="module", autouse=True)
def past(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann", groups=("plankton",))
        add_user(admin, "bob")
        admin.patch("/users/bob", json={"role": "reader"})
        admin.post("/identifier-types", json={"name": "CRUISE", "pattern": "[A-Z]{2}[0-9]+"})
    with server.client("ann") as ann:
        for pid in ("cast-1", ODD):
            body = {
                "pid": pid,
                "metadata": {"ctd": {"depth": 10.50, "note\u202egpj": "<script>alert(1)</script>"}},
                "tags": ["raw"],
            }
            assert ann.post("/media", json=body).status_code == 201
        ann.patch("/media/cast-1", json={"metadata": {"ctd": {"depth": 12}}, "tags": ["raw", "checked"], "access": "internal"})
        for number in range(60):
            ann.post("/media", json={"pid": f"many-{number}"})
        ann.put("/content/many-0", content=b"bytes")
        assert ann.get("/content/many-0").status_code == 200


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_events_are_shown_in_any_light(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in(then="/audit")
        for address in ("kind=media&subject=cast-1", "actor=ann&action=created&until=2100-01-01T00:00"):
            await visit.go(f"/audit?{address}")
            await page.locator(".events summary").first.click()
            await visit.looks_right(f"audit-{len(address)}")
        await visit.go("/audit?actor=nobody-like-that")
        await expect(page.get_by_text("Nothing that happened matches.")).to_be_visible()
        await visit.looks_right("audit-empty")
        visit.is_clean()


async def test_what_somebody_did_is_found_and_read_value_by_value(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/audit")
        await page.get_by_label("Who").fill("ann")
        await page.get_by_label("Did what").fill("changed")
        await page.get_by_label("To what").select_option("record")
        await page.keyboard.press("Enter")
        await expect(events(page)).to_have_count(1)
        await expect(events(page)).to_contain_text("ann changed the record cast-1 revision 2")
        await events(page).locator("summary").click()
        await expect(events(page).locator("dt")).to_have_text(["tags", "access", "metadata.ctd.depth"])
        await expect(events(page).locator("dd").nth(2)).to_contain_text("10.5")
        await expect(events(page).locator("ins").nth(2)).to_contain_text("12")
        assert asked(page) == {"actor": ["ann"], "action": ["changed"], "kind": ["media"]}
        await expect(page.get_by_label("Who")).to_have_value("ann")
        await page.get_by_role("link", name="Everything").click()
        await expect(events(page).first).to_be_visible()
        assert asked(page) == {}
        visit.is_clean()


async def test_times_are_utc_and_what_is_none_is_told_with_all_that_was_typed(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/audit")
        await page.get_by_label("Who").fill("ann")
        await page.get_by_label("Before (UTC)").fill("2001-01-31T12:30")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_text("Nothing that happened matches.")).to_be_visible()
        await expect(page.get_by_label("Before (UTC)")).to_have_value("2001-01-31T12:30")
        await page.get_by_role("link", name="the last hour").click()
        await expect(events(page).first).to_be_visible()
        await expect(page.get_by_label("Before (UTC)")).to_have_value("")
        await visit.go("/audit?since=yesterday&actor=ann")
        await expect(visit.trouble).to_have_text("Since='yesterday' is no time, such as 2026-01-31T12:00, in UTC.")
        await expect(page.get_by_label("Who")).to_have_value("ann")
        await visit.go("/audit?kind=ghost")
        await expect(visit.trouble).to_contain_text("kind='ghost' is nothing that has a history", ignore_case=True)
        await visit.go("/audit?cursor=odd&since=0001-01-01")
        await expect(visit.trouble).to_be_visible()
        await visit.go("/audit?actor=%00&subject=%ED%A0%80&unknown=1")
        await expect(visit.trouble).to_contain_text("can't hold this value")


async def test_older_events_are_on_further_pages_and_downloads_only_where_asked_for(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/audit")
        await visit.go("/audit?actor=ann&action=created")
        await expect(events(page)).to_have_count(50)
        await page.get_by_role("link", name="Older").click()
        await expect(events(page)).to_have_count(12)
        await expect(events(page).last).to_contain_text("cast-1")
        await page.get_by_role("link", name="Newest").click()
        await expect(events(page)).to_have_count(50)
        await visit.go("/audit?subject=many-0")
        await expect(events(page)).to_have_count(2)
        await page.get_by_label("Downloads too").check()
        await page.get_by_role("button", name="Search").click()
        await expect(events(page).first).to_contain_text("ann downloaded the record many-0")


async def test_all_that_matches_is_saved_as_a_file(server: Server, tmp_path: Path) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/audit")
        await visit.go("/audit?actor=ann&action=created")
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Save as a file").click()
        saved = tmp_path / "events"
        await (await download.value).save_as(saved)
        told = [json.loads(line) for line in saved.read_text().splitlines()]
        assert [told[0]["subject"], told[1]["subject"], len(told)] == ["cast-1", ODD, 62]
        assert {event["actor"] for event in told} == {"ann"}
        await expect(visit.news).to_have_text("62 events saved, one a line.")
        await expect(page.get_by_role("button", name="Save as a file")).to_be_focused()
        visit.is_clean()


async def test_others_see_what_happened_to_records_that_they_may_read(server: Server) -> None:
    async with visiting(server) as visit:
        await visit.log_in("bob", then="/audit")
        await shows_only(visit, "cast-1")
        await visit.go("/audit?subject=many-0")
        await expect(visit.page.get_by_text("Nothing that happened matches.")).to_be_visible()
        visit.is_clean()


async def shows_only(visit: Visit, pid: str) -> None:
    await expect(events(visit.page).first).to_contain_text(pid)
    for text in await events(visit.page).all_text_contents():
        assert pid in text


def events(page: Page) -> Locator:
    return page.locator(".events > li")


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)
