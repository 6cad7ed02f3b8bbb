"""API keys over HTTP."""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.accounts.peek import rows, whole_table
from tests.server import PASSWORD, Server, add_user


def by(server: Server, credential: str) -> httpx.Client:
    """A client that shows this key or token."""
    return httpx.Client(base_url=f"{server.url}/api/v1", headers={"Authorization": f"Bearer {credential}"}, timeout=60)


def make(client: httpx.Client, **fields: object) -> dict[str, Any]:
    answer = client.post("/auth/keys", json={"name": "a key", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_key_is_shown_once_works_and_is_revoked(server: Server, admin: httpx.Client) -> None:
    made = make(admin, name="once", scopes=["read"])
    assert made["key"].startswith("ms_")
    assert made["scopes"] == ["read"]
    listed = admin.get("/auth/keys")
    assert made["id"] in [key["id"] for key in listed.json()["items"]]
    assert all(key.get("key") is None for key in listed.json()["items"])
    assert made["key"].rpartition("_")[2] not in listed.text
    with by(server, made["key"]) as client:
        me = {"name": "admin", "role": "administrator", "groups": [], "scopes": ["read"], "full_name": None}
        assert client.get("/auth/me").json() == me
        assert admin.delete(f"/auth/keys/{made['id']}").status_code == 204
        time.sleep(1.1)
        gone = client.get("/auth/me")
        assert (gone.status_code, gone.json()["code"]) == (401, "credentials_wrong")
    assert made["id"] not in [key["id"] for key in admin.get("/auth/keys").json()["items"]]
    assert admin.delete(f"/auth/keys/{made['id']}").status_code == 204, "again is not an error"


def test_only_a_hash_of_a_key_is_stored(server: Server, admin: httpx.Client) -> None:
    key = make(admin)["key"]
    id, _, secret = key.removeprefix("ms_").partition("_")
    row = rows(server, "SELECT * FROM api_key WHERE id = $1", UUID(hex=id))[0]
    assert row["secret_hash"] == hashlib.sha256(secret.encode()).digest()
    assert secret not in whole_table(server, "api_key")
    assert secret not in whole_table(server, "history")
    assert secret not in server.log.read_text()


def test_a_key_with_another_secret_or_id_is_none(server: Server, admin: httpx.Client) -> None:
    key = make(admin)["key"]
    other = make(admin)["key"]
    wrong = [key[:-1] + ("A" if key[-1] != "A" else "B"), key[:36], key[:35], key + "x", key[:36] + other[36:], key.upper()]
    for credential in wrong:
        with by(server, credential) as client:
            assert client.get("/auth/me").status_code == 401, credential
            assert client.post("/auth/token", json={"key": credential}).status_code == 401


def test_a_read_key_writes_nothing(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "key-stranger")
    with server.client("key-stranger") as stranger:
        assert stranger.post("/media", json={"pid": "key/strange"}).status_code == 201
    assert admin.get("/media/key/strange").status_code == 200
    with by(server, make(admin, scopes=["read"])["key"]) as client:
        assert client.get("/media/key/strange").status_code == 404, "nor does it do what only an administrator's role allows"
        for answer in (
            client.post("/media", json={"pid": "key/new"}),
            client.put("/content/key/new", content=b"x"),
            client.post("/users", json={"name": "by-key"}),
            client.post("/auth/keys", json={"name": "more"}),
            client.get("/users"),
        ):
            assert answer.status_code == 403, answer.url
        batch = client.post("/media/batch", json={"items": [{"op": "create", "pid": "key/new"}]}).json()
        assert batch["items"][0]["status"] == 403
    assert admin.get("/media/key/new").status_code == 404


def test_a_write_key_of_an_editor_writes_and_reads_no_more_than_it_may(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "key-editor")
    with server.client("key-editor") as editor, by(server, make(editor, scopes=["read", "write"])["key"]) as client:
        assert client.post("/media", json={"pid": "key/editor"}).status_code == 201
        assert client.get("/media/key/editor").json()["owner"] == "key-editor"
        assert client.delete("/media/key/editor").status_code == 204
        assert client.get("/users").status_code == 403


def test_a_key_of_a_reader_never_writes_whatever_its_scopes(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "key-reader", "reader")
    with server.client("key-reader") as reader:
        answer = reader.post("/auth/keys", json={"name": "k", "scopes": ["read", "write", "admin"]})
        if answer.status_code == 201:
            with by(server, answer.json()["key"]) as client:
                assert client.post("/media", json={"pid": "key/reader"}).status_code == 403
                assert client.get("/users").status_code == 403


def test_no_key_gets_more_than_its_maker(server: Server, admin: httpx.Client) -> None:
    maker = make(admin, scopes=["read", "admin"])["key"]
    with by(server, maker) as client:
        refused = client.post("/auth/keys", json={"name": "more", "scopes": ["read", "write"]})
        assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
        assert client.post("/auth/keys", json={"name": "as much", "scopes": ["read"]}).status_code == 201


@pytest.mark.parametrize("scopes", [["read"], ["read", "write"]], ids=str)
def test_keys_are_made_by_keys_only_with_the_scope_admin(server: Server, admin: httpx.Client, scopes: list[str]) -> None:
    key = make(admin, scopes=scopes)["key"]
    with by(server, key) as client:
        assert client.post("/auth/keys", json={"name": "child"}).status_code == 403
        token = client.post("/auth/token", json={"key": key}).json()["access_token"]
    with by(server, token) as client:
        assert client.post("/auth/keys", json={"name": "child"}).status_code == 403, "nor by the token of one"


def test_a_read_key_revokes_no_other_key(server: Server, admin: httpx.Client) -> None:
    """A stolen key that may only read must not be able to stop the pipelines of its user."""
    add_user(admin, "key-stolen")
    with server.client("key-stolen") as user:
        pipeline, stolen = make(user, scopes=["read", "write"]), make(user, scopes=["read"])
        with by(server, stolen["key"]) as client:
            assert client.delete(f"/auth/keys/{pipeline['id']}").status_code == 403
        with by(server, pipeline["key"]) as client:
            assert client.get("/auth/me").status_code == 200


def test_a_key_expires(server: Server, admin: httpx.Client) -> None:
    end = datetime.now(UTC) + timedelta(seconds=1)
    key = make(admin, expires_at=end.isoformat())["key"]
    with by(server, key) as client:
        assert client.get("/auth/me").status_code == 200
        token = client.post("/auth/token", json={"key": key}).json()["access_token"]
        time.sleep(max(0.0, (end - datetime.now(UTC)).total_seconds()) + 1.1)
        assert client.get("/auth/me").status_code == 401
        assert client.post("/auth/token", json={"key": key}).status_code == 401
    with by(server, token) as client:
        assert client.get("/auth/me").status_code == 401, "its token ends with it"


def test_an_exchanged_token_does_what_its_key_does_and_dies_with_it(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "exchanging", groups=("ocean",))
    with server.client("exchanging") as user:
        made = make(user, scopes=["read"])
        answer = httpx.post(f"{server.url}/api/v1/auth/token", json={"key": made["key"]})
        assert answer.status_code == 200
        assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
        with by(server, answer.json()["access_token"]) as client:
            assert client.get("/auth/me").json() == {
                "name": "exchanging",
                "role": "editor",
                "groups": ["ocean"],
                "scopes": ["read"],
                "full_name": None,
            }
            assert client.post("/media", json={"pid": "key/token"}).status_code == 403
            assert user.delete(f"/auth/keys/{made['id']}").status_code == 204
            time.sleep(1.1)
            assert client.get("/auth/me").status_code == 401


def test_keys_of_others_are_not_seen_and_not_revoked_but_by_administrators(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "key-owner")
    add_user(admin, "key-other")
    with server.client("key-owner") as owner, server.client("key-other") as other:
        made = make(owner)
        assert other.get("/auth/keys").json()["items"] == []
        foreign, missing = other.delete(f"/auth/keys/{made['id']}"), other.delete(f"/auth/keys/{uuid4()}")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.json()["code"] == missing.json()["code"] == "key_not_found"
        assert other.delete("/auth/keys/none").status_code in {404, 422}
        assert admin.delete(f"/auth/keys/{made['id']}").status_code == 204
        time.sleep(1.1)
        with by(server, made["key"]) as client:
            assert client.get("/auth/me").status_code == 401


def test_keys_go_with_their_user(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "key-gone")
    with server.client("key-gone") as user:
        made = make(user)
    admin.delete("/users/key-gone")
    time.sleep(1.1)
    with by(server, made["key"]) as client:
        assert client.get("/auth/me").status_code == 401
    row = rows(server, "SELECT revoked_at FROM api_key WHERE id = $1", UUID(made["id"]))
    assert row[0]["revoked_at"] is not None


def test_a_key_outlives_a_change_of_password_and_its_tokens_do_not(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "key-keeps")
    with server.client("key-keeps") as user:
        key = make(user)["key"]
    token = httpx.post(f"{server.url}/api/v1/auth/token", json={"key": key}).json()["access_token"]
    assert admin.patch("/users/key-keeps", json={"password": PASSWORD + "!"}).status_code == 200
    time.sleep(1.1)
    with by(server, key) as by_key, by(server, token) as by_token:
        assert by_key.get("/auth/me").status_code == 200
        assert by_token.get("/auth/me").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 201},
        {"name": "k", "scopes": []},
        {"name": "k", "scopes": ["root"]},
        {"name": "k", "expires_at": "2099-01-01T00:00:00"},
        {"name": "k", "expires_at": "soon"},
        {"name": "k", "owner": "admin"},
    ],
    ids=str,
)
def test_a_key_that_can_not_be_is_refused(admin: httpx.Client, body: dict[str, object]) -> None:
    assert admin.post("/auth/keys", json=body).status_code == 422


def test_a_key_that_has_expired_already_is_not_made(admin: httpx.Client) -> None:
    answer = admin.post("/auth/keys", json={"name": "k", "expires_at": "2020-01-01T00:00:00Z"})
    assert answer.status_code in {403, 422}
    assert "past" in answer.json()["detail"]


def test_nobody_has_keys(server: Server) -> None:
    with server.client("") as nobody:
        assert nobody.get("/auth/keys").status_code == 401
        assert nobody.post("/auth/keys", json={"name": "k"}).status_code == 401
        assert nobody.delete(f"/auth/keys/{uuid4()}").status_code == 401
