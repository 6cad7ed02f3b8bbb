"""Identifier types, and identifiers that keep to them."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.accounts.peek import database_url, rows
from tests.server import Server, add_user, running_server


def define(admin: httpx.Client, name: str, pattern: str = ".+", *, unique: bool = False) -> None:
    answer = admin.post("/identifier-types", json={"name": name, "pattern": pattern, "unique": unique})
    assert answer.status_code == 201, answer.text


def create(admin: httpx.Client, pid: str, **fields: object) -> httpx.Response:
    return admin.post("/media", json={"pid": pid, **fields})


def test_a_pattern_is_tried_before_it_is_that_of_a_type(server: Server, admin: httpx.Client) -> None:
    tried = admin.post("/identifier-patterns/try", json={"pattern": "[A-Z]{2}[0-9]+", "values": ["AR77", "xAR77", "AR77\n", ""]})
    assert (tried.status_code, tried.json()) == (200, {"matches": [True, False, False, False]})
    wrong = admin.post("/identifier-patterns/try", json={"pattern": "(?=x)", "values": []})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "identifier_type_invalid")
    with server.client("") as nobody:
        assert nobody.post("/identifier-patterns/try", json={"pattern": "x", "values": []}).status_code == 401


def test_a_type_is_made_read_replaced_listed_and_deleted(server: Server, admin: httpx.Client) -> None:
    made = admin.post("/identifier-types", json={"name": "CRUD", "pattern": r"\d+", "description": "Numbers"})
    assert made.status_code == 201, made.text
    assert {name: made.json()[name] for name in ("name", "pattern", "unique", "description")} == {
        "name": "CRUD",
        "pattern": r"\d+",
        "unique": False,
        "description": "Numbers",
    }
    assert admin.get("/identifier-types/CRUD").json() == made.json()
    assert made.json() in admin.get("/identifier-types").json()["items"]
    again = admin.post("/identifier-types", json={"name": "CRUD", "pattern": "x"})
    assert (again.status_code, again.json()["code"]) == (409, "identifier_type_exists")
    replaced = admin.put("/identifier-types/CRUD", json={"name": "CRUD", "pattern": "[a-z]+", "unique": True})
    assert (replaced.status_code, replaced.json()["description"], replaced.json()["unique"]) == (200, "", True)
    assert admin.put("/identifier-types/CRUD", json={"name": "OTHER", "pattern": "x"}).status_code == 422
    assert admin.delete("/identifier-types/CRUD").status_code == 204
    for answer in (
        admin.get("/identifier-types/CRUD"),
        admin.put("/identifier-types/CRUD", json={"pattern": "x"}),
        admin.delete("/identifier-types/CRUD"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "identifier_type_not_found")
    found = rows(server, "SELECT action FROM history WHERE kind = 'identifier_type' AND subject = 'CRUD' ORDER BY id")
    assert [event["action"] for event in found] == ["created", "changed", "deleted"]


@pytest.mark.parametrize(
    "body",
    [
        {"name": "a b", "pattern": "x"},
        {"name": "", "pattern": "x"},
        {"name": "X"},
        {"name": "X", "pattern": ""},
        {"name": "X", "pattern": "("},
        {"name": "X", "pattern": r"(a)\1"},
        {"name": "X", "pattern": "(a{1000}){1000}"},
        {"name": "X", "pattern": "x" * 1001},
        {"name": "X", "pattern": "x", "unique": "yes"},
        {"name": "X", "pattern": "x", "regex": "y"},
        {"name": "X", "pattern": "x\x00"},
    ],
    ids=str,
)
def test_a_type_that_can_not_be_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    assert admin.post("/identifier-types", json=body).status_code == 422
    assert admin.get("/identifier-types/X").status_code == 404


def test_everyone_who_is_logged_in_reads_types_and_administrators_change_them(server: Server, admin: httpx.Client) -> None:
    define(admin, "SEEN")
    add_user(admin, "type-reader", "reader")
    with server.client("type-reader") as reader, server.client("") as nobody:
        assert reader.get("/identifier-types/SEEN").status_code == 200
        for client, status in ((reader, 403), (nobody, 401)):
            assert client.put("/identifier-types/SEEN", json={"pattern": "x"}).status_code == status
            assert client.delete("/identifier-types/SEEN").status_code == status
        assert nobody.get("/identifier-types").status_code == 401


def test_a_pid_matches_its_type_in_full(admin: httpx.Client) -> None:
    define(admin, "BIN", r"D\d{8}")
    assert create(admin, "D20240101", pid_type="BIN").json()["pid_type"] == "BIN"
    for pid in ("xD20240102", "D20240102x", "D2024010"):
        refused = create(admin, pid, pid_type="BIN")
        assert (refused.status_code, refused.json()["code"]) == (422, "pattern_broken")
        assert r"D\d{8}" in refused.json()["detail"]
    unknown = create(admin, "D20240103", pid_type="NEVER")
    assert unknown.status_code == 422
    assert "BIN" in unknown.json()["detail"], "it names the types there are"
    assert admin.put("/content/xD1?pid_type=BIN", content=b"x").status_code == 422
    assert admin.get("/media/xD1").status_code == 404


def test_identifiers_are_kept_changed_and_taken_away(admin: httpx.Client) -> None:
    define(admin, "CRUISE", "AR[0-9]+")
    define(admin, "STATION")
    made = create(admin, "with-ids", identifiers={"CRUISE": "AR77", "STATION": "7"})
    assert made.json()["identifiers"] == {"CRUISE": "AR77", "STATION": "7"}
    changed = admin.patch("/media/with-ids", json={"identifiers": {"CRUISE": "AR78", "STATION": None}})
    assert changed.json()["identifiers"] == {"CRUISE": "AR78"}
    assert admin.get("/media/with-ids").json()["identifiers"] == {"CRUISE": "AR78"}
    for identifiers in ({"CRUISE": "XX"}, {"NEVER": "1"}, {"CRUISE": ""}, {"CRUISE": "AR1\n"}, {"CRUISE": 7}, {"a b": "x"}):
        assert create(admin, "bad-ids", identifiers=identifiers).status_code == 422, identifiers
        assert admin.patch("/media/with-ids", json={"identifiers": identifiers}).status_code == 422, identifiers
    assert admin.get("/media/with-ids").json()["identifiers"] == {"CRUISE": "AR78"}
    assert admin.get("/media/bad-ids").status_code == 404


def test_an_identifier_of_the_pids_own_type_is_dropped_when_equal_and_refused_when_not(admin: httpx.Client) -> None:
    define(admin, "OWN")
    assert create(admin, "own-1", pid_type="OWN", identifiers={"OWN": "own-1"}).json()["identifiers"] == {}
    for refused in (
        create(admin, "own-2", pid_type="OWN", identifiers={"OWN": "own-1"}),
        admin.patch("/media/own-1", json={"identifiers": {"OWN": "own-3"}}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (422, "record_invalid")
    assert admin.patch("/media/own-1", json={"identifiers": {"OWN": "own-1"}}).json()["revision"] == 1


@pytest.mark.parametrize("value", [r"a\u0000b", r"\ud800"])
def test_values_that_the_database_can_not_hold_are_refused(admin: httpx.Client, value: str) -> None:
    if admin.get("/identifier-types/ODD").status_code == 404:
        define(admin, "ODD", "(?s).*")
    body = f'{{"pid": "odd-id", "identifiers": {{"ODD": "{value}"}}}}'
    assert admin.post("/media", content=body.encode()).status_code == 422


def test_the_longest_identifier_is_kept_in_any_script(admin: httpx.Client) -> None:
    define(admin, "LONG", "(?s).*")
    assert create(admin, "long-ascii", identifiers={"LONG": "x" * 600}).status_code == 201
    answer = create(admin, "long-wide", identifiers={"LONG": "".join(chr(0x4E00 + n * 7 % 20000) for n in range(600))})
    assert answer.status_code == 201, answer.text
    assert create(admin, "too-long", identifiers={"LONG": "x" * 1025}).status_code == 422


def test_a_unique_value_leads_to_one_record_and_is_free_after_its_deletion(admin: httpx.Client) -> None:
    define(admin, "UNIQUE", unique=True)
    define(admin, "SHARED")
    assert create(admin, "u-1", identifiers={"UNIQUE": "v", "SHARED": "v"}).status_code == 201
    assert create(admin, "u-2", identifiers={"SHARED": "v"}).status_code == 201
    for refused in (
        create(admin, "u-3", identifiers={"UNIQUE": "v"}),
        admin.patch("/media/u-2", json={"identifiers": {"UNIQUE": "v"}}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "identifier_taken")
    assert admin.get("/media/u-3").status_code == 404
    assert admin.delete("/media/u-1").status_code == 204
    assert create(admin, "u-4", identifiers={"UNIQUE": "v"}).status_code == 201


def test_of_many_who_want_one_unique_value_at_once_one_gets_it(admin: httpx.Client) -> None:
    define(admin, "RACE", unique=True)
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(
            answer.status_code
            for answer in pool.map(lambda n: create(admin, f"id-race/{n}", identifiers={"RACE": "v"}), range(8))
        )
    assert statuses == [201] + [409] * 7


def test_a_type_becomes_unique_only_when_its_values_are(admin: httpx.Client) -> None:
    define(admin, "SWITCH")
    assert create(admin, "s-1", identifiers={"SWITCH": "v"}).status_code == 201
    assert create(admin, "s-2", identifiers={"SWITCH": "v"}).status_code == 201
    refused = admin.put("/identifier-types/SWITCH", json={"pattern": ".+", "unique": True})
    assert (refused.status_code, refused.json()["code"]) == (409, "identifier_taken")
    assert admin.get("/identifier-types/SWITCH").json()["unique"] is False
    assert admin.patch("/media/s-2", json={"identifiers": {"SWITCH": "w"}}).status_code == 200
    assert admin.put("/identifier-types/SWITCH", json={"pattern": ".+", "unique": True}).json()["unique"] is True
    assert create(admin, "s-3", identifiers={"SWITCH": "v"}).status_code == 409
    assert admin.put("/identifier-types/SWITCH", json={"pattern": ".+", "unique": False}).status_code == 200
    assert create(admin, "s-4", identifiers={"SWITCH": "v"}).status_code == 201


def test_a_new_pattern_does_not_judge_what_is_there(admin: httpx.Client) -> None:
    define(admin, "STRICTER")
    assert create(admin, "old-value", identifiers={"STRICTER": "abc"}).status_code == 201
    assert admin.put("/identifier-types/STRICTER", json={"pattern": r"\d+"}).status_code == 200
    assert admin.get("/media/old-value").json()["identifiers"] == {"STRICTER": "abc"}
    assert create(admin, "new-value", identifiers={"STRICTER": "abc"}).status_code == 422
    assert admin.patch("/media/old-value", json={"tags": ["x"]}).status_code == 200


def test_an_old_value_does_not_keep_other_identifiers_from_being_changed(admin: httpx.Client) -> None:
    define(admin, "AGED")
    define(admin, "FRESH")
    assert create(admin, "aged", identifiers={"AGED": "abc"}).status_code == 201
    assert admin.put("/identifier-types/AGED", json={"pattern": r"\d+"}).status_code == 200
    answer = admin.patch("/media/aged", json={"identifiers": {"FRESH": "x"}})
    assert answer.status_code == 200, answer.text
    assert answer.json()["identifiers"] == {"AGED": "abc", "FRESH": "x"}


def test_a_type_in_use_can_not_be_deleted(admin: httpx.Client) -> None:
    define(admin, "USED")
    assert create(admin, "used-pid", pid_type="USED", identifiers={}).status_code == 201
    assert create(admin, "used-id", identifiers={"USED": "v"}).status_code == 201
    refused = admin.delete("/identifier-types/USED")
    assert (refused.status_code, refused.json()["code"], refused.json()["records"]) == (409, "identifier_type_in_use", 2)
    assert admin.delete("/media/used-pid").status_code == 204
    assert admin.delete("/media/used-id").status_code == 204
    assert admin.delete("/identifier-types/USED").status_code == 204
    assert admin.get("/media/used-pid").status_code == 410


def test_catastrophic_patterns_do_not_hold_the_server_up(admin: httpx.Client) -> None:
    define(admin, "EVIL", "(a+)+b")
    begun = time.perf_counter()
    assert create(admin, "evil", identifiers={"EVIL": "a" * 601}).status_code == 422
    assert time.perf_counter() - begun < 10


def test_uniqueness_holds_on_every_server_from_the_moment_it_is_told(server: Server, admin: httpx.Client) -> None:
    """Another server of the same database still remembers the type as it was."""
    define(admin, "TOLD")
    with running_server(database_url(server)) as other, other.client() as there:
        for attempt in range(3):
            assert (
                there.post("/media", json={"pid": f"told/{attempt}/0", "identifiers": {"TOLD": f"other-{attempt}"}}).status_code
                == 201
            )
            assert admin.put("/identifier-types/TOLD", json={"pattern": ".+", "unique": True}).status_code == 200
            statuses = [
                there.post("/media", json={"pid": f"told/{attempt}/{n}", "identifiers": {"TOLD": f"same-{attempt}"}}).status_code
                for n in (1, 2)
            ]
            assert statuses == [201, 409]
            assert admin.put("/identifier-types/TOLD", json={"pattern": ".+", "unique": False}).status_code == 200
            time.sleep(1.1)


def test_a_store_that_is_gone_is_told_as_such_by_every_server(server: Server, admin: httpx.Client) -> None:
    assert admin.post("/stores", json={"name": "vanishing", "kind": "filesystem"}).status_code == 201
    with running_server(database_url(server)) as other, other.client() as there:
        assert there.post("/media", json={"pid": "warm-up"}).status_code == 201
        assert admin.delete("/stores/vanishing").status_code == 204
        answers = [
            there.post("/media", json={"pid": "vanished", "store": "vanishing"}),
            there.put("/content/vanished-too?store=vanishing", content=b"x"),
        ]
        for answer in answers:
            assert answer.json()["code"] in {"store_unknown", "store_not_found", "database_unavailable"}, answer.text
