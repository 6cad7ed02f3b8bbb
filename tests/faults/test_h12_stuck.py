"""Nothing stays in a state that is not final: killed at any point, the server tidies up by itself after its restart."""

import json
import uuid

import httpx
import pytest

from tests.faults.conftest import Sites
from tests.faults.harness import MIB, Site, content, eventually, name

DURABLE = ("local", "bucket")


def final(site: Site) -> None:
    eventually(lambda: not site.unfinished(), what="everything is in a final state")
    site.settle()


def consistent(site: Site) -> None:
    """Law 1 and 3, asked of the rows."""
    wrong = site.rows(
        """
        SELECT m.pid FROM media m LEFT JOIN stored_object o ON o.id = m.current_object
        WHERE m.status = 'ready' AND (o.state IS DISTINCT FROM 'stored' OR o.version <> m.version)
           OR m.status <> 'ready' AND m.status <> 'lost' AND m.current_object IS NOT NULL
        """
    )
    assert wrong == []
    assert (
        site.rows(
            "SELECT media, version FROM stored_object WHERE media IS NOT NULL AND version IS NOT NULL "
            "GROUP BY media, version HAVING count(*) > 1"
        )
        == []
    )


@pytest.mark.parametrize("store", DURABLE)
def test_h12_killed_between_the_bytes_and_their_record(sites: Sites, store: str) -> None:
    """The whole object lies at its key, and nobody has said so yet."""
    with sites() as site:
        old, new = name("old"), name("new")
        site.put(old, b"old bytes", params={"store": store})
        site.admin.post("/media", json={"pid": new, "store": store})
        uploads = [site.upload(pid, 6 * MIB, query=f"?store={store}") for pid in (old, new)]
        eventually(lambda: site.upload_states(old)[-1:] + site.upload_states(new) == ["open", "open"])
        with site.locked(old), site.locked(new):
            for upload in uploads:
                upload.send(content(6 * MIB))
            eventually(lambda: site.waiting_for_locks() == 2)
            assert len(site.unknown()) == 2
            site.server.kill()
        for upload in uploads:
            upload.socket.close()
        site.server.start()
        final(site)
        consistent(site)
        assert site.admin.get(f"/content/{old}").content == b"old bytes"
        assert site.admin.get(f"/media/{new}").json()["status"] == "pending"
        assert site.upload_states(new) == ["failed"]
        assert site.put(new, b"again").json()["version"] == 1


def test_h12_killed_while_purging_is_begun_again(sites: Sites) -> None:
    """The purger has taken the object, and the store does not answer."""
    with sites(proxied=True) as site:
        assert site.proxy is not None
        pid, other = name(), name()
        for each in (pid, other):
            site.put(each, content(6 * MIB), params={"store": "bucket"})
        site.proxy.set("hang")
        site.admin.delete(f"/media/{pid}")
        taken = "SELECT count(*) FROM stored_object WHERE state = 'purging' AND next_attempt_at > now() + interval '1 minute'"
        eventually(lambda: site.value(taken) == 1, what="the purger has taken the object")
        site.server.kill()
        site.proxy.set("refuse")
        site.proxy.set("pass")
        site.server.start()
        longest = site.value("SELECT max(extract(epoch FROM next_attempt_at - now())) FROM stored_object WHERE state = 'purging'")
        assert longest is None or longest <= 600
        site.rows("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")  # ten minutes later
        final(site)
        assert site.states(pid) == ["purged"]
        assert site.states(other) == ["stored"]
        assert site.admin.get(f"/content/{other}").content == content(6 * MIB)


def test_h12_killed_while_a_deletion_is_under_way(sites: Sites) -> None:
    with sites() as site:
        pids = [name() for _ in range(20)]
        for pid in pids:
            site.put(pid, b"x" * 1000)
        kept = name()
        site.put(kept, b"kept")
        for pid in pids[:-1]:
            site.admin.delete(f"/media/{pid}")
        with httpx.Client(base_url=site.admin.base_url, headers=site.admin.headers) as client:
            client.delete(f"/media/{pids[-1]}")
        site.server.kill()
        site.rows("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")  # in case one was taken
        site.server.start()
        final(site)
        assert {state for pid in pids for state in site.states(pid)} == {"purged"}
        assert site.admin.get(f"/content/{kept}").content == b"kept"


def insert(site: Site, pid: str, *, object_state: str, upload_state: str | None, created: bool, age: str = "1 hour") -> int:
    """An object and its upload as a crash could have left them; answers the object's id."""
    key = f"zz/{uuid.uuid4()}"
    object_id: int = site.value(
        "INSERT INTO stored_object (media, store, key, media_type, state, next_attempt_at) "
        "SELECT m.id, m.store, $2, 'text/plain', $3, now() - interval '1 minute' FROM media m WHERE m.pid = $1 RETURNING id",
        pid, key, object_state,
    )  # fmt: skip
    if upload_state is not None:
        site.rows(
            "INSERT INTO upload (id, stored_object, method, state, caller, created_record, last_activity) "
            "VALUES ($1, $2, 'proxied', $3, 'admin', $4, now() - $5::text::interval)",
            uuid.uuid4(), object_id, upload_state, created, age,
        )  # fmt: skip
    file = site.folder / key
    file.parent.mkdir(mode=0o750, exist_ok=True)
    file.write_bytes(b"left by a crash")
    return object_id


@pytest.mark.parametrize(
    ("object_state", "upload_state"), [("writing", "open"), ("purging", "failed"), ("purging", "open"), ("purging", None)]
)
@pytest.mark.parametrize("new", [True, False], ids=["new record", "old record"])
def test_h12_rows_of_a_crash_reach_a_final_state(site: Site, object_state: str, upload_state: str | None, new: bool) -> None:
    pid = name()
    if new:
        site.admin.post("/media", json={"pid": pid})
    else:
        site.put(pid, b"old bytes")
    before = site.admin.get(f"/media/{pid}").json()
    insert(site, pid, object_state=object_state, upload_state=upload_state, created=new)
    eventually(lambda: site.states(pid)[-1] == "purged")
    eventually(lambda: site.upload_states(pid)[-1:] in ([], ["failed"], ["completed"]))
    assert site.admin.get(f"/media/{pid}").json() == before
    if not new:
        assert site.admin.get(f"/content/{pid}").content == b"old bytes"
    site.settle()


@pytest.mark.parametrize("object_state", ["writing", "verifying", "purging", "missing", "quarantined"])
def test_h12_the_owner_can_delete_in_every_state(site: Site, object_state: str) -> None:
    pid = name()
    site.put(pid, b"bytes")
    insert(site, pid, object_state=object_state, upload_state="open", created=False, age="0 s")
    assert site.admin.delete(f"/media/{pid}").status_code == 204
    eventually(lambda: set(site.states(pid)) == {"purged"})
    eventually(lambda: "open" not in site.upload_states(pid))
    site.settle()
    assert site.admin.get(f"/media/{pid}").status_code == 410
    assert site.admin.post("/media", json={"pid": pid}).json()["code"] == "pid_taken"


def test_h12_an_upload_that_shows_life_is_left_alone_however_slow(site: Site) -> None:
    """H10 too: its age counts from the last sign of life."""
    pid = name()
    upload = site.upload(pid, 60)
    for _ in range(6):
        upload.send(b"0123456789")
        site.rows("SELECT pg_sleep(0.8)")
    answer = upload.answer()
    assert answer.status == 201, answer.body


def test_h12_the_oldest_unfinished_upload_is_a_metric(site: Site) -> None:
    eventually(lambda: not site.unfinished())
    assert site.metric("mediastore_oldest_nonfinal_seconds") == 0
    pid = name()
    site.admin.post("/media", json={"pid": pid})
    upload = site.upload(pid, 10).send(b"12345")
    eventually(lambda: site.upload_states(pid) == ["open"])
    assert 0 <= site.metric("mediastore_oldest_nonfinal_seconds") < 30
    upload.reset()
    eventually(lambda: not site.unfinished())
    assert site.metric("mediastore_oldest_nonfinal_seconds") == 0


def test_h12_bytes_that_can_not_be_purged_show_in_the_metric(sites: Sites) -> None:
    """`purging` is no final state: somebody has to hear of it."""
    with sites(s3=False) as site:
        pid = name()
        site.put(pid, b"bytes")
        site.folder.rename(site.folder.with_name("away"))
        site.admin.delete(f"/media/{pid}")
        eventually(lambda: failed_purges(site) == [1])
        site.rows("SELECT pg_sleep(1.2)")
        assert site.metric("mediastore_oldest_nonfinal_seconds") >= 1


# Law 4: deletion while the store is away.


def failed_purges(site: Site) -> list[int]:
    """How often the purge of each object has failed that is to go."""
    return [row["attempts"] for row in site.rows("SELECT attempts FROM stored_object WHERE state = 'purging' ORDER BY id")]


def test_h07_bytes_of_a_folder_that_is_away_are_purged_when_it_is_back(sites: Sites) -> None:
    with sites(s3=False) as site:
        pid, kept = name(), name()
        site.put(pid, b"to go")
        site.put(kept, b"to stay")
        site.folder.rename(site.folder.with_name("away"))
        assert site.admin.delete(f"/media/{pid}").status_code == 204
        eventually(lambda: failed_purges(site) == [1])
        assert site.states(pid) == ["purging"]
        refused = site.admin.get(f"/content/{kept}")
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        assert str(site.server.home) not in refused.text
        failed = site.put(name(), b"new")
        assert failed.status_code == 503, failed.text
        site.folder.with_name("away").rename(site.folder)
        eventually(lambda: site.states(pid) == ["purged"], within_s=25)
        assert site.admin.get(f"/content/{kept}").content == b"to stay"
        final(site)


def test_h07_bytes_in_a_bucket_that_is_away_are_purged_when_it_is_back(sites: Sites) -> None:
    with sites(proxied=True) as site:
        assert site.proxy is not None
        small, large, kept = name(), name(), name()
        site.put(small, b"to go", params={"store": "bucket"})
        site.put(large, content(6 * MIB), params={"store": "bucket"})
        site.put(kept, b"to stay", params={"store": "bucket"})
        site.proxy.set("refuse")
        for pid in (small, large):
            assert site.admin.delete(f"/media/{pid}").status_code == 204
        eventually(lambda: failed_purges(site) == [1, 1])
        assert site.states(small) == site.states(large) == ["purging"]
        refused = site.admin.get(f"/content/{kept}")
        assert refused.status_code == 503, refused.text
        assert len(site.s3_keys()) == 3
        site.proxy.set("pass")
        eventually(lambda: site.states(small) == site.states(large) == ["purged"], within_s=25)
        assert site.admin.get(f"/content/{kept}").content == b"to stay"
        final(site)


def test_h07_a_store_that_is_away_after_a_restart_keeps_its_purges(sites: Sites) -> None:
    with sites(proxied=True) as site:
        assert site.proxy is not None
        pid = name()
        site.put(pid, b"to go", params={"store": "bucket"})
        site.proxy.set("refuse")
        site.admin.delete(f"/media/{pid}")
        eventually(lambda: failed_purges(site) == [1])
        site.server.kill()
        site.server.start()
        site.rows("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")
        eventually(lambda: failed_purges(site) == [2])
        site.proxy.set("pass")
        site.rows("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")
        eventually(lambda: site.states(pid) == ["purged"], within_s=25)
        final(site)


def test_h07_a_bucket_that_is_gone_counts_as_no_deletion(sites: Sites) -> None:
    """404 of the bucket is not 404 of the object."""
    with sites() as site:
        pid = name()
        site.put(pid, b"to go", params={"store": "bucket"})
        site.rows("UPDATE store SET bucket = 'no-such-bucket', revision = revision + 1 WHERE name = 'bucket'")
        site.admin.delete(f"/media/{pid}")
        eventually(lambda: failed_purges(site) == [1])
        site.rows("UPDATE store SET bucket = $1, revision = revision + 1 WHERE name = 'bucket'", site.bucket)
        site.rows("UPDATE stored_object SET next_attempt_at = now() WHERE state = 'purging'")
        eventually(lambda: site.states(pid) == ["purged"])
        final(site)


def test_h07_a_silent_store_does_not_keep_others_from_being_cleaned_up(sites: Sites) -> None:
    with sites(proxied=True) as site:
        assert site.proxy is not None
        stuck, quick = [name() for _ in range(3)], name()
        for pid in stuck:
            site.put(pid, content(6 * MIB), params={"store": "bucket"})
        site.put(quick, b"to go")
        site.proxy.set("hang")
        for pid in stuck:
            site.admin.delete(f"/media/{pid}")
        eventually(lambda: site.value("SELECT count(*) FROM stored_object WHERE next_attempt_at > now() + interval '1 minute'"))
        site.admin.delete(f"/media/{quick}")
        eventually(lambda: site.states(quick) == ["purged"], within_s=15, what="the other store's object is purged")


def test_h07_what_was_purged_has_a_receipt_and_nothing_else_is_touched(site: Site) -> None:
    pid, kept = name(), name()
    for version in (b"one", b"two"):
        site.put(pid, version)
        site.put(kept, version)
    site.admin.delete(f"/media/{pid}")
    eventually(lambda: site.states(pid) == ["purged", "purged"])
    receipts = site.rows("SELECT o.receipt::text FROM stored_object o JOIN media m ON m.id = o.media WHERE m.pid = $1", pid)
    assert all(json.loads(row["receipt"])["at"] for row in receipts)
    assert site.states(kept) == ["stored", "stored"]
    assert site.admin.get(f"/content/{kept}?version=1").content == b"one"
    assert site.admin.get(f"/content/{kept}").content == b"two"
    site.settle()
