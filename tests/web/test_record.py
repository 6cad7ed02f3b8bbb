"""The page of a record, as people use it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from playwright.async_api import expect

from tests.server import PASSWORD, Server, add_user
from tests.web.records import CSV, METADATA, change, delete, fill, fill_and_expire, hold, make, path_of, shown
from tests.web.visit import LOOKS, Visit, needs_chromium, visiting

HTML, OURS = {"Accept": "text/html"}, {"Sec-Fetch-Site": "same-origin"}
ODD_PIDS = ["doi:10.1234/ab%2Fcd", "ark:/12148/bté🐟", "what?#now", "a b+c&d='e'", "x" * 255, "search"]


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        add_user(admin, "ben")
        admin.post("/identifier-types", json={"name": "CRUISE", "pattern": "[A-Z]{2}[0-9]+"})
        admin.post("/identifier-types", json={"name": "DOI", "pattern": "10[.].+", "unique": True})


async def opened(visit: Visit, pid: str, name: str = "ann") -> None:
    await visit.log_in(name)
    await visit.go(f"/records/{path_of(pid)}")


@needs_chromium
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_a_record_and_what_is_gone_look_right(server: Server, scheme: str, size: dict[str, int]) -> None:
    pid = f"cast/7/{scheme}/{size['width']}"
    make(
        server,
        pid,
        metadata=METADATA,
        tags=["ctd", "raw", "quality: good", "x" * 150],
        identifiers={"CRUISE": "AR77"},
        writers=["ben", "group:crew"],
        expires_at="2031-05-01T12:00:00Z",
        public_at="2028-01-01T00:00:00Z",
    )
    fill(server, pid, CSV)
    sets = [{"path": ["ctd", "rate_hz"], "value": 48}, {"path": ["bottles"], "value": [1, 2, 3, 5, 8]}]
    change(server, pid, set_metadata=sets)
    hold(server, pid, "figure 3 of the paper", until="2029-01-01T00:00:00Z")
    fill(server, f"{pid}/gone", CSV)
    delete(server, f"{pid}/gone")
    fill_and_expire(server, f"{pid}/expired")
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        await opened(visit, pid)
        await expect(visit.page.locator("#preview td").first).to_be_visible()
        await expect(visit.page.locator(".events li").first).to_be_visible()
        await visit.page.get_by_label("Change $.depth_m").click()
        await visit.looks_right("record")
        await visit.page.keyboard.press("Escape")
        await visit.page.get_by_role("button", name="Change access").click()
        await visit.looks_right("access")
        visit.is_clean()
        for name, told in (("gone", "intact|gone|on their way"), ("expired", "Bring it back")):
            await visit.go(f"/records/{pid}/{name}")
            await expect(visit.page.locator("main")).to_contain_text(
                told.split("|", maxsplit=1)[0] if name == "expired" else "Receipts"
            )
            await visit.looks_right(name)


@pytest.mark.parametrize("pid", ODD_PIDS)
def test_every_pid_has_its_page(server: Server, pid: str) -> None:
    fill(server, pid, b"x", access="public")
    page = httpx.get(f"{server.url}/records/{path_of(pid)}", headers=HTML)
    assert page.status_code == 200
    assert "Change access" not in page.text
    other = path_of(f"not {pid[:200]}")
    nowhere = httpx.get(f"{server.url}/records/{other}", headers=HTML)
    assert nowhere.status_code == 404
    back = re.search(r'/login[?]next=([^"]+)"', nowhere.text)
    assert back is not None
    answer = httpx.post(f"{server.url}/login", data={"name": "ann", "password": PASSWORD, "next": unquote(back[1])}, headers=OURS)
    location = answer.headers["location"]
    assert unquote(location) == f"/records/{unquote(other)}"
    assert httpx.URL(location).query == b""


def test_who_may_not_read_a_record_can_not_tell_that_it_is_there(server: Server) -> None:
    make(server, "quiet/1")
    there, nowhere = (httpx.get(f"{server.url}/records/{pid}", headers=HTML) for pid in ("quiet/1", "quiet/2"))
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert len(there.text) == len(nowhere.text)


@needs_chromium
async def test_who_is_not_logged_in_reads_what_is_public_and_changes_nothing(server: Server) -> None:
    make(server, "open/1", metadata=METADATA, access="public", tags=["ctd"])
    fill(server, "open/1", CSV)
    async with visiting(server) as visit:
        await visit.go("/records/open/1")
        await expect(visit.page.locator("#preview td").first).to_be_visible()
        await expect(visit.page.locator("#tree")).to_contain_text("123456789012345678901234567890")
        names = [await button.text_content() for button in await visit.page.locator("main button:visible").all()]
        assert {(name or "").strip() for name in names if "member" not in (name or "") and "item" not in (name or "")} == {
            "Open all",
            "Close all",
            "Copy",
        }
        async with visit.page.expect_download() as download:
            await visit.page.get_by_role("link", name="Download").click()
        assert (await download.value).suggested_filename == "cast-7.csv"
        visit.is_clean()


@needs_chromium
async def test_what_one_may_change_is_changed_in_its_place(server: Server) -> None:
    make(server, "about/1", tags=["raw"], identifiers={"CRUISE": "AR77"})
    async with visiting(server) as visit:
        await opened(visit, "about/1")
        page = visit.page
        await page.get_by_label("New tag").fill("<b>ctd</b>")
        await page.get_by_role("button", name="Add", exact=True).click()
        await expect(page.locator(".tags")).to_contain_text("<b>ctd</b>")
        await expect(page.get_by_label("New tag")).to_be_focused()
        await page.get_by_role("button", name="Remove the tag raw").click()
        await expect(page.locator(".tags li")).to_have_count(1)

        await page.get_by_role("button", name="Change identifiers").click()
        await page.get_by_label("CRUISE").fill("nonsense")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator("#identifiers .trouble")).to_contain_text("nonsense")
        await page.get_by_label("CRUISE").fill("AR78")
        await page.get_by_label("Another type").select_option("DOI")
        await page.get_by_label("Its value").fill("10.1/x")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator("#about")).to_contain_text("10.1/x")

        await page.get_by_role("button", name="Let it expire").click()
        await page.get_by_role("button", name="a year from now").click()
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator(".timeline")).to_contain_text("Expires: no longer served")
        await page.get_by_role("button", name="Hold…").click()
        await page.get_by_label("Why").fill("figure 3")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator("#retention")).to_contain_text("is not removed while it is held by ann (figure 3)")
        await page.get_by_role("button", name="Delete…").click()
        await expect(page.locator("#delete")).to_contain_text("nobody deletes it before the hold is lifted")
        await page.get_by_role("button", name="Keep it").click()
        await page.get_by_role("button", name="Lift the hold: figure 3").click()
        await expect(page.locator(".holds")).to_have_count(0)
        await expect(page.locator(".events li").first).to_contain_text("lifted a hold")
        record = shown(server, "about/1")
        assert (record["tags"], record["identifiers"]) == (["<b>ctd</b>"], {"CRUISE": "AR78", "DOI": "10.1/x"})
        assert record["expires_at"] is not None


@needs_chromium
async def test_what_somebody_else_changed_meanwhile_is_told_and_nothing_typed_is_lost(server: Server) -> None:
    make(server, "access/1")
    async with visiting(server) as visit:
        await opened(visit, "access/1")
        page = visit.page
        await page.get_by_role("button", name="Change access").click()
        change(server, "access/1", readers=["ben"], add_tags=["x"])
        await page.get_by_label("Readers, a name").fill("group:crew\ncleo")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator("#access .trouble")).to_contain_text('readers is now ["ben"]')
        await expect(page.get_by_label("Readers, a name")).to_have_value("group:crew\ncleo")
        await page.get_by_role("button", name="Save", exact=True).click()
        await expect(page.locator("#about")).to_contain_text("group:crew")
        record = shown(server, "access/1")
        assert (record["readers"], record["tags"]) == (["group:crew", "cleo"], ["x"])


@needs_chromium
async def test_a_record_is_deleted_by_who_saw_what_goes_and_an_expired_one_comes_back(server: Server) -> None:
    make(server, "go/1", identifiers={"CRUISE": "GO1"})
    fill(server, "go/1", CSV)
    fill_and_expire(server, "go/2")
    async with visiting(server) as visit:
        await opened(visit, "go/1")
        page = visit.page
        await page.get_by_role("button", name="Delete…").click()
        await expect(page.get_by_role("button", name="Keep it")).to_be_focused()
        await expect(page.locator("#delete")).to_contain_text("1 version, 1.19 KiB in all")
        await page.get_by_role("button", name="Delete for good").click()
        await expect(page.locator("main")).to_contain_text("never given out again")
        await expect(page.locator("#receipts-title")).to_be_visible()
        await visit.go("/records/go/2")
        await page.get_by_role("button", name="Restore").click()
        await expect(page.locator("#preview td").first).to_be_visible()
        assert shown(server, "go/2")["expires_at"] is None


@needs_chromium
async def test_bytes_are_downloaded_and_checked_and_the_lines_do_what_they_say(server: Server, tmp_path: Path) -> None:
    pid = "lines/it's 50%"
    fill(server, pid, CSV, filename="it's; $(touch x).csv")
    async with visiting(server) as visit:
        await visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await opened(visit, pid)
        page = visit.page
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download").click()
        assert (await download.value).suggested_filename == "it's; $(touch x).csv"
        await page.get_by_role("button", name="Check now").click()
        await expect(page.locator("#versions")).to_contain_text("intact")
        lines = {}
        for name in ("curl", "Python", "Command line"):
            await page.get_by_role("button", name=f"Copy: {name}").click()
            await expect(visit.news).to_have_text("Copied.")
            lines[name] = await page.evaluate("navigator.clipboard.readText()")
        visit.is_clean()
    environment = {**os.environ, "MEDIASTORE_TOKEN": server.token("ann"), "HOME": str(tmp_path)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    for name, line in lines.items():
        assert fetched(line, name, tmp_path, environment) == CSV


def fetched(line: str, name: str, folder: Path, environment: dict[str, str]) -> str:
    """What the line gets as a file, the only one that it makes."""
    command = [sys.executable, "-c", line] if name == "Python" else ["sh", "-c", line]
    folder = folder / name
    folder.mkdir()
    ended = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (line, ended.stderr)
    (file,) = folder.iterdir()
    return file.read_text()
