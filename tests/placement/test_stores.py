"""Stores over HTTP: made, changed, tried out and removed."""

import json
import shutil
import time
from pathlib import Path

import httpx
import pytest

from tests.accounts.peek import rows
from tests.server import Server, add_user


def make(admin: httpx.Client, name: str, **fields: object) -> dict[str, object]:
    answer = admin.post("/stores", json={"name": name, "kind": "filesystem", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


def until_deleted(admin: httpx.Client, name: str) -> None:
    """Delete a store, as soon as the bytes of its deleted records are gone."""
    deadline = time.monotonic() + 20
    while (answer := admin.delete(f"/stores/{name}")).status_code == 409 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer.status_code == 204, answer.text


def test_a_new_server_has_a_folder_and_a_memory(server: Server, admin: httpx.Client) -> None:
    found = {store["name"]: store for store in admin.get("/stores").json()["items"]}
    assert (found["local"]["kind"], found["scratch"]["kind"]) == ("filesystem", "memory")
    assert found["local"]["path"] == str(server.home.resolve() / "stores" / "local")


def test_a_store_is_made_read_changed_listed_and_deleted(server: Server, admin: httpx.Client) -> None:
    made = make(admin, "crud", checksums=["sha512", "md5"], retention={"default_ttl_s": 60}, options={"named_temporaries": True})
    assert made["enabled"] is True
    assert made["path"] == str(server.home.resolve() / "stores" / "crud")
    assert made["checksums"] == ["md5", "sha512"]
    assert made["options"] == {"named_temporaries": True}
    assert Path(str(made["path"])).is_dir()
    assert admin.get("/stores/crud").json() == made
    changed = admin.patch("/stores/crud", json={"retention": {"max_ttl_s": 90}, "checksums": ["crc32c"], "options": {}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["retention"]["max_ttl_s"] == 90
    assert changed.json()["retention"] == made["retention"] | {"default_ttl_s": None, "max_ttl_s": 90}
    assert (changed.json()["checksums"], changed.json()["options"]) == (["crc32c"], {})
    assert changed.json()["path"] == made["path"], "what is left out stays"
    assert changed.json() in admin.get("/stores").json()["items"]
    assert admin.delete("/stores/crud").status_code == 204
    missing = admin.get("/stores/crud")
    assert (missing.status_code, missing.json()["code"]) == (404, "store_not_found")
    assert "local" in missing.json()["detail"], "it names the stores there are"
    for answer in (admin.patch("/stores/crud", json={}), admin.delete("/stores/crud"), admin.post("/stores/crud/probe")):
        assert answer.status_code == 404


def test_every_change_of_a_store_is_in_the_history(server: Server, admin: httpx.Client) -> None:
    make(admin, "noted")
    admin.patch("/stores/noted", json={"enabled": False}, headers={"X-Request-ID": "switch-off"})
    admin.delete("/stores/noted")
    found = rows(server, "SELECT * FROM history WHERE kind = 'store' AND subject = 'noted' ORDER BY id")
    assert [event["action"] for event in found] == ["created", "changed", "deleted"]
    assert json.loads(found[1]["changes"]) == {"enabled": {"before": True, "after": False}}
    assert (found[1]["actor"], found[1]["request_id"]) == ("admin", "switch-off")


def test_a_name_is_unique_and_free_again_after_deletion(admin: httpx.Client) -> None:
    make(admin, "named")
    again = admin.post("/stores", json={"name": "named", "kind": "filesystem", "path": "named-elsewhere"})
    assert (again.status_code, again.json()["code"]) == (409, "store_exists")
    assert admin.delete("/stores/named").status_code == 204
    make(admin, "named")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x"},
        {"name": "X", "kind": "memory"},
        {"name": "a b", "kind": "memory"},
        {"name": "..", "kind": "memory"},
        {"name": "x" * 64, "kind": "memory"},
        {"name": "x\n", "kind": "memory"},
        {"name": "x", "kind": ""},
        {"name": "x", "kind": "filesystem", "path": ""},
        {"name": "x", "kind": "filesystem", "checksums": []},
        {"name": "x", "kind": "filesystem", "checksums": ["sha3"]},
        {"name": "x", "kind": "filesystem", "retention": {"default_ttl_s": 0}},
        {"name": "x", "kind": "filesystem", "retention": {"default_ttl_s": 10, "max_ttl_s": 5}},
        {"name": "x", "kind": "filesystem", "retention": {"forever": True}},
        {"name": "x", "kind": "filesystem", "enabled": False},
        {"name": "x", "kind": "filesystem", "colour": "red"},
    ],
    ids=str,
)
def test_a_store_that_can_not_be_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    refused = admin.post("/stores", json=body)
    assert refused.status_code == 422, refused.text
    assert len(refused.json()["detail"]) > 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "tape"}, ["tape", "filesystem", "memory", "s3"]),
        ({"kind": "memory", "options": {"size": 1}}, ["size"]),
        ({"kind": "filesystem", "options": {"turbo": 1}}, ["turbo", "named_temporaries"]),
        ({"kind": "filesystem", "options": {"named_temporaries": "perhaps"}}, ["named_temporaries"]),
        ({"kind": "filesystem", "bucket": "b"}, ["bucket"]),
        ({"kind": "memory", "path": "p"}, ["path"]),
        ({"kind": "memory", "bucket": "b"}, ["bucket"]),
        ({"kind": "filesystem", "prefix": "no-slash"}, ["no-slash", "/"]),
        ({"kind": "s3"}, ["bucket"]),
        ({"kind": "s3", "bucket": "b"}, ["s3"]),
        ({"kind": "s3", "bucket": "b", "path": "p"}, ["path"]),
    ],
    ids=str,
)
def test_kinds_options_and_places_that_do_not_fit_are_refused_by_name(
    admin: httpx.Client, body: dict[str, object], words: list[str]
) -> None:
    refused = admin.post("/stores", json={"name": "unfit", **body})
    assert refused.status_code == 422, refused.text
    for word in words:
        assert word in refused.json()["detail"], refused.json()["detail"]
    assert admin.get("/stores/unfit").status_code == 404


def test_a_change_to_what_does_not_fit_is_refused_and_changes_nothing(admin: httpx.Client) -> None:
    made = make(admin, "unfit-change")
    for body in (
        {"options": {"turbo": 1}},
        {"bucket": "b"},
        {"kind": "memory"},
        {"name": "other"},
        {"prefix": "x"},
        {"path": ".."},
    ):
        assert admin.patch("/stores/unfit-change", json=body).status_code == 422, body
    assert admin.get("/stores/unfit-change").json() == made


def test_a_store_in_use_can_not_be_deleted_or_moved(admin: httpx.Client) -> None:
    make(admin, "used")
    for n in range(3):
        assert admin.post("/media", json={"pid": f"used/{n}", "store": "used"}).status_code == 201
    assert admin.put("/content/used/0", content=b"bytes").status_code == 200
    for answer in (
        admin.delete("/stores/used"),
        admin.patch("/stores/used", json={"path": "moved"}),
        admin.patch("/stores/used", json={"prefix": "p/"}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "store_in_use"), answer.text
        assert answer.json()["records"] == 3
    same = admin.patch("/stores/used", json={"path": "used", "retention": {"max_ttl_s": 5}})
    assert same.status_code == 200, "what is no place may change, and the same place is no move"
    assert admin.get("/content/used/0").content == b"bytes"
    for n in range(3):
        assert admin.delete(f"/media/used/{n}").status_code == 204
    until_deleted(admin, "used")
    assert admin.get("/media/used/0").status_code == 410, "the tombstone stays"


def test_bytes_of_a_record_that_moved_on_keep_their_old_store(admin: httpx.Client) -> None:
    make(admin, "old-place")
    assert admin.put("/content/moving?store=old-place", content=b"one").status_code == 201
    assert admin.patch("/media/moving", json={"store": "local"}).json()["store"] == "local"
    assert admin.put("/content/moving", content=b"two").status_code == 200
    refused = admin.delete("/stores/old-place")
    assert (refused.status_code, refused.json()["records"]) == (409, 1)
    assert admin.get("/content/moving?version=1").content == b"one"


def test_an_empty_store_moves(server: Server, admin: httpx.Client) -> None:
    make(admin, "mover")
    moved = admin.patch("/stores/mover", json={"path": "moved-there"})
    assert moved.status_code == 200, moved.text
    assert Path(moved.json()["path"]) == server.home.resolve() / "stores" / "moved-there"
    assert admin.put("/content/in-mover?store=mover", content=b"x").status_code == 201
    assert any(path.is_file() for path in Path(moved.json()["path"]).rglob("*"))


def test_a_disabled_store_takes_and_gives_no_bytes_and_can_be_probed(admin: httpx.Client) -> None:
    make(admin, "off")
    assert admin.put("/content/in-off?store=off", content=b"x").status_code == 201
    assert admin.patch("/stores/off", json={"enabled": False}).json()["enabled"] is False
    for answer in (
        admin.put("/content/in-off", content=b"y"),
        admin.put("/content/new-in-off?store=off", content=b"y"),
        admin.post("/media", json={"pid": "new-in-off", "store": "off"}),
        admin.get("/content/in-off"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "store_disabled"), answer.text
    assert admin.get("/media/in-off").json()["version"] == 1
    assert admin.get("/media/new-in-off").status_code == 404, "a refused upload leaves no record"
    probe = admin.post("/stores/off/probe")
    assert (probe.status_code, probe.json()["ok"]) == (200, True), probe.text
    assert admin.put("/content/in-off", content=b"y").status_code == 409, "nor did the probe open it for others"
    assert admin.patch("/stores/off", json={"enabled": True}).status_code == 200
    assert admin.get("/content/in-off").content == b"x"
    assert admin.put("/content/in-off", content=b"y").status_code == 200


@pytest.mark.parametrize("name", ["local", "scratch"])
def test_a_probe_of_a_sound_store_goes_through_every_step_and_leaves_nothing(
    server: Server, admin: httpx.Client, name: str
) -> None:
    probe = admin.post(f"/stores/{name}/probe")
    assert probe.status_code == 200
    told = probe.json()
    assert (told["store"], told["ok"]) == (name, True)
    assert [step["step"] for step in told["steps"]] == ["open", "write", "head", "read", "list", "delete", "gone"]
    assert all(step["ok"] and step["detail"] == "" and step["ms"] >= 0 for step in told["steps"])
    assert told["features"]["presigned"] is False
    left = rows(
        server, "SELECT o.id FROM stored_object o JOIN store s ON s.id = o.store WHERE s.name = $1 AND media IS NULL", name
    )
    assert left == []


def test_a_probe_of_a_broken_store_says_which_step(admin: httpx.Client) -> None:
    path = Path(str(make(admin, "broken")["path"]))
    assert admin.post("/stores/broken/probe").json()["ok"] is True
    shutil.rmtree(path)
    told = admin.post("/stores/broken/probe").json()
    assert told["ok"] is False
    assert [step["step"] for step in told["steps"]][-1] != "gone"
    failed = [step for step in told["steps"] if not step["ok"]]
    assert failed
    assert all("folder" in step["detail"].lower() for step in failed)
    path.mkdir()
    (path / "occupied").write_text("")
    assert admin.patch("/stores/broken", json={"options": {}}).status_code == 200
    assert admin.post("/stores/broken/probe").json()["ok"] is True, "opened anew after a change"


def test_a_store_that_never_opened_fails_in_that_step(admin: httpx.Client) -> None:
    path = Path(str(make(admin, "unopened")["path"]))
    shutil.rmtree(path)
    told = admin.post("/stores/unopened/probe").json()
    assert (told["ok"], [step["step"] for step in told["steps"]]) == (False, ["open"])
    upload = admin.put("/content/in-unopened?store=unopened", content=b"x")
    assert upload.status_code == 503
    assert "retry-after" in upload.headers
    assert not path.exists(), "a folder that is gone is a disk that is away: it is not made anew"


@pytest.mark.parametrize("role", ["editor", "reader"])
def test_others_see_names_and_kinds_only(server: Server, admin: httpx.Client, role: str) -> None:
    add_user(admin, f"stores-{role}", role)
    make(admin, f"seen-{role}", options={"named_temporaries": True})
    with server.client(f"stores-{role}") as other:
        seen = {store["name"]: store for store in other.get("/stores").json()["items"]}[f"seen-{role}"]
        assert {name: value for name, value in seen.items() if value is not None} == {
            "name": f"seen-{role}",
            "kind": "filesystem",
            "enabled": True,
        }
        assert str(server.home) not in other.get("/stores").text
        for method, path, body in (
            ("GET", f"/stores/seen-{role}", None),
            ("GET", "/stores/not-there", None),
            ("PATCH", f"/stores/seen-{role}", {"enabled": False}),
            ("DELETE", f"/stores/seen-{role}", None),
            ("POST", f"/stores/seen-{role}/probe", None),
            ("POST", "/stores", {"name": "mine", "kind": "memory"}),
        ):
            assert other.request(method, path, json=body).status_code == 403, (method, path)
    with server.client("") as nobody:
        assert nobody.get("/stores").status_code == 401


def test_a_record_into_a_store_that_is_not_there_is_told_which_there_are(admin: httpx.Client) -> None:
    answer = admin.post("/media", json={"pid": "nowhere", "store": "nowhere"})
    assert (answer.status_code, answer.json()["code"]) == (422, "store_unknown")
    assert "local" in answer.json()["detail"]
