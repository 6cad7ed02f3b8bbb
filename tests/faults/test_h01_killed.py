"""A server killed while bytes move, and the memory of one whose clients go away."""

import time

import pytest

from tests.faults.conftest import Sites
from tests.faults.harness import MIB, Upload, content, eventually, name
from tests.faults.test_h01_cut_short import PLACES, assert_pending, cut_upload


@pytest.mark.parametrize("store", ["local", "bucket"])
def test_h01_a_server_killed_mid_upload_leaves_nothing_after_the_restart(sites: Sites, store: str) -> None:
    with sites() as site:
        old, new = name("old"), name("new")
        before = site.put(old, b"old bytes", params={"store": store}).json()
        uploads = []
        for pid in (old, new):
            upload = site.upload(pid, 200 * MIB, query=f"?store={store}").send(content(13 * MIB))
            uploads.append(upload)
        eventually(lambda: site.upload_states(old)[-1:] + site.upload_states(new) == ["open", "open"])
        if store == "bucket":
            eventually(lambda: len(site.s3_uploads()) == 2)
        site.server.kill()
        for upload in uploads:
            upload.socket.close()
        site.server.start()
        retried = site.put(new, content(6 * MIB, "again"))
        assert retried.status_code == 200, retried.text
        assert site.admin.get(f"/content/{old}").content == b"old bytes"
        eventually(lambda: not site.unfinished(), what="all uploads and objects are in a final state")
        assert site.admin.get(f"/media/{old}").json() == before
        assert site.admin.get(f"/content/{new}").content == content(6 * MIB, "again")
        site.settle()
        assert site.upload_states(new) == ["failed", "completed"]


def test_h01_a_server_killed_while_a_multipart_upload_begins_leaves_none_open(sites: Sites) -> None:
    """Between the store's answer with the upload's id and the row that remembers it."""
    with sites(proxied=True, environment={"MEDIASTORE_BODY_IDLE_TIMEOUT_S": "30"}) as site:
        assert site.proxy is not None
        begun: list[bytes] = []

        def kill(request: bytes, _: bytes) -> bool:
            if b"uploads" not in request or begun:
                return False
            begun.append(request)
            return True

        site.proxy.on_answer = kill
        pid = name()
        upload = site.upload(pid, 20 * MIB, query="?store=bucket").send(content(6 * MIB))
        eventually(lambda: begun)
        site.server.kill()
        upload.socket.close()
        assert len(site.s3_uploads()) == 1
        site.server.start()
        eventually(lambda: not site.unfinished())
        assert_pending(site, pid)
        site.settle()


def test_h01_a_memory_store_forgets_with_its_process_and_says_so(sites: Sites) -> None:
    with sites(s3=False) as site:
        whole, cut = name(), name()
        site.put(whole, b"gone soon", params={"store": "scratch"})
        upload = site.upload(cut, 50 * MIB, query="?store=scratch").send(content(5 * MIB))
        eventually(lambda: site.upload_states(cut) == ["open"])
        site.server.kill()
        upload.socket.close()
        site.server.start()
        eventually(lambda: site.admin.get(f"/media/{whole}").json()["status"] == "lost")
        answer = site.admin.get(f"/content/{whole}")
        assert (answer.status_code, answer.json()["code"]) == (410, "content_lost")
        eventually(lambda: not site.unfinished())
        assert_pending(site, cut)
        assert site.put(whole, b"back").json()["status"] == "ready"
        assert site.put(cut, b"back").json()["status"] == "ready"


@pytest.mark.parametrize("store", PLACES)
def test_h01_memory_is_back_after_uploads_that_were_cut(sites: Sites, store: str) -> None:
    with sites() as site:
        size, points = PLACES[store]
        site.put(name(), content(10 * MIB), params={"store": store})
        for _ in range(2):
            cut_upload(site, name(), store=store, size=size, at=points[-1], cut=Upload.reset)
        eventually(lambda: not site.unfinished())
        before = site.rss()
        for _ in range(6):
            cut_upload(site, name(), store=store, size=size, at=points[-1], cut=Upload.reset)
        eventually(lambda: not site.unfinished())
        deadline = time.monotonic() + 10
        while (after := site.rss()) > before + 40 * MIB and time.monotonic() < deadline:
            time.sleep(0.2)
        assert after <= before + 40 * MIB, f"{before / MIB:.0f} MiB before, {after / MIB:.0f} MiB after"
