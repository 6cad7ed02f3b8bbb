"""What uploads tell of themselves: digests that were asked for, and whether the newest is under way or how it ended."""

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from mediastore.transfers.declared import Declared, about_record, always
from mediastore.transfers.errors import UploadCut
from tests.retention.conftest import CALLER, Scene, scene

__all__ = ["scene"]
BYTES = Declared(size=None, media_type="text/plain", filename=None, digests={}, wanted=("sha1", "sha512"))


async def whole() -> AsyncIterator[bytes]:
    yield b"bytes"


async def state(scene: Scene, pid: str) -> tuple[str, str | None]:
    record = await scene.services.catalog.read(pid, caller=CALLER)
    attempt = (await scene.services.uploads.attempts([record]))[pid]
    return attempt.state, attempt.reason


async def test_digests_that_are_wanted_are_known_whatever_the_store_asks_for(scene: Scene) -> None:
    received = await scene.services.uploads.receive(
        "wanted", whole(), declared=BYTES, about=about_record(b"{}"), precondition=always, caller=CALLER
    )
    assert received.media.content is not None
    found = str(bytes(received.media.content.checksums))  # type: ignore[arg-type]  # Raw, see Media
    assert hashlib.sha1(b"bytes").hexdigest() in found
    assert hashlib.sha512(b"bytes").hexdigest() in found


async def test_a_record_tells_of_its_newest_upload(scene: Scene) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"by"
        begun.set()
        await go_on.wait()
        raise UploadCut("the connection ended before the body did")

    under_way = asyncio.create_task(
        scene.services.uploads.receive(
            "slow", slow(), declared=BYTES, about=about_record(b"{}"), precondition=always, caller=CALLER
        )
    )
    await begun.wait()
    assert await state(scene, "slow") == ("open", None)
    go_on.set()
    with pytest.raises(UploadCut):
        await under_way
    assert await state(scene, "slow") == ("failed", "upload_cut")
    await scene.services.uploads.receive(
        "slow", whole(), declared=BYTES, about=about_record(b"{}"), precondition=always, caller=CALLER
    )
    assert await state(scene, "slow") == ("completed", None)
