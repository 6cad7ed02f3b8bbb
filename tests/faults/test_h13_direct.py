"""H13: direct uploads racing for an end, a name and a quota: one wins, and sums equal a recount."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.faults.conftest import Sites
from tests.faults.direct import Caught, Direct, direct_site, reads
from tests.faults.harness import MIB, content, eventually, name
from tests.transfers.sending import send

SIZE = 5 * MIB + 1
RIGHT = content(SIZE, "right")
STORES = ("local", "bucket")
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def direct(sites: Sites, ministack: S3Access) -> Iterator[Direct]:
    environment = {"MEDIASTORE_QUARANTINE_S": "0", "MEDIASTORE_QUERY_TIMEOUT_S": "1"}
    with direct_site(sites, ministack, proxied=True, environment=environment) as made:
        yield made


def at_once(direct: Direct, *calls: Callable[[httpx.Client], httpx.Response]) -> list[httpx.Response]:
    """The answers of clients that begin at the same moment, each on a connection that is open already."""
    barrier = threading.Barrier(len(calls))

    def one(call: Callable[[httpx.Client], httpx.Response]) -> httpx.Response:
        with httpx.Client(base_url=direct.admin.base_url, headers=direct.admin.headers, timeout=60) as client:
            client.get(f"{direct.site.server.url}/health/live")
            barrier.wait(30)
            return call(client)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


@pytest.mark.parametrize("store", ["local", "bucket"])
def test_h13_complete_and_cancel_at_once_agree_on_one_end(direct: Direct, store: str) -> None:
    ends = set()
    for attempt in range(6):
        pid, method = name(), ("multipart", "put", "post")[attempt % 3]
        parts = {"part_size": 5 * MIB} if method == "multipart" else {}
        upload = direct.begin(pid=pid, store=store, size=SIZE, method=method, **parts)
        send(upload, RIGHT)
        path = f"/uploads/{upload['id']}"

        def cancel(client: httpx.Client, path: str = path, after_s: float = attempt * 0.02) -> httpx.Response:
            threading.Event().wait(after_s)
            return client.delete(path)

        completed, cancelled = at_once(direct, lambda client, path=path: client.post(f"{path}/complete"), cancel)
        ends.add((completed.status_code, cancelled.status_code))
        if cancelled.status_code == 204:
            assert (completed.status_code, completed.json()["code"]) in {(409, "upload_ended"), (409, "upload_interrupted")}
            assert direct.admin.get(f"/media/{pid}").status_code == 404
        else:
            assert (completed.status_code, cancelled.status_code) == (200, 409), (completed.text, cancelled.text)
            assert direct.admin.get(f"/content/{pid}").content == RIGHT
        assert direct.status(upload)["status"] == ("failed" if cancelled.status_code == 204 else "completed")
    direct.settled(later=True)


def test_h13_what_is_cancelled_while_it_is_completed_is_no_fault_of_the_store(direct: Direct) -> None:
    """It is being read back when its bytes go."""
    upload = direct.begin(pid=name(), store="bucket", size=1000, method="put")
    send(upload, RIGHT)
    caught = Caught(direct, reads, answered=False)
    path = f"/uploads/{upload['id']}"
    with ThreadPoolExecutor(1) as pool:
        completed = pool.submit(httpx.post, f"{direct.admin.base_url}{path}/complete?token={upload['token']}", timeout=60)
        caught.wait()
        assert direct.admin.delete(path).status_code == 204
        eventually(lambda: direct.purged_once(upload), what="purged at once")
        caught.let_go(drop=False)
        answer = completed.result()
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_ended"), answer.text
    direct.settled()


def test_h13_a_cancellation_that_could_not_be_written_down_is_not_claimed(direct: Direct) -> None:
    upload = direct.begin(pid=name(), store="bucket", size=3)
    with direct.site.locked(upload["pid"]):
        answer = direct.admin.delete(f"/uploads/{upload['id']}")
        assert answer.status_code == 503, answer.text
    paths = direct.admin.get(f"{direct.site.server.url}/schema/openapi.json").json()["paths"]
    assert "503" in paths["/api/v1/uploads/{id}"]["delete"]["responses"]
    assert direct.status(upload)["status"] == "open"
    assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    direct.settled(later=True)


def test_h13_two_begins_of_one_name_share_the_record(direct: Direct) -> None:
    for _ in range(2):
        pid = name()
        asked = {"pid": pid, "store": "bucket", "size": 3}
        answers = at_once(direct, *[lambda client, asked=asked: client.post("/uploads", json=asked) for _ in range(4)])
        assert [answer.status_code for answer in answers] == [201] * 4, [answer.text for answer in answers]
        uploads = [answer.json() for answer in answers]
        assert len({upload["id"] for upload in uploads}) == 4
        made = [upload for upload in uploads if direct.row(upload)["created_record"]]
        assert len(made) == 1
        assert direct.admin.delete(f"/uploads/{made[0]['id']}").status_code == 204
        assert direct.admin.get(f"/media/{pid}").status_code == 200, "others still send to it"
        rest = [upload for upload in uploads if upload is not made[0]]
        for number, upload in enumerate(rest):
            send(upload, b"%d--" % number)
        done = at_once(
            direct, *[lambda client, upload=upload: client.post(f"/uploads/{upload['id']}/complete") for upload in rest]
        )
        assert sorted(answer.json()["version"] for answer in done) == [1, 2, 3]
        assert len(direct.site.rows("SELECT FROM media WHERE pid = $1", pid)) == 1
    direct.settled(later=True)


def test_h13_promises_at_once_do_not_overrun_a_quota(direct: Direct) -> None:
    quota = {"bytes": 1000}
    used = direct.admin.get("/stores/scratch/usage").json()["used"]["bytes"]
    assert used == 0
    assert direct.admin.patch("/stores/scratch", json={"quota": quota}).status_code == 200
    calls = [lambda client: client.post("/uploads", json={"pid": name(), "store": "scratch", "size": 600}) for _ in range(20)]
    answers = at_once(direct, *calls)
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [201] + [413] * 19, codes
    [won] = [answer.json() for answer in answers if answer.status_code == 201]
    assert direct.admin.get("/stores/scratch/usage").json()["reserved"] == {"bytes": 600, "objects": 1}
    assert direct.admin.delete(f"/uploads/{won['id']}").status_code == 204
    assert direct.admin.get("/stores/scratch/usage").json()["reserved"] == {"bytes": 0, "objects": 0}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 413} == {"quota_exceeded"}
    assert direct.admin.patch("/stores/scratch", json={"quota": {}}).status_code == 200
    direct.settled()


RESERVED = "SELECT coalesce(sum(reserved), 0)::bigint FROM upload WHERE state IN ('open', 'verifying')"


@pytest.mark.parametrize("seed", SEEDS)
def test_h13_sums_equal_a_recount_after_anything(direct: Direct, seed: int) -> None:
    """Clients of one store that begin, send, complete, cancel, delete and let go at random, at once."""
    for store in STORES:
        assert direct.admin.patch(f"/stores/{store}", json={"quota": {"bytes": 4 * 10**9, "objects": 10**6}}).status_code == 200
    pids = [name() for _ in range(4)]

    def client_of(number: int) -> None:
        dice = random.Random(f"{seed} {number}")
        begun: list[Any] = []
        with httpx.Client(base_url=direct.admin.base_url, headers=direct.admin.headers, timeout=60) as client:
            for _ in range(14):
                step = dice.choice(("begin", "begin", "send", "send", "complete", "complete", "cancel", "delete"))
                if step == "begin" or not begun:
                    size = dice.randrange(2000)
                    asked = {"pid": dice.choice(pids), "store": dice.choice(STORES), "size": size}
                    answer = client.post("/uploads", json={**asked, "method": dice.choice(("put", "post", "multipart"))})
                    if answer.status_code == 201:
                        begun.append(answer.json())
                    assert answer.status_code in {201, 409, 410}, answer.text
                    continue
                upload = dice.choice(begun)
                if step == "send":
                    send(upload, content(upload["size"], dice.random()))
                    continue
                path = f"/uploads/{upload['id']}"
                if step == "complete":
                    answer = client.post(f"{path}/complete")
                elif step == "cancel":
                    answer = client.delete(path)
                else:
                    answer = client.delete(f"/media/{upload['pid']}") if dice.random() < 0.2 else client.get(path)
                assert answer.status_code < 500, answer.text

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(client_of, range(6)))
    # A job may end a verification between the two looks; what is compared was said while nothing changed.
    told, before = 0, None
    while before != (reserved := direct.site.value(RESERVED)):
        before = reserved
        told = sum(direct.admin.get(f"/stores/{store}/usage").json()["reserved"]["bytes"] for store in STORES)
    assert told == reserved
    direct.consistent()
    for upload in direct.admin.get("/uploads?limit=1000").json()["items"]:
        if upload["status"] in {"open", "verifying"}:
            assert direct.admin.delete(f"/uploads/{upload['id']}").status_code == 204
    for store in STORES:
        usage = direct.admin.get(f"/stores/{store}/usage").json()
        assert usage["reserved"] == {"bytes": 0, "objects": 0}
        assert usage["used"] == recount(direct, store)
    direct.settled(later=True)


def recount(direct: Direct, store: str) -> dict[str, int]:
    [row] = direct.site.rows(
        "SELECT coalesce(sum(o.size), 0)::bigint AS bytes, count(*) AS objects "
        "FROM stored_object o JOIN store s ON s.id = o.store WHERE s.name = $1 AND o.state = 'stored'",
        store,
    )
    return dict(row)
