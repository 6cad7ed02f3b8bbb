"""Direct uploads: one contract on every store, sent by a client that knows nothing but what the answers say."""

import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from stores.config import S3Access
from tests.buckets import add_s3_store, in_bucket, keys_in
from tests.server import Server, add_user
from tests.transfers.sending import MIB, begin, complete, send, send_part

STORES = ("local", "scratch", "bucket", "attested")
METHODS = ("put", "post", "multipart")
SIZE = 11 * MIB + 3
CONTENT = os.urandom(SIZE)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])


@pytest.fixture(scope="module")
def buckets(server: Server, ministack: S3Access) -> dict[str, str]:
    """A store that reads everything back, and one that is content with what S3 attests."""
    with server.client() as admin:
        return {
            "bucket": add_s3_store(admin, ministack, "bucket"),
            "attested": add_s3_store(admin, ministack, "attested", checksums=["sha256"]),
        }


@pytest.fixture(scope="module")
def client(server: Server, buckets: dict[str, str]) -> Iterator[httpx.Client]:
    with server.client() as admin:
        yield admin


def sized(method: str) -> dict[str, Any]:
    return {"method": method, "size": SIZE, **({"part_size": 5 * MIB} if method == "multipart" else {})}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("store", STORES)
def test_what_was_sent_becomes_the_content(client: httpx.Client, store: str, method: str) -> None:
    pid = f"whole-{store}-{method}"
    upload = begin(
        client,
        pid=pid,
        store=store,
        tags=["raw"],
        media_type="text/csv",
        filename="a b.csv",
        checksums={"sha256": SHA256},
        **sized(method),
    )
    assert (upload["status"], upload["method"], upload["pid"]) == ("open", method, pid)
    assert client.get(f"/media/{pid}").json()["status"] == "pending"
    assert all(answer.status_code < 300 for answer in send(upload, CONTENT))
    shown = client.get(f"/uploads/{upload['id']}").json()
    assert [part["received"] for part in shown["parts"]] == [True] * (3 if method == "multipart" else 1)
    done = complete(client, upload)
    assert done.status_code == 200, done.text
    record = done.json()
    assert (record["status"], record["version"], record["tags"], record["store"]) == ("ready", 1, ["raw"], store)
    content = record["content"]
    assert (content["size"], content["media_type"], content["filename"]) == (SIZE, "text/csv", "a b.csv")
    assert content["checksums"]["sha256"]["value"] == SHA256
    attested = content["checksums"]["sha256"]["attested_by"]
    assert attested == ("store" if store in {"bucket", "attested"} and method == "put" else "server")
    assert client.get(f"/content/{pid}").content == CONTENT
    assert complete(client, upload).json() == record, "again is not an error"
    assert client.get(f"/uploads/{upload['id']}").json()["status"] == "completed"
    assert client.delete(f"/uploads/{upload['id']}").status_code == 409
    assert client.get(f"/content/{pid}").content == CONTENT


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("store", STORES)
def test_other_bytes_of_the_right_size_never_become_ready(client: httpx.Client, store: str, method: str) -> None:
    pid = f"tampered-{store}-{method}"
    upload = begin(client, pid=pid, store=store, checksums={"sha256": SHA256}, **sized(method))
    refused = [answer for answer in send(upload, OTHER) if answer.status_code >= 400]
    done = complete(client, upload)
    record = client.get(f"/media/{pid}").json()
    if refused:
        assert (done.status_code, done.json()["code"]) == (409, "upload_incomplete")
        assert record["status"] == "pending"
    else:
        problem = done.json() if done.status_code == 422 else done.json()["problem"]
        assert problem["code"] == "digest_mismatch"
        assert (problem["claimed"], problem["computed"]) == (SHA256, hashlib.sha256(OTHER).hexdigest())
        assert record["status"] == "failed"
        assert SHA256 in record["status_reason"]
        shown = client.get(f"/uploads/{upload['id']}").json()
        assert (shown["status"], shown["problem"]["code"]) == ("failed", "digest_mismatch")
        again = complete(client, upload)
        assert (again.status_code, again.json()["code"]) == (409, "upload_failed")
    assert client.get(f"/content/{pid}").status_code == 404
    retried = begin(client, pid=pid, store=store, checksums={"sha256": SHA256}, **sized(method))
    assert all(answer.status_code < 300 for answer in send(retried, CONTENT))
    assert complete(client, retried).json()["status"] == "ready"


@pytest.mark.parametrize("store", STORES)
def test_other_bytes_leave_the_version_that_was_there(client: httpx.Client, store: str) -> None:
    pid = f"kept-{store}"
    assert client.put(f"/content/{pid}?store={store}", content=b"first").status_code == 201
    upload = begin(client, pid=pid, checksums={"sha256": SHA256}, **sized("multipart"))
    send(upload, OTHER)
    assert complete(client, upload).status_code == 422
    record = client.get(f"/media/{pid}").json()
    assert (record["status"], record["version"]) == ("ready", 1)
    assert client.get(f"/content/{pid}").content == b"first"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("store", STORES)
def test_another_size_is_refused(client: httpx.Client, store: str, method: str) -> None:
    upload = begin(client, pid=f"size-{store}-{method}", store=store, **sized(method))
    content = CONTENT + b"x"
    if method == "post":
        answers = [httpx.post(upload["url"], data=upload["fields"], files={"file": ("f", content)})]
    else:
        last = upload["parts"][-1]
        headers = {name: value for name, value in last["headers"].items() if name != "Content-Length"}
        answers = [httpx.put(last["url"], content=content[last["offset"] :], headers=headers)]
    assert all(answer.status_code in {400, 403, 413, 422} for answer in answers), [answer.text for answer in answers]
    assert complete(client, upload).json()["code"] == "upload_incomplete"


@pytest.mark.parametrize("store", STORES)
def test_parts_come_in_any_order_at_once_and_twice(client: httpx.Client, store: str) -> None:
    upload = begin(client, pid=f"parts-{store}", store=store, checksums={"sha256": SHA256}, **sized("multipart"))
    parts = [*reversed(upload["parts"]), upload["parts"][0], upload["parts"][1]]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda part: send_part(part, CONTENT), parts))
    assert {answer.status_code for answer in answers} == {200}
    assert complete(client, upload).json()["content"]["checksums"]["sha256"]["value"] == SHA256


@pytest.mark.parametrize("store", STORES)
def test_the_status_names_what_is_missing_with_fresh_urls(client: httpx.Client, store: str) -> None:
    upload = begin(client, pid=f"missing-{store}", store=store, **sized("multipart"))
    assert send_part(upload["parts"][1], CONTENT).status_code == 200
    early = complete(client, upload)
    assert (early.status_code, early.json()["code"], early.json()["missing"]) == (409, "upload_incomplete", [1, 3])
    shown = client.get(f"/uploads/{upload['id']}").json()
    assert [(part["number"], part["received"], part["url"] is None) for part in shown["parts"]] == [
        (1, False, False),
        (2, True, True),
        (3, False, False),
    ]
    fresh = client.post(f"/uploads/{upload['id']}/parts", json={"parts": [{"number": 2}]}).json()
    assert [(part["number"], part["offset"], part["size"]) for part in fresh["parts"]] == [(2, 5 * MIB, 5 * MIB)]
    assert send_part(fresh["parts"][0], CONTENT).status_code == 200
    assert all(answer.status_code == 200 for answer in send(shown, CONTENT))
    assert complete(client, upload).json()["status"] == "ready"


@pytest.mark.parametrize("store", STORES)
def test_a_part_with_a_digest_of_its_own_takes_no_other_bytes(client: httpx.Client, store: str) -> None:
    upload = begin(client, pid=f"part-digest-{store}", store=store, **sized("multipart"))
    md5 = hashlib.md5(CONTENT[: 5 * MIB]).hexdigest()
    asked = {"parts": [{"number": 1, "checksums": {"md5": md5}}]}
    [part] = client.post(f"/uploads/{upload['id']}/parts", json=asked).json()["parts"]
    assert send_part(part, OTHER[::-1]).status_code in {400, 422}
    assert send_part(part, CONTENT).status_code == 200


@pytest.mark.parametrize("store", STORES)
def test_etags_of_the_parts_can_be_named(client: httpx.Client, store: str) -> None:
    upload = begin(client, pid=f"etags-{store}", store=store, **sized("multipart"))
    etags = [send_part(part, CONTENT).headers["etag"] for part in upload["parts"]]
    parts = [{"number": number, "etag": etag} for number, etag in enumerate(etags, 1)]
    wrong = complete(client, upload, parts=[parts[0], {"number": 2, "etag": "nonsense"}, parts[2]])
    assert wrong.status_code in {409, 422}, wrong.text
    assert complete(client, upload, parts=parts[:2]).json()["missing"] == [3]
    assert complete(client, upload, parts=parts).json()["status"] == "ready"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("store", STORES)
def test_a_cancelled_upload_takes_its_record_along(client: httpx.Client, store: str, method: str) -> None:
    pid = f"cancelled-{store}-{method}"
    upload = begin(client, pid=pid, store=store, **sized(method))
    if method == "multipart":
        send_part(upload["parts"][0], CONTENT)
    for _ in range(2):
        assert client.delete(f"/uploads/{upload['id']}").status_code == 204
    assert client.get(f"/media/{pid}").status_code == 404
    ended = complete(client, upload)
    assert (ended.status_code, ended.json()["code"]) == (409, "upload_ended")
    if store in {"local", "scratch"}:
        assert {answer.status_code for answer in send(upload, CONTENT)} == {409}


@pytest.mark.parametrize("store", STORES)
def test_empty_content_is_content(client: httpx.Client, store: str) -> None:
    for method in METHODS:
        upload = begin(client, pid=f"empty-{store}-{method}", store=store, size=0, method=method)
        assert all(answer.status_code < 300 for answer in send(upload, b""))
        assert complete(client, upload).json()["content"]["size"] == 0
        assert client.get(f"/content/empty-{store}-{method}").content == b""


@pytest.mark.parametrize("store", STORES)
def test_large_content_is_verified_by_a_job(client: httpx.Client, store: str) -> None:
    content = os.urandom(17 * MIB)
    sha256 = hashlib.sha256(content).hexdigest()
    upload = begin(client, pid=f"large-{store}", store=store, size=len(content), method="multipart", checksums={"sha256": sha256})
    send(upload, content)
    if store == "local":  # a part that came twice lies by itself, so all are copied together
        assert send_part(upload["parts"][1], content).status_code == 200
    answer = client.post(f"/uploads/{upload['id']}/complete")
    assert answer.status_code == 202
    assert answer.headers["location"].endswith(f"/uploads/{upload['id']}")
    assert answer.json()["status"] == "verifying"
    assert complete(client, upload).json()["content"]["checksums"]["sha256"]["value"] == sha256
    other = begin(
        client, pid=f"large-other-{store}", store=store, size=len(content), method="multipart", checksums={"sha256": SHA256}
    )
    send(other, content)
    if store == "local":
        assert send_part(other["parts"][1], content).status_code == 200
    failed = complete(client, other)
    assert (failed.status_code, failed.json()["problem"]["claimed"]) == (409, SHA256)
    assert failed.json()["problem"]["computed"] == sha256
    assert client.get(f"/media/large-other-{store}").json()["status"] == "failed"


@pytest.mark.parametrize("store", STORES)
def test_checksums_that_are_known_at_the_end_are_compared(client: httpx.Client, store: str) -> None:
    content = os.urandom(17 * MIB)
    known = {"sha256": hashlib.sha256(content).hexdigest(), "sha512": hashlib.sha512(content).hexdigest()}
    for number, checksums in enumerate((known, {"sha512": "0" * 128})):
        upload = begin(client, pid=f"at-the-end-{store}-{number}", store=store, size=len(content), method="multipart")
        send(upload, content)
        done = complete(client, upload, checksums=checksums)
        record = client.get(f"/media/{upload['pid']}").json()
        if checksums is known:
            assert done.status_code == 200, done.text
            assert {name: record["content"]["checksums"][name]["value"] for name in known} == known
            assert complete(client, upload, checksums=checksums).status_code == 200, "it can be asked twice"
            late = complete(client, upload, checksums={"sha1": "0" * 40})
            assert (late.status_code, late.json()["code"]) == (409, "upload_ended")
        else:
            problem = done.json() if done.status_code == 422 else done.json()["problem"]
            assert (problem["code"], problem["claimed"], problem["computed"]) == ("digest_mismatch", "0" * 128, known["sha512"])
            assert record["status"] == "failed"


def test_checksums_at_the_end_do_not_take_back_those_at_the_beginning(client: httpx.Client) -> None:
    upload = begin(client, pid="said-twice", size=len(CONTENT), method="put", checksums={"sha256": SHA256})
    send(upload, CONTENT)
    refused = complete(client, upload, checksums={"sha256": "0" * 64})
    assert (refused.status_code, refused.json()["code"]) == (422, "digest_invalid")
    odd = complete(client, upload, checksums={"sha256": "none"})
    assert (odd.status_code, odd.json()["code"]) == (422, "digest_invalid")
    assert complete(client, upload, checksums={"sha256": SHA256}).status_code == 200


def test_the_uploads_own_token_is_enough(client: httpx.Client, server: Server) -> None:
    upload = begin(client, pid="by-token", **sized("multipart"))
    with server.client("") as nobody:
        url = f"/uploads/{upload['id']}"
        assert nobody.get(url).status_code == 401
        assert nobody.get(f"{url}?token=wrong").status_code == 403
        shown = nobody.get(f"{url}?token={upload['token']}").json()
        assert all(answer.status_code == 200 for answer in send(shown, CONTENT))
        part = {"parts": [{"number": 1}]}
        assert nobody.post(f"{url}/parts?token={upload['token']}", json=part).status_code == 200
        done = nobody.post(f"{url}/complete?token={upload['token']}")
        assert (done.status_code, done.json()["status"], done.json()["owner"]) == (200, "ready", "admin")


def test_uploads_of_others_are_not_there(client: httpx.Client, server: Server) -> None:
    add_user(client, "eve")
    upload = begin(client, pid="not-eves", **sized("put"))
    with server.client("eve") as eve:
        for call in (eve.get, eve.delete):
            assert call(f"/uploads/{upload['id']}").status_code == 404
        assert eve.post(f"/uploads/{upload['id']}/complete").status_code == 404
        assert eve.post(f"/uploads/{upload['id']}/parts", json={"parts": [{"number": 1}]}).status_code == 404
        assert eve.get("/uploads").json()["items"] == []
        begin(eve, pid="eves", size=3)
        assert [item["pid"] for item in eve.get("/uploads").json()["items"]] == ["eves"]
    wrong = upload["parts"][0]["url"].replace("parts/1", "parts/2")
    assert httpx.put(wrong, content=b"x").status_code in {403, 422}
    part = upload["parts"][0]["url"]
    assert httpx.put(part.partition("?")[0], content=CONTENT).status_code == 422
    assert httpx.put(f"{part[:-2]}xx", content=CONTENT).status_code == 403


def test_completing_twice_at_once_makes_one_version(client: httpx.Client, buckets: dict[str, str]) -> None:
    for store in STORES:
        upload = begin(client, pid=f"race-{store}", store=store, **sized("multipart"))
        send(upload, CONTENT)
        barrier = threading.Barrier(4)

        def run(_: int, barrier: threading.Barrier = barrier, upload: dict[str, Any] = upload) -> httpx.Response:
            barrier.wait()
            return complete(client, upload)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(run, range(4)))
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
        assert {answer.json()["version"] for answer in answers} == {1}
        assert [item["version"] for item in client.get(f"/versions/race-{store}").json()["items"]] == [1]


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"size": -1}, 422, "body_invalid"),
        ({}, 422, "body_invalid"),
        ({"size": 2**63}, 422, "body_invalid"),
        ({"size": 6 * 1024 * MIB, "method": "put"}, 413, "object_too_large"),
        ({"size": 6 * 1024 * 1024 * MIB}, 413, "upload_too_large"),
        ({"size": 5 * MIB, "part_size": 5 * MIB - 1}, 422, "parts_invalid"),
        ({"size": 100 * 1024 * MIB, "part_size": 5 * MIB}, 422, "parts_invalid"),
        ({"size": 5, "method": "patch"}, 422, "body_invalid"),
        ({"size": 5, "checksums": {"sha256": "no"}}, 422, "digest_invalid"),
        ({"size": 5, "checksums": {"sha3": "00"}}, 422, "digest_invalid"),
        ({"size": 5, "media_type": "nonsense"}, 400, "header_invalid"),
        ({"size": 5, "filename": "a\nb"}, 422, "request_invalid"),
        ({"size": 5, "store": "nowhere"}, 422, "store_unknown"),
        ({"size": 5, "colour": "red"}, 422, "body_invalid"),
        ({"size": 5, "pid": "a//b"}, 422, "pid_invalid"),
    ],
)
def test_what_can_not_be_is_refused_and_leaves_nothing(
    client: httpx.Client, asked: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post("/uploads", json={"pid": "refused", **asked})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert client.get("/media/refused").status_code == 404


def test_auto_chooses_by_size(client: httpx.Client) -> None:
    small = begin(client, pid="auto-small", size=64 * MIB)
    large = begin(client, pid="auto-large", size=64 * MIB + 1)
    assert (small["method"], len(small["parts"])) == ("put", 1)
    assert (large["method"], large["part_size"], [part["size"] for part in large["parts"]]) == (
        "multipart",
        16 * MIB,
        [16 * MIB] * 4 + [1],
    )


def test_nothing_is_left_behind(client: httpx.Client, server: Server, buckets: dict[str, str], ministack: S3Access) -> None:
    """Runs last: what is in the buckets is content, or waits for a form's URL to end."""
    contents = sum(
        len(client.get(f"/versions/{item['pid']}").json()["items"])
        for item in pages(client)
        if item["store"] == "attested" and item["status"] == "ready"
    )

    async def open_uploads(s3: Any) -> int:
        answer = await s3.list_multipart_uploads(Bucket=buckets["attested"])
        return len(answer.get("Uploads", ()))

    assert contents <= len(keys_in(ministack, buckets["attested"]))
    waiting = [
        item for item in pages(client, "/uploads") if item["status"] in {"open", "verifying"} and item["method"] == "multipart"
    ]
    assert in_bucket(ministack, buckets["attested"], open_uploads) <= len(waiting) + 1


def pages(client: httpx.Client, path: str = "/media") -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = client.get(f"{path}?limit=100{cursor}").json()
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"


def test_an_upload_begins_over_the_content_that_is_meant_and_no_other(client: httpx.Client) -> None:
    asked = {"pid": "meant", "size": 3, "store": "local"}
    nothing_yet = {"If-None-Match": "*"}
    first = client.post("/uploads", json=asked, headers=nothing_yet)
    assert first.status_code == 201, first.text
    send(first.json(), b"abc")
    assert complete(client, first.json()).status_code == 200
    refused = client.post("/uploads", json={**asked, "tags": ["other"]}, headers=nothing_yet)
    assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
    assert client.get("/media/meant").json()["tags"] == []
    etag = client.get("/content/meant").headers["etag"]
    assert client.post("/uploads", json=asked, headers={"If-Match": etag}).status_code == 201
    assert client.post("/uploads", json=asked, headers={"If-Match": '"9-9"'}).status_code == 412
