"""Limits of storage, as the token says them, also when everything comes at once."""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.dialects.bitstore.client import Client, becomes, files, md5, send
from tests.server import Server

TENTH = bytes(100_000)
"""Of one MB."""


def one(name: str, body: bytes = TENTH) -> dict[str, object]:
    return {name: {"length": len(body), "md5": md5(body)}}


@pytest.mark.parametrize("findability", ["private", "published"])
def test_h13_thirty_parallel_authorizations_stay_within_the_limit(server: Server, admin: httpx.Client, findability: str) -> None:
    name = f"thirty-{findability}"
    limits = {"private_mb": 1, "public_mb": 0} if findability == "private" else {"private_mb": 0, "public_mb": 1}
    who = Client(server, name, **limits)
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda n: who.ask(one(f"f{n}"), findability=findability), range(30)))
    assert sorted(answer.status_code for answer in answers) == [200] * 10 + [403] * 20
    refused = next(answer for answer in answers if answer.status_code == 403)
    assert refused.text == "Max storage for user exceeded plan limit (1MB)"
    usage = admin.get("/stores/bucket/usage").json()
    [mine] = [item for item in usage["owners"] if item["owner"] == name]
    assert mine["used"]["bytes"] + mine["reserved"]["bytes"] == 1_000_000
    other = "published" if findability == "private" else "private"
    assert who.ask(one("other"), findability=other).status_code == 403, "each kind has its own"


def test_h13_what_is_stored_counts_and_asking_again_does_not(server: Server, admin: httpx.Client) -> None:
    victor = Client(server, "victor", public_mb=0.25)
    for _ in range(3):
        victor.authorize(one("a"))
    [offer] = victor.authorize(one("a")).values()
    assert send(offer, TENTH).status_code == 204
    becomes(admin, "rawstore/victor/d/a", "ready")
    assert victor.authorize(one("a"))["a"]["exists"]
    victor.authorize(one("b"))
    assert victor.ask(one("c")).status_code == 403
    victor.authorize(one("c", TENTH[:50_000]))
    assert victor.ask(one("e", b"x")).status_code == 403
    victor.authorize(one("empty", b""))


def test_h13_a_request_that_is_refused_reserves_nothing(server: Server) -> None:
    walter = Client(server, "walter", public_mb=0.3)
    many = {name: item for number in range(5) for name, item in one(f"f{number}").items()}
    assert walter.ask(many).status_code == 403
    walter.authorize({name: many[name] for name in list(many)[:3]})


@pytest.mark.parametrize("most", [b"", b"x"], ids=["empty", "small"])
def test_h13_what_another_findability_takes_along_counts_where_it_goes(server: Server, admin: httpx.Client, most: bytes) -> None:
    """A record's old versions are as public as it is: they go from one limit to the other with the next one."""
    mover = Client(server, f"mover-{len(most)}", private_mb=0.1, public_mb=0.15)
    mover.push(TENTH, name="a", findability="private")
    becomes(admin, f"rawstore/{mover.userid}/d/data/a", "ready")
    mover.push(most, name="a")
    deadline = time.monotonic() + 30
    while admin.get(f"/media/rawstore/{mover.userid}/d/data/a").json()["version"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    mover.push(TENTH, name="b", findability="private")
    becomes(admin, f"rawstore/{mover.userid}/d/data/b", "ready")
    assert mover.ask({"data/b": one("b", most)["b"]}).status_code == 403, "with what it has, it is more than may be public"


def test_h13_what_is_about_to_move_counts_there_already(server: Server, admin: httpx.Client) -> None:
    mover = Client(server, "mover-both", private_mb=0.2, public_mb=0.15)
    for name in ("a", "b"):
        mover.push(TENTH, name=name, findability="private")
        becomes(admin, f"rawstore/mover-both/d/data/{name}", "ready")
    answers = [mover.ask({f"data/{name}": one(name, b"x")[name]}).status_code for name in ("a", "b")]
    assert answers == [200, 403]


def test_h13_completed_twice_at_once(server: Server, admin: httpx.Client) -> None:
    xena = Client(server, "xena")
    [offer] = xena.authorize(files(a_csv=TENTH), findability="private").values()
    with ThreadPoolExecutor(8) as pool:
        sent = list(pool.map(lambda _: send(offer, TENTH).status_code, range(8)))
        url = f"{offer['upload_url']}/{offer['upload_query']['key']}"
        signed = list(pool.map(lambda _: xena.presign(url).status_code, range(8)))
    assert (set(sent), set(signed)) == ({204}, {200})
    record = becomes(admin, "rawstore/xena/d/data/a.csv", "ready")
    assert record["version"] == 1


def test_a_token_that_says_nothing_of_limits_has_none_and_one_that_leaves_one_out_has_nothing(server: Server) -> None:
    free = Client(server, "yves", permissions=None)
    free.authorize(one("a"))
    bound = Client(server, "zoe", permissions={"max_private_storage_mb": 1, "max_public_storage_mb": "many"})
    assert bound.ask(one("a")).status_code == 403
    bound.authorize(one("a"), findability="private")
    vast = Client(server, "vast", permissions={"max_public_storage_mb": 1e308, "max_private_storage_mb": 10**400})
    for kind in ("public", "private"):
        vast.authorize(one("a"), findability=kind)
    odd = Client(server, "zack", permissions={"max_public_storage_mb": float("nan"), "max_private_storage_mb": -1})
    assert [odd.ask(one("a"), findability=kind).status_code for kind in ("public", "private")] == [403, 403]
