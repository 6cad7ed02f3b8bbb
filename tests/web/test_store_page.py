"""The page of one store: what it holds, its policy with its rehearsal, sweeps, upkeep and findings."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import expect

from tests.database import DatabaseServer
from tests.server import Server, add_user, running_server
from tests.web.store_scene import NASTY, add_store, expire, files, grow, put, spoil, stray
from tests.web.visit import LOOKS, Visit, needs_chromium, visiting

GIB = 2**30
EXEMPT = {"exempt_tags": ["keep", "a\u202eb"], "exempt_where": '$.camera == "CAM-3"', "old_versions_ttl_s": 2_592_000}


@pytest.fixture(scope="module")
def url(database_server: DatabaseServer, template_database: str) -> Iterator[str]:
    with database_server.database(template=template_database) as url:
        yield url


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with running_server(url) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def scene(server: Server, url: str) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        add_store(admin, "archive", quota={"bytes": 8 * GIB, "objects": 1000}, retention=EXEMPT)
        put(admin, "archive", "cast/7", "n" * 200)
        grow(url, "archive")
        add_store(admin, "braked", retention={"max_objects_per_run": 1, "grace_s": 0})
        put(admin, "braked", "one", "two")
        expire(url, "braked", days=9)
        assert admin.post("/stores/braked/sweep").json()["state"] == "stopped"
        add_store(admin, "spoiled")
        put(admin, "spoiled", "cast/9")
        spoil(server, "spoiled")
        assert admin.post("/fixity/spoiled/cast/9").json()["fixity"] == "mismatch"
        for name in (NASTY, "b" * 200, "IFCB101.roi"):
            stray(server, "spoiled", name)
        assert admin.post("/stores/spoiled/reconcile").json()["counts"]["unknown"] == 3


def complaints(visit: Visit) -> list[str]:
    """But for what the browser says of answers that a test provokes."""
    return [text for text in visit.complaints if "the server responded with a status of 4" not in text]


def test_pages_of_stores_are_for_administrators(server: Server) -> None:
    sent = {"name": "ann", "password": "a password for tests"}
    with httpx.Client(base_url=server.url, headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}) as ann:
        assert ann.get("/stores/archive").status_code == 401
        ann.post("/login", data=sent)
        for path in ("/stores", "/stores/archive", "/stores/braked/sweeps/1", "/stores/nowhere", "/s3-configs"):
            assert ann.get(path).status_code == 403


def test_the_chart_comes_from_its_package(server: Server) -> None:
    for name in ("uplot.iife.min.js", "uplot.min.css"):
        answer = httpx.get(f"{server.url}/chart-assets/{name}")
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
    assert "uPlot (v1.6" in httpx.get(f"{server.url}/chart-assets/uplot.iife.min.js").text[:80]


@needs_chromium
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_the_page_tells_all_of_a_store(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in(then="/stores/archive")
        await expect(page.locator("#chart canvas")).to_be_visible()
        await expect(page.get_by_text("2 found", exact=True)).to_be_visible()
        await expect(page.get_by_text("answers", exact=True)).to_be_visible()
        await expect(page.locator("#chart .u-legend")).to_contain_text("Objects2")
        await page.get_by_text("The figures, day by day").click()
        await expect(page.locator("#figures tbody tr")).to_have_count(90)
        await page.get_by_text("Change the policy").click()
        await visit.looks_right("store")
        await visit.go("/stores/spoiled")
        await expect(page.get_by_text("other bytes", exact=True)).to_be_visible()
        await expect(page.locator("[data-health]")).to_contain_text("not those that were verified")
        await visit.looks_right("store-findings")
        await visit.go("/stores/braked")
        await visit.looks_right("store-braked")
        visit.is_clean()


@needs_chromium
async def test_growth_is_shown_for_as_long_as_somebody_wants(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores/archive")
        await page.get_by_label("The last").select_option("year")
        await page.get_by_text("The figures, day by day").click()
        await expect(page.locator("#figures tbody tr")).to_have_count(121)
        await expect(page.locator("#chart canvas")).to_have_count(1)
        await page.reload()
        await expect(page.get_by_label("The last")).to_have_value("365")
        await expect(page.locator("#figures tbody tr")).to_have_count(121)
        visit.is_clean()


@needs_chromium
async def test_a_probe_is_told_in_words(server: Server) -> None:
    async with visiting(server) as visit:
        await visit.log_in(then="/stores/archive")
        await visit.page.get_by_role("button", name="Probe it").click()
        report = visit.page.locator("#probe-report")
        await expect(report).to_contain_text("archive does all that is asked of it")
        await expect(report.get_by_role("listitem")).to_have_count(7)
        visit.is_clean()


@needs_chromium
async def test_a_policy_is_rehearsed_before_it_is_saved_and_carried_out_exactly(server: Server, url: str) -> None:
    with server.client() as admin:
        add_store(admin, "lent", retention={"grace_s": 30 * 86_400})
        put(admin, "lent", "a", "b", "c")
    await asyncio.to_thread(expire, url, "lent", days=9)
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores/lent")
        await page.get_by_text("Change the policy").click()
        form = page.locator("#policy")
        grace = form.get_by_label("Grace after the expiry", exact=True)
        await expect(grace).to_have_value("30")
        await grace.fill("1")
        await form.get_by_label("Unit of “Grace after the expiry”").select_option("hours")
        await form.get_by_label("Records whose metadata match").fill("$.camera ==")
        await form.get_by_role("button", name="Rehearse it first").click()
        await expect(form.get_by_role("alert")).to_contain_text("is no SQL/JSON path that says yes or no")
        await form.get_by_label("Records whose metadata match").fill("")
        await form.get_by_role("button", name="Rehearse it first").click()
        outcome = page.locator("#policy-outcome")
        await expect(outcome).to_contain_text("With this policy, a sweep would remove 3 records and old versions, 3 objects, ")
        await expect(outcome.get_by_role("link", name="see them")).to_be_focused()
        with server.client() as admin:
            assert admin.get("/stores/lent").json()["retention"]["grace_s"] == 30 * 86_400

        await form.get_by_role("button", name="Save the policy").click()
        await expect(page.get_by_role("dialog")).to_contain_text("The next sweep on schedule would remove 3 records")
        await page.get_by_role("dialog").get_by_role("button", name="Save the policy").click()
        await expect(visit.news).to_have_text("The policy of lent is saved.")
        await expect(page.locator("#retention-told")).to_contain_text("brought back for 1 hour")

        await page.locator("#sweeps").get_by_role("button", name="Rehearse a sweep").click()
        await page.locator("#sweep-outcome").get_by_role("link", name="see them").click()
        await expect(page.get_by_role("heading", name="Rehearsal")).to_be_visible()
        await expect(page.get_by_role("link", name="lent/b")).to_be_visible()
        await visit.looks_right("rehearsal")
        with server.client() as admin:
            put(admin, "lent", "d")
        await asyncio.to_thread(expire, url, "lent", days=9)  # and so a, b and c have expired anew
        await page.get_by_role("button", name="Remove exactly these").click()
        await expect(page.get_by_role("dialog")).to_contain_text("3 objects")
        await page.get_by_role("button", name="Remove them").click()
        await expect(page.locator("#sweep-outcome")).to_contain_text("0 records and old versions removed")
        await visit.go("/stores/lent")
        await page.get_by_role("button", name="Sweep now").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Remove 4 records")
        await page.get_by_role("button", name="Remove them").click()
        await expect(page.locator("#sweep-outcome")).to_contain_text("4 records and old versions removed")
        await expect(page.locator("#sweep-list")).to_contain_text("sweep of rehearsal")
        await expect(page.locator("#usage-now")).to_contain_text("0 objects")
        assert complaints(visit) == []


@needs_chromium
async def test_the_brake_gives_way_to_an_administrators_word(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores/braked")
        brake = page.get_by_role("region", name="Sweeps wait for your word")
        await expect(brake).to_contain_text("max_objects_per_run")
        await brake.get_by_role("button", name="Rehearse a sweep").click()
        await expect(brake).to_contain_text("The brake would stop a sweep on schedule")
        await brake.get_by_role("button", name="Remove exactly these").click()
        await page.get_by_role("button", name="Remove them").click()
        await expect(page.locator("#sweep-list")).to_contain_text("sweep of rehearsal")
        await expect(brake).to_have_count(0)
        with server.client() as admin:
            assert admin.get("/stores/braked").json()["brake"] is None
        assert files(server, "braked") == []
        visit.is_clean()


@needs_chromium
async def test_quota_upkeep_and_settings_are_saved_as_they_are_typed(server: Server) -> None:
    with server.client() as admin:
        add_store(admin, "plain")
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores/plain")
        await page.get_by_text("Change the quota").click()
        await page.get_by_label("All together", exact=True).fill("1.5")
        await page.get_by_label("Objects", exact=True).first.fill("20")
        await page.keyboard.press("Enter")
        await expect(page.locator("#usage-now")).to_contain_text("of 1.5 GiB")
        await page.get_by_text("Change how it is looked after").click()
        await page.get_by_label("Compare every", exact=True).fill("1")
        await page.get_by_label("Unit of “Compare every”").select_option("minutes")
        upkeep = page.locator("form[data-part=upkeep]")
        await upkeep.get_by_role("button", name="Save").click()
        await expect(upkeep.get_by_role("alert")).to_contain_text("reconcile_interval_s 60 is too short")
        await page.get_by_label("Compare every", exact=True).fill("90")
        await upkeep.locator("[name=unknown]").select_option("remove")
        await upkeep.get_by_role("button", name="Save").click()
        await page.get_by_role("dialog").get_by_role("button", name="Save").click()
        await expect(page.locator("#upkeep-state")).to_contain_text("every 90 minutes")
        await page.get_by_text("Change the settings").click()
        await page.get_by_label("sha512").check()
        await page.get_by_role("button", name="Save the settings").click()
        await expect(page.locator("#settings-told")).to_contain_text("md5, sha256, sha512")
        with server.client() as admin:
            saved = admin.get("/stores/plain").json()
        assert (saved["quota"]["bytes"], saved["quota"]["objects"]) == (1_610_612_736, 20)
        assert (saved["upkeep"]["reconcile_interval_s"], saved["upkeep"]["unknown"]) == (5400, "remove")
        assert (saved["retention"]["max_share_per_run"], saved["retention"]["exempt_where"]) == (0.5, None)
        assert complaints(visit) == []


@needs_chromium
async def test_h14_findings_are_decided_and_their_names_are_text(server: Server) -> None:
    with server.client() as admin:
        add_store(admin, "found")
        put(admin, "found", "cast/1")
        for name in (NASTY, "first.dat", "second.dat", "third.dat"):
            stray(server, "found", name)
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores/found")
        await page.get_by_role("button", name="Compare now").click()
        await expect(page.locator("[data-finding]")).to_have_count(4)
        await expect(page.locator("#comparisons")).to_contain_text("4 without a row")
        await expect(page.locator("main img")).to_have_count(0)

        await page.get_by_role("button", name="Adopt 00/first.dat").click()
        dialog = page.get_by_role("dialog", name="Adopt bytes into a record")
        await dialog.get_by_label("PID of the record").fill("found/nowhere")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_contain_text("found/nowhere")
        await dialog.get_by_label("PID of the record").fill("found/cast/1")
        await page.keyboard.press("Enter")
        await expect(visit.news).to_have_text("The bytes are the newest version of found/cast/1.")
        with server.client() as admin:
            assert admin.get("/media/found/cast/1").json()["version"] == 2

        await page.get_by_role("button", name=f"Remove 00/{NASTY}", exact=True).click()
        await expect(page.get_by_role("dialog")).to_contain_text("U+202E")
        await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        await expect(page.locator("[data-finding]", has_text="gpj.exe")).to_contain_text("removed")
        await page.get_by_role("button", name="Abort the chosen uploads").click()
        await expect(page.locator("#findings-trouble")).to_contain_text("Choose first uploads of nobody")
        await page.get_by_label("all on this page that can be decided").check()
        await page.get_by_role("button", name="Quarantine the chosen").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Quarantine 2 findings, 16 bytes?")
        await page.get_by_role("dialog").get_by_role("button", name="Quarantine").click()
        await expect(visit.news).to_have_text("2 findings quarantined.")
        await expect(page.locator("#upkeep-state")).to_contain_text("To be decidednothing")
        assert complaints(visit) == []


@needs_chromium
async def test_bytes_that_were_mended_are_read_again(server: Server) -> None:
    with server.client() as admin:
        add_store(admin, "mended")
        put(admin, "mended", "cast/3")
        [path] = files(server, "mended")
        whole = path.read_bytes()
        spoil(server, "mended")
        assert admin.post("/fixity/mended/cast/3").json()["fixity"] == "mismatch"
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores/mended")
        await page.get_by_role("button", name="Read mended/cast/3 again").click()
        await expect(visit.news).to_contain_text("mended/cast/3: the md5 is")
        path.write_bytes(whole)
        await page.get_by_role("button", name="Read mended/cast/3 again").click()
        await expect(visit.news).to_have_text("mended/cast/3 is whole.")
        await expect(page.get_by_text("Not found well")).to_have_count(0)
        visit.is_clean()


@needs_chromium
async def test_a_server_that_is_away_loses_nothing_that_was_typed(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores/archive")
        await page.get_by_text("Change the policy").click()
        form = page.locator("#policy")
        await form.get_by_label("Grace after the expiry", exact=True).fill("12")
        await page.route("**/api/**", lambda route: route.abort())
        await page.route("**/session", lambda route: route.abort())
        await form.get_by_role("button", name="Save the policy").click()
        await expect(form.get_by_role("alert")).to_contain_text("The server does not answer")
        await expect(form.get_by_label("Grace after the expiry", exact=True)).to_have_value("12")
        await expect(form.get_by_role("button", name="Save the policy")).to_be_enabled()
        assert json.loads(await page.locator("#growth").text_content() or "")["store"] == "archive"
