"""The page as HTTP has it: nothing runs in it but its own module, and it is in the wheel."""

import re

import httpx
import pytest

from mediastore.dialects.staging.page import PAGES, told_size, told_time
from mediastore.settings import Settings
from tests.database import DatabaseServer
from tests.dialects.staging.conftest import SETTINGS
from tests.dialects.staging.staging import add_staging_store, send
from tests.server import Server, running_server


@pytest.mark.parametrize("path", ["/staging", "/staging/", "/staging/?from=mail&token=x"])
def test_the_page_runs_its_own_module_alone(server: Server, path: str) -> None:
    first, second = httpx.get(f"{server.url}{path}"), httpx.get(f"{server.url}{path}")
    assert first.status_code == 200, first.text
    assert first.headers["content-type"].startswith("text/html")
    policy = first.headers["content-security-policy"]
    assert policy != second.headers["content-security-policy"], "a nonce counts once"
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "default-src 'none'" in policy
    assert first.headers["cache-control"] == "no-store"
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy)
    assert nonce is not None
    assert first.text.count("<script") == first.text.count(f'<script type="module" nonce="{nonce[1]}"') == 1
    assert not re.search(r"\son\w+=|style=|javascript:|//", first.text)
    assert "set-cookie" not in first.headers
    for name, kind in (("staging.css", "text/css"), ("staging.js", "text/javascript")):
        assert f'"/staging/pages/{name}"' in first.text
        part = httpx.get(f"{server.url}/staging/pages/{name}")
        assert (part.status_code, part.headers["x-content-type-options"]) == (200, "nosniff")
        assert part.headers["content-type"].startswith(kind)
        assert part.content == (PAGES / name).read_bytes()


@pytest.mark.parametrize("prefix", ["/", "/data/in"])
def test_page_and_calls_can_lie_elsewhere(database_server: DatabaseServer, template_database: str, prefix: str) -> None:
    settings = {**SETTINGS, "MEDIASTORE_STAGING_PREFIX": prefix}
    with database_server.database(template=template_database) as url, running_server(url, settings) as server:
        base = f"{server.url}{prefix.rstrip('/')}"
        with server.client() as native:
            add_staging_store(native)
        page = httpx.get(f"{base}/")
        assert page.status_code == 200
        [module] = re.findall(r'src="([^"]+)"', page.text)
        assert httpx.get(f"{server.url}{module}").status_code == 200
        with httpx.Client(base_url=base, params={"token": server.token()}) as admin:
            report = send(admin, "a", b"x")
            assert report["data_url"] == f"{base}/upload/{report['id']}/data"
            assert admin.get(report["data_url"]).status_code == 302
        assert httpx.get(f"{server.url}/health/live").status_code == 200


def test_the_page_puts_no_text_into_its_document_as_html() -> None:
    module = (PAGES / "staging.js").read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|localStorage|cookie\s*=", module
    )
    assert not re.search(r"https?://", module)


def test_sizes_and_times_read_well() -> None:
    assert (told_size(Settings().max_upload_bytes), told_size(512), told_size(1536)) == ("5 TiB", "512 bytes", "1.5 KiB")
    assert (told_time(2_592_000), told_time(86_400), told_time(600), told_time(60)) == (
        "30 days",
        "1 day",
        "10 minutes",
        "1 minute",
    )
