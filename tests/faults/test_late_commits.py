"""What goes away while its bytes are still on their way must not leave bytes behind, nor must a race lose what was said."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from tests.faults.conftest import Sites
from tests.faults.harness import MIB, Site, content, eventually, name

STORES = ("local", "bucket")


@pytest.fixture(scope="module")
def patient(sites: Sites) -> Iterator[Site]:
    """Uploads may be silent for long, and the clean-up believes for a minute that they live."""
    environment = {
        "MEDIASTORE_UPLOAD_STALE_S": "60",
        "MEDIASTORE_BODY_IDLE_TIMEOUT_S": "60",
        "MEDIASTORE_QUERY_TIMEOUT_S": "3",
    }
    with sites(environment=environment) as made:
        yield made


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("size", [3 * MIB, 12 * MIB])
def test_h12_a_record_deleted_during_an_upload_leaves_no_bytes(patient: Site, store: str, size: int) -> None:
    patient.ignore_leftovers()
    pid, data = name(), content(size)
    upload = patient.upload(pid, size, query=f"?store={store}").send(data[: size // 2])
    eventually(lambda: patient.states(pid) == ["writing"])
    assert patient.admin.delete(f"/media/{pid}").status_code == 204
    assert patient.admin.get(f"/content/{pid}").status_code == 410
    wait_for_the_cleanup(patient, pid)
    upload.send(data[size // 2 :])
    assert upload.answer().status in {404, 409, 410, 503}
    patient.settle()
    eventually(lambda: patient.states(pid) == ["purged"])


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("size", [3 * MIB, 12 * MIB])
def test_h12_an_upload_given_up_while_it_ran_leaves_no_bytes(patient: Site, store: str, size: int) -> None:
    """A server that could not show life for a while: paused, or away from the database."""
    patient.ignore_leftovers()
    pid, data = name(), content(size)
    upload = patient.upload(pid, size, query=f"?store={store}").send(data[: size // 2])
    eventually(lambda: patient.upload_states(pid) == ["open"])
    eventually(lambda: silent(patient, pid) == ["failed"])
    wait_for_the_cleanup(patient, pid)
    upload.send(data[size // 2 :])
    answer = upload.answer()
    assert answer.status in {409, 503}, answer.body
    patient.settle()
    assert patient.put(pid, data).status_code == 200


@pytest.mark.parametrize("then", ["deleted", "condition", "too slow"])
def test_h12_an_upload_given_up_while_it_ran_and_then_refused_leaves_no_bytes(patient: Site, then: str) -> None:
    """Whatever is the first thing to be wrong when the late bytes are there, they go."""
    patient.ignore_leftovers()
    pid, data = name(), content(3 * MIB)
    etag = patient.put(pid, b"old").headers["etag"]
    upload = patient.upload(pid, len(data), headers={"If-Match": etag}).send(data[: 2 * MIB])
    eventually(lambda: patient.upload_states(pid) == ["completed", "open"])
    eventually(lambda: silent(patient, pid) == ["completed", "failed"])
    eventually(lambda: patient.states(pid) == ["stored", "purged"], within_s=5)
    with ExitStack() as stack:
        if then == "deleted":
            assert patient.admin.delete(f"/media/{pid}").status_code == 204
        elif then == "condition":
            assert patient.put(pid, b"newer").status_code == 200
        else:
            stack.enter_context(patient.locked(pid))
        upload.send(data[2 * MIB :])
        answer = upload.answer()
    assert answer.status in {409, 410, 412, 503}, answer.body
    patient.settle()


def silent(site: Site, pid: str) -> list[str]:
    """States of the uploads of a record, once they seem to be silent for an hour."""
    site.rows("UPDATE upload SET last_activity = now() - interval '1 hour' WHERE state = 'open'")
    time.sleep(0.6)
    return site.upload_states(pid)


def wait_for_the_cleanup(site: Site, pid: str) -> None:
    """The object is purged while its upload runs, or the purge waits for the upload to end: both are right."""
    deadline = time.monotonic() + 6
    while site.states(pid) != ["purged"] and time.monotonic() < deadline:
        time.sleep(0.1)


def test_h13_two_patches_of_identifiers_at_once_both_count(site: Site) -> None:
    for kind in ("ONE", "TWO"):
        answer = site.admin.post("/identifier-types", json={"name": kind, "pattern": ".*"})
        assert answer.status_code in {201, 409}
    pid = name()
    site.admin.post("/media", json={"pid": pid})
    with ThreadPoolExecutor(2) as pool:
        with site.locked(pid):
            answers = [
                pool.submit(site.admin.patch, f"/media/{pid}", json={"identifiers": {kind: "x"}}) for kind in ("ONE", "TWO")
            ]
            eventually(lambda: site.waiting_for_locks() == 2)
        assert [answer.result().status_code for answer in answers] == [200, 200]
    assert site.admin.get(f"/media/{pid}").json()["identifiers"] == {"ONE": "x", "TWO": "x"}


def test_h13_of_two_first_uploads_made_on_condition_one_wins(site: Site) -> None:
    pid = name()
    site.admin.post("/media", json={"pid": pid})
    with ThreadPoolExecutor(2) as pool:
        uploads = [site.upload(pid, 4, headers={"If-None-Match": "*"}) for _ in range(2)]
        eventually(lambda: site.upload_states(pid) == ["open", "open"])
        with site.locked(pid):
            for number, upload in enumerate(uploads):
                upload.send(b"%04d" % number)
            eventually(lambda: site.waiting_for_locks() == 2)
        answers = list(pool.map(lambda upload: upload.answer(), uploads))
    assert sorted(answer.status for answer in answers) == [200, 412]
    assert site.admin.get(f"/media/{pid}").json()["version"] == 1
    site.settle()


def test_h13_a_change_that_waited_for_a_move_to_another_store_still_counts(site: Site) -> None:
    pid = name()
    site.admin.post("/media", json={"pid": pid})
    with ThreadPoolExecutor(1) as pool:
        with site.locked(pid, change="store = (SELECT id FROM store WHERE name = 'bucket')"):
            answer = pool.submit(lambda: site.admin.patch(f"/media/{pid}", json={"tags": ["x"]}))
            eventually(lambda: site.waiting_for_locks() == 1)
        changed = answer.result()
    assert changed.status_code == 200, changed.text
    assert changed.json()["store"] == "bucket"


def test_h13_an_upload_that_waited_for_a_move_to_another_store_still_counts(site: Site) -> None:
    pid = name()
    site.admin.post("/media", json={"pid": pid})
    upload = site.upload(pid, 4)
    eventually(lambda: site.upload_states(pid) == ["open"])
    with site.locked(pid, change="store = (SELECT id FROM store WHERE name = 'bucket')"):
        upload.send(b"late")
        eventually(lambda: site.waiting_for_locks() == 1)
    answer = upload.answer()
    assert answer.status == 200, answer.body


def test_a_change_of_nothing_that_waited_still_shows_the_content(site: Site) -> None:
    pid = name()
    site.admin.post("/media", json={"pid": pid})
    upload = site.upload(pid, 4)
    eventually(lambda: site.upload_states(pid) == ["open"])
    with ThreadPoolExecutor(1) as pool:
        with site.locked(pid):
            upload.send(b"late")
            eventually(lambda: site.waiting_for_locks() == 1)
            unchanged = pool.submit(lambda: site.admin.patch(f"/media/{pid}", json={}))
            eventually(lambda: site.waiting_for_locks() == 2)
        assert upload.answer().status == 200
        shown = unchanged.result().json()
    assert shown["status"] == "ready"
    assert shown["content"] is not None


@pytest.mark.parametrize(("pool_size", "clients"), [(2, 8), (10, 40)])
def test_h16_many_uploads_at_once_do_not_starve_each_other_of_connections(sites: Sites, pool_size: int, clients: int) -> None:
    """What a transaction asks the database for, it has to ask on its own connection."""
    with sites(s3=False, environment={"MEDIASTORE_DATABASE_POOL_SIZE": str(pool_size)}) as site:
        assert site.put(name(), b"warm").status_code == 201
        refused = []
        for _ in range(3):
            time.sleep(1.2)  # what the server remembers of types and stores is older than it trusts
            barrier = threading.Barrier(clients)

            def put(_: int, barrier: threading.Barrier = barrier) -> httpx.Response:
                with httpx.Client(base_url=site.admin.base_url, headers=site.admin.headers, timeout=60) as client:
                    client.get(f"{site.server.url}/health/live")
                    barrier.wait(30)
                    return client.put(f"/content/{name()}", content=b"x")

            with ThreadPoolExecutor(clients) as pool:
                refused += [answer.text for answer in pool.map(put, range(clients)) if answer.status_code != 201]
        assert refused == []
