"""Files that nobody announces: looked for within bounds, and looked at again once their form has ended."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from mediastore.dialects.bitstore.arrivals import ARRIVAL, LATEST_S, LOOK_AGAIN, SOONEST_S, FormArrivals
from mediastore.jobs.errors import RetryLater
from mediastore.transfers.completion import UploadJob
from mediastore.transfers.named_forms import Offer
from stores.config import S3Access
from tests.retention.upkeep_scene import Scene, add_bucket, running_scene
from tests.transfers.test_named_forms import OTHER, complete, offer, send

TTL_S, GRACE_S = 900, 3600


@pytest.fixture
async def scene(database_url: str, tmp_path: Path, ministack: S3Access) -> AsyncIterator[Scene]:
    async with running_scene(database_url, tmp_path) as scene:
        await add_bucket(scene, ministack, f"bucket-{uuid.uuid4().hex}")
        yield scene


def arrivals(scene: Scene) -> FormArrivals:
    return scene.services.dialects.form_arrivals


async def jobs(scene: Scene, name: str) -> list[bytes]:
    """The payloads of the jobs of this kind that wait."""
    return [row["payload"] for row in await scene.sql("SELECT payload FROM pgqueuer WHERE entrypoint = $1", name)]


async def expected(scene: Scene) -> tuple[Offer, bytes]:
    made = await offer(scene, "alice/a.csv", then=arrivals(scene).expect)
    [payload] = await jobs(scene, ARRIVAL)
    return made, payload


async def checked(scene: Scene) -> tuple[str | None, object]:
    [row] = await scene.sql("SELECT fixity, checked_at FROM stored_object WHERE key = 'alice/a.csv'")
    return row["fixity"], row["checked_at"]


async def test_a_file_is_looked_for_ever_less_often_and_not_for_ever(scene: Scene) -> None:
    _, payload = await expected(scene)
    delays = []
    for _ in range(4):
        with pytest.raises(RetryLater) as later:
            await arrivals(scene).arrival(payload)
        delays.append(later.value.delay_s)
        scene.clock.forward(1000)
    assert (delays[0], delays[-1]) == (SOONEST_S, LATEST_S)
    assert delays == sorted(delays)
    scene.clock.forward(TTL_S + GRACE_S)
    assert await arrivals(scene).arrival(payload) is None
    assert await scene.status("made/up") == "pending"


async def test_a_file_that_came_is_ready_and_looked_at_again(scene: Scene) -> None:
    made, payload = await expected(scene)
    assert send(made) == 204
    await arrivals(scene).arrival(payload)
    assert await scene.status("made/up") == "ready"
    before = await checked(scene)
    [again] = await jobs(scene, LOOK_AGAIN)
    with pytest.raises(RetryLater) as later:
        await arrivals(scene).look_again(again)
    assert TTL_S < later.value.delay_s <= TTL_S + GRACE_S
    scene.clock.forward(later.value.delay_s + 1)
    await arrivals(scene).look_again(again)
    assert await checked(scene) == before, "nobody sent it again, so it is not read again"
    await arrivals(scene).arrival(payload)  # a job may be asked twice


async def test_h05_bytes_that_were_sent_over_verified_ones_are_found(scene: Scene) -> None:
    made, payload = await expected(scene)
    assert send(made) == 204
    await arrivals(scene).arrival(payload)
    if send(made, OTHER) != 204:
        pytest.skip("this server compares the MD5 of a form, so nothing can be sent over")
    [again] = await jobs(scene, LOOK_AGAIN)
    scene.clock.forward(TTL_S + GRACE_S + 1)
    await arrivals(scene).look_again(again)
    assert (await checked(scene))[0] == "mismatch"


async def test_a_form_for_a_file_that_is_there_is_followed_by_a_look_too(scene: Scene) -> None:
    made, payload = await expected(scene)
    assert send(made) == 204
    await arrivals(scene).arrival(payload)
    await scene.sql("DELETE FROM pgqueuer")
    scene.clock.forward(7200)
    again = await offer(scene, "alice/a.csv", then=arrivals(scene).expect)
    assert (again.upload, again.there) == (made.upload, True)
    [job] = await jobs(scene, LOOK_AGAIN)
    assert msgspec.json.decode(job)["upload"] == str(made.upload)
    scene.clock.forward(TTL_S + GRACE_S + 1)
    before = await checked(scene)
    await arrivals(scene).look_again(job)
    assert await checked(scene) == before


async def test_what_is_not_what_was_declared_ends_the_search(scene: Scene) -> None:
    made, payload = await expected(scene)
    if send(made, OTHER) != 204:
        pytest.skip("this server compares the MD5 of a form, so nothing else can come")
    assert await arrivals(scene).arrival(payload) is None
    assert await scene.status("made/up") == "failed"


async def test_h05_who_completes_a_file_by_another_call_does_not_escape_the_second_look(scene: Scene) -> None:
    made, payload = await expected(scene)
    assert send(made) == 204
    await complete(scene, made)
    if send(made, OTHER) != 204:
        pytest.skip("this server compares the MD5 of a form, so nothing can be sent over")
    await arrivals(scene).arrival(payload)
    [again] = await jobs(scene, LOOK_AGAIN)
    scene.clock.forward(TTL_S + GRACE_S + 1)
    await arrivals(scene).look_again(again)
    assert (await checked(scene))[0] == "mismatch"


async def test_a_file_that_nobody_looked_for_in_time_is_settled_like_any_upload(scene: Scene) -> None:
    made, _ = await expected(scene)
    assert send(made) == 204
    scene.clock.forward(TTL_S + GRACE_S + 1)
    await scene.services.completion.settle(msgspec.json.encode(UploadJob(upload=made.upload)))
    assert await scene.status("made/up") == "ready"
