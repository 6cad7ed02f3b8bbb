"""The page Upload, as people use it: to a store behind the server and straight to S3, on good days and bad ones."""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.server import Server, add_user
from tests.web.visit import Visit, needs_chromium, visiting

pytestmark = needs_chromium
MIB = 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        add_user(admin, "rita", role="reader")


def file(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Uploading:
    """The page Upload in a visit."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.page = visit.page

    def row(self, name: str) -> Locator:
        return self.page.locator(f'li.upload[data-name="{name}"]')

    def button(self, name: str, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name)

    async def choose(self, *paths: Path) -> None:
        await self.page.locator("#files").set_input_files(paths)

    async def upload(self, *paths: Path, pattern: str = "", store: str = "local") -> None:
        await self.page.get_by_label("Store").select_option(store)
        if pattern:
            await self.page.get_by_label("Pattern of the PIDs").fill(pattern)
        await self.choose(*paths)
        await self.page.locator("#begin").click()

    async def stored(self, path: Path) -> None:
        """It is there, and both sides have the same checksum, which is the right one."""
        await expect(self.row(path.name)).to_contain_text("checksums equal")
        await expect(self.row(path.name)).to_contain_text(sha256(path))


@asynccontextmanager
async def at_upload(server: Server, *, allowed: tuple[str, ...] = (), **options: Any) -> AsyncIterator[Uploading]:
    async with visiting(server, allowed=allowed, **options) as visit:
        visit.page.on("dialog", lambda dialog: dialog.accept())  # leaving the page while something is under way
        await visit.log_in("ann", then="/upload")
        yield Uploading(visit)


async def test_small_files_of_every_length_arrive_with_the_checksums_that_the_page_computed(
    server: Server, tmp_path: Path
) -> None:
    paths = [file(tmp_path, f"n{size}.bin", size) for size in (0, 1, 55, 56, 63, 64, 65, 100_000)]
    async with at_upload(server) as upload:
        await upload.upload(*paths, pattern="small/{stem}")
        for path in paths:
            await upload.stored(path)
        upload.visit.is_clean()
    with server.client("ann") as ann:
        for path in paths:
            assert ann.get(f"/content/small/{path.stem}").content == path.read_bytes()
