"""Who sees which records, over HTTP: reads, listings, bytes, history and versions alike."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import product

import httpx
import pytest

from tests.server import Server, add_user

PAGE = 7


def everything(client: httpx.Client, *, limit: int = PAGE) -> list[str]:
    """The PIDs of every page."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/media", params={"limit": limit, **cursor})
        assert page.status_code == 200, page.text
        found += [item["pid"] for item in page.json()["items"]]
        assert len(page.json()["items"]) <= limit
        if page.json()["next"] is None:
            return found
        cursor = {"cursor": page.json()["next"]}


def by_key(server: Server, client: httpx.Client, *scopes: str) -> httpx.Client:
    made = client.post("/auth/keys", json={"name": "k", "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    return httpx.Client(base_url=f"{server.url}/api/v1", headers={"Authorization": f"Bearer {made.json()['key']}"}, timeout=60)


def test_who_may_not_read_a_record_can_not_tell_that_it_exists(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "curious")
    assert admin.put("/content/hidden", content=b"x").status_code == 201
    with server.client("curious") as curious, server.client("") as nobody:
        for path, method in product(("media", "content", "history", "versions"), ("GET",)):
            hidden = curious.request(method, f"/{path}/hidden")
            missing = curious.request(method, f"/{path}/missing")
            assert hidden.status_code == missing.status_code == 404, path
            assert hidden.json()["code"] == missing.json()["code"]
            assert hidden.json()["detail"].replace("hidden", "missing") == missing.json()["detail"]
        for method, path, body in (("PATCH", "media", {"tags": ["x"]}), ("DELETE", "media", None)):
            hidden = curious.request(method, f"/{path}/hidden", json=body)
            missing = curious.request(method, f"/{path}/missing", json=body)
            assert hidden.status_code == missing.status_code == 404, method
            assert hidden.json()["detail"].replace("hidden", "missing") == missing.json()["detail"]
        assert curious.put("/content/hidden", content=b"y").status_code == 404
        assert curious.head("/content/hidden").status_code == 404
        assert nobody.get("/media/hidden").status_code == 404
        assert "log" in nobody.get("/media/hidden").json()["detail"], "it says that logging in may help"
    assert admin.get("/content/hidden").content == b"x"


def test_private_internal_and_public(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "anyone", "reader")
    for access in ("private", "internal", "public"):
        assert admin.put(f"/content/level/{access}?access={access}", content=b"x").status_code == 201
    with server.client("anyone") as anyone, server.client("") as nobody:
        seen = {
            client: [access for access in ("private", "internal", "public") if client.get(f"/media/level/{access}").is_success]
            for client in (admin, anyone, nobody)
        }
        assert seen == {admin: ["private", "internal", "public"], anyone: ["internal", "public"], nobody: ["public"]}
        for client in (anyone, nobody):
            for access in ("private", "internal", "public"):
                expected = 200 if access in seen[client] else 404
                assert client.get(f"/content/level/{access}").status_code == expected
                assert client.get(f"/versions/level/{access}").status_code == expected
        assert nobody.get("/history/level/public").status_code == 401, "history tells who did what"


def test_readers_and_writers_by_name_and_by_group(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "in-ocean", groups=("ocean",))
    add_user(admin, "by-name")
    add_user(admin, "ocean")
    record = {"pid": "grouped", "readers": ["group:ocean"], "writers": ["by-name"]}
    assert admin.post("/media", json=record).status_code == 201
    with server.client("in-ocean") as member, server.client("by-name") as writer, server.client("ocean") as namesake:
        assert member.get("/media/grouped").status_code == 200
        assert member.patch("/media/grouped", json={"tags": ["x"]}).status_code == 403
        assert writer.patch("/media/grouped", json={"tags": ["x"]}).status_code == 200
        assert writer.delete("/media/grouped").status_code == 403, "a writer does not delete"
        for field, value in (("access", "public"), ("readers", []), ("writers", ["ocean"]), ("owner", "by-name")):
            refused = writer.patch("/media/grouped", json={field: value})
            assert refused.status_code == 403, field
        assert namesake.get("/media/grouped").status_code == 404, "a user's name is no group's"
        assert admin.patch("/users/in-ocean", json={"groups": []}).status_code == 200
        time.sleep(1.1)
        assert member.get("/media/grouped").status_code == 404, "leaving the group takes effect"


def test_a_writer_uploads_but_does_not_open_a_record_by_it(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "uploader")
    assert admin.post("/media", json={"pid": "handed", "writers": ["uploader"]}).status_code == 201
    with server.client("uploader") as uploader:
        assert uploader.put("/content/handed?access=public", content=b"x").status_code == 403
        assert uploader.put("/content/handed", content=b"x").status_code == 200
    record = admin.get("/media/handed").json()
    assert (record["owner"], record["access"], record["version"]) == ("admin", "private", 1)


def test_an_owner_hands_a_record_on(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "giver")
    add_user(admin, "taker")
    with server.client("giver") as giver, server.client("taker") as taker:
        assert giver.post("/media", json={"pid": "gift"}).status_code == 201
        assert giver.patch("/media/gift", json={"owner": "taker"}).json()["owner"] == "taker"
        assert giver.get("/media/gift").status_code == 404
        assert taker.delete("/media/gift").status_code == 204


@pytest.mark.parametrize("access", ["private", "internal", "public"])
def test_an_embargo_lifts_by_itself(server: Server, admin: httpx.Client, access: str) -> None:
    add_user(admin, f"waiting-{access}", "reader")
    pid = f"embargo/{access}"
    assert admin.put(f"/content/{pid}?access={access if access != 'public' else 'private'}", content=b"x").status_code == 201
    with server.client(f"waiting-{access}") as waiting, server.client("") as nobody:
        lifts = datetime.now(UTC) + timedelta(seconds=2)
        change = {"access": access, "public_at": lifts.isoformat()}
        assert admin.patch(f"/media/{pid}", json=change).status_code == 200
        before = {client: client.get(f"/content/{pid}").status_code for client in (waiting, nobody)}
        listed = pid in everything(nobody)
        assert datetime.now(UTC) < lifts, "this machine was too slow to look in time"
        assert before == {waiting: 200 if access == "internal" else 404, nobody: 404}
        assert not listed
        assert admin.get(f"/content/{pid}").headers["cache-control"].startswith("private")
        time.sleep(max(0.0, (lifts - datetime.now(UTC)).total_seconds()) + 0.05)
        opened = nobody.get(f"/content/{pid}")
        assert opened.status_code == 200
        assert opened.headers["cache-control"].startswith("public")
        assert pid in everything(nobody)
        assert pid in everything(waiting)


def test_a_listing_shows_exactly_what_may_be_read(server: Server, admin: httpx.Client) -> None:
    now = datetime.now(UTC)
    moments = (None, now - timedelta(hours=1), now + timedelta(hours=1))
    add_user(admin, "list-owner", groups=("list-a",))
    add_user(admin, "list-other", groups=("list-a", "list-b"))
    add_user(admin, "list-reader", "reader")
    add_user(admin, "list-admin", "administrator")
    principals: tuple[list[str], ...] = ([], ["list-other"], ["group:list-a"], ["group:list-b", "list-reader"])
    pids = []
    with server.client("list-owner") as owner:
        for n, (access, moment, readers) in enumerate(product(("private", "internal", "public"), moments, principals)):
            pid = f"listing/{n}"
            record = {"pid": pid, "access": access, "readers": readers, "public_at": moment and moment.isoformat()}
            record["writers"] = principals[n // 4 % 4]
            assert (owner if n % 3 else admin).post("/media", json=record).status_code == 201
            pids.append(pid)
    clients = {name: server.client(name) for name in ("", "list-owner", "list-other", "list-reader", "list-admin")}
    for name, scopes in (
        ("list-admin", ("admin",)),
        ("list-admin", ("read",)),
        ("list-owner", ("write",)),
        ("list-owner", ("read",)),
    ):
        clients[f"{name} by a key for {scopes}"] = by_key(server, clients[name], *scopes)
    with ExitStack() as opened:
        for client in clients.values():
            opened.callback(client.close)
        for name, client in clients.items():
            listed = [pid for pid in everything(client) if pid.startswith("listing/")]
            readable = [pid for pid in pids if client.get(f"/media/{pid}").status_code == 200]
            assert sorted(listed) == sorted(readable), name or "nobody"


def test_pages_neither_skip_nor_repeat_while_records_come_and_go(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "pager")
    with server.client("pager") as pager:
        pids = [f"paging/{n:02}" for n in range(40)]
        batch = [{"op": "create", "pid": pid} for pid in pids]
        assert all(item["status"] == 201 for item in pager.post("/media/batch", json={"items": batch}).json()["items"])
        stay = set(pids)
        found: list[str] = []
        cursor: dict[str, str] = {}
        for step in range(40):
            page = pager.get("/media", params={"limit": 3, **cursor}).json()
            found += [item["pid"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
            assert pager.post("/media", json={"pid": f"paging/new/{step}"}).status_code == 201
            # One that was shown already (the cursor's own record, every other time), and one that is still to come.
            for gone in {found[-1 if step % 2 else -2], pids[step]} & stay:
                stay.discard(gone)
                assert pager.delete(f"/media/{gone}").status_code == 204
        else:
            pytest.fail("paging does not end")
        assert len(found) == len(set(found)), "none twice"
        assert stay <= set(found), "none is skipped"
        assert not any("new" in pid for pid in found), "newest first: what comes later is on no later page"
        own = [pid for pid in found if pid.startswith("paging/")]
        assert own == sorted(own, reverse=True)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "cursor=%24", "cursor=x", "cursor=LTE", "cursor=é"]
)
def test_a_page_that_can_not_be_is_refused(admin: httpx.Client, query: str) -> None:
    answer = admin.get(f"/media?{query}")
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


def test_a_page_as_long_as_what_is_left_is_the_last(server: Server, admin: httpx.Client) -> None:
    add_user(admin, "exact")
    with server.client("exact") as exact:
        for n in range(4):
            exact.post("/media", json={"pid": f"exact/{n}"})
        own = [pid for pid in everything(exact, limit=2) if pid.startswith("exact/")]
        assert own == ["exact/3", "exact/2", "exact/1", "exact/0"]
        whole = len(everything(exact))
        assert exact.get("/media", params={"limit": whole}).json()["next"] is None


def test_nobody_can_make_a_record(server: Server) -> None:
    with server.client("") as nobody:
        for answer in (
            nobody.post("/media", json={"pid": "by-nobody"}),
            nobody.put("/content/by-nobody", content=b"x"),
            nobody.patch("/media/by-nobody", json={}),
            nobody.delete("/media/by-nobody"),
        ):
            assert answer.status_code == 401
            assert "www-authenticate" in answer.headers


@pytest.mark.parametrize("principal", ["", "group:", "a b", "group:a b", "groups:a", "é", "a,b"])
def test_readers_that_nobody_can_be_are_refused(admin: httpx.Client, principal: str) -> None:
    for field in ("readers", "writers"):
        assert admin.post("/media", json={"pid": "principals", field: [principal]}).status_code == 422
