"""From an identifier to its record."""

import time

import httpx

from tests.server import Server, add_user


def test_an_identifier_leads_to_its_record(server: Server, admin: httpx.Client) -> None:
    for kind in ({"name": "DOI_R", "pattern": "10\\..*", "unique": True}, {"name": "CRUISE_R", "pattern": ".*"}):
        assert admin.post("/identifier-types", json=kind).status_code == 201
    doi, cruise = "10.1234/a b/ü?#%", "AR77"
    for n in (1, 2):
        given = {
            "pid": f"resolved/{n}",
            "access": "public",
            "identifiers": {"CRUISE_R": cruise, **({"DOI_R": doi} if n == 1 else {})},
        }
        assert admin.post("/media", json=given).status_code == 201
    add_user(admin, "resolver")
    assert admin.post("/media", json={"pid": "resolved/private", "identifiers": {"CRUISE_R": cruise}}).status_code == 201
    path = "/resolve/DOI_R/10.1234/a%20b/%C3%BC%3F%23%25"
    with server.client("") as nobody, server.client("resolver") as resolver:
        answer = nobody.get(path)
        assert (answer.status_code, answer.json()["pid"]) == (200, "resolved/1")
        assert answer.headers["content-location"] == "/api/v1/media/resolved/1"
        assert answer.headers["etag"] == '"1"'
        assert answer.json() == nobody.get("/media/resolved/1").json()
        several = nobody.get(f"/resolve/CRUISE_R/{cruise}")
        assert (several.status_code, [item["pid"] for item in several.json()["items"]]) == (300, ["resolved/1", "resolved/2"])
        assert len(resolver.get(f"/resolve/CRUISE_R/{cruise}").json()["items"]) == 2, "what one may not read is not found"
        assert len(admin.get(f"/resolve/CRUISE_R/{cruise}").json()["items"]) == 3
        for client in (nobody, resolver, admin):
            missing = client.get("/resolve/CRUISE_R/AR78")
            assert (missing.status_code, missing.json()["code"]) == (404, "record_not_found")
        unknown = resolver.get("/resolve/NO_TYPE/AR77")
        assert (unknown.status_code, unknown.json()["code"]) == (404, "identifier_type_not_found")
    assert admin.delete("/media/resolved/1").status_code == 204
    assert admin.get(path).status_code == 404, "a tombstone has no identifiers"


def test_a_pid_of_a_type_is_an_identifier_of_that_type(admin: httpx.Client) -> None:
    assert admin.post("/identifier-types", json={"name": "BIN_R", "pattern": "D\\d+"}).status_code == 201
    assert admin.post("/media", json={"pid": "D123", "pid_type": "BIN_R"}).status_code == 201
    assert admin.post("/media", json={"pid": "other-name", "identifiers": {"BIN_R": "D124"}}).status_code == 201
    assert admin.get("/resolve/BIN_R/D123").json()["pid"] == "D123"
    assert admin.get("/resolve/BIN_R/D124").json()["pid"] == "other-name"


def test_an_expired_record_says_when_it_expired(admin: httpx.Client) -> None:
    assert admin.post("/identifier-types", json={"name": "SHORT_R", "pattern": ".*"}).status_code == 201
    assert admin.post("/media", json={"pid": "short", "ttl_s": 1, "identifiers": {"SHORT_R": "s"}}).status_code == 201
    time.sleep(1.1)  # the shortest life that a record can have
    gone = admin.get("/resolve/SHORT_R/s")
    assert (gone.status_code, gone.json()["code"], gone.json()["pid"]) == (410, "record_gone", "short")
