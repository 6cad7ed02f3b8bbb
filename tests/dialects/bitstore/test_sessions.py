"""Whole sessions: what was sent by the fields of an answer becomes a record, and nothing else does."""

import hashlib
import time

import httpx
import pytest

from tests.dialects.bitstore.client import Client, address, becomes, files, md5, send
from tests.server import Server

BODY = b"depth,temperature\n1,2\n"
OTHER = b"depth,temperature\n1,3\n"


def test_a_file_that_was_sent_to_s3_becomes_a_ready_record(server: Server, admin: httpx.Client) -> None:
    alice = Client(server, "alice")
    offer = alice.push(BODY)
    hex_md5 = hashlib.md5(BODY).hexdigest()
    assert offer["upload_query"]["key"] == f"raw/alice/d/{hex_md5}/data/a.csv"
    record = becomes(admin, "rawstore/alice/d/data/a.csv", "ready")
    assert (record["owner"], record["access"], record["store"], record["version"]) == ("alice", "public", "bucket", 1)
    content = record["content"]
    assert (content["size"], content["filename"], content["media_type"]) == (len(BODY), "a.csv", "text/plain")
    assert (content["checksums"]["md5"]["value"], content["checksums"]["md5"]["attested_by"]) == (hex_md5, "server")
    with server.client("") as nobody:
        assert nobody.get("/content/rawstore/alice/d/data/a.csv").content == BODY


def test_a_private_file_is_its_owner_s(server: Server, admin: httpx.Client) -> None:
    bob, eve = Client(server, "bob"), Client(server, "eve")
    offer = bob.push(BODY, findability="private")
    signed = bob.presign(address(offer), ownerid="bob")
    assert signed.status_code == 200, signed.text
    url = signed.json()["url"]
    assert "X-Amz-Expires=86" in url
    assert httpx.get(url).content == BODY
    assert admin.get("/media/rawstore/bob/d/data/a.csv").json()["access"] == "private"
    nothing = bob.presign(address(offer) + "x").text
    for answer in (
        eve.presign(address(offer)),
        eve.presign(address(offer), ownerid="bob"),
        bob.presign(address(offer), ownerid="eve"),
        httpx.get(f"{bob.url}/presign", params={"url": address(offer)}),
    ):
        assert (answer.status_code, answer.text) == (404, nothing), "what is not for somebody is not there"
    with server.client("") as nobody:
        assert nobody.get("/content/rawstore/bob/d/data/a.csv").status_code == 404


def test_a_body_of_another_length_is_refused_by_the_store(server: Server, admin: httpx.Client) -> None:
    carol = Client(server, "carol")
    [offer] = carol.authorize(files(a_csv=BODY)).values()
    for body in (BODY + b"x", BODY[:-1], b""):
        assert send(offer, body).status_code == 400
    for name, value in (("key", "raw/bob/d/x"), ("Content-Type", "text/html"), ("Content-MD5", md5(OTHER)), ("acl", "public")):
        changed = {**offer, "upload_query": {**offer["upload_query"], name: value}}
        assert send(changed, BODY).status_code == 403, name
    assert admin.get("/media/rawstore/carol/d/data/a.csv").json()["status"] == "pending"
    assert send(offer, BODY).status_code == 204
    becomes(admin, "rawstore/carol/d/data/a.csv", "ready")


def test_h05_other_bytes_of_the_same_length_are_never_ready(server: Server, admin: httpx.Client) -> None:
    dave = Client(server, "dave")
    [offer] = dave.authorize(files(a_csv=BODY)).values()
    assert send(offer, OTHER).status_code in {204, 400}, "not every server compares an MD5 in a form"
    record = becomes(admin, "rawstore/dave/d/data/a.csv", "failed")
    assert "content" not in record or record["content"] is None
    assert dave.push(BODY)["upload_query"]["key"] != offer["upload_query"]["key"], "a key is not used again"
    becomes(admin, "rawstore/dave/d/data/a.csv", "ready")


def test_the_same_file_again_need_not_be_sent_but_may_be(server: Server, admin: httpx.Client) -> None:
    erin = Client(server, "erin")
    first = erin.push(BODY)
    assert not first["exists"]
    record = becomes(admin, "rawstore/erin/d/data/a.csv", "ready")
    again = erin.push(BODY)
    assert (again["exists"], address(again)) == (True, address(first))
    assert admin.get("/media/rawstore/erin/d/data/a.csv").json() == record
    fresh = erin.push(OTHER)
    assert not fresh["exists"]
    assert address(fresh) != address(first)
    deadline = time.monotonic() + 30
    while admin.get("/media/rawstore/erin/d/data/a.csv").json()["version"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert httpx.get(erin.presign(address(first)).json()["url"]).status_code in {200, 403}, "whose ACL is the store's to heed"


def test_exists_means_the_very_key(server: Server) -> None:
    frank = Client(server, "frank")
    frank.push(BODY, name="a.csv.gz")
    [offer] = frank.authorize(files(a_csv=BODY)).values()
    assert not offer["exists"]


def test_a_new_findability_makes_a_new_version(server: Server, admin: httpx.Client) -> None:
    grace = Client(server, "grace")
    grace.push(BODY, findability="private")
    becomes(admin, "rawstore/grace/d/data/a.csv", "ready")
    offer = grace.push(BODY, findability="published")
    assert (offer["exists"], offer["upload_query"]["acl"]) == (False, "public-read")
    url = address(offer)
    deadline = time.monotonic() + 30
    while grace.presign(url).json().get("url") != url:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert admin.get("/media/rawstore/grace/d/data/a.csv").json()["access"] == "public"


def test_a_file_that_was_made_public_here_is_signed_as_its_object_is_private_at_the_store(
    server: Server, admin: httpx.Client
) -> None:
    opened = Client(server, "opened")
    offer = opened.push(BODY, findability="private")
    becomes(admin, "rawstore/opened/d/data/a.csv", "ready")
    assert admin.patch("/media/rawstore/opened/d/data/a.csv", json={"access": "public"}).status_code == 200
    url = opened.presign(address(offer)).json()["url"]
    assert url != address(offer), "the store would refuse it"
    assert httpx.get(url).content == BODY


@pytest.mark.parametrize("findability", ["private", None])
def test_a_store_behind_this_server_takes_the_same_session(
    on_disk: Server, disk_admin: httpx.Client, findability: str | None
) -> None:
    name = "h" + str(findability).lower()
    heidi, eve = Client(on_disk, name), Client(on_disk, "eve")
    offer = heidi.push(BODY, findability=findability)
    assert offer["upload_url"] == f"{heidi.url}/files"
    record = disk_admin.get(f"/media/rawstore/{name}/d/data/a.csv").json()
    assert (record["status"], record["store"]) == ("ready", "local")
    again = heidi.push(BODY, findability=findability)
    assert (again["exists"], address(again)) == (True, address(offer))
    assert send(again, OTHER).status_code == 400
    assert send(again, BODY * 100_000).status_code == 400
    assert send({**again, "upload_query": {**again["upload_query"], "token": "x"}}, BODY).status_code == 403
    signed = heidi.presign(address(offer))
    assert (signed.json()["url"] == address(offer)) == (findability is None)
    assert httpx.get(signed.json()["url"], follow_redirects=True).content == BODY
    there = httpx.get(address(offer), follow_redirects=True)
    assert there.status_code == (404 if findability else 200)
    assert eve.presign(address(offer)).status_code == (404 if findability else 200)
    if findability:
        assert eve.presign(address(offer)).text == eve.presign(f"{eve.url}/files/a/b/c/d").text
    assert heidi.get(address(offer), follow_redirects=True).content == BODY


def test_info_tells_how_the_urls_begin(server: Server, on_disk: Server) -> None:
    for running in (server, on_disk):
        ivan = Client(running, "ivan")
        prefixes = ivan.get(f"{ivan.url}/info").json()["prefixes"]
        assert any(address(ivan.push(BODY)).startswith(prefix) for prefix in prefixes)
        assert all(prefix.endswith("/ivan/") for prefix in prefixes)


def test_h12_a_file_that_came_before_the_server_was_killed_is_found_afterwards(server: Server, admin: httpx.Client) -> None:
    otto = Client(server, "otto")
    [offer] = otto.authorize(files(a_csv=BODY)).values()
    server.kill()
    assert send(offer, BODY).status_code == 204
    server.start()
    becomes(admin, "rawstore/otto/d/data/a.csv", "ready", within_s=60)
