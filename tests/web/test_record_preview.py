"""Previews in the page of a record: a look inside, in which nothing that people upload ever runs."""

import io
import struct
import zlib

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.async_api import expect

from tests.server import Server, add_user
from tests.web.records import CSV, fill, hold, make, path_of
from tests.web.visit import needs_chromium, visiting

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80" onload="parent.document.title = \'taken\'">'
    "<script>parent.document.title = 'taken'; fetch('https://evil.example/')</script>"
    '<image href="https://evil.example/x.png"/><rect width="120" height="80" fill="teal"/></svg>'
)
HTML = "<!doctype html><title>x</title><script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
NASTY = '"><img src=x onerror="document.title=\'taken\'">\u202egpj.exe'


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        admin.post("/identifier-types", json={"name": "ANY", "pattern": ".+"})


def png(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + b"".join(bytes((x * 4 % 256, y * 4 % 256, 128)) for x in range(width)) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"id": [2**62 + number for number in range(60)], "name": ["<b>x</b>"] * 60}), sink)
    return sink.getvalue()


OCTETS = "application/octet-stream"
SHOWN = [
    ("a.csv", "text/csv", CSV, "The first 50 rows."),
    ("b.csv", "text/csv", 'a;b\n"x; ""y""";2\n', 'x; "y"'),
    ("a.tsv", OCTETS, "a\tb\n1\t2\n", "1 row"),
    ("a.json", "application/json", '{"big":12345678901234567890.10,"nested":[1.0]}', '"big": 12345678901234567890.10,'),
    ("cut.json", "application/json", '{"a": ', "It is no JSON. Line 1, column 7: a value is expected"),
    ("a.txt", "text/plain; charset=utf-8", "grüße\n" * 30_000, "The first 64 KiB of "),
    ("a.html", "text/html", HTML, "<script>document.title = 'taken'</script>"),
    ("a.bin", OCTETS, b"\0\1", "There is no preview of application/octet-stream"),
    ("lies.txt", "text/plain", b"\0\1", "This is no text, whatever its type says"),
    ("empty.txt", "text/plain", b"", "It is empty: 0 bytes."),
    ("a.parquet", OCTETS, parquet(), "4611686018427387904"),
    ("bad.parquet", "application/vnd.apache.parquet", b"PAR1 no", "is no Parquet file"),
    ("bad.png", "image/png", b"nothing", "The browser can't draw this picture"),
]


@needs_chromium
async def test_each_kind_of_content_is_shown_as_what_it_is_and_none_runs(server: Server) -> None:
    for name, media_type, content, _ in SHOWN:
        fill(server, f"look/{name}", content, filename=name, media_type=media_type)
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/records/look/a.csv")
        for name, _, _, told in SHOWN:
            await visit.go(f"/records/look/{name}")
            await expect(visit.page.locator("#preview")).to_contain_text(told)
            assert await visit.page.title() == f"look/{name} · Mediastore"
        assert visit.denied == []
        assert [text for text in visit.complaints if "422" not in text] == []


@needs_chromium
async def test_h14_pictures_are_drawn_and_an_svg_is_nothing_but_a_picture(server: Server) -> None:
    fill(server, "look/p.png", png(64, 48), filename="p.png", media_type="image/png")
    fill(server, "look/s.svg", SVG, filename="s.svg", media_type="image/svg+xml")
    async with visiting(server) as visit:
        await visit.log_in("ann", then="/records/look/p.png")
        await expect(visit.page.locator("#preview")).to_contain_text("64 × 48 pixels")
        await visit.looks_right("picture")
        await visit.go("/records/look/s.svg")
        await expect(visit.page.locator("#preview")).to_contain_text("120 × 80 pixels")
        source = await visit.page.locator("#preview img").get_attribute("src")
        assert source is not None
        assert source.startswith("data:"), "opened by itself it has no origin"
        assert await visit.page.locator("svg, iframe, object, embed").count() == 0
        assert await visit.page.title() == "look/s.svg · Mediastore"
        visit.is_clean()


@needs_chromium
async def test_h14_names_tags_and_metadata_are_text(server: Server) -> None:
    pid = f"nasty/{NASTY}".replace("\u202e", "")
    metadata = '{"\\u003cimg src=x onerror=alert(1)>": "</script><script>document.title = 0</script>\\u202e"}'
    make(server, pid, metadata=metadata, tags=[NASTY], identifiers={"ANY": NASTY})
    fill(server, pid, "a\n1\n", filename=NASTY.replace('"', "'"))
    hold(server, pid, NASTY)
    async with visiting(server) as visit:
        await visit.log_in("ann")
        await visit.go(f"/records/{path_of(pid)}")
        await expect(visit.page.locator(".events li").first).to_be_visible()
        for place in ("#tree", ".tags", "#about dd bdi", "#versions bdi", "#retention .timeline", "#events"):
            await expect(visit.page.locator(place).filter(has_text="U+202E").first).to_be_visible()
        assert await visit.page.locator("main img").count() == 0
        assert "taken" not in (await visit.page.title()).replace("document.title='taken'", "")
        await visit.looks_right("nasty")
        visit.is_clean()


def test_h14_a_page_holds_no_data_that_ends_its_script(server: Server) -> None:
    make(server, "script/1", access="public", tags=["</script><script>alert(1)</script>"])
    page = httpx.get(f"{server.url}/records/script/1", headers={"Accept": "text/html"}).text
    assert "<script>alert" not in page
    assert "\\u003c/script\\u003e" in page
