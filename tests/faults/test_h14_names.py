"""Paths and file names made to be misunderstood. Clients normalise paths, so they go out by hand."""

import re
from urllib.parse import quote, unquote_to_bytes

import pytest

from tests.faults.harness import Site, name

ODD = {
    "dots": b"a/../b",
    "dots at the end": b"a/..",
    "only dots": b"../../etc/passwd",
    "encoded dots": b"%2e%2e/%2e%2e/etc/passwd",
    "one encoded dot": b"a/%2e/b",
    "NUL": b"a%00b",
    "NUL at the end": b"a%00",
    "leading slash": b"/a",
    "leading slashes": b"//etc/passwd",
    "encoded leading slash": b"%2Fa",
    "doubled slash": b"a//b",
    "trailing slash": b"a/",
    "invalid UTF-8": b"a%ff",
    "overlong UTF-8": b"a%c0%af",
    "surrogate": b"a%ed%a0%80",
    "line break": b"a%0d%0ab",
    "tab": b"a%09b",
    "escape": b"a%1b[31m",
    "delete": b"a%7f",
    "right-to-left override": b"a%e2%80%aeb",
    "zero width space": b"a%e2%80%8bb",
    "space in front": b"%20a",
    "space behind": b"a%20",
    "256 characters": b"a" * 256,
    "1,025 bytes": b"a" * 1025,
    "8,000 bytes": b"a" * 8000,
    "1,025 bytes with slashes": b"/".join([b"a" * 200] * 5 + [b"b" * 20]),
    "nothing": b"",
}


@pytest.mark.parametrize("odd", ODD)
def test_h14_a_path_that_is_no_pid_is_refused_and_makes_nothing(site: Site, odd: str) -> None:
    before = site.value("SELECT count(*) FROM media")
    for method, path in (
        ("GET", b"media/"), ("GET", b"content/"), ("HEAD", b"content/"), ("PUT", b"content/"), ("PATCH", b"media/"),
        ("DELETE", b"media/"), ("GET", b"versions/"), ("GET", b"history/"),
    ):  # fmt: skip
        if odd == "nothing" and path == b"media/" and method == "GET":
            continue  # the list of records
        body = {"PUT": b"x", "PATCH": b"{}"}.get(method, b"")
        answer = site.raw(method, b"/api/v1/" + path + ODD[odd], body=body)
        assert 400 <= answer.status < 500, (method, path, answer.status, answer.body)
        if method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json", (method, path, answer.body)
            assert answer.json()["code"] in {
                "pid_invalid", "path_invalid", "record_not_found", "path_unknown", "value_refused", "method_not_allowed",
                "request_invalid",
            }, answer.body  # fmt: skip
            assert answer.json()["code"] != "record_not_found" or method != "PUT"
    assert site.value("SELECT count(*) FROM media") == before
    site.settle()


@pytest.mark.parametrize("odd", [b"a\xffb", b"a\x00b", b"a\x7fb", b"a\x1fb"], ids=["0xff", "NUL", "0x7f", "0x1f"])
def test_h14_raw_bytes_in_a_path_are_refused(site: Site, odd: bytes) -> None:
    answer = site.raw("PUT", b"/api/v1/content/" + odd, body=b"x")
    assert 400 <= answer.status < 500, answer.body
    assert site.value("SELECT count(*) FROM media WHERE pid LIKE 'a%b'") == 0


@pytest.mark.parametrize("odd", [key for key in ODD if key not in {"nothing", "invalid UTF-8", "overlong UTF-8", "surrogate"}])
def test_h14_a_pid_that_is_none_is_refused_in_bodies_too(site: Site, odd: str) -> None:
    pid = unquote_to_bytes(ODD[odd]).decode()
    for answer in (
        site.admin.post("/media", json={"pid": pid}),
        site.admin.post("/content", data={"pid": pid}, files={"file": ("a", b"x")}),
    ):
        assert answer.status_code == 422, answer.text
    item = site.admin.post("/media/batch", json={"items": [{"op": "create", "pid": pid}]})
    assert item.status_code == 422 or item.json()["items"][0]["status"] == 422, item.text


@pytest.mark.parametrize(
    "target",
    [
        "//api/v1/{}/{}", "/api//v1/{}/{}", "/api/v1//{}/{}", "/./api/v1/{}/{}", "/api/v1/x/../{}/{}", "/api/%761/{}/{}",
        "/%61pi/v1/{}/{}", "http://127.0.0.1/api/v1/{}/{}",
    ],
)  # fmt: skip
def test_h14_a_path_written_otherwise_never_means_another_record(site: Site, target: str) -> None:
    """The whole path is the one that was meant, or there is nothing at it."""
    pid = name("longer")
    for other in (pid, f"t/{pid}", f"nt/{pid}", f"ia/{pid}", f"a/{pid}", f"dia/{pid}"):
        if other != pid:
            assert site.put(other, b"other").status_code == 201
    site.put(pid, b"mine")
    count = site.value("SELECT count(*) FROM media")
    for method, word in (("GET", "media"), ("GET", "content"), ("PUT", "content"), ("DELETE", "media")):
        answer = site.raw(method, target.format(word, pid), body=b"y" if method == "PUT" else b"")
        if answer.status < 400 and method == "GET" and word == "media":
            assert answer.json()["pid"] == pid
        if answer.status < 400 and method == "PUT":
            assert answer.json()["pid"] == pid
        if answer.status < 400 and method == "GET" and word == "content":
            assert answer.body == b"mine"
    assert site.value("SELECT count(*) FROM media") == count
    deleted = [row["pid"] for row in site.rows("SELECT pid FROM media WHERE status = 'deleted' AND pid LIKE '%' || $1", pid)]
    assert deleted in ([], [pid])


@pytest.mark.parametrize("word", ["%6dedia", "m%65dia", "medi%61", "%6d%65%64%69%61"])
def test_h14_an_encoded_word_of_the_path_never_means_another_record(site: Site, word: str) -> None:
    pid = name("rec")
    fixed = len("/api/v1/media/")
    shifted = f"/api/v1/{word}/{pid}"[fixed:]
    assert site.put(shifted, b"other").status_code == 201
    answer = site.raw("GET", f"/api/v1/{word}/{pid}")
    assert answer.status == 404 or answer.json().get("pid") == pid, answer.body
    site.raw("DELETE", f"/api/v1/{word}/{pid}")
    assert site.admin.get(f"/media/{shifted}").status_code == 200, f"{shifted} was deleted by a request about {pid}"


FILENAMES = {
    "CR LF": "a\r\nSet-Cookie: x=1\r\n\r\nb.txt",
    "quotes": 'a"; filename="evil.exe',
    "backslash and quote": 'a\\"b.txt',
    "right-to-left": "photo\u202egnp.exe",
    "isolate": "a\u2067b\u2069.txt",
    "path": "../../etc/passwd",
    "Windows path": "C:\\Windows\\evil.exe",
    "not Latin": "Ünïcode 文件.txt",
    "percent": "100%25.txt",
    "NUL": "a\x00b",
    "next line": "a\u0085b\u2028c.txt",
    "delete": "a\x7fb",
    "long": "é" * 255,
    "only dots": "..",
    "emoji": "🙂.bin",
    "semicolon": "a;b=c,d.txt",
}


@pytest.mark.parametrize("odd", FILENAMES)
def test_h14_file_names_come_back_safe(site: Site, odd: str) -> None:
    filename, pid = FILENAMES[odd], name()
    answer = site.raw("PUT", f"/api/v1/content/{pid}?filename={quote(filename, safe='')}", body=b"x")
    if answer.status == 422:
        assert site.admin.get(f"/media/{pid}").status_code == 404
        assert any(ord(letter) < 32 for letter in filename)
        return
    assert answer.status == 201, answer.body
    for path in (f"/api/v1/content/{pid}",):
        back = site.raw("GET", path)
        value = back.headers["content-disposition"]
        assert re.fullmatch(
            r"(attachment|inline); filename=\"[\x20\x21\x23-\x5b\x5d-\x7e]+\"(; filename\*=UTF-8''[A-Za-z0-9!#$&+.^_`|~%-]+)?",
            value,
        ), value
        assert "set-cookie" not in back.headers
        assert "/" not in value.replace("UTF-8''", "")
        assert "%2F" not in value.upper()
        assert not re.search("%E2%80%A[A-E]|%E2%81%A[5-9]|%0[AD]|%00|%C2%85|%E2%80%A8", value)


@pytest.mark.parametrize(
    "media_type",
    ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/javascript",
     "text/javascript", "multipart/related", "application/octet-stream", "message/rfc822", "text/css", "x-y/z",
     "text/html ;image/png", "application/x-shockwave-flash"],
)  # fmt: skip
@pytest.mark.parametrize("store", ["local", "scratch", "bucket"])
def test_h14_what_a_browser_could_execute_is_a_download(site: Site, store: str, media_type: str) -> None:
    pid = name()
    made = site.put(pid, b"<script>alert(1)</script>", params={"store": store}, headers={"Content-Type": media_type})
    assert made.status_code == 201, made.text
    for answer in (
        site.admin.get(f"/content/{pid}"),
        site.admin.head(f"/content/{pid}"),
        site.admin.get(f"/content/{pid}", headers={"Range": "bytes=0-3"}),
        site.admin.get(f"/content/{pid}?version=1"),
    ):
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    if store == "bucket":
        direct = site.admin.get(f"/content/{pid}?direct=true")
        assert direct.status_code == 307
        assert "response-content-disposition=attachment" in direct.headers["location"].lower()


@pytest.mark.parametrize(
    "media_type", ["text/html\u00e9", "nonsense", "text/", "/html", "a/b/c", "text/html\x01", "text/" + "x" * 200, ""]
)
def test_h14_a_media_type_that_is_none_is_refused_or_replaced(site: Site, media_type: str) -> None:
    pid = name()
    answer = site.raw("PUT", f"/api/v1/content/{pid}", headers=[("Content-Type", media_type)], body=b"x")
    if answer.status == 201:
        assert media_type == ""
        assert answer.json()["content"]["media_type"] == "application/octet-stream"
    else:
        assert answer.status == 400, answer.body
