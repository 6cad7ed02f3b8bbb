"""Sizes around the edges of parts, and beyond what is allowed."""

import hashlib
from collections.abc import Iterator

import pytest

from tests.faults.conftest import Sites
from tests.faults.harness import MIB, Site, content, eventually, name

STORES = ("local", "scratch", "bucket")
SIZES = (0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB + 1)
LIMIT = 6 * MIB


@pytest.fixture(scope="module")
def limited(sites: Sites) -> Iterator[Site]:
    with sites(environment={"MEDIASTORE_MAX_UPLOAD_BYTES": str(LIMIT)}) as made:
        yield made


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("store", STORES)
def test_h11_what_comes_back_is_what_was_sent(site: Site, store: str, size: int, declared: bool) -> None:
    pid, data = name(), content(size, f"{store}{size}")
    upload = site.upload(pid, size if declared else None, query=f"?store={store}")
    for start in range(0, size, 700_001):
        upload.send(data[start : start + 700_001])
    if not declared:
        upload.end()
    answer = upload.answer()
    assert answer.status == 201, answer.body
    shown = answer.json()["content"]
    assert shown["size"] == size
    assert shown["checksums"]["sha256"]["value"] == hashlib.sha256(data).hexdigest()
    back = site.admin.get(f"/content/{pid}")
    assert back.headers["content-length"] == str(size)
    assert hashlib.sha256(back.content).hexdigest() == hashlib.sha256(data).hexdigest()
    if size:
        last = site.admin.get(f"/content/{pid}", headers={"Range": "bytes=-1"})
        assert (last.status_code, last.content) == (206, data[-1:])
    else:
        assert site.admin.get(f"/content/{pid}", headers={"Range": "bytes=0-"}).status_code == 416
        assert site.admin.head(f"/content/{pid}").headers["content-length"] == "0"
    site.settle()


@pytest.mark.parametrize("store", STORES)
def test_h11_a_declared_size_beyond_the_limit_is_refused_before_bytes_move(limited: Site, store: str) -> None:
    pid = name()
    answer = limited.upload(pid, LIMIT + 1, query=f"?store={store}").answer(timeout_s=5)
    assert answer.status == 413, answer.body
    assert answer.json()["code"] == "upload_too_large"
    assert limited.admin.get(f"/media/{pid}").status_code == 404
    assert limited.value("SELECT count(*) FROM media WHERE pid = $1", pid) == 0


@pytest.mark.parametrize("store", STORES)
def test_h11_a_chunked_body_beyond_the_limit_is_refused_while_it_comes(limited: Site, store: str) -> None:
    pid = name()
    upload = limited.upload(pid, None, query=f"?store={store}")
    for _ in range(7):
        upload.send(content(MIB))
    answer = upload.answer(timeout_s=10)
    assert answer.status == 413, answer.body
    assert answer.json()["code"] == "upload_too_large"
    assert limited.admin.get(f"/media/{pid}").status_code == 404
    limited.settle()
    exact = limited.put(pid, content(LIMIT), params={"store": store})
    assert exact.status_code == 201


def test_h11_a_form_beyond_the_limit_leaves_the_old_version(limited: Site) -> None:
    pid = name()
    limited.put(pid, b"old")
    answer = limited.admin.post("/content", data={"pid": pid}, files={"file": ("a", content(LIMIT + 1))})
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")
    assert limited.admin.get(f"/content/{pid}").content == b"old"
    limited.settle()


@pytest.mark.parametrize("store", ["local", "bucket"])
def test_h11_a_declared_size_buys_no_memory(site: Site, store: str) -> None:
    """Law 9: what is held for a transfer does not grow with what it says of itself."""
    site.put(name(), content(11 * MIB), params={"store": store})
    before, pid = site.rss(), name()
    upload = site.upload(pid, 1024**4, query=f"?store={store}")
    for _ in range(160):
        upload.send(content(MIB))
    eventually(lambda: site.upload_states(pid) == ["open"])
    held = site.rss() - before
    upload.reset()
    eventually(lambda: not site.unfinished())
    assert held < 64 * MIB, f"{held / MIB:.0f} MiB more than at rest"
