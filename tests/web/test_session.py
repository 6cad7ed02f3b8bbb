"""The log-in of the console: what it opens, and what no page elsewhere can do with it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.async_api import expect

from tests.server import ADMIN, PASSWORD, Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module", autouse=True)
def ann(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")


@contextmanager
def logged_in(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        answer = client.post("/login", data={"name": ADMIN[0], "password": ADMIN[1], "next": "/?q=a"}, headers=OURS)
        assert (answer.status_code, answer.headers["location"]) == (303, "/?q=a")
        yield client


def test_the_cookie_is_for_no_script_and_opens_no_api(server: Server) -> None:
    with logged_in(server) as client:
        answer = client.post("/session", headers=OURS)
        set_cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in set_cookie
        assert "SameSite=lax" in set_cookie
        assert "admin" in client.get("/").text
        assert client.get("/api/v1/auth/me").status_code == 401
        token = answer.json()["access_token"]
        assert client.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).json()["name"] == "admin"


@pytest.mark.parametrize("path", ["/login", "/logout", "/session"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
def test_h14_a_page_elsewhere_changes_nothing_and_learns_nothing(server: Server, path: str, headers: dict[str, str]) -> None:
    with logged_in(server) as client:
        answer = client.post(path, data={"name": "ann", "password": PASSWORD}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
        assert "set-cookie" not in answer.headers


def test_old_browsers_are_known_by_their_origin(server: Server) -> None:
    with logged_in(server) as client:
        assert client.post("/session", headers={"Origin": server.url}).status_code == 200


@pytest.mark.parametrize(
    "next", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil", "/\U0001f41f", ""]
)
def test_h14_a_log_in_leads_to_our_own_pages_only(server: Server, next: str) -> None:
    answer = httpx.post(f"{server.url}/login", data={"name": "ann", "password": PASSWORD, "next": next}, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_session_can_not_be_renewed_for_ever(server: Server) -> None:
    with server.client() as admin, logged_in(server) as client:
        first = client.cookies["mediastore_session"]
        assert client.post("/session", headers=OURS).status_code == 200
        assert client.cookies["mediastore_session"] != first
        add_user(admin, "cleo")
        client.post("/login", data={"name": "cleo", "password": PASSWORD}, headers=OURS)
        admin.patch("/users/cleo", json={"password": "another password"})
        answer = client.post("/session", headers=OURS)
        assert answer.status_code == 401, "an account whose password was changed is logged out everywhere"
        assert "cleo" not in client.get("/").text


def test_an_api_key_logs_in_and_ends_with_its_revocation(server: Server) -> None:
    with server.client("ann") as ann:
        key = ann.post("/auth/keys", json={"name": "browser", "scopes": ["read"]}).json()
        with httpx.Client(base_url=server.url) as client:
            assert client.post("/login", data={"key": key["key"]}, headers=OURS).status_code == 303
            assert client.post("/session", headers=OURS).status_code == 200
            ann.delete(f"/auth/keys/{key['id']}")
            assert client.post("/session", headers=OURS).status_code == 401


def test_h14_pages_let_only_our_own_scripts_work(server: Server) -> None:
    answer = httpx.get(f"{server.url}/login?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in answer.text
    policy = answer.headers["content-security-policy"]
    nonce = re.search(r"script-src 'nonce-([^']+)';", policy)
    assert nonce is not None
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.text.count(nonce[1]) == len(re.findall(r"<script|<link rel=\"stylesheet\"", answer.text))
    again = httpx.get(f"{server.url}/login").headers["content-security-policy"]
    assert again != policy, "a nonce is used once"


def test_browsers_get_pages_of_what_went_wrong_and_programs_get_problems(server: Server) -> None:
    page = httpx.get(f"{server.url}/nowhere", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (404, "text/html")
    assert "Log in" in page.text
    assert httpx.get(f"{server.url}/nowhere").json()["code"] == "path_unknown"
    assert httpx.get(f"{server.url}/api/v1/nowhere", headers={"Accept": "text/html"}).json()["code"] == "path_unknown"


def test_a_form_that_is_none_is_refused_with_what_would_be_right(server: Server) -> None:
    json = httpx.post(f"{server.url}/login", json={"name": "ann"}, headers=OURS)
    assert (json.status_code, json.json()["code"]) == (422, "body_invalid")
    large = httpx.post(f"{server.url}/login", data={"name": "x" * 70_000}, headers=OURS)
    assert (large.status_code, large.json()["code"]) == (422, "body_invalid")


@needs_chromium
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_logging_in_wrongly_then_rightly_and_out(server: Server, scheme: str, size: dict[str, int]) -> None:
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        page = visit.page
        await visit.go("/login?next=/%3Fq%3Dplankton")
        await expect(page.get_by_label("Name")).to_be_focused()
        await page.get_by_label("Name").fill("ann")
        await page.get_by_label("Password").fill(f"wrong {scheme} {size['width']}")
        await page.get_by_role("button", name="Log in", exact=True).click()
        await expect(visit.trouble).to_have_text("The user name or the password is wrong.")
        await expect(page.get_by_label("Name")).to_have_value("ann")
        await visit.looks_right("login")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Log in", exact=True).click()
        await page.wait_for_url("**/?q=plankton")
        assert await page.evaluate("document.cookie") == ""
        await page.locator(".who summary").click()
        await visit.looks_right("menu")
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("link", name="Log in")).to_be_visible()
        assert not [text for text in visit.complaints if "401" not in text]
