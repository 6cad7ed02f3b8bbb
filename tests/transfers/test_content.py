"""Bytes in by PUT, and every header rule of getting them back."""

import base64
import hashlib
import time
import zlib
from collections.abc import Mapping
from typing import Any

import google_crc32c
import httpx
import pytest

from tests.server import Server, add_user

BYTES = bytes(range(256)) * 40
EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"


def put(client: httpx.Client, pid: str, content: bytes = BYTES, headers: dict[str, str] | None = None) -> httpx.Response:
    answer = client.put(f"/content/{pid}", content=content, headers=headers or {})
    assert answer.status_code in {200, 201}, answer.text
    return answer


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    """The administrator, with one record whose content stays."""
    with server.client() as admin:
        put(admin, "fixed?filename=fixed.bin", headers={"Content-Type": "application/x-fixed"})
        yield admin


@pytest.fixture(scope="module")
def whole(client: httpx.Client) -> httpx.Response:
    answer = client.get("/content/fixed")
    assert (answer.status_code, answer.content) == (200, BYTES)
    return answer


def test_put_makes_a_record_and_then_replaces_its_content(admin: httpx.Client) -> None:
    made = put(admin, "twice", b"one", headers={"Content-Type": "text/plain"})
    assert made.status_code == 201
    assert made.headers["location"] == "/api/v1/media/twice"
    record = made.json()
    assert (record["status"], record["version"], record["revision"], record["owner"]) == ("ready", 1, 2, "admin")
    content = record["content"]
    assert (content["size"], content["media_type"], content["filename"]) == (3, "text/plain", None)
    assert {name: item["attested_by"] for name, item in content["checksums"].items()} == {"md5": "server", "sha256": "server"}
    assert content["checksums"]["sha256"]["value"] == hashlib.sha256(b"one").hexdigest()
    assert admin.get("/media/twice").json() == record
    replaced = put(admin, "twice", b"two")
    assert (replaced.status_code, replaced.json()["version"]) == (200, 2)
    assert replaced.headers["etag"] != made.headers["etag"]
    assert admin.get("/content/twice").content == b"two"
    assert admin.get("/content/twice?version=1").content == b"one"
    assert admin.get("/content/twice?version=1").headers["etag"] == made.headers["etag"]
    assert admin.get("/content/twice?version=1").headers["content-type"] == "text/plain"
    assert admin.get("/content/twice?version=2").headers["etag"] == replaced.headers["etag"]


@pytest.mark.parametrize("version", ["3", "99", "2147483648", "9223372036854775808"])
def test_a_version_that_is_not_there(client: httpx.Client, whole: httpx.Response, version: str) -> None:
    answer = client.get(f"/content/fixed?version={version}")
    assert answer.status_code in {404, 422}, answer.text
    assert len(answer.json()["detail"]) < 200


@pytest.mark.parametrize("version", ["0", "-1", "x", "", "1.5"])
def test_a_version_that_can_not_be(client: httpx.Client, version: str) -> None:
    assert client.get(f"/content/fixed?version={version}").status_code == 422


def test_a_record_without_content_says_so(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "empty-handed"})
    answer = admin.get("/content/empty-handed")
    assert (answer.status_code, answer.json()["code"]) == (404, "content_missing")


@pytest.mark.parametrize("store", ["local", "scratch"])
@pytest.mark.parametrize("size", [0, 1, 1024 * 1024 - 1, 1024 * 1024, 3 * 1024 * 1024 + 17])
def test_content_of_any_size_comes_back(admin: httpx.Client, store: str, size: int) -> None:
    content = (BYTES * (size // len(BYTES) + 1))[:size]
    pid = f"size/{store}/{size}"
    assert put(admin, f"{pid}?store={store}", content).json()["content"]["size"] == size
    answer = admin.get(f"/content/{pid}")
    assert answer.content == content
    assert answer.headers["content-length"] == str(size)
    if size > 1:
        part = admin.get(f"/content/{pid}", headers={"Range": f"bytes={size - 2}-"})
        assert (part.status_code, part.content) == (206, content[-2:])


def test_chunked_bodies_are_taken(admin: httpx.Client) -> None:
    answer = admin.put("/content/chunked", content=iter([b"a", b"", b"bc" * 1000]))
    assert answer.status_code == 201, answer.text
    assert admin.get("/content/chunked").content == b"a" + b"bc" * 1000


def test_the_headers_of_a_download(whole: httpx.Response) -> None:
    headers = whole.headers
    assert headers["content-type"] == "application/x-fixed"
    assert headers["content-length"] == str(len(BYTES))
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"')
    assert headers["last-modified"].endswith(" GMT")
    assert headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in headers["content-security-policy"]
    assert headers["content-disposition"] == 'attachment; filename="fixed.bin"'
    assert "private" in headers["cache-control"]
    digests = dict(item.strip().split("=", 1) for item in headers["repr-digest"].split(","))
    for name, algorithm in (("sha-256", "sha256"), ("md5", "md5")):
        assert base64.b64decode(digests[name].strip(":")) == hashlib.new(algorithm, BYTES).digest()


def told(headers: Mapping[str, str]) -> dict[str, str]:
    """Without what differs from answer to answer."""
    return {name: value for name, value in headers.items() if name not in {"date", "x-request-id"}}


def test_head_has_the_same_headers_and_no_body(client: httpx.Client, whole: httpx.Response) -> None:
    head = client.head("/content/fixed")
    assert (head.status_code, head.content) == (200, b"")
    assert told(head.headers) == told(whole.headers)
    assert client.head("/content/never").status_code == 404
    tag = {"If-None-Match": whole.headers["etag"]}
    assert client.head("/content/fixed", headers=tag).status_code == 304


def test_one_who_has_it_gets_304(client: httpx.Client, whole: httpx.Response) -> None:
    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    same: list[dict[str, str]] = [
        {"If-None-Match": etag},
        {"If-None-Match": f'"x", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
        {"If-None-Match": etag, "If-Modified-Since": EPOCH},
        {"If-None-Match": etag, "Range": "bytes=0-1"},
    ]
    for headers in same:
        answer = client.get("/content/fixed", headers=headers)
        assert (answer.status_code, answer.content) == (304, b""), headers
        for name in ("etag", "cache-control", "last-modified"):
            assert answer.headers[name] == whole.headers[name]
        assert answer.headers.get("content-length", "0") in {"0", str(len(BYTES))}
    other: list[dict[str, str]] = [
        {"If-None-Match": '"other"'},
        {"If-Modified-Since": EPOCH},
        {"If-Modified-Since": "nonsense"},
        {"If-None-Match": '"other"', "If-Modified-Since": modified},
    ]
    for headers in other:
        assert client.get("/content/fixed", headers=headers).content == BYTES, headers
    assert client.get("/content/fixed", headers={"If-None-Match": "nonsense"}).status_code == 400


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 -1200", "Fri, 31 Dec 9999 23:59:59 GMT", "x" * 5000])
def test_an_odd_date_is_no_error_of_the_server(client: httpx.Client, date: str) -> None:
    for header in ("If-Modified-Since", "If-Range"):
        answer = client.get("/content/fixed", headers={header: date, "Range": "bytes=0-1"})
        assert answer.status_code in {200, 206, 304}, header


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-199", 100, 200),
        ("bytes=10000-", 10000, len(BYTES)),
        (f"bytes={len(BYTES) - 1}-", len(BYTES) - 1, len(BYTES)),
        ("bytes=-1", len(BYTES) - 1, len(BYTES)),
        ("bytes=-500", len(BYTES) - 500, len(BYTES)),
        ("bytes=-99999999", 0, len(BYTES)),
        ("bytes=5-99999999999999999999999", 5, len(BYTES)),
        ("bytes=0-", 0, len(BYTES)),
    ],
)
def test_a_single_range(client: httpx.Client, whole: httpx.Response, header: str, start: int, end: int) -> None:
    answer = client.get("/content/fixed", headers={"Range": header})
    assert (answer.status_code, answer.content) == (206, BYTES[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(BYTES)}"
    assert answer.headers["content-length"] == str(end - start)
    for name in ("etag", "last-modified", "content-type", "repr-digest", "cache-control", "content-disposition"):
        assert answer.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    "header", [f"bytes={len(BYTES)}-", f"bytes={len(BYTES)}-{len(BYTES) + 5}", "bytes=-0", "bytes=99999999999999999999999-"]
)
def test_a_range_beyond_the_end(client: httpx.Client, header: str) -> None:
    answer = client.get("/content/fixed", headers={"Range": header})
    assert (answer.status_code, answer.json()["code"]) == (416, "range_not_satisfiable")
    assert answer.headers["content-range"] == f"bytes */{len(BYTES)}"


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=5-4", "items=0-1", "bytes=x-", "bytes=", "0-1", "bytes=0-1, -1"])
def test_several_ranges_and_what_is_none_get_the_whole(client: httpx.Client, header: str) -> None:
    answer = client.get("/content/fixed", headers={"Range": header})
    assert (answer.status_code, answer.content) == (200, BYTES)
    assert "content-range" not in answer.headers


def test_if_range(client: httpx.Client, whole: httpx.Response) -> None:
    etag, modified = whole.headers["etag"], whole.headers["last-modified"]
    for value, status in ((etag, 206), (modified, 206), ('"other"', 200), (f"W/{etag}", 200), (EPOCH, 200), ("nonsense", 200)):
        answer = client.get("/content/fixed", headers={"Range": "bytes=0-1", "If-Range": value})
        assert (answer.status_code, len(answer.content)) == (status, 2 if status == 206 else len(BYTES)), value
    beyond = {"Range": "bytes=999999-", "If-Range": '"other"'}
    assert client.get("/content/fixed", headers=beyond).status_code == 200


def test_ranges_of_nothing(admin: httpx.Client) -> None:
    put(admin, "nothing", b"")
    assert admin.get("/content/nothing").content == b""
    for header in ("bytes=0-", "bytes=0-0", "bytes=-1"):
        answer = admin.get("/content/nothing", headers={"Range": header})
        assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */0")


def test_private_bytes_are_not_kept_by_caches_and_public_ones_are_asked_for(admin: httpx.Client) -> None:
    put(admin, "cached")
    assert admin.get("/content/cached").headers["cache-control"] == "private, no-store"
    admin.patch("/media/cached", json={"access": "internal"})
    assert admin.get("/content/cached").headers["cache-control"] == "private, no-store"
    admin.patch("/media/cached", json={"access": "public"})
    assert admin.get("/content/cached").headers["cache-control"] == "public, no-cache"
    admin.patch("/media/cached", json={"public_at": "2999-01-01T00:00:00Z"})
    assert admin.get("/content/cached").headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    ("media_type", "filename", "disposition"),
    [
        ("text/plain; charset=utf-8", "a.txt", 'inline; filename="a.txt"'),
        ("image/png", "attachment.png", 'inline; filename="attachment.png"'),
        ("text/html", "a.html", 'attachment; filename="a.html"'),
        ("image/svg+xml", "a.svg", 'attachment; filename="a.svg"'),
        ("application/octet-stream", "été.bin", "attachment; filename=\"ete.bin\"; filename*=UTF-8''%C3%A9t%C3%A9.bin"),
        ("application/octet-stream", 'a"b.bin', 'attachment; filename="a\'b.bin"'),
        ("TEXT/HTML", "../../etc/passwd", 'attachment; filename="passwd"'),
    ],
)
def test_media_type_and_name_are_kept_and_what_a_browser_would_run_is_a_download(
    admin: httpx.Client, media_type: str, filename: str, disposition: str
) -> None:
    pid = f"named/{hashlib.md5((media_type + filename).encode(), usedforsecurity=False).hexdigest()}"
    answer = admin.put(f"/content/{pid}", params={"filename": filename}, content=b"x", headers={"Content-Type": media_type})
    assert answer.status_code == 201, answer.text
    assert answer.json()["content"]["media_type"] == media_type
    got = admin.get(f"/content/{pid}")
    assert (got.headers["content-type"], got.headers["content-disposition"]) == (media_type, disposition)


def test_without_a_name_the_end_of_the_pid_is_one(admin: httpx.Client) -> None:
    put(admin, "lab/cruise/bin.csv", b"x")
    assert admin.get("/content/lab/cruise/bin.csv").headers["content-disposition"] == 'attachment; filename="bin.csv"'


@pytest.mark.parametrize(
    "media_type", ["nonsense", "text/", "/plain", "text/plain\tx", "text/pl ain", "x" * 300, "text/" + "x" * 300]
)
def test_a_media_type_that_is_none_is_refused(admin: httpx.Client, media_type: str) -> None:
    answer = admin.put("/content/bad-type", content=b"x", headers={"Content-Type": media_type})
    assert answer.status_code == 400, answer.text
    assert admin.get("/media/bad-type").status_code == 404


@pytest.mark.parametrize("filename", ["", "x" * 256, "a\nb", "a\x00b"])
def test_a_file_name_that_can_not_be_is_refused(admin: httpx.Client, filename: str) -> None:
    assert admin.put("/content/bad-name", params={"filename": filename}, content=b"x").status_code == 422
    assert admin.get("/media/bad-name").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "identity, gzip"}, 415),
        ({"Content-Range": "bytes 0-1/2"}, 400),
        ({"If-Match": "nonsense"}, 400),
        ({"Content-MD5": "nonsense"}, 422),
        ({"Repr-Digest": "sha-256=nonsense"}, 422),
        ({"Content-Digest": "unixsum=:AA==:"}, 422),
        ({"Repr-Digest": "sha-256=:" + base64.b64encode(bytes(32)).decode() + ":"}, 422),
    ],
    ids=str,
)
def test_a_put_that_can_not_be_heeded_is_refused_and_leaves_nothing(
    admin: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = admin.put("/content/heedless", content=b"x", headers=headers)
    assert answer.status_code == status, answer.text
    assert admin.get("/media/heedless").status_code == 404
    assert admin.put("/content/heedless-not", content=b"x", headers={"Content-Encoding": "Identity"}).status_code in {200, 201}


def test_put_only_where_there_is_nothing(admin: httpx.Client) -> None:
    assert put(admin, "once", b"one", headers={"If-None-Match": "*"}).status_code == 201
    again = admin.put("/content/once", content=b"two", headers={"If-None-Match": "*"})
    assert (again.status_code, again.json()["code"]) == (412, "precondition_failed")
    assert (admin.get("/content/once").content, admin.get("/media/once").json()["revision"]) == (b"one", 2)
    admin.post("/media", json={"pid": "once-pending"})
    assert put(admin, "once-pending", b"one", headers={"If-None-Match": "*"}).status_code == 200, (
        "a record without content has none"
    )


def test_put_only_on_what_one_knows(admin: httpx.Client) -> None:
    assert admin.put("/content/known", content=b"x", headers={"If-Match": "*"}).status_code == 412
    assert admin.put("/content/known", content=b"x", headers={"If-Match": '"1-1"'}).status_code == 412
    assert admin.get("/media/known").status_code == 404
    etag = put(admin, "known", b"one").headers["etag"]
    assert admin.get("/content/known").headers["etag"] == etag
    second = put(admin, "known", b"two", headers={"If-Match": f'"x", {etag}'})
    assert second.status_code == 200
    late = admin.put("/content/known", content=b"three", headers={"If-Match": etag})
    assert (late.status_code, late.json()["etag"]) == (412, second.headers["etag"])
    assert admin.put("/content/known", content=b"three", headers={"If-Match": f"W/{second.headers['etag']}"}).status_code == 412
    assert admin.put("/content/known", content=b"three", headers={"If-None-Match": second.headers["etag"]}).status_code == 412
    assert put(admin, "known", b"three", headers={"If-Match": "*"}).status_code == 200
    assert admin.get("/content/known").content == b"three"


def test_a_weak_tag_is_the_same_where_tags_are_compared_weakly(admin: httpx.Client) -> None:
    etag = put(admin, "weak", b"one").headers["etag"]
    assert admin.put("/content/weak", content=b"two", headers={"If-None-Match": f"W/{etag}"}).status_code == 412


ALL_FIVE = ["crc32c", "md5", "sha1", "sha256", "sha512"]
NAMES = {"md5": "md5", "sha": "sha1", "sha-256": "sha256", "sha-512": "sha512", "crc32c": "crc32c"}


def digest(algorithm: str, content: bytes) -> bytes:
    if algorithm == "crc32c":
        return int(google_crc32c.value(content)).to_bytes(4, "big")
    return hashlib.new(algorithm, content, usedforsecurity=False).digest()


@pytest.mark.parametrize("size", [0, 1, 2_500_000])
def test_all_five_digests_are_those_of_hashlib(admin: httpx.Client, size: int) -> None:
    admin.post("/stores", json={"name": "five", "kind": "filesystem", "checksums": ALL_FIVE})
    content = zlib.compress(b"x" * 100)[:1] * size
    record = put(admin, f"five/{size}?store=five", content).json()
    assert {name: item["value"] for name, item in record["content"]["checksums"].items()} == {
        name: digest(name, content).hex() for name in ALL_FIVE
    }
    told_digests = dict(
        item.strip().split("=", 1) for item in admin.get(f"/content/five/{size}").headers["repr-digest"].split(",")
    )
    assert {name: base64.b64decode(value.strip(":")) for name, value in told_digests.items()} == {
        name: digest(algorithm, content) for name, algorithm in NAMES.items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_claimed_digests_are_compared(admin: httpx.Client, name: str) -> None:
    right = base64.b64encode(digest(NAMES[name], BYTES)).decode()
    wrong = base64.b64encode(digest(NAMES[name], b"other")).decode()
    for header in ("Content-Digest", "Repr-Digest"):
        pid = f"claimed/{name}/{header}"
        refused = admin.put(f"/content/{pid}", content=BYTES, headers={header: f"{name}=:{wrong}:"})
        assert (refused.status_code, refused.json()["code"]) == (422, "digest_mismatch"), refused.text
        assert admin.get(f"/media/{pid}").status_code == 404
        made = put(admin, pid, BYTES, headers={header: f"{name}=:{right}:"}).json()
        assert made["content"]["checksums"][NAMES[name]]["attested_by"] == "server", "a claim is compared, never copied"


def test_a_mismatch_leaves_the_version_that_is_there(admin: httpx.Client) -> None:
    put(admin, "kept", b"one")
    before = admin.get("/media/kept").json()
    assert (
        admin.put("/content/kept", content=b"two", headers={"Content-MD5": base64.b64encode(bytes(16)).decode()}).status_code
        == 422
    )
    assert admin.get("/media/kept").json() == before
    assert admin.get("/content/kept").content == b"one"


def test_fields_of_the_record_come_with_a_put(server: Server, admin: httpx.Client) -> None:
    made = put(admin, "fields?access=internal&ttl_s=1000&store=scratch&filename=a.bin").json()
    assert (made["access"], made["store"], made["content"]["filename"]) == ("internal", "scratch", "a.bin")
    assert made["expires_at"]
    changed = put(admin, "fields?access=public").json()
    assert (changed["access"], changed["store"], changed["version"]) == ("public", "scratch", 2)
    for query in ("access=secret", "ttl_s=0", "ttl_s=x", "expires_at=soon", "store=never", "pid_type=NEVER"):
        answer = admin.put(f"/content/fields?{query}", content=b"x")
        assert answer.status_code in {404, 422}, query
    assert admin.get("/media/fields").json()["version"] == 2
    add_user(admin, "content-reader", "reader")
    with server.client("content-reader") as reader:
        assert reader.get("/content/fields").content == BYTES
        assert reader.put("/content/fields", content=b"x").status_code == 403


def test_bytes_of_an_old_reader_stay_while_new_ones_come(admin: httpx.Client) -> None:
    put(admin, "replaced-under", BYTES * 400)
    with admin.stream("GET", "/content/replaced-under") as old:
        pieces = old.iter_raw(65536)
        first = next(pieces)
        put(admin, "replaced-under", b"new")
        assert admin.get("/content/replaced-under").content == b"new"
        assert first + b"".join(pieces) == BYTES * 400


def test_downloads_of_deleted_records_end(admin: httpx.Client) -> None:
    put(admin, "deleted")
    assert admin.delete("/media/deleted").status_code == 204
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        for query in ("", "?version=1"):
            assert admin.get(f"/content/deleted{query}").status_code == 410
        time.sleep(0.2)
