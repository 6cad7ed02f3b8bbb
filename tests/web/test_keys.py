"""The page of one's own API keys and password."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.async_api import expect

from tests.server import PASSWORD, Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

pytestmark = needs_chromium


@pytest.fixture(scope="module", autouse=True)
def crew(server: Server) -> None:
    with server.client() as admin:
        for name in ("ann", "bob", "cleo", "dora"):
            add_user(admin, name, groups=("plankton", "crew-77"))
    with server.client("ann") as ann:
        ann.post("/auth/keys", json={"name": "notebook <b>on</b> the ship", "scopes": ["read"]})
        soon = (datetime.now(UTC) + timedelta(days=90)).isoformat()
        ann.post("/auth/keys", json={"name": "pipeline/" * 20, "scopes": ["read", "write"], "expires_at": soon})


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_keys_are_shown_in_any_light(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.log_in("ann", then="/keys")
        await expect(page.get_by_text("notebook <b>on</b> the ship")).to_be_visible()
        await visit.looks_right("keys")
        await page.get_by_role("button", name="Make a key").click()
        await page.get_by_label("It ends").select_option("day")
        await visit.looks_right("keys-create")
        visit.is_clean()


async def test_a_key_is_made_shown_once_used_and_revoked(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await visit.log_in("bob", then="/keys")
        await expect(page.get_by_text("You have no API keys.")).to_be_visible()
        await page.get_by_role("button", name="Make a key").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("What for").fill("laptop")
        await dialog.get_by_label("read").uncheck()
        await dialog.get_by_role("button", name="Make the key").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("may do nothing")
        await dialog.get_by_label("read").check()
        await dialog.get_by_label("write").check()
        await dialog.get_by_role("button", name="Make the key").click()
        await expect(dialog.get_by_role("heading", name="Your key “laptop”")).to_be_visible()
        await visit.looks_right("keys-made")
        await dialog.get_by_role("button", name="Copy The key").click()
        await expect(visit.news).to_have_text("Copied.")
        key = await page.evaluate("navigator.clipboard.readText()")
        await expect(dialog.get_by_text("export MEDIASTORE_API_KEY=")).to_contain_text(f"MEDIASTORE_API_KEY={key}")
        await dialog.get_by_role("button", name="I have kept it").click()
        await expect(page.get_by_text(key)).to_have_count(0)
        assert me(server, key).json()["scopes"] == ["read", "write"]
        with server.client("bob") as bob:
            (made,) = bob.get("/auth/keys").json()["items"]
        ends = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
        assert timedelta(days=89) < ends < timedelta(days=91)
        await page.get_by_role("button", name="Revoke laptop").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(page.get_by_text("You have no API keys.")).to_be_visible()
        assert me(server, key).status_code == 401
        visit.is_clean()


async def test_an_own_password_is_changed_with_the_present_one_and_the_session_goes_on(server: Server) -> None:
    async with visiting(server) as visit:
        page = visit.page
        await visit.log_in("cleo", then="/keys")
        await page.get_by_label("Your present password").fill("not it at all")
        await page.get_by_label("A new one").fill("a new password")
        await page.get_by_label("The new one again").fill("a new passwort")
        await page.get_by_role("button", name="Change password").click()
        await expect(visit.trouble).to_have_text("The new password was not written the same twice.")
        await page.get_by_label("The new one again").fill("a new password")
        await page.get_by_role("button", name="Change password").click()
        await expect(visit.trouble).to_have_text("The present password (current_password) is not right.")
        await page.get_by_label("Your present password").fill(PASSWORD)
        await page.get_by_role("button", name="Change password").click()
        await expect(visit.news).to_have_text("Your password is changed.")
        await page.get_by_role("button", name="Make a key").click()
        await page.get_by_role("dialog").get_by_label("What for").fill("after it")
        await page.get_by_role("dialog").get_by_role("button", name="Make the key").click()
        await page.get_by_role("button", name="I have kept it").click()
        await expect(page.get_by_role("button", name="Revoke after it")).to_be_visible()
        assert server.token("cleo", "a new password")


async def test_a_log_in_by_key_is_told_why_it_makes_no_keys(server: Server) -> None:
    with server.client("dora") as dora:
        key = dora.post("/auth/keys", json={"name": "k", "scopes": ["read", "write"]}).json()["key"]
    async with visiting(server) as visit:
        page = visit.page
        await visit.go("/login?next=/keys")
        await page.get_by_text("With an API key or a token").click()
        await page.get_by_label("API key or token").fill(key)
        await page.get_by_role("button", name="Log in with it").click()
        await page.wait_for_url("**/keys")  # loaded, scripts and all
        await page.get_by_role("button", name="Make a key").click()
        await page.get_by_role("dialog").get_by_label("What for").fill("another")
        await page.get_by_role("dialog").get_by_role("button", name="Make the key").click()
        await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("log in instead")
        await expect(page.get_by_role("dialog").get_by_label("What for")).to_have_value("another")


def test_keys_are_for_who_is_logged_in(server: Server) -> None:
    assert httpx.get(f"{server.url}/keys", headers={"Accept": "text/html"}).status_code == 401


def me(server: Server, key: str) -> httpx.Response:
    return httpx.get(f"{server.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {key}"})
