"""The page of jobs, with some that are held and some that wait for their time."""

import json

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.accounts.peek import fetched
from tests.server import PASSWORD, Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

pytestmark = needs_chromium
INDEX = "index_metadata_field"
WHY = "PostgreSQL said: canceling statement due to lock timeout; <b>nothing</b> is lost"


async def job(server: Server, status: str, *, entrypoint: str = INDEX, field: int = 999_999, wait_s: int = 86_400) -> int:
    """A job in the queue, as the worker would have left it. Of a field that is not there nothing is to do."""
    told = {"error": WHY} if status == "failed" else None
    (made,) = await fetched(
        server,
        """
        INSERT INTO pgqueuer (priority, status, entrypoint, payload, headers, attempts, execute_after)
        VALUES (0, $1::text::pgqueuer_status, $2, $3, $4, $5, now() + $6 * interval '1 s') RETURNING id
        """,
        status,
        entrypoint,
        json.dumps({"field": field}).encode(),
        None if told is None else json.dumps(told),
        5 if told else 0,
        wait_s,
    )
    id: int = made["id"]
    return id


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_jobs_are_shown_in_any_light(server: Server, scheme: str, size: dict[str, int]) -> None:
    await job(server, "failed")
    await job(server, "queued", entrypoint="a_kind_of_job_with_a_name_that_is_longer_than_others")
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        await visit.log_in(then="/jobs")
        await expect(visit.page.get_by_text("nothing</b> is lost").first).to_be_visible()
        await visit.looks_right("jobs")
        visit.is_clean()


async def test_a_held_job_is_tried_again_and_another_is_dropped(server: Server) -> None:
    again, dropped = await job(server, "failed"), await job(server, "failed")
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/jobs")
        await page.get_by_role("navigation", name="Which jobs").get_by_role("link", name="Held").click()
        await expect(row(page, again)).to_contain_text("Failed 5 times. PostgreSQL said:")
        await row(page, again).get_by_role("button", name="Try job").click()
        await expect(row(page, again)).to_have_count(0)
        await expect(visit.news).to_contain_text(f"Job {again} is done")
        await row(page, dropped).get_by_role("button", name="Drop").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text('{"field": 999999}')
        await dialog.get_by_role("button", name="Drop").click()
        await expect(row(page, dropped)).to_have_count(0)
        assert await fetched(server, "SELECT id FROM pgqueuer WHERE id = $1", dropped) == []
        visit.is_clean()


async def test_all_that_are_held_are_tried_again_at_once(server: Server) -> None:
    held = [await job(server, "failed", entrypoint="nobodys") for _ in range(3)]
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/jobs")
        await visit.go("/jobs?status=held&job=nobodys")
        await page.get_by_role("button", name="Try all of these again").click()
        await page.get_by_role("dialog").get_by_role("button", name="Try again").click()
        await expect(page.get_by_text("No job is held")).to_be_visible()
        left = await fetched(server, "SELECT status::text FROM pgqueuer WHERE id = ANY($1)", held)
        assert [each["status"] for each in left] == ["queued"] * 3


async def test_the_page_keeps_itself_up_to_date_and_leaves_the_focus_where_it_is(server: Server) -> None:
    first = await job(server, "failed", entrypoint="steady")
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/jobs?job=steady")
        button = row(page, first).get_by_role("button", name="Drop")
        await button.focus()
        second = await job(server, "queued", entrypoint="steady")
        await expect(row(page, second)).to_contain_text("waiting")
        await expect(row(page, second)).to_contain_text("Tried next at")
        await expect(button).to_be_focused()
        await fetched(server, "DELETE FROM pgqueuer WHERE id = $1", second)
        await expect(row(page, second)).to_have_count(0)
        await expect(button).to_be_focused()
        await page.get_by_label("Keep up to date").uncheck()
        as_of = await page.locator("#as-of").text_content()
        await page.wait_for_timeout(6000)
        assert await page.locator("#as-of").text_content() == as_of


async def test_what_somebody_else_did_meanwhile_is_told(server: Server) -> None:
    gone = await job(server, "failed", entrypoint="shared")
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/jobs?job=shared")
        await page.get_by_label("Keep up to date").uncheck()
        await fetched(server, "DELETE FROM pgqueuer WHERE id = $1", gone)
        await row(page, gone).get_by_role("button", name="Try job").click()
        await expect(visit.trouble).to_have_text(f"There is no job {gone}: it is done, was dropped, or never was.")


async def test_a_server_that_is_away_is_told_until_it_is_back(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/jobs")
        server.kill()
        try:
            await expect(page.get_by_text("This page is not up to date. The server does not answer.")).to_be_visible()
        finally:
            server.start()
        await expect(page.locator("#stale")).to_be_hidden()


async def test_many_jobs_come_in_pages(server: Server) -> None:
    made = [await job(server, "queued", entrypoint="many") for _ in range(51)]
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/jobs")
        await visit.go("/jobs?status=waiting&job=many")
        await expect(page.locator("#list tbody tr")).to_have_count(50)
        await page.get_by_role("link", name="Older").click()
        await expect(page.locator("#list tbody tr")).to_have_count(1)
        await expect(row(page, made[0])).to_be_visible()
        await page.get_by_role("link", name="Newest").click()
        await expect(row(page, made[-1])).to_be_visible()


def test_jobs_are_for_administrators_and_odd_addresses_are_refused(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
    for name, password, path, status in [
        ("ann", PASSWORD, "/jobs", 403),
        ("admin", "correct horse battery", "/jobs?status=odd", 422),
        ("admin", "correct horse battery", "/jobs?cursor=odd", 422),
    ]:
        with httpx.Client(base_url=server.url, headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"}) as client:
            client.post("/login", data={"name": name, "password": password})
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (status, "text/html"), answer.text
            assert f"<summary>{name}</summary>" in answer.text, "who is logged in still is"


def row(page: Page, id: int) -> Locator:
    return page.locator(f'#list tr[data-key="{id}"]')
