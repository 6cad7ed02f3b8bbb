"""Another pattern, another prefix, no ACLs: what the settings change."""

import hashlib
import time

import httpx

from tests.dialects.bitstore.client import Client, address, becomes, md5
from tests.server import Server

BODY = b"id\n1\n"
OTHER = b"id\n2\n"


def test_a_pattern_without_md5_gives_later_versions_a_part_of_their_own(plain: Server) -> None:
    anna = Client(plain, "anna", prefix="")
    first = anna.push(BODY)
    with plain.client() as admin:
        assert becomes(admin, "hub:anna/d/data/a.csv", "ready")["version"] == 1
        assert first["upload_query"]["key"] == "base/anna/d/data/a.csv"
        second = anna.push(OTHER)
        key = second["upload_query"]["key"]
        assert key != first["upload_query"]["key"]
        assert (key.startswith("base/anna/d/data/"), key.endswith("/a.csv"), second["exists"]) == (True, True, False)
        deadline = time.monotonic() + 30
        while (record := admin.get("/media/hub:anna/d/data/a.csv").json())["version"] < 2:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert record["content"]["checksums"]["md5"]["value"] == hashlib.md5(OTHER).hexdigest()
    for offer, body in ((first, BODY), (second, OTHER)):
        assert httpx.get(anna.presign(address(offer)).json()["url"]).content == body, "old versions stay"
    back = anna.push(BODY)
    assert (back["exists"], address(back) == address(first)) == (False, False), "what was current before comes back as a version"


def test_without_acls_forms_say_none_and_public_files_are_signed(plain: Server) -> None:
    bert = Client(plain, "bert", prefix="")
    offer = bert.push(BODY)
    assert "acl" not in offer["upload_query"]
    assert httpx.get(address(offer)).status_code in {200, 403}, "the bucket's own policy decides"
    answer = httpx.get(f"{plain.url}/presign", params={"url": address(offer)})
    assert "X-Amz-Signature" in answer.json()["url"]
    assert httpx.get(answer.json()["url"]).content == BODY


def test_info_has_the_folders_before_the_owner_s(plain: Server) -> None:
    cora = Client(plain, "cora", prefix="")
    [offer] = cora.authorize({"a": {"length": 1, "md5": md5(b"x")}}).values()
    assert any(address(offer).startswith(prefix) for prefix in cora.get(f"{cora.url}/info").json()["prefixes"])
