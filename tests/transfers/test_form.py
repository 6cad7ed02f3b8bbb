"""Uploads by form: fields, then the file; over HTTP, by curl itself, and piece by piece."""

import hashlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.transfers.errors import FormInvalid
from mediastore.transfers.form import LARGEST_FIELD, MOST_FIELDS, Form, as_json
from tests.faults.harness import eventually
from tests.server import Server

BOUNDARY = "b-o-u-n-d"
KIND = f"multipart/form-data; boundary={BOUNDARY}"
FILE = ("file", b"the bytes", 'filename="a.csv"', "text/csv")


def field(name: str, value: bytes | str, extra: str = "", kind: str = "") -> tuple[str, bytes, str, str]:
    return (name, value.encode() if isinstance(value, str) else value, extra, kind)


def body(*parts: tuple[str, bytes, str, str], end: bytes = b"--\r\n") -> bytes:
    """A form, written by hand."""
    written = b""
    for name, value, extra, kind in parts:
        lines = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"' + (f"; {extra}" if extra else "")
        lines += f"\r\nContent-Type: {kind}" if kind else ""
        written += lines.encode() + b"\r\n\r\n" + value + b"\r\n"
    return written + f"--{BOUNDARY}".encode() + end


def post(client: httpx.Client, *parts: tuple[str, bytes, str, str], end: bytes = b"--\r\n") -> httpx.Response:
    return client.post("/content", content=body(*parts, end=end), headers={"Content-Type": KIND})


def test_a_form_makes_a_record_with_its_fields(admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "FORM", "pattern": ".+"})
    answer = post(
        admin,
        field("pid", "form/all"),
        field("metadata", '{"depth": 1.10, "u": "é"}'),
        field("tags", "raw, blue ,,raw"),
        field("identifiers", '{"FORM": "x"}'),
        field("access", "internal"),
        field("readers", '["group:ocean"]'),
        field("ttl_s", "1000"),
        field("store", "scratch"),
        field("checksums", json.dumps({"sha256": hashlib.sha256(b"the bytes").hexdigest()})),
        FILE,
    )
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/api/v1/media/form/all"
    made = answer.json()
    assert (made["metadata"], made["tags"], made["identifiers"]) == ({"depth": 1.1, "u": "é"}, ["raw", "blue"], {"FORM": "x"})
    assert (made["access"], made["readers"], made["store"]) == ("internal", ["group:ocean"], "scratch")
    assert (made["content"]["filename"], made["content"]["media_type"], made["content"]["size"]) == ("a.csv", "text/csv", 9)
    assert "1.10" in admin.get("/media/form/all").text, "numbers stay as they were written"
    assert admin.get("/content/form/all").content == b"the bytes"


def test_a_form_without_a_pid_gets_one_and_with_one_that_is_there_makes_a_version(admin: httpx.Client) -> None:
    made = post(admin, FILE)
    assert made.status_code == 201
    pid = made.json()["pid"]
    again = post(
        admin, field("pid", pid), field("tags", '["new"]'), field("filename", "b.txt"), field("media_type", "text/plain"), FILE
    )
    assert (again.status_code, again.json()["version"], again.json()["tags"]) == (200, 2, ["new"])
    assert (again.json()["content"]["filename"], again.json()["content"]["media_type"]) == ("b.txt", "text/plain")


@pytest.mark.parametrize(
    "parts",
    [
        [field("pid", "form/bad"), FILE, field("tags", "late")],
        [field("pid", "form/bad"), field("tags", "a")],
        [],
        [field("pid", "form/bad"), FILE, FILE],
        [field("pid", "form/bad"), field("pid", "form/bad"), FILE],
        [field("pid", "form/bad"), field("metadata", "{"), FILE],
        [field("pid", "form/bad"), field("metadata", "[]"), FILE],
        [field("pid", "form/bad"), field("identifiers", "x=y"), FILE],
        [field("pid", "form/bad"), field("ttl_s", "1 day"), FILE],
        [field("pid", "form/bad"), field("tags", '["a"'), FILE],
        [field("pid", "form/bad"), field("tags", "[1]"), FILE],
        [field("pid", "form/bad"), field("titel", '"x"'), FILE],
        [field("pid", "form/bad"), field("expires_at", "soon"), FILE],
        [field("pid", "form/bad"), field("checksums", "x"), FILE],
        [field("pid", "form/bad"), field("checksums", '{"sha256": "x"}'), FILE],
        [field("pid", "form/bad"), field("checksums", '{"sha3": "x"}'), FILE],
        [field("pid", "form/bad"), field("checksums", json.dumps({"md5": "0" * 32})), FILE],
        [field("pid", "form/bad"), field("metadata", b'{"a": "\xff"}'), FILE],
        [field("pid", b"form/\xff"), FILE],
        [field("pid", "form/bad"), field("other", "bytes", 'filename="o.bin"'), FILE],
        [field("pid", "form/bad"), field("metadata", '{"a": "' + "x" * LARGEST_FIELD + '"}'), FILE],
        [field("pid", "form/bad"), *(field(f"f{n}", "1") for n in range(MOST_FIELDS)), FILE],
        [field("pid", "/form/bad"), FILE],
        [field("pid", "form/bad"), field("filename", "x" * 256), FILE],
        [field("pid", "form/bad"), field("metadata", '{"a":' * 5000 + "1" + "}" * 5000), FILE],
        [field("pid", "form/bad"), field("", "x"), FILE],
    ],
    ids=lambda parts: " ".join(part[0] + ":" + part[1][:12].decode("latin-1") for part in parts) or "nothing",
)
def test_a_form_that_can_not_be_used_is_refused_and_leaves_nothing(admin: httpx.Client, parts: list[Any]) -> None:
    answer = post(admin, *parts)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    assert admin.get("/media/form/bad").status_code == 404


def test_a_media_type_that_is_none_is_refused(admin: httpx.Client) -> None:
    answer = post(admin, field("pid", "form/type"), field("media_type", "nonsense"), FILE)
    assert answer.status_code in {400, 422}
    assert admin.get("/media/form/type").status_code == 404


def test_a_form_that_breaks_off_leaves_no_content(admin: httpx.Client) -> None:
    for n, end in enumerate((b"", b"-", b"x\r\n")):
        answer = post(admin, field("pid", f"form/cut/{n}"), FILE, end=end)
        assert answer.status_code == 422, answer.text
        assert admin.get(f"/content/form/cut/{n}").status_code == 404
    cut = body(field("pid", "form/cut"), ("file", b"x" * 100_000, 'filename="a"', ""))[:50_000]
    answer = admin.post("/content", content=cut, headers={"Content-Type": KIND})
    assert answer.status_code == 422, answer.text
    assert admin.get("/content/form/cut").status_code == 404


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/mixed; boundary=x",
        "multipart/form-data; boundary=" + "x" * 300,
        "application/x-www-form-urlencoded",
    ],
)
def test_what_is_no_form_is_refused(admin: httpx.Client, kind: str) -> None:
    answer = admin.post("/content", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code in {415, 422}, answer.text
    assert answer.json()["code"] in {"form_invalid", "media_type_unsupported"}


def test_a_field_that_is_not_known_is_named_as_such(admin: httpx.Client) -> None:
    answer = post(admin, field("pid", "form/unknown"), field("note", "hello"), FILE)
    assert answer.status_code == 422
    assert "note" in answer.json()["detail"]
    assert "unknown" in answer.json()["detail"], answer.json()["detail"]


@pytest.mark.parametrize("number", ["1.10", "1e400", "123456789012345678901234567890"])
def test_numbers_in_metadata_of_a_form_are_as_free_as_elsewhere(admin: httpx.Client, number: str) -> None:
    answer = post(admin, field("metadata", f'{{"n": {number}}}'), FILE)
    assert answer.status_code == 201, answer.text


def test_names_of_files_lose_their_folders(admin: httpx.Client) -> None:
    for given_name, kept in (("/etc/passwd", "passwd"), ("..\\\\..\\\\a.txt", "a.txt"), ("été.csv", "été.csv")):
        answer = post(admin, ("file", b"x", f'filename="{given_name}"', ""))
        assert answer.json()["content"]["filename"] == kept, answer.text


def test_parameters_of_the_files_media_type_are_kept(admin: httpx.Client) -> None:
    answer = post(admin, ("file", b"x", 'filename="a.txt"', "text/plain; charset=latin-1"))
    assert answer.json()["content"]["media_type"] == "text/plain; charset=latin-1"


def test_httpx_and_its_forms(admin: httpx.Client) -> None:
    answer = admin.post("/content", data={"pid": "form/httpx", "tags": "a,b"}, files={"file": ("n.txt", b"x", "text/plain")})
    assert answer.status_code == 201, answer.text
    assert answer.json()["tags"] == ["a", "b"]


def curl(server: Server, *arguments: str) -> tuple[int, dict[str, Any]]:
    """What curl gets."""
    token = server.token()
    done = subprocess.run(
        ["curl", "-sS", "-H", f"Authorization: Bearer {token}", "-w", "\n%{http_code}", *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer, _, status = done.stdout.rpartition("\n")
    return int(status), json.loads(answer) if answer else {}


def test_curl_uploads_a_form_with_a_file(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "some data.txt"
    file.write_bytes(b"a,b\r\n--1\r\n" * 100_000)
    fields = ("-F", "pid=curl/form", "-F", 'metadata={"depth": 12.5}', "-F", "tags=raw,blue", "-F", f"file=@{file}")
    status, made = curl(server, *fields, f"{server.url}/api/v1/content")
    assert status == 201, made
    assert (made["content"]["filename"], made["content"]["media_type"]) == ("some data.txt", "text/plain")
    assert made["content"]["checksums"]["sha256"]["value"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (made["tags"], made["metadata"]) == (["raw", "blue"], {"depth": 12.5})
    status, refused = curl(server, "-F", f"file=@{file}", "-F", "pid=curl/late", f"{server.url}/api/v1/content")
    assert (status, refused["code"]) == (422, "form_invalid")
    assert "last" in refused["detail"], "it says what would have been right"
    assert admin.get("/media/curl/late").status_code == 404
    status, piped = curl(
        server, "-F", "pid=curl/typed", "-F", f"file=@{file};type=text/x-odd;filename=b.odd", f"{server.url}/api/v1/content"
    )
    assert (status, piped["content"]["media_type"], piped["content"]["filename"]) == (201, "text/x-odd", "b.odd")


def test_curl_uploads_a_file_as_it_is(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "plain.bin"
    file.write_bytes(bytes(range(256)) * 1000)
    status, made = curl(server, "-T", str(file), f"{server.url}/api/v1/content/curl/put")
    assert (status, made["content"]["size"]) == (201, 256_000)
    status, made = curl(server, "-X", "PUT", "--data-binary", f"@{file}", f"{server.url}/api/v1/content/curl/put")
    assert (status, made["content"]["media_type"]) == (200, "application/octet-stream")
    assert admin.get("/content/curl/put").content == file.read_bytes()


# Without a server: the parser fed in pieces of any size.


async def pieces(text: bytes, sizes: list[int]) -> AsyncIterator[bytes]:
    at = turn = 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        yield text[at : at + size]
        at, turn = at + size, turn + 1


async def parsed(text: bytes, sizes: list[int], kind: str = KIND) -> tuple[dict[str, str], bytes, Form]:
    form = Form(pieces(text, sizes), content_type=kind)
    fields = await form.fields()
    return fields, b"".join([piece async for piece in form.content()]), form


LIKE_A_BOUNDARY = [
    f"--{BOUNDARY}",
    f"\r\n--{BOUNDARY[:-1]}",
    "\r\n--",
    "\r\n",
    "--",
    "\r",
    "\n",
    f"--{BOUNDARY}--",
    f"\n--{BOUNDARY}",
    "\r\n\r\n",
]
contents = st.lists(st.binary(max_size=40) | st.sampled_from([text.encode() for text in LIKE_A_BOUNDARY]), max_size=8).map(
    b"".join
)
chunks = st.lists(st.integers(1, 70), min_size=1, max_size=5)


@given(content=contents, sizes=chunks)
async def test_any_content_comes_back_equal_in_pieces_of_any_size(content: bytes, sizes: list[int]) -> None:
    if f"\r\n--{BOUNDARY}".encode() in b"\r\n" + content:
        return  # a client chooses a boundary that is not in the content
    fields, found, form = await parsed(body(field("a", "1"), ("file", content, 'filename="f"', "x/y")), sizes)
    assert (fields, found, form.filename, form.media_type) == ({"a": "1"}, content, "f", "x/y")


@given(values=st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=5), sizes=chunks)
async def test_any_fields_come_back_equal(values: list[str], sizes: list[int]) -> None:
    if any(BOUNDARY in value for value in values):
        return
    parts = [field(f"f{n}", value) for n, value in enumerate(values)]
    fields, found, _ = await parsed(body(*parts, FILE), sizes)
    assert fields == {f"f{n}": value for n, value in enumerate(values)}
    assert found == b"the bytes"


@given(text=st.binary(max_size=200), sizes=chunks)
async def test_any_bytes_are_a_form_or_are_refused(text: bytes, sizes: list[int]) -> None:
    for form in (text, f"--{BOUNDARY}\r\n".encode() + text, body(FILE)[:-8] + text):
        with suppress(FormInvalid):
            await parsed(form, sizes)


@given(cut=st.integers(0, len(body(field("a", "1"), FILE)) - 5), sizes=chunks)
async def test_a_form_that_is_cut_anywhere_is_never_taken_for_whole(cut: int, sizes: list[int]) -> None:
    with pytest.raises(FormInvalid):
        await parsed(body(field("a", "1"), FILE)[:cut], sizes)


async def late(text: bytes, sizes: list[int]) -> tuple[dict[str, str], bytes, dict[str, str]]:
    form = Form(pieces(text, sizes), content_type=KIND, late={"note", "more"})
    fields = await form.fields()
    return fields, b"".join([piece async for piece in form.content()]), form.after


@given(content=contents, note=st.text(st.characters(codec="utf-8"), max_size=20), sizes=chunks)
async def test_fields_that_may_follow_the_file_do(content: bytes, note: str, sizes: list[int]) -> None:
    if f"\r\n--{BOUNDARY}".encode() in b"\r\n" + content or BOUNDARY in note:
        return
    text = body(field("a", "1"), ("file", content, 'filename="f"', ""), field("note", note), field("more", ""))
    assert await late(text, sizes) == ({"a": "1"}, content, {"note": note, "more": ""})


@given(cut=st.integers(0, len(body(FILE, field("note", "12"))) - 5), sizes=chunks)
async def test_a_form_that_is_cut_behind_the_file_is_not_taken_for_whole_either(cut: int, sizes: list[int]) -> None:
    with pytest.raises(FormInvalid):
        await late(body(FILE, field("note", "12"))[:cut], sizes)


@pytest.mark.parametrize(
    "parts",
    [
        (FILE, field("note", "1"), field("note", "2")),
        (FILE, field("other", "1")),
        (FILE, field("note", "1"), FILE),
        (FILE, ("note", b"x", 'filename="n"', "")),
        (FILE, field("note", b"\xff")),
        (FILE, field("note", "x" * (LARGEST_FIELD + 1))),
    ],
    ids=["twice", "another", "a second file", "as a file", "no text", "too long"],
)
async def test_what_may_not_follow_the_file_is_refused(parts: Any) -> None:
    with pytest.raises(FormInvalid):
        await late(body(*parts), [70_000])


async def test_the_file_is_handed_on_before_it_has_come_whole() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield body(FILE)[: -len(f"\r\n--{BOUNDARY}--\r\n")]
        while True:
            sent += 1
            yield b"x" * 65536

    form = Form(endless(), content_type=KIND)
    await form.fields()
    got = 0
    async for piece in form.content():
        got += len(piece)
        if got > 1024 * 1024:
            break
    assert sent < 40, "no more is read than is handed on"


async def test_quoted_boundaries_and_preambles() -> None:
    quoted = 'multipart/form-data; charset=utf-8; boundary="b o:u"'
    text = b'--b o:u\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\nx\r\n--b o:u--\r\n'
    assert (await parsed(text, [7], quoted))[1] == b"x"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"tags": "a, b ,,c"}, {"tags": ["a", "b", "c"]}),
        ({"tags": ' ["a, b"]'}, {"tags": ["a, b"]}),
        ({"tags": ""}, {"tags": []}),
        ({"pid": "1", "store": "true", "access": "null"}, {"pid": "1", "store": "true", "access": "null"}),
        ({"ttl_s": "60", "metadata": '{"a": null}'}, {"ttl_s": 60, "metadata": {"a": None}}),
        ({"readers": "ann,group:ocean"}, {"readers": ["ann", "group:ocean"]}),
    ],
)
def test_fields_as_json(fields: dict[str, str], found: dict[str, object]) -> None:
    assert json.loads(as_json(fields)) == found


def test_a_record_is_there_before_a_slow_form_has_sent_much(server: Server, admin: httpx.Client) -> None:
    text = body(field("pid", "form/slow"), ("file", b"x" * 1000, 'filename="a"', ""))
    address = (httpx.URL(server.url).host, httpx.URL(server.url).port)
    with socket.create_connection(address, timeout=60) as connection:
        head = f"POST /api/v1/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.token()}\r\n"
        head += f"Content-Type: {KIND}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + text[:600])
        eventually(lambda: admin.get("/media/form/slow").json().get("status") == "pending")
        connection.sendall(text[600:])
        assert b" 201 " in connection.recv(100)
    assert admin.get("/content/form/slow").content == b"x" * 1000


async def test_h17_all_fields_together_are_bounded() -> None:
    """Whoever sends a form is not known before its fields are read, where one of them is the token."""
    read = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal read
        whole = body(*(field(f"f{number}", "x" * (LARGEST_FIELD - 1)) for number in range(MOST_FIELDS - 1)), FILE)
        for start in range(0, len(whole), 64 * 1024):
            read += 64 * 1024
            yield whole[start : start + 64 * 1024]

    with pytest.raises(FormInvalid, match="together"):
        await Form(pieces(), content_type=KIND).fields()
    assert read < 4 * LARGEST_FIELD
