"""A page of another origin uploads a file, in a real browser: to S3 and to this server, by the same few lines."""

import asyncio
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import async_playwright

from stores.config import S3Access
from tests.buckets import add_s3_store, in_bucket
from tests.database import DatabaseServer
from tests.faults.harness import eventually
from tests.http.test_docs_page import CHROMIUM, FLAGS
from tests.server import Server, running_server

MIB = 1024 * 1024
PAGE = """
<!doctype html><title>Upload</title><input type="file" id="file"><script>
async function upload(api, token, store, method) {
  const file = document.getElementById("file").files[0];
  const json = {"Authorization": `Bearer ${token}`, "Content-Type": "application/json"};
  const asked = {pid: `page/${store}/${method}`, store, method, size: file.size};
  const begun = await (await fetch(`${api}/uploads`, {method: "POST", headers: json, body: JSON.stringify(asked)})).json();
  if (method == "post") {
    const form = new FormData();
    for (const [name, value] of Object.entries(begun.fields)) form.append(name, value);
    form.append("file", file);
    if (!(await fetch(begun.url, {method: "POST", body: form})).ok) throw new Error("refused");
  } else {
    await Promise.all(begun.parts.map(async part => {
      const {"Content-Length": _, ...headers} = part.headers;  // browsers set it themselves
      const body = file.slice(part.offset, part.offset + part.size);
      const sent = await fetch(part.url, {method: "PUT", headers, body});
      if (!sent.ok || !sent.headers.get("ETag")) throw new Error(await sent.text());
    }));
  }
  const done = await fetch(`${api}/uploads/${begun.id}/complete?token=${begun.token}`, {method: "POST"});
  return [done.status, await done.json()];
}
</script>
"""

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="NOT TESTED: uploads by a browser, for want of Debian's chromium")


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text(PAGE)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as page:
        thread = threading.Thread(target=page.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{page.server_address[1]}"
        page.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str, origin: str) -> Iterator[Server]:
    settings = {"MEDIASTORE_CORS_ORIGINS": origin}
    with database_server.database(template=template_database) as url, running_server(url, settings) as running:
        yield running


async def test_a_page_uploads_to_every_store(
    server: Server, admin: httpx.Client, ministack: S3Access, origin: str, tmp_path: Path
) -> None:
    bucket = await asyncio.to_thread(add_s3_store, admin, ministack, "bucket")
    rules = [{"AllowedOrigins": [origin], "AllowedMethods": ["GET", "HEAD", "PUT", "POST"], "AllowedHeaders": ["*"]}]

    async def allow(client: Any) -> None:
        await client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rules[0] | {"ExposeHeaders": ["ETag"]}]})

    await asyncio.to_thread(in_bucket, ministack, bucket, allow)
    file = tmp_path / "cast.bin"
    file.write_bytes(os.urandom(20 * MIB))
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    token = await asyncio.to_thread(server.token)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"{origin}/index.html")
        await page.set_input_files("#file", file)
        for store in ("bucket", "local"):
            for method in ("put", "post", "multipart"):
                call = f"upload({f'{server.url}/api/v1'!r}, {token!r}, {store!r}, {method!r})"
                status, answer = await page.evaluate(call)
                assert status in {200, 202}, answer
        await browser.close()
    for store in ("bucket", "local"):
        for method in ("put", "post", "multipart"):
            await asyncio.to_thread(_await_ready, admin, f"page/{store}/{method}", sha256)


def _await_ready(admin: httpx.Client, pid: str, sha256: str) -> None:
    record = eventually(lambda: found if (found := admin.get(f"/media/{pid}").json())["status"] == "ready" else None)
    assert record["content"]["checksums"]["sha256"]["value"] == sha256
