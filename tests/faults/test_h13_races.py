"""Many at once: one wins where one can, and nobody's answer turns out untrue."""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from tests.faults.harness import MIB, Site, content, eventually, name

STORES = ("local", "scratch", "bucket")
WRONG = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}


def purged(site: Site, pid: str) -> bool:
    return set(site.states(pid)) == {"purged"}


def at_once(site: Site, count: int, work: Callable[[httpx.Client, int], httpx.Response]) -> list[httpx.Response]:
    """The answers of so many clients that begin at the same moment, each on a connection that is open already."""
    barrier = threading.Barrier(count)

    def one(number: int) -> httpx.Response:
        with httpx.Client(base_url=site.admin.base_url, headers=site.admin.headers, timeout=60) as client:
            client.get(f"{site.server.url}/health/live")
            barrier.wait(30)
            return work(client, number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def assert_versions(site: Site, pid: str, answers: list[httpx.Response], bodies: list[bytes]) -> None:
    """Every success is a version with the bytes that were sent, 1 to n without gaps, the highest one current."""
    won = {answer.json()["version"]: body for answer, body in zip(answers, bodies, strict=True) if answer.status_code < 300}
    successes = [answer for answer in answers if answer.status_code < 300]
    assert sorted(won) == list(range(1, len(successes) + 1))
    listed = site.admin.get(f"/versions/{pid}").json()["items"]
    assert [item["version"] for item in listed] == sorted(won, reverse=True)
    assert [item["version"] for item in listed if item["current"]] == [max(won)]
    assert site.admin.get(f"/media/{pid}").json()["version"] == max(won)
    for answer, body in zip(answers, bodies, strict=True):
        if answer.status_code < 300:
            told = answer.json()
            assert told["content"]["checksums"]["sha256"]["value"] == hashlib.sha256(body).hexdigest()
            back = site.admin.get(f"/content/{pid}?version={told['version']}")
            assert back.content == body
            assert back.headers["etag"] == answer.headers["etag"]
    assert site.admin.get(f"/content/{pid}").content == won[max(won)]
    events = site.admin.get(f"/history/{pid}?limit=1000").json()["items"]
    revisions = [event["revision"] for event in events]
    assert revisions == list(range(1, len(revisions) + 1))
    assert sum(event["action"] == "content" for event in events) == len(successes)
    assert site.admin.get(f"/media/{pid}").json()["revision"] == revisions[-1]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("size", [10, 6 * MIB])
def test_h13_two_puts_of_one_new_pid_at_once(site: Site, store: str, size: int) -> None:
    for _ in range(3):
        pid, bodies = name(), [content(size, "a"), content(size, "b")]
        answers = at_once(
            site, 2, lambda client, number, pid=pid, bodies=bodies: client.put(  # type: ignore[misc]  # mypy sees no defaults in lambdas
                f"/content/{pid}", content=bodies[number], params={"store": store}
            )
        )  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [200, 201]
        assert_versions(site, pid, answers, bodies)
    site.settle()


@pytest.mark.parametrize("store", STORES)
def test_h13_twenty_puts_to_one_record_at_once(site: Site, store: str) -> None:
    pid = name()
    site.admin.post("/media", json={"pid": pid, "store": store})
    bodies = [content(100_000, f"{number}") for number in range(20)]
    answers = at_once(site, 20, lambda client, number: client.put(f"/content/{pid}", content=bodies[number]))
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers if answer.status_code != 200]
    assert_versions(site, pid, answers, bodies)
    site.settle()


def test_h13_good_and_bad_uploads_of_one_new_pid_at_once(site: Site) -> None:
    """A refused one takes back the record that it made, but never from under another's bytes."""
    for _ in range(5):
        pid, bodies = name(), [content(50_000, f"{number}") for number in range(8)]

        def put(client: httpx.Client, number: int, pid: str = pid, bodies: list[bytes] = bodies) -> httpx.Response:
            return client.put(f"/content/{pid}", content=bodies[number], headers=WRONG if number % 2 else {})

        answers = at_once(site, 8, put)
        assert [answer.status_code for answer in answers[1::2]] == [422] * 4
        assert {answer.status_code for answer in answers[::2]} <= {200, 201}, [answer.text for answer in answers[::2]]
        versions = sorted(answer.json()["version"] for answer in answers[::2])
        assert versions == [1, 2, 3, 4]
        assert site.admin.get(f"/media/{pid}").json()["status"] == "ready"
    site.settle()


def test_h13_twenty_creates_of_one_pid_make_one(site: Site) -> None:
    pid = name()
    answers = at_once(site, 20, lambda client, number: client.post("/media", json={"pid": pid, "tags": [f"t{number}"]}))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"pid_taken"}
    won = next(answer for answer in answers if answer.status_code == 201)
    assert site.admin.get(f"/media/{pid}").json() == won.json()
    assert len(site.admin.get(f"/history/{pid}").json()["items"]) == 1


def test_h13_creates_by_post_put_form_and_batch_at_once_make_one(site: Site) -> None:
    for _ in range(5):
        pid = name()

        def create(client: httpx.Client, number: int, pid: str = pid) -> httpx.Response:
            match number % 4:
                case 0:
                    return client.post("/media", json={"pid": pid})
                case 1:
                    return client.put(f"/content/{pid}", content=b"put")
                case 2:
                    return client.post("/content", data={"pid": pid}, files={"file": ("a", b"form")})
                case _:
                    return client.post("/media/batch", json={"items": [{"op": "create", "pid": pid}]})

        answers = at_once(site, 8, create)
        made = sum(
            (answer.json()["items"][0]["status"] if "items" in answer.json() else answer.status_code) == 201 for answer in answers
        )
        assert made == 1, [(answer.status_code, answer.text) for answer in answers]
        assert site.admin.get(f"/media/{pid}").json()["version"] == 4
    site.settle()


def test_h13_of_two_patches_with_one_etag_one_wins(site: Site) -> None:
    for _ in range(5):
        pid = name()
        etag = site.admin.post("/media", json={"pid": pid}).headers["etag"]
        answers = at_once(
            site, 2, lambda client, number, pid=pid, etag=etag: client.patch(  # type: ignore[misc]  # mypy sees no defaults in lambdas
                f"/media/{pid}", json={"metadata": {f"k{number}": number}}, headers={"If-Match": etag}
            )
        )  # fmt: skip
        assert sorted(answer.status_code for answer in answers) == [200, 412]
        won = next(answer for answer in answers if answer.status_code == 200)
        assert site.admin.get(f"/media/{pid}").json() == won.json()


def test_h13_patches_without_an_etag_all_count(site: Site) -> None:
    pid = name()
    site.admin.post("/media", json={"pid": pid})
    answers = at_once(site, 12, lambda client, number: client.patch(f"/media/{pid}", json={"metadata": {f"k{number}": number}}))
    assert {answer.status_code for answer in answers} == {200}
    shown = site.admin.get(f"/media/{pid}").json()
    assert shown["metadata"] == {f"k{number}": number for number in range(12)}
    assert shown["revision"] == 13


def test_h13_of_many_uploads_with_one_etag_one_wins(site: Site) -> None:
    pid = name()
    etag = site.put(pid, b"old").headers["etag"]
    answers = at_once(
        site, 8, lambda client, number: client.put(f"/content/{pid}", content=b"%d" % number, headers={"If-Match": etag})
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    assert site.admin.get(f"/media/{pid}").json()["version"] == 2
    site.settle()


def test_h13_of_many_uploads_on_condition_that_there_is_none_one_wins(site: Site) -> None:
    for _ in range(5):
        pid = name()
        answers = at_once(
            site, 8, lambda client, number, pid=pid: client.put(  # type: ignore[misc]  # mypy sees no defaults in lambdas
                f"/content/{pid}", content=content(200_000, number), headers={"If-None-Match": "*"}
            )
        )  # fmt: skip
        assert sum(answer.status_code < 300 for answer in answers) == 1, [answer.status_code for answer in answers]
        assert {answer.status_code for answer in answers} <= {200, 201, 412}
        assert site.admin.get(f"/media/{pid}").json()["version"] == 1
    site.settle()


@pytest.mark.parametrize("store", STORES)
def test_h13_uploads_and_a_deletion_at_once(site: Site, store: str) -> None:
    """What comes first counts; nothing is half there, and no bytes stay."""
    for _ in range(4):
        pid = name()
        site.put(pid, b"old", params={"store": store})

        def work(client: httpx.Client, number: int, pid: str = pid) -> httpx.Response:
            if number == 3:
                return client.delete(f"/media/{pid}")
            return client.put(f"/content/{pid}", content=content(2 * MIB, number))

        answers = at_once(site, 6, work)
        assert answers[3].status_code == 204
        assert {answer.status_code for number, answer in enumerate(answers) if number != 3} <= {200, 409, 410}
        assert site.admin.get(f"/media/{pid}").status_code == 410
        eventually(partial(purged, site, pid))
    site.settle()
