"""Thousands of items in one call: together in the database, each with its own result, whatever the others are."""

import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from msgspec import Raw

from mediastore.accounts.schemas import NOBODY, Caller
from mediastore.catalog.batch import Batch
from mediastore.catalog.bulk import Bulk, Outcome
from mediastore.database import DatabaseUnavailable, ValueRefused
from tests.catalog.test_batch import batch, codes, statuses
from tests.database import DatabaseServer
from tests.server import Server, add_user, running_server

MANY = 10_000
LONGEST_S = 40
"""For ten thousand items; it takes 2 to 4 s where nothing else runs, and one by one it would be minutes."""


def timed(client: httpx.Client, items: list[dict[str, Any]], status: int) -> list[dict[str, Any]]:
    begun = time.monotonic()
    results = batch(client, *items)
    assert statuses(results) == [status] * len(items)
    assert time.monotonic() - begun < LONGEST_S
    return results


def test_ten_thousand_records_live_and_die_in_four_calls(admin: httpx.Client) -> None:
    pids = [f"many/{n:05}" for n in range(MANY)]
    timed(admin, [{"op": "create", "pid": pid, "metadata": {"n": n}, "tags": ["a"]} for n, pid in enumerate(pids)], 201)
    change = {"op": "update", "metadata": {"m": 1}, "add_tags": ["b"], "set_metadata": [{"path": ["x", "y"], "value": 2}]}
    updated = timed(admin, [change | {"pid": pid, "revision": 1} for pid in reversed(pids)], 200)
    read = timed(admin, [{"op": "read", "pid": pid} for pid in pids], 200)
    assert [result["media"] for result in read] == [result["media"] for result in reversed(updated)]
    assert [result["media"]["metadata"]["n"] for result in read] == list(range(MANY))
    assert read[-1]["media"] == admin.get(f"/media/{pids[-1]}").json()
    events = admin.get(f"/history/{pids[1234]}").json()["items"]
    assert [event["revision"] for event in events] == [1, 2]
    assert events[1]["changes"]["tags"] == {"before": ["a"], "after": ["a", "b"]}
    assert events[1]["changes"]["metadata"]["before"] == {"n": 1234}
    assert (events[1]["actor"], events[1]["action"]) == ("admin", "changed")
    timed(admin, [{"op": "delete", "pid": pid, "revision": 2} for pid in pids], 204)
    assert admin.get(f"/media/{pids[0]}").status_code == admin.get(f"/media/{pids[-1]}").status_code == 410
    assert set(codes(batch(admin, *({"op": "delete", "pid": pid} for pid in pids[:2000])))) == {"record_gone"}


def test_changes_of_one_record_in_one_call_come_one_after_the_other(admin: httpx.Client) -> None:
    items = [{"op": "update", "pid": "again", "add_tags": [f"t{n}"], "revision": n + 1} for n in range(5)]
    results = batch(
        admin, {"op": "create", "pid": "again"}, *items, {"op": "delete", "pid": "again"}, {"op": "delete", "pid": "again"}
    )
    assert statuses(results) == [201, 200, 200, 200, 200, 200, 204, 410]
    assert results[5]["media"]["tags"] == [f"t{n}" for n in range(5)]
    assert results[5]["media"]["revision"] == 6


@pytest.mark.parametrize("atomic", [False, True])
def test_everything_that_a_record_says_can_be_changed_in_bulk(admin: httpx.Client, atomic: bool) -> None:
    admin.post("/identifier-types", json={"name": "BULK", "pattern": "[a-z0-9]+", "unique": True})
    p = f"all/{atomic}"
    batch(admin, *({"op": "create", "pid": f"{p}/{n}", "identifiers": {"BULK": f"{atomic}{n}".lower()}} for n in range(3)))
    change = {
        "access": "internal",
        "readers": ["alice"],
        "writers": ["group:ctd"],
        "public_at": "2036-01-01T00:00:00Z",
        "expires_at": "2036-02-01T00:00:00Z",
        "owner": "bob",
    }
    results = batch(
        admin,
        {"op": "update", "pid": f"{p}/0", "identifiers": {"BULK": None}, **change},
        {"op": "update", "pid": f"{p}/1", "identifiers": {"BULK": f"{atomic}0".lower()}, "tags": ["x"]},
        {"op": "update", "pid": f"{p}/2"},
        atomic=atomic,
    )
    assert statuses(results) == [200] * 3
    assert {name: results[0]["media"][name] for name in change} == change
    assert results[0]["media"]["identifiers"] == {}
    assert results[1]["media"]["identifiers"] == {"BULK": f"{atomic}0".lower()}
    assert results[2]["media"]["revision"] == 1
    for n in range(3):
        assert admin.get(f"/media/{p}/{n}").json() == results[n]["media"]


def test_of_many_changes_only_those_that_break_a_rule_are_refused(admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "ONCE", "pattern": ".+", "unique": True})
    created = batch(admin, *({"op": "create", "pid": f"once/{n}", "identifiers": {"ONCE": f"{n}"}} for n in range(200)))
    assert statuses(created) == [201] * 200
    results = batch(
        admin,
        *(
            {"op": "update", "pid": f"once/{n}", "identifiers": {"ONCE": "199" if n % 50 == 7 else f"new {n}"}, "tags": ["t"]}
            for n in range(199)
        ),
    )
    refused = [n for n, result in enumerate(results) if result["status"] != 200]
    assert refused == [7, 57, 107, 157]
    assert {codes(results)[n] for n in refused} == {"identifier_taken"}
    assert admin.get("/media/once/7").json()["tags"] == []
    assert admin.get("/media/once/8").json()["identifiers"] == {"ONCE": "new 8"}


def test_of_many_creates_only_those_that_break_a_rule_are_refused(admin: httpx.Client) -> None:
    admin.post("/identifier-types", json={"name": "FIRST", "pattern": ".+", "unique": True})
    items = [{"op": "create", "pid": f"first/{n}", "identifiers": {"FIRST": str(n // 2)}} for n in range(1000)]
    assert statuses(batch(admin, *items)) == [201, 409] * 500, "of two the first has it"


def test_changes_that_meet_in_other_orders_all_succeed(server: Server, admin: httpx.Client) -> None:
    pids = [f"meet/{n}" for n in range(20)]
    batch(admin, *({"op": "create", "pid": pid} for pid in pids))

    def work(number: int) -> list[int]:
        mine = pids if number % 2 else list(reversed(pids))
        found: list[int] = []
        with server.client() as client:
            for turn in range(5):
                items: list[dict[str, Any]] = []
                for pid in mine:  # of changing kinds, so that each is a group of its own
                    items += [{"op": "update", "pid": pid, "add_tags": [f"{number}-{turn}"]}, {"op": "read", "pid": pid}]
                found += statuses(batch(client, *items, atomic=turn % 2 == 0))
        return found

    with ThreadPoolExecutor(4) as pool:
        assert {status for results in pool.map(work, range(4)) for status in results} == {200}
    assert len(admin.get(f"/media/{pids[0]}").json()["tags"]) == 20


def test_deletions_from_several_owners_in_other_orders_all_succeed(server: Server, admin: httpx.Client) -> None:
    """Each takes its objects out of the counts of two owners, and the counts are rows that others change, too."""
    owners, rounds, each = ("meet-a", "meet-b"), 10, 5
    for owner in owners:
        add_user(admin, owner)
        with server.client(owner) as client:
            for n in range(2 * rounds * each):
                client.put(f"/content/gone/{owner}/{n}", content=b"x").raise_for_status()

    def work(number: int) -> list[int]:
        first, second = owners if number else reversed(owners)
        found: list[int] = []
        with server.client() as client:
            for turn in range(rounds):
                mine = range((turn * 2 + number) * each, (turn * 2 + number + 1) * each)
                items = [{"op": "delete", "pid": f"gone/{first}/{n}"} for n in mine]
                items.append({"op": "create"})  # so that the deletions are two groups
                items += [{"op": "delete", "pid": f"gone/{second}/{n}"} for n in mine]
                found += statuses(batch(client, *items, atomic=True))
        return found

    with ThreadPoolExecutor(2) as pool:
        found = [status for results in pool.map(work, range(2)) for status in results]
    assert set(found) == {201, 204}
    usage = {item["owner"]: item["used"]["objects"] for item in admin.get("/stores/local/usage").json()["owners"]}
    assert [usage.get(owner, 0) for owner in owners] == [0, 0]


def test_an_answer_holds_no_more_than_it_may(database_server: DatabaseServer, template_database: str) -> None:
    environment = {"MEDIASTORE_MAX_ANSWER_BYTES": "100000"}
    with (
        database_server.database(template=template_database) as url,
        running_server(url, environment) as server,
        server.client() as admin,
    ):
        for n in range(6):
            admin.post("/media", json={"pid": f"large/{n}", "metadata": {"x": "y" * 30_000}}).raise_for_status()
        pids = [f"large/{n}" for n in range(6)]
        results = batch(admin, *({"op": "read", "pid": pid} for pid in [*pids, "large/never"]))
        assert statuses(results) == [200] * 3 + [413] * 4, "nor does it say what is not there"
        assert set(codes(results)[3:]) == {"answer_too_large"}
        results = batch(admin, *({"op": "update", "pid": pid, "add_tags": ["t"]} for pid in pids))
        assert statuses(results) == [200] * 6
        assert ["media" in result for result in results] == [True] * 3 + [False] * 3
        assert admin.get("/media/large/5").json()["tags"] == ["t"]


def test_records_with_much_metadata_go_through_in_windows(admin: httpx.Client) -> None:
    for n in range(3):
        admin.post("/media", json={"pid": f"heavy/{n}", "metadata": {"x": "y" * 5_000_000}}).raise_for_status()
    results = batch(admin, *({"op": "update", "pid": f"heavy/{n}", "metadata": {"n": n}} for n in range(3)))
    assert statuses(results) == [200] * 3
    read = batch(admin, *({"op": "read", "pid": f"heavy/{n}"} for n in (2, 0, 1, 2)))
    assert [result["media"]["metadata"]["n"] for result in read] == [2, 0, 1, 2]


class Leaving(Bulk):
    """The database leaves after so many groups."""

    def __init__(self, groups: int) -> None:
        self.left = groups

    async def perform(self, _: Any, items: Any, **__: Any) -> list[Outcome]:
        if self.left == 0:
            raise DatabaseUnavailable("the database is not available")
        self.left -= 1
        return [Outcome(op="read", pid=item.pid) for item in items]


class Nothing:
    """Stands for what a batch of reads does not ask."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    async def refresh_rules(self) -> None: ...


async def test_when_the_database_leaves_half_way_each_item_says_whether_it_was_done() -> None:
    nothing: Any = Nothing()
    items = [Raw(b'{"op": "read", "pid": "a"}')] * 2500

    def leaving(groups: int) -> Batch:
        bulk = Leaving(groups)
        return Batch(nothing, bulk=bulk, catalog=nothing, drafts=nothing, max_items=5000, max_answer_bytes=1)

    caller = Caller(identity=NOBODY)
    outcomes = await leaving(2).run(items, atomic=False, caller=caller)
    assert [outcome.error is None for outcome in outcomes] == [True] * 2000 + [False] * 500
    assert isinstance(outcomes[-1].error, DatabaseUnavailable)
    with pytest.raises(DatabaseUnavailable):
        await leaving(0).run(items, atomic=False, caller=caller)
    with pytest.raises(DatabaseUnavailable):
        await leaving(2).run(items, atomic=True, caller=caller)


class Refusing(Bulk):
    """A database that refuses one item of many, and leaves when it comes to others."""

    def __init__(self) -> None:
        pass

    async def perform(self, _: Any, items: Any, **__: Any) -> list[Outcome]:
        pids = {item.pid for item in items}
        if "refused" in pids:
            raise ValueRefused("not this one")
        if "away" in pids:
            raise DatabaseUnavailable("gone")
        return [Outcome(op="read", pid=item.pid) for item in items]


async def test_what_was_done_before_the_database_left_says_so_also_where_one_item_was_refused() -> None:
    nothing: Any = Nothing()
    pids = ["a", "b", "c", "refused", "d", "away", "e", "f"]
    items = [Raw(f'{{"op": "read", "pid": "{pid}"}}'.encode()) for pid in pids]
    batch = Batch(nothing, bulk=Refusing(), catalog=nothing, drafts=nothing, max_items=10, max_answer_bytes=1)
    outcomes = await batch.run(items, atomic=False, caller=Caller(identity=NOBODY))
    assert [outcome.pid for outcome in outcomes] == pids
    assert [type(outcome.error) for outcome in outcomes[:4]] == [type(None)] * 3 + [ValueRefused]
    assert [type(outcome.error) for outcome in outcomes[4:]] == [DatabaseUnavailable] * 4
