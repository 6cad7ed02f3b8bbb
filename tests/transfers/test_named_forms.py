"""Forms at keys that the caller made up, against a store that enforces what they say."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from mediastore.database import Connection
from mediastore.placement.errors import AllowanceExceeded
from mediastore.transfers import queries
from mediastore.transfers.declared import Declared, about_record
from mediastore.transfers.errors import DigestMismatch, UploadUnknown
from mediastore.transfers.named_forms import Offer, Then, Wanted
from mediastore.transfers.queries import UploadRow
from mediastore.transfers.requests import Site
from stores.config import S3Access
from stores.errors import KeyInvalid
from tests.retention.upkeep_scene import CALLER, Scene, add_bucket, running_scene

BODY = b"depth,temperature\n1,2\n"
OTHER = BODY[:-2] + b"9\n"
SITE = Site(api_url="http://here.example/api/v1")


@pytest.fixture
async def scene(database_url: str, tmp_path: Path, ministack: S3Access) -> AsyncIterator[Scene]:
    async with running_scene(database_url, tmp_path) as scene:
        await add_bucket(scene, ministack, f"bucket-{uuid.uuid4().hex}")
        yield scene


async def nothing_more(_: Connection, __: UploadRow) -> None:
    """Nobody looks after these."""


async def offer(
    scene: Scene,
    key: str,
    body: bytes = BODY,
    *,
    pid: str = "made/up",
    store: str = "bucket",
    access: str = "private",
    then: Then = nothing_more,
    **wanted: Any,
) -> Offer:
    about = about_record(msgspec.json.encode({"store": store, "access": access}))
    declared = Declared(size=len(body), media_type="text/csv", filename="a.csv", digests={"md5": hashlib.md5(body).hexdigest()})
    asked = Wanted(pid=pid, key=key, declared=declared, about=about, **wanted)
    return await scene.services.named_forms.offer(asked, then=then, caller=CALLER, site=SITE)


def send(made: Offer, body: bytes = BODY) -> int:
    return httpx.post(made.request.url, data=dict(made.request.fields), files={"file": ("a", body)}).status_code


async def complete(scene: Scene, made: Offer) -> None:
    async with scene.services.database.connection() as connection:
        upload = await queries.upload_by_id(connection, made.upload)
    assert upload is not None
    assert await scene.services.completion.complete(upload, parts=None, caller=CALLER) is not None


async def test_what_is_sent_stays_at_the_key_that_was_named(scene: Scene) -> None:
    made = await offer(scene, "alice/d/a.csv", acl="private")
    assert (made.request.fields["key"], made.request.fields["acl"], made.there) == ("alice/d/a.csv", "private", False)
    assert send(made, BODY + b"x") == 400
    assert send(made) == 204
    await complete(scene, made)
    assert await scene.keys("bucket") == ["alice/d/a.csv"]
    assert (await scene.status("made/up"), await scene.key_of("made/up")) == ("ready", "alice/d/a.csv")


async def test_h05_other_bytes_of_the_same_length_are_never_ready(scene: Scene) -> None:
    made = await offer(scene, "a")
    assert send(made, OTHER) in {204, 400}, "not every server compares an MD5 in a form"
    if await scene.keys("bucket"):
        with pytest.raises(DigestMismatch):
            await complete(scene, made)
        assert await scene.status("made/up") == "failed"
        assert (await offer(scene, "a")).request.fields["key"] != "a"


async def test_the_same_bytes_have_one_upload_and_one_key(scene: Scene) -> None:
    first = await offer(scene, "a")
    again = await offer(scene, "a")
    assert (again.upload, again.made, again.there) == (first.upload, False, False)
    assert send(first) == 204
    assert (await offer(scene, "a")).there
    await complete(scene, first)
    done = await offer(scene, "a")
    assert (done.upload, done.made, done.there, done.request.fields["key"]) == (first.upload, False, True, "a")
    [row] = await scene.sql("SELECT count(*) AS uploads, max(urls_until) AS until FROM upload")
    assert row["uploads"] == 1
    assert row["until"] > scene.clock()


async def test_other_bytes_and_another_access_get_a_key_of_their_own(scene: Scene) -> None:
    first = await offer(scene, "d/a.csv")
    assert send(first) == 204
    await complete(scene, first)
    for made in (await offer(scene, "d/a.csv", b"other"), await offer(scene, "d/a.csv", access="public")):
        key = made.request.fields["key"]
        assert made.made
        assert not made.there
        assert key.startswith("d/")
        assert key.endswith("/a.csv")
        assert key != "d/a.csv"


async def test_a_key_whose_upload_was_given_up_is_not_used_again(scene: Scene) -> None:
    made = await offer(scene, "a")
    await scene.services.named_forms.withdraw(made)
    assert await scene.sql("SELECT FROM media WHERE pid = 'made/up' AND status <> 'deleted'") == []
    assert (await offer(scene, "a")).request.fields["key"] != "a"


async def test_a_form_that_somebody_else_was_given_too_is_not_taken_back(scene: Scene) -> None:
    """Two requests for one file at once, of which one is refused for another file: what the other one sends is kept."""
    first = await offer(scene, "a")
    second = await offer(scene, "a")
    assert (second.upload, second.made) == (first.upload, False)
    await scene.services.named_forms.withdraw(first)
    assert send(second) == 204
    await complete(scene, second)
    assert await scene.status("made/up") == "ready"


async def test_an_offer_that_fails_takes_nothing_from_who_was_given_the_same(scene: Scene) -> None:
    others = list[Offer]()

    async def fail(_: Connection, __: UploadRow) -> None:
        raise UploadUnknown("the queue is away")

    named = scene.services.named_forms
    announced = named._announced

    async def then_another(*given: Any, **more: Any) -> UploadRow:
        upload = await announced(*given, **more)
        others.append(await offer(scene, "a"))
        return upload

    named._announced = then_another  # type: ignore[method-assign]  # a race, at its one place
    with pytest.raises(UploadUnknown):
        await offer(scene, "a", then=fail)
    assert send(others[0]) == 204
    await complete(scene, others[0])
    assert await scene.status("made/up") == "ready"


async def test_bytes_that_nobody_told_us_of_are_never_written_over(scene: Scene) -> None:
    await scene.write("theirs", store="bucket")
    made = await offer(scene, "theirs")
    assert (made.there, made.request.fields["key"] == "theirs") == (False, False)


async def test_h14_a_key_can_not_leave_the_store(scene: Scene) -> None:
    for key in ("../a", "/a", "a/../b", "a\0b", "a" * 1025, "a//b", "${filename}"):
        with pytest.raises(KeyInvalid):
            await offer(scene, key, pid=f"h14/{uuid.uuid4()}")
    assert await scene.sql("SELECT FROM upload WHERE state = 'open'") == []


async def test_h13_parallel_offers_stay_within_the_allowance(scene: Scene) -> None:
    most = 10 * len(BODY) + 5
    offers = [offer(scene, f"k{n}", pid=f"p{n}", allowance=most) for n in range(30)]
    answers = await asyncio.gather(*offers, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, AllowanceExceeded)]
    assert (len(refused), len(answers)) == (20, 30)
    assert all(not isinstance(answer, BaseException) or answer in refused for answer in answers)
    assert (await offer(scene, "public", pid="public", access="public", allowance=most)).made, "each access has its own"
    [row] = await scene.sql(
        "SELECT sum(reserved) AS reserved FROM upload u WHERE state = 'open' AND about ->> 'access' = 'private'"
    )
    assert row["reserved"] == 10 * len(BODY)
    taken = next(answer for answer in answers if isinstance(answer, Offer))
    await scene.services.named_forms.withdraw(taken)
    assert (await offer(scene, "room", pid="room", allowance=most)).made


async def test_a_store_behind_this_server_gets_a_form_of_this_server(scene: Scene) -> None:
    made = await offer(scene, "whatever", store="local", acl="private")
    assert made.request.url == f"{SITE.api_url}/uploads/{made.upload}/form"
    assert set(made.request.fields) == {"token"}
    assert (await offer(scene, "whatever", store="local")).upload == made.upload
