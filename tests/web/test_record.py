"""The page of a record, as people use it."""

import json

import pytest
from playwright.async_api import expect

from tests.server import Server, add_user
from tests.web.visit import LOOKS, needs_chromium, visiting

METADATA = """{"cruise": "AR77", "station": 7, "serial": 123456789012345678901234567890, "depth_m": 12.50, "calibrated": true,
 "note": null, "ctd": {"sensors": [{"kind": "conductivity", "sn": "4-1123", "offset": -0.0001},
 {"kind": "temperature", "sn": "3P-5477", "offset": 0.0}], "rate_hz": 24.0}, "bottles": [1, 2, 5, 8],
 "comment": "Cast aborted at 380 m because of swell; restarted 20 min later. See the log of the deck."}"""
CSV = "depth,temperature,salinity\n" + "".join(f"{n},{10 - n / 10:.2f},{35 + n / 100:.3f}\n" for n in range(80))


@pytest.fixture(scope="module", autouse=True)
def scene(server: Server) -> None:
    with server.client() as admin:
        add_user(admin, "ann")
        add_user(admin, "ben")
        admin.post("/identifier-types", json={"name": "CRUISE", "pattern": "[A-Z]{2}[0-9]+"})
        admin.post("/identifier-types", json={"name": "DOI", "pattern": "10\\..+", "unique": True})


def make(
    server: Server,
    pid: str,
    *,
    metadata: str = METADATA,
    content: bytes | None = None,
    media_type: str = "text/csv",
    filename: str = "cast-7.csv",
    **fields: object,
) -> None:
    body = json.dumps({"pid": pid, **fields})[:-1] + f', "metadata": {metadata}}}'
    with server.client("ann") as ann:
        answer = ann.post("/media", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 201, answer.text
        if content is not None:
            answer = ann.put(
                f"/content/{pid}", params={"filename": filename}, content=content, headers={"Content-Type": media_type}
            )
            assert answer.status_code == 200, answer.text


@needs_chromium
@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_a_record_on_a_wide_screen_in_the_dark_and_on_a_phone(server: Server, scheme: str, size: dict[str, int]) -> None:
    pid = f"cast/7/{scheme}/{size['width']}"
    make(
        server,
        pid,
        content=CSV.encode(),
        tags=["ctd", "raw", "quality: good"],
        identifiers={"CRUISE": "AR77"},
        writers=["ben", "group:crew"],
        expires_at="2031-05-01T12:00:00Z",
        public_at="2028-01-01T00:00:00Z",
    )
    with server.client("ann") as ann:
        ann.patch(
            f"/media/{pid}",
            json={
                "set_metadata": [{"path": ["ctd", "rate_hz"], "value": 48}, {"path": ["bottles"], "value": [1, 2, 3, 5, 8]}],
                "add_tags": ["checked"],
            },
        )
        ann.post(f"/holds/{pid}", json={"reason": "figure 3 of the paper", "until": "2029-01-01T00:00:00Z"})
    async with visiting(server, viewport=size, color_scheme=scheme) as visit:
        await visit.log_in("ann", then=f"/records/{pid}")
        await expect(visit.page.locator("#preview td").first).to_be_visible()
        await expect(visit.page.locator(".events li").first).to_be_visible()
        await visit.looks_right("record")
        visit.is_clean()
