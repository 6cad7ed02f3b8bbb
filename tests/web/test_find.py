"""Find: one box for everything that records are known by, what narrows it, and pages of what was found."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any

import asyncpg
import httpx
import pytest
from playwright.async_api import expect

from tests.server import PASSWORD, Server, add_user, running_server
from tests.web.visit import LOOKS, needs_chromium, visiting

LONG = "archive/" + "very-long-name-of-an-instrument_" * 7 + "end"
HOSTILE = '<img src=x onerror="document.title=1">'
RECORDS: list[dict[str, Any]] = [
    *(
        {
            "pid": f"IFCB101_D20240101T{number:06d}",
            "tags": ["plankton", "raw" if number % 3 else "checked"],
            "identifiers": {"CRUISE": f"AR{number % 4}"},
            "metadata": {"depth": number, "note": "coccolithophore bloom" if number == 7 else "nothing to be seen"},
            "access": "public" if number < 3 else "internal",
        }
        for number in range(120)
    ),
    {"pid": "doi:10.1234/ab*cd", "metadata": {"title": "A PID with an asterisk"}},
    {"pid": "doi:10.1234/abxcd"},
    {"pid": LONG, "tags": ["t" * 200, "a, b", 'quo"ted']},
    {"pid": "hostile", "tags": [HOSTILE, "photo\u202egpj.exe"], "metadata": {"note": HOSTILE}},
]


@pytest.fixture(scope="module", autouse=True)
def records(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        add_user(admin, "rea", role="reader")
        made = admin.post("/identifier-types", json={"name": "CRUISE", "pattern": "AR[0-9]+"})
        assert made.status_code == 201, made.text
        made = admin.post("/metadata-fields", json={"name": "depth", "type": "number"})
        assert made.status_code == 201, made.text
        items = [{"op": "create", "access": "internal", **record} for record in RECORDS]
        made = admin.post("/media/batch", json={"items": items})
        assert all(item["status"] == 201 for item in made.json()["items"]), made.text
        for number in range(0, 120, 10):
            pid = f"IFCB101_D20240101T{number:06d}"
            kind = "text/csv" if number % 20 else "image/png"
            stored = admin.put(f"/content/{pid}", content=b"x" * (100 * number + 1), headers={"Content-Type": kind})
            assert stored.status_code in {200, 201}, stored.text


OURS = {"Sec-Fetch-Site": "same-origin"}


@contextmanager
def visitor(server: Server, name: str = "") -> Iterator[httpx.Client]:
    """A browser without scripts; of nobody unless named."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        if name:
            answer = client.post("/login", data={"name": name, "password": PASSWORD}, headers=OURS)
            assert answer.status_code == 303
        yield client


def listed(page: httpx.Response) -> list[str]:
    """The PIDs of the table."""
    return [unescape(pid) for pid in re.findall(r'<tr data-pid="([^"]*)"', page.text)]


def link(page: httpx.Response, text: str) -> str:
    """Where the link with this text leads."""
    found = re.search(rf'<a [^>]*href="([^"]*)"[^>]*>{re.escape(text)}', page.text)
    assert found is not None, text
    return unescape(found[1])


@pytest.mark.parametrize(
    ("text", "said", "first", "count"),
    [
        ("IFCB101_D20240101T000042", "The record with the PID", "IFCB101_D20240101T000042", 1),
        ("IFCB101_D20240101T00001?", "PIDs like", "IFCB101_D20240101T000019", 10),
        ("doi:10.1234/ab*cd", "The record with the PID", "doi:10.1234/ab*cd", 1),
        ("doi:10.1234/abx*", "PIDs like", "doi:10.1234/abxcd", 1),
        ("CRUISE:AR3", "Records with the identifier", "IFCB101_D20240101T000119", 30),
        ("*:AR?", "Records with the identifier", "IFCB101_D20240101T000119", 50),
        ("bloom coccolithophore", "all of the words", "IFCB101_D20240101T000007", 1),
        ("coccolith*", "the word", "IFCB101_D20240101T000007", 1),
        ("asterisk title:", "all of the words", None, 0),
        (f"  {LONG} ", "The record with the PID", LONG, 1),
    ],
)
def test_one_box_understands_pids_identifiers_and_words(
    server: Server, text: str, said: str, first: str | None, count: int
) -> None:
    with visitor(server, "ann") as ann:
        page = ann.get("/", params={"q": text})
        assert page.status_code == 200
        assert said in page.text
        found = listed(page)
        assert (found[0] if found else None, len(found)) == (first, count)


def test_what_was_understood_can_be_taken_as_words_instead(server: Server) -> None:
    with visitor(server, "ann") as ann:
        page = ann.get("/", params={"q": "doi:10.1234/abxcd"})
        again = ann.get(link(page, "Search for words instead"))
        assert "all of the words" in again.text or "the word" in again.text
        assert listed(again) == ["doi:10.1234/abxcd"]
        nothing = ann.get("/", params={"q": "IFCB101_D2024"})
        assert listed(nothing) == []
        assert len(listed(ann.get(link(nothing, "PIDs that begin with it")))) == 50


def test_pages_and_filters_work_without_scripts(server: Server) -> None:
    with visitor(server, "ann") as ann:
        form = {"q": "IFCB101_*", "tag": "plankton, raw", "store": "", "sort": "pid", "created_from": "2020-01-01"}
        page = ann.get("/", params=form)
        found = listed(page)
        assert len(found) == 50
        rest = listed(ann.get(link(page, "More")))
        assert (len(rest), found + rest) == (30, sorted(found + rest))
        fewer = ann.get(link(page, "×"))
        assert len(listed(fewer)) == 50
        assert listed(ann.get("/", params={"min_size": "1 KB", "max_size": "2KiB", "sort": "-size"})) == [
            f"IFCB101_D20240101T{number:06d}" for number in (20, 10)
        ]
        assert len(listed(ann.get("/", params={"min.depth": "10", "max.depth": "19.5"}))) == 10
        assert listed(ann.get("/", params={"is.depth": "7", "where": "$.depth == 7"})) == ["IFCB101_D20240101T000007"]


def test_a_tag_with_a_comma_or_quotes_is_one_tag(server: Server) -> None:
    with visitor(server) as nobody, server.client() as admin:
        pid = "comma"
        made = admin.post("/media", json={"pid": pid, "tags": ["x, y", 'z"z'], "access": "public"})
        assert made.status_code == 201
        page = nobody.get("/", params={"q": pid})
        for tag in ("x, y", "z&#34;z"):
            narrowed = nobody.get(link(page, tag))
            assert listed(narrowed) == [pid]
            assert listed(nobody.get(link(narrowed, "×"))) == [pid]
        admin.delete(f"/media/{pid}")


def test_visitors_find_what_is_public_and_nothing_else(server: Server) -> None:
    with visitor(server) as nobody:
        page = nobody.get("/")
        assert listed(page) == [f"IFCB101_D20240101T{number:06d}" for number in (2, 1, 0)]
        assert "checkbox" not in page.text.partition("<tbody")[2]
        assert listed(nobody.get("/", params={"q": "IFCB101_D20240101T000042"})) == []
        assert len(listed(nobody.get("/", params={"q": "CRUISE:AR1"}))) == 1
        assert listed(nobody.get("/", params={"q": "NOSUCH:AR1"})) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"where": "$.depth >"}, "Where: syntax error"),
        ({"min_size": "much"}, "is no size"),
        ({"created_to": "9999-12-31"}, "is no date"),
        ({"created_from": "0001-01-01"}, "has to lie between"),
        ({"status": "gone"}, "status"),
        ({"is.nosuch": "1"}, "There is no declared field"),
        ({"sort": "colour"}, "There is no &#39;colour&#39; to sort by"),
        ({"q": "?!", "as": "words"}, "There is no word"),
        ({"q": "no type", "as": "identifier"}, "is no TYPE:VALUE"),
        ({"tag": 'an "open quote, "b'}, "is no list"),
        ({"cursor": "made-up"}, "cursor"),
        ({"q": "x\x00y"}, None),
        ({"q": "a*" * 9}, "more than 8"),
        ({"q": "a" * 5000}, "q"),
    ],
)
def test_a_search_that_can_not_be_read_is_told_on_the_page(server: Server, given: dict[str, str], sentence: str | None) -> None:
    with visitor(server, "ann") as ann:
        page = ann.get("/", params=given)
        assert page.status_code in {200, 422}
        assert 'id="q"' in page.text, "the box is still there"
        if sentence is not None:
            assert page.status_code == 422
            assert sentence in page.text.partition('class="trouble" role="alert"')[2]


async def test_a_search_that_takes_too_long_is_told_on_the_page_with_what_to_narrow(database_url: str) -> None:
    with running_server(database_url, {"MEDIASTORE_SEARCH_TIMEOUT_S": "0.3"}) as impatient:
        connection = await asyncpg.connect(database_url)
        async with connection.transaction():
            await connection.execute("LOCK TABLE media IN ACCESS EXCLUSIVE MODE")
            page = await asyncio.to_thread(httpx.get, f"{impatient.url}/?q=*x*&where=$.a>1", timeout=60)
        await connection.close()
        assert page.status_code == 422
        assert "This search takes too long" in page.text
        assert "took longer than 0.3 s" in page.text
        assert link(page, "Search without filters") == "/?q=%2Ax%2A"
        again = await asyncio.to_thread(httpx.get, f"{impatient.url}/?q=*x*", timeout=60)
        assert again.status_code == 200


def test_names_and_tags_that_are_html_are_shown_as_text(server: Server) -> None:
    with visitor(server, "ann") as ann:
        page = ann.get("/", params={"q": "hostile", "tag": HOSTILE})
        assert listed(page) == ["hostile"]
        assert HOSTILE not in page.text
        assert "<img" not in page.text
        assert "\u202e" not in re.sub(r'"[^"]*"', "", page.text), "what turns letters round is a mark, but for addresses"


@needs_chromium
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_find_looks_right(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        await visit.log_in()
        await expect(visit.page.locator("#count")).to_have_text("124 records")
        await expect(visit.page.locator("#facets")).to_contain_text("plankton")
        await visit.looks_right("find")
        await visit.go("/?q=IFCB101_*&tag=raw&max_size=3+KiB&sort=-size")
        await expect(visit.page.locator("#facets")).to_contain_text("plankton")
        await visit.page.get_by_text("Filters", exact=True).click()
        await visit.looks_right("find-narrowed")
        await visit.go("/?q=zooplankt")
        await visit.looks_right("find-nothing")
        visit.is_clean()


@needs_chromium
async def test_more_is_appended_and_there_again_on_the_way_back(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann")
        await visit.go("/?q=IFCB101_*&sort=pid")
        await expect(page.locator("#count")).to_have_text("120 records")
        await page.get_by_role("link", name="More").click()
        await expect(page.locator("#rows tr")).to_have_count(100)
        await expect(page.locator("#rows tr a.pid").nth(50)).to_be_focused()
        await page.get_by_role("link", name="More").click()
        await expect(page.locator("#rows tr")).to_have_count(120)
        await expect(page.get_by_role("link", name="More")).to_be_hidden()
        await page.get_by_role("link", name="Created").click()
        await expect(page.locator("th[aria-sort]")).to_have_text("Created")
        await expect(page.locator("#rows tr")).to_have_count(50)
        await page.go_back()
        await expect(page.locator("#rows tr")).to_have_count(120)
        visit.is_clean()


@needs_chromium
async def test_a_session_that_ended_is_begun_again_where_it_was(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann")
        await visit.go("/?q=IFCB101_*&sort=pid")
        await expect(page.locator("#facets")).to_contain_text("plankton")
        await page.context.clear_cookies()
        await page.get_by_role("link", name="More").click()
        await page.locator("#again").get_by_label("Password").fill(PASSWORD)
        await page.locator("#again").get_by_role("button", name="Log in").click()
        await expect(page.locator("#rows tr")).to_have_count(100)


@needs_chromium
async def test_facets_narrow_and_chips_widen_again(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("ann")
        await visit.go("/?q=IFCB101_*")
        facets = page.locator("#facets")
        await facets.get_by_role("link", name="checked 40").click()
        await expect(page.locator("#count")).to_have_text("40 records")
        assert page.url.endswith("tag=checked")
        await facets.get_by_role("link", name="text/csv").click()
        await expect(page.locator("#count")).to_have_text("2 records")
        await page.get_by_role("link", name="Remove: tag checked").click()
        await expect(page.locator("#count")).to_have_text("6 records")
        await page.locator("#facets").get_by_role("link", name="text/csv").click()
        await expect(page.locator("#count")).to_have_text("120 records")
        await page.get_by_label("A PID, an identifier or words").fill("hostile")
        await page.get_by_label("A PID, an identifier or words").press("Enter")
        await expect(page.locator("#facets")).to_have_count(1)
        visit.is_clean()


@needs_chromium
async def test_readers_and_visitors_select_nothing(server: Server) -> None:
    async with visiting(server) as visit:
        await visit.log_in("rea")
        await expect(visit.page.locator("#rows tr")).to_have_count(50)
        await expect(visit.page.get_by_role("checkbox")).to_have_count(0)
        visit.is_clean()
