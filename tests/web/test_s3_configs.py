"""S3 configs in the console: keys go in and never come out."""

import pytest
from playwright.async_api import expect

from tests.server import Server
from tests.web.visit import LOOKS, needs_chromium, visiting

SECRET = "a-secret-that-nobody-sees-again"


@pytest.fixture(scope="module", autouse=True)
def scene(server: Server) -> None:
    with server.client() as admin:
        config = {"name": "campus", "endpoint_url": "http://127.0.0.1:9", "access_key": "AKIA", "secret_key": SECRET}
        assert admin.post("/s3-configs", json=config).status_code == 201
        assert admin.post("/s3-configs", json={"name": "aws", "region": "eu-central-1"}).status_code == 201
        for bucket in ("cruises", "casts"):
            store = {"name": bucket, "kind": "s3", "bucket": bucket, "s3_config": "campus"}
            assert admin.post("/stores", json=store).status_code == 201


@needs_chromium
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_configs_say_whether_keys_are_set_and_who_uses_them(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in(then="/s3-configs")
        campus = page.get_by_role("region", name="campus")
        await expect(campus).to_contain_text("set")
        await expect(campus.get_by_role("link")).to_have_text(["casts", "cruises"])
        assert SECRET not in await page.content()
        await campus.get_by_text("Change", exact=True).click()
        await campus.get_by_label("are replaced").check()
        await expect(campus.get_by_label("Access key")).to_be_focused()
        await visit.looks_right("s3-configs")
        visit.is_clean()


@needs_chromium
async def test_a_config_is_created_changed_and_deleted(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in(then="/s3-configs")
        await page.get_by_text("Create an S3 config").click()
        form = page.locator("#create-form")
        await form.get_by_label("Name", exact=True).fill("lab")
        await form.get_by_label("Endpoint").fill("http://127.0.0.1:9")
        await form.get_by_label("Access key").fill("AKIA")
        await page.get_by_role("button", name="Create the S3 config").click()
        await expect(form.get_by_role("alert")).to_contain_text("Give access_key and secret_key together")
        await expect(form.get_by_label("Endpoint")).to_have_value("http://127.0.0.1:9")
        await form.get_by_label("Secret key").fill(SECRET)
        await page.get_by_role("button", name="Create the S3 config").click()
        await expect(visit.news).to_have_text("The S3 config lab is created.")

        lab = page.get_by_role("region", name="lab")
        await lab.get_by_text("Change", exact=True).click()
        await lab.get_by_label("Region").fill("us-east-1")
        await lab.get_by_role("button", name="Save").click()
        await expect(lab).to_contain_text("us-east-1")
        with server.client() as admin:
            assert admin.get("/s3-configs/lab").json()["has_keys"], "keys that were not replaced stay"
        await lab.get_by_text("Change", exact=True).click()
        await lab.get_by_label("are forgotten").check()
        await lab.get_by_role("button", name="Save").click()
        await expect(lab).to_contain_text("none")
        with server.client() as admin:
            assert not admin.get("/s3-configs/lab").json()["has_keys"]

        for name in ("campus", "lab"):
            region = page.get_by_role("region", name=name)
            await page.get_by_role("button", name=f"Delete the S3 config {name}").click()
            await page.get_by_role("button", name="Delete it").click()
            if name == "campus":
                await expect(region.get_by_role("alert")).to_contain_text("2 stores use the S3 config campus")
            else:
                await expect(region).to_have_count(0)
        assert [text for text in visit.complaints if "409" not in text and "422" not in text] == []
