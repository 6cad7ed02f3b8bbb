"""What a client claims about its bytes is compared with them, and never copied."""

import base64
import hashlib
import json
from typing import Any

import httpx
import pytest

from tests.faults.harness import MIB, Site, content, name

RIGHT, WRONG = b"the right bytes", b"the wrong bytes"
STORES = ("local", "scratch", "bucket")


def digest(algorithm: str, data: bytes = RIGHT) -> bytes:
    return hashlib.new(algorithm, data).digest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


HEADERS = {
    "content-md5": ("Content-MD5", b64(digest("md5")), "md5"),
    "content-md5 in upper-case hex": ("Content-MD5", digest("md5").hex().upper(), "md5"),
    "content-digest": ("Content-Digest", f"sha-256=:{b64(digest('sha256'))}:", "sha256"),
    "content-digest among unknown ones": ("Content-Digest", f"unixsum=:AAA=:, sha-512=:{b64(digest('sha512'))}:", "sha512"),
    "repr-digest": ("Repr-Digest", f"sha-256=:{b64(digest('sha256'))}:", "sha256"),
    "repr-digest with a parameter": ("Repr-Digest", f"sha=:{b64(digest('sha1'))}:;x=1", "sha1"),
}
FORMS = {
    "hex": {"sha256": digest("sha256").hex()},
    "upper-case hex": {"sha256": digest("sha256").hex().upper()},
    "base64": {"sha256": b64(digest("sha256"))},
    "white space": {"md5": f" \n\t{digest('md5').hex()} \n"},
    "several": {"md5": digest("md5").hex(), "sha1": digest("sha1").hex(), "sha512": b64(digest("sha512"))},
}


def form(site: Site, pid: str, data: bytes, checksums: Any, **fields: str) -> httpx.Response:
    text = checksums if isinstance(checksums, str) else json.dumps(checksums)
    return site.admin.post("/content", data={"pid": pid, "checksums": text, **fields}, files={"file": ("a.bin", data)})


def assert_mismatch(answer: httpx.Response, algorithm: str) -> None:
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["code"] == "digest_mismatch"
    assert problem["algorithm"] == algorithm
    assert problem["claimed"] == digest(algorithm).hex()
    assert problem["computed"] == digest(algorithm, WRONG).hex()
    assert problem["claimed"] in problem["detail"]
    assert problem["computed"] in problem["detail"]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("claim", HEADERS)
def test_h05_other_bytes_under_a_claimed_header_digest_are_refused(site: Site, claim: str, store: str) -> None:
    header, value, algorithm = HEADERS[claim]
    pid = name()
    assert_mismatch(site.put(pid, WRONG, params={"store": store}, headers={header: value}), algorithm)
    assert site.admin.get(f"/media/{pid}").status_code == 404
    accepted = site.put(pid, RIGHT, params={"store": store}, headers={header: value})
    assert accepted.status_code == 201, accepted.text
    assert_mismatch(site.put(pid, WRONG, headers={header: value}), algorithm)
    assert site.admin.get(f"/media/{pid}").json() == accepted.json()
    assert site.admin.get(f"/content/{pid}").content == RIGHT
    site.settle()


@pytest.mark.parametrize("claim", FORMS)
def test_h05_other_bytes_under_a_digest_claimed_in_a_form_are_refused(site: Site, claim: str) -> None:
    pid, checksums = name(), FORMS[claim]
    answer = form(site, pid, WRONG, checksums)
    assert_mismatch(answer, answer.json()["algorithm"])
    assert site.admin.get(f"/media/{pid}").status_code == 404
    accepted = form(site, pid, RIGHT, checksums)
    assert accepted.status_code == 201, accepted.text
    shown = accepted.json()["content"]["checksums"]
    for algorithm in checksums:
        assert shown[algorithm]["value"] == digest(algorithm).hex()
        assert shown[algorithm]["attested_by"] == "server"
    site.settle()


def test_h05_a_large_upload_under_a_wrong_digest_leaves_nothing_in_any_store(site: Site) -> None:
    data = content(11 * MIB)
    claim = {"Content-Digest": f"sha-256=:{b64(digest('sha256', content(11 * MIB, 'other')))}:"}
    for store in STORES:
        pid = name()
        site.put(pid, b"old", params={"store": store})
        answer = site.put(pid, data, headers=claim)
        assert (answer.status_code, answer.json()["code"]) == (422, "digest_mismatch")
        assert site.admin.get(f"/content/{pid}").content == b"old"
        assert site.admin.get(f"/media/{pid}").json()["version"] == 1
    site.settle()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-MD5", "not a digest"),
        ("Content-MD5", "00"),
        ("Content-MD5", "d41d8cd98f00b204e9800998ecf8427e-3"),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg"),
        ("Content-Digest", "sha-256"),
        ("Content-Digest", "sha-256=abc"),
        ("Content-Digest", "sha-256=:AAAA:"),
        ("Content-Digest", "sha-256=:%%%:"),
        ("Content-Digest", "sha-999=:AAAA:"),
        ("Content-Digest", 'sha-256="text"'),
        ("Content-Digest", "sha-256=(:AAAA: :AAAA:)"),
        ("Repr-Digest", ",,,"),
        ("Repr-Digest", "crc32c=:AA==:"),
        ("Repr-Digest", "sha-256=:\xe9:"),
        ("Repr-Digest", "@" * 5000),
    ],
)
def test_h05_a_malformed_digest_header_is_a_clear_refusal(site: Site, header: str, value: str) -> None:
    pid = name()
    answer = site.raw("PUT", f"/api/v1/content/{pid}", headers=[(header, value)], body=RIGHT)
    assert answer.status in {400, 422}, answer.body
    assert answer.json()["code"] == "digest_invalid"
    assert site.admin.get(f"/media/{pid}").status_code == 404


@pytest.mark.parametrize(
    "checksums",
    [
        {"sha3": "00"},
        {"SHA-256": digest("sha256").hex()},
        {"sha256": ""},
        {"sha256": digest("sha256").hex()[:-1]},
        {"md5": digest("md5").hex() + "-3"},
        {"md5": 5},
        {"md5": None},
        ["md5"],
        "",
        "null",
        "not JSON",
        "[" * 3000,
    ],
)
def test_h05_a_malformed_digest_in_a_form_is_a_clear_refusal(site: Site, checksums: Any) -> None:
    pid = name()
    answer = form(site, pid, RIGHT, checksums)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.json()["code"] == "digest_invalid"
    assert site.admin.get(f"/media/{pid}").status_code == 404


def test_h05_headers_that_contradict_each_other_are_refused(site: Site) -> None:
    pid = name()
    both = [("Content-MD5", b64(digest("md5"))), ("Content-Digest", f"md5=:{b64(digest('md5', WRONG))}:")]
    answer = site.raw("PUT", f"/api/v1/content/{pid}", headers=both, body=RIGHT)
    assert (answer.status, answer.json()["code"]) == (422, "digest_invalid")


@pytest.mark.parametrize("order", [(RIGHT, WRONG), (WRONG, RIGHT)])
@pytest.mark.parametrize("header", ["Content-Digest", "Repr-Digest"])
def test_h05_a_digest_in_a_second_line_of_the_same_header_is_compared_too(
    site: Site, header: str, order: tuple[bytes, bytes]
) -> None:
    """RFC 9110, section 5.2: lines of one name are one list."""
    pid = name()
    one, other = order
    lines = [(header, f"sha-256=:{b64(digest('sha256', one))}:"), (header, f"sha-512=:{b64(digest('sha512', other))}:")]
    answer = site.raw("PUT", f"/api/v1/content/{pid}", headers=lines, body=RIGHT)
    assert answer.status == 422, answer.body
    assert answer.json()["code"] == "digest_mismatch"


def test_h05_a_multipart_etag_is_never_a_checksum(site: Site) -> None:
    pid, data = name(), content(11 * MIB)
    shown = site.put(pid, data, params={"store": "bucket"}).json()["content"]["checksums"]
    key = site.value("SELECT o.key FROM stored_object o JOIN media m ON m.id = o.media WHERE m.pid = $1", pid)
    etag = httpx.head(f"{site.moto_url}/{site.bucket}/{key}").headers["etag"].strip('"')
    assert etag.endswith("-3")
    assert shown["md5"]["value"] == hashlib.md5(data, usedforsecurity=False).hexdigest()
    kept = json.loads(site.value("SELECT checksums::text FROM stored_object WHERE key = $1", key))
    assert {name: item["value"] for name, item in kept.items()} == {
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    assert etag not in site.admin.get(f"/media/{pid}").text + site.admin.get(f"/versions/{pid}").text


def test_h05_what_is_told_of_the_bytes_is_what_the_server_computed(site: Site) -> None:
    pid = name()
    site.put(pid, RIGHT, headers={"Content-MD5": digest("md5").hex().upper()})
    answer = site.admin.get(f"/content/{pid}")
    assert f"sha-256=:{b64(digest('sha256'))}:" in answer.headers["repr-digest"]
    assert f"md5=:{b64(digest('md5'))}:" in answer.headers["repr-digest"]
