"""Stores in the console: their list, and how they are made, switched off and deleted."""

import httpx
import pytest
from playwright.async_api import expect

from tests.server import Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

GIB = 2**30


@pytest.fixture(scope="module", autouse=True)
def scene(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        for store in (
            {"name": "archive", "kind": "filesystem", "path": "long-term/archive", "quota": {"bytes": GIB, "objects": 100}},
            {"name": "full", "kind": "filesystem", "quota": {"bytes": 1500, "objects": 10}},
        ):
            assert admin.post("/stores", json=store).status_code == 201
        assert admin.put("/content/kept", content=b"x" * 1450, params={"store": "full"}).status_code == 201
        config = {"name": "campus", "endpoint_url": "http://127.0.0.1:9", "access_key": "AKIA", "secret_key": "hidden"}
        assert admin.post("/s3-configs", json=config).status_code == 201
        gone = {"name": "cold", "kind": "s3", "bucket": "cruises", "prefix": "ar77/raw/", "s3_config": "campus"}
        assert admin.post("/stores", json=gone).status_code == 201


def test_only_administrators_see_stores_and_configs(server: Server) -> None:
    for path in ("/stores", "/s3-configs"):
        assert httpx.get(f"{server.url}{path}", headers={"Accept": "text/html"}).status_code == 401


@needs_chromium
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_the_list_tells_how_each_store_is(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in(then="/stores")
        full = page.get_by_role("row", name="full")
        await expect(full).to_contain_text("1.42 KiB of 1.46 KiB")
        await expect(full.get_by_role("meter")).to_have_count(2)
        await expect(full).to_contain_text("answers")
        await expect(page.get_by_role("row", name="cold")).not_to_contain_text("asking")
        await expect(page.get_by_role("row", name="cold").locator(".state.bad")).to_be_visible()
        await visit.looks_right("stores")
        visit.is_clean()


@needs_chromium
async def test_a_store_is_created_switched_off_and_deleted(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/stores")
        await page.get_by_text("Create a store").click()
        form = page.locator("#create-form")
        await form.locator("[name=kind]").select_option("s3")
        await expect(form.get_by_label("Folder")).to_be_hidden()
        await expect(form.get_by_label("Bucket")).to_be_visible()
        await form.locator("[name=kind]").select_option("filesystem")
        await form.get_by_label("Name", exact=True).fill("spare")
        await form.get_by_label("Folder").fill("/etc/elsewhere")
        await page.keyboard.press("Enter")
        await expect(form.get_by_role("alert")).to_contain_text("does not lie below an allowed root")
        await expect(form.get_by_label("Name", exact=True)).to_have_value("spare")
        await form.get_by_label("Folder").fill("")
        await form.get_by_text("Checksums and options").click()
        await form.get_by_label("Options of the kind").fill("{named_temporaries}")
        await page.get_by_role("button", name="Create the store").click()
        await expect(form.get_by_role("alert")).to_contain_text("What you wrote as JSON is none")
        await form.get_by_label("Options of the kind").fill('{"named_temporaries": true}')
        await page.get_by_role("button", name="Create the store").click()
        await page.wait_for_url("**/stores/spare")
        with server.client() as admin:
            made = admin.get("/stores/spare").json()
        assert (made["options"], made["checksums"]) == ({"named_temporaries": True}, ["md5", "sha256"])

        health = await visit.held_back("**/health/ready", times=1)
        await visit.go("/stores")
        await page.get_by_role("button", name="Switch the store spare off").click()
        await expect(page.get_by_role("dialog")).to_contain_text("Nothing is lost")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="Switch the store spare off")).to_be_visible()
        await page.get_by_role("button", name="Switch the store spare off").click()
        await page.get_by_role("button", name="Switch it off").click()
        await expect(page.get_by_role("row", name="spare")).to_contain_text("switched off")
        await expect(page.get_by_role("row", name="archive")).to_contain_text("answers")
        late = await health.get()
        async with page.expect_event("requestfinished", lambda request: request == late.request):
            await late.fulfill(json={"stores": {"archive": "an answer of before"}})
        await page.wait_for_timeout(300)
        for name, told in (("archive", "answers"), ("spare", "switched off")):
            assert told in await page.get_by_role("row", name=name).inner_text()
        await page.get_by_role("button", name="Switch the store spare on").click()
        await expect(visit.news).to_have_text("spare is switched on.")

        for name, told in (("full", "1 records depend on where it is"), ("spare", "")):
            await page.get_by_role("button", name=f"Delete the store {name}").click()
            await page.get_by_role("button", name="Delete it").click()
            if told:
                await expect(visit.trouble).to_contain_text(told)
            else:
                await expect(page.get_by_role("row", name=name)).to_have_count(0)
                await expect(visit.trouble).to_be_hidden()
        assert [text for text in visit.complaints if "409" not in text and "422" not in text] == []
