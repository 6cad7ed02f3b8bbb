"""Users, their roles and passwords over HTTP."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.accounts.peek import rows, whole_table
from tests.server import PASSWORD, Server, add_user

NEW_PASSWORD = "another password for tests"


def test_a_user_is_made_read_changed_listed_and_deleted(admin: httpx.Client) -> None:
    made = admin.post("/users", json={"name": "crud", "role": "editor", "groups": ["b", "a", "b"], "password": PASSWORD})
    assert made.status_code == 201, made.text
    assert {**made.json(), "created_at": "", "updated_at": ""} == {
        "name": "crud",
        "role": "editor",
        "groups": ["a", "b"],
        "disabled": False,
        "issuer": None,
        "full_name": None,
        "email": None,
        "created_at": "",
        "updated_at": "",
    }
    assert admin.get("/users/crud").json() == made.json()
    changed = admin.patch("/users/crud", json={"role": "reader", "groups": ["c"]})
    assert (changed.status_code, changed.json()["role"], changed.json()["groups"]) == (200, "reader", ["c"])
    assert changed.json() in admin.get("/users").json()["items"]
    assert admin.delete("/users/crud").status_code == 204
    assert admin.get("/users/crud").status_code == 404
    assert "crud" not in [user["name"] for user in admin.get("/users").json()["items"]]
    assert admin.delete("/users/crud").json()["code"] == "account_not_found"
    assert admin.patch("/users/crud", json={"role": "editor"}).status_code == 404


def test_a_new_user_is_a_reader_unless_told(admin: httpx.Client) -> None:
    assert admin.post("/users", json={"name": "default-role"}).json()["role"] == "reader"


def test_a_deleted_name_is_never_given_out_again(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "once")
    token = server.token("once")
    assert admin.delete("/users/once").status_code == 204
    again = admin.post("/users", json={"name": "once", "password": PASSWORD})
    assert (again.status_code, again.json()["code"]) == (409, "account_exists")
    assert httpx.get(f"{server.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401


@pytest.mark.parametrize("name", ["system", "System", "anonymous", "nobody"])
def test_names_of_the_server_are_given_to_nobody(admin: httpx.Client, name: str) -> None:
    assert admin.post("/users", json={"name": name}).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a b"},
        {"name": "group:x"},
        {"name": "x" * 64},
        {"name": "ok", "role": "king"},
        {"name": "ok", "password": "short"},
        {"name": "ok", "groups": ["a b"]},
        {"name": "ok", "groups": "a"},
        {"name": "ok", "admin": True},
        {"name": "ok", "disabled": True},
    ],
    ids=str,
)
def test_a_user_that_can_not_be_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    refused = admin.post("/users", json=body)
    assert refused.status_code == 422, refused.text
    assert refused.json()["code"] == "body_invalid"


@pytest.mark.parametrize("role", ["editor", "reader"])
def test_only_administrators_see_and_change_other_users(server: Server, admin: httpx.Client, role: str) -> None:
    add_user(admin, f"plain-{role}", role)
    with server.client(f"plain-{role}") as plain:
        assert plain.get("/users").status_code == 403
        assert plain.get("/users/admin").status_code == 403
        assert plain.get("/users/nobody-there").status_code == 403, "who is not there must not be told apart"
        assert plain.post("/users", json={"name": "mine"}).status_code == 403
        assert plain.patch("/users/admin", json={"password": NEW_PASSWORD}).status_code == 403
        assert plain.delete("/users/admin").status_code == 403
        assert plain.delete(f"/users/plain-{role}").status_code == 403
        own = plain.get(f"/users/plain-{role}")
        assert (own.status_code, own.json()["role"]) == (200, role)
        for change in ({"role": "administrator"}, {"groups": ["ocean"]}, {"disabled": False}):
            assert plain.patch(f"/users/plain-{role}", json=change).status_code == 403, change
        assert plain.get(f"/users/plain-{role}").json() == own.json()


def test_nobody_is_asked_to_log_in(server: Server) -> None:
    with server.client("") as nobody:
        for method, path in (("GET", "/users"), ("GET", "/users/admin"), ("DELETE", "/users/admin"), ("GET", "/auth/me")):
            answer = nobody.request(method, path)
            assert answer.status_code == 401, path
            assert "www-authenticate" in answer.headers


def test_what_each_role_may_do(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "role-editor", "editor")
    add_user(admin, "role-reader", "reader")
    assert admin.post("/media", json={"pid": "role/internal", "access": "internal"}).status_code == 201
    with server.client("role-editor") as editor, server.client("role-reader") as reader:
        assert editor.get("/media/role/internal").status_code == 200
        assert reader.get("/media/role/internal").status_code == 200
        assert editor.post("/media", json={"pid": "role/mine"}).status_code == 201
        assert reader.post("/media", json={"pid": "role/reader"}).status_code == 403
        assert reader.put("/content/role/reader", content=b"x").status_code == 403
        assert editor.patch("/media/role/internal", json={"tags": ["x"]}).status_code == 403
        assert editor.delete("/media/role/internal").status_code == 403
        for client in (editor, reader):
            assert client.post("/identifier-types", json={"name": "NO", "pattern": ".*"}).status_code == 403
            assert client.post("/stores", json={"name": "no", "kind": "memory"}).status_code == 403
            assert client.get("/s3-configs").status_code == 403
    assert admin.patch("/media/role/mine", json={"tags": ["x"]}).status_code == 200, "administrators do everything"


def test_a_reader_never_writes_though_listed_as_a_writer(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "listed-reader", "reader")
    assert admin.post("/media", json={"pid": "listed", "writers": ["listed-reader"]}).status_code == 201
    with server.client("listed-reader") as reader:
        assert reader.get("/media/listed").status_code == 200
        assert reader.patch("/media/listed", json={"tags": ["x"]}).status_code == 403
        assert reader.put("/content/listed", content=b"x").status_code == 403


def test_the_last_administrator_can_not_go(admin: httpx.Client) -> None:
    for answer in (
        admin.delete("/users/admin"),
        admin.patch("/users/admin", json={"role": "editor"}),
        admin.patch("/users/admin", json={"disabled": True}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_administrator")
    add_user(admin, "second-off", "administrator")
    assert admin.patch("/users/second-off", json={"disabled": True}).status_code == 200
    assert admin.delete("/users/admin").status_code == 409, "one who is disabled can't run the place"
    assert admin.get("/auth/me").json()["role"] == "administrator"


def test_two_administrators_who_remove_each_other_leave_one(server: Server, admin: httpx.Client) -> None:
    """Three of them, the third being away: whoever comes first wins, and somebody is left."""
    for attempt in range(5):
        pair = [f"duel-{attempt}-a", f"duel-{attempt}-b"]
        for name in pair:
            add_user(admin, name, "administrator")
        first, second = (server.client(name) for name in pair)
        with first, second:
            assert first.patch("/users/admin", json={"disabled": True}).status_code == 200
            with ThreadPoolExecutor(2) as pool:
                one = pool.submit(first.patch, f"/users/{pair[1]}", json={"role": "reader"})
                other = pool.submit(second.delete, f"/users/{pair[0]}")
                statuses = sorted((one.result().status_code, other.result().status_code))
            assert statuses[0] in {200, 204}, statuses
            assert statuses[1] in {401, 403, 404, 409}, statuses
            left = rows(server, "SELECT name FROM account WHERE role = 'administrator' AND NOT disabled AND deleted_at IS NULL")
            assert len(left) == 1
            survivor = first if left[0]["name"] == pair[0] else second
            assert survivor.patch("/users/admin", json={"disabled": False}).status_code == 200
        admin.headers["Authorization"] = f"Bearer {server.token()}"
        for name in pair:
            admin.delete(f"/users/{name}")


def test_a_changed_password_kills_older_tokens(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "changer")
    with server.client("changer") as old:
        assert old.get("/auth/me").status_code == 200
        assert admin.patch("/users/changer", json={"password": NEW_PASSWORD}).status_code == 200
        refused = until(lambda: old.get("/auth/me"), 401)
        assert refused.json()["code"] == "credentials_wrong"
    with server.client("changer", NEW_PASSWORD) as new:
        assert new.get("/auth/me").status_code == 200
    assert httpx.post(f"{server.url}/api/v1/auth/login", json={"username": "changer", "password": PASSWORD}).status_code == 401


def test_users_change_their_own_password_only_with_the_present_one(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "own")
    with server.client("own") as own:
        assert own.patch("/users/own", json={"password": NEW_PASSWORD}).status_code == 401
        wrong = own.patch("/users/own", json={"password": NEW_PASSWORD, "current_password": "not it at all"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "credentials_wrong")
        assert own.get("/auth/me").status_code == 200, "and nothing happened"
        right = own.patch("/users/own", json={"password": NEW_PASSWORD, "current_password": PASSWORD})
        assert right.status_code == 200, right.text
    with server.client("own", NEW_PASSWORD) as own:
        assert own.get("/auth/me").status_code == 200


def test_an_administrator_who_gives_the_present_password_has_to_know_it(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "chief", role="administrator")
    with server.client("chief") as chief:
        wrong = chief.patch("/users/chief", json={"password": NEW_PASSWORD, "current_password": "not it at all"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "credentials_wrong")
        assert chief.patch("/users/chief", json={"password": NEW_PASSWORD, "current_password": PASSWORD}).status_code == 200


def test_guessing_the_present_password_is_slowed_down_too(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "guessed")
    with server.client("guessed") as guessed:
        statuses = [
            guessed.patch("/users/guessed", json={"password": NEW_PASSWORD, "current_password": "wrong guess"}).status_code
            for _ in range(7)
        ]
    assert 429 in statuses, statuses


def test_an_api_key_changes_no_password(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "keyed")
    with server.client("keyed") as keyed:
        key = keyed.post("/auth/keys", json={"name": "k", "scopes": ["read", "write"]}).json()["key"]
    with server.client("") as client:
        client.headers["Authorization"] = f"Bearer {key}"
        answer = client.patch("/users/keyed", json={"password": NEW_PASSWORD, "current_password": PASSWORD})
        assert answer.status_code == 403


def test_a_disabled_user_is_out_at_once_with_tokens_and_keys(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "leaving")
    with server.client("leaving") as token, server.client("") as key:
        made = token.post("/auth/keys", json={"name": "k"}).json()
        key.headers["Authorization"] = f"Bearer {made['key']}"
        assert token.get("/auth/me").status_code == key.get("/auth/me").status_code == 200
        assert admin.patch("/users/leaving", json={"disabled": True}).json()["disabled"] is True
        time.sleep(1.5)
        assert token.get("/auth/me").status_code == 401
        assert key.get("/auth/me").status_code == 401
        assert key.post("/auth/token", json={"key": made["key"]}).status_code == 401
        assert admin.patch("/users/leaving", json={"disabled": False}).status_code == 200
        assert key.get("/auth/me").status_code == 200, "keys come back with their user"
        assert token.get("/auth/me").status_code == 401, "tokens do not"


def test_a_role_that_was_taken_away_is_gone_from_tokens_that_are_out(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "demoted", "administrator")
    with server.client("demoted") as demoted:
        assert demoted.get("/users").status_code == 200
        assert admin.patch("/users/demoted", json={"role": "reader"}).status_code == 200
        assert until(lambda: demoted.get("/users"), 403).status_code == 403


def test_changes_of_users_are_in_the_history_without_passwords(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "noted")
    admin.patch("/users/noted", json={"role": "reader", "password": NEW_PASSWORD}, headers={"X-Request-ID": "note-this"})
    admin.delete("/users/noted")
    found = rows(server, "SELECT * FROM history WHERE kind = 'account' AND subject = 'noted' ORDER BY id")
    assert [event["action"] for event in found] == ["created", "changed", "deleted"]
    assert {event["actor"] for event in found} == {"admin"}
    assert found[1]["request_id"] == "note-this"
    assert '"before": "editor"' in found[1]["changes"]
    for table in ("history", "account"):
        assert PASSWORD not in whole_table(server, table)
        assert NEW_PASSWORD not in whole_table(server, table)


def until(ask: object, status: int) -> httpx.Response:
    """The answer once it has this status, or the last one after 1.5 s: so long may an answer be remembered."""
    assert callable(ask)
    deadline = time.monotonic() + 1.5
    while True:
        answer = ask()
        assert isinstance(answer, httpx.Response)
        if answer.status_code == status or time.monotonic() > deadline:
            assert answer.status_code == status, answer.text
            return answer
        time.sleep(0.1)
