"""History of records with much metadata: read in pieces that fit into memory, and complete all the same."""

from typing import Any

import httpx
import pytest

from mediastore.catalog import history_queries
from mediastore.database import Database
from tests.server import Server

MIB = 1024 * 1024
CHANGES = 5


@pytest.fixture(scope="module")
def pid(server: Server) -> str:
    """A record that has had 3 MiB of metadata again and again: each change tells of it before and after."""
    with server.client() as admin:
        assert admin.post("/media", json={"pid": "large/history", "metadata": {"n": 0}}).status_code == 201
        for number in range(1, CHANGES + 1):
            change = {"metadata": {"n": number, "text": str(number) * 3 * MIB}}
            assert admin.patch("/media/large/history", json=change).status_code == 200
    return "large/history"


@pytest.mark.parametrize(("path", "wanted"), [("/history/large/history", {}), ("/events", {"subject": "large/history"})])
def test_h17_a_page_of_large_changes_is_a_short_one(admin: httpx.Client, pid: str, path: str, wanted: dict[str, str]) -> None:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    pages = 0
    while cursor is not None or not pages:
        answer = admin.get(path, params={**wanted, "limit": "1000"} | ({} if cursor is None else {"cursor": cursor}))
        assert answer.status_code == 200, answer.text[:500]
        assert len(answer.content) < 10 * MIB
        assert all(event["subject"] == pid for event in answer.json()["items"])
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        pages += 1
    revisions = [event["revision"] for event in found]
    assert sorted(revisions) == list(range(1, CHANGES + 2))
    assert revisions in (sorted(revisions), sorted(revisions, reverse=True))
    assert pages > 2


def test_h17_a_record_as_it_was_takes_no_more_than_its_history_in_pieces(admin: httpx.Client, pid: str) -> None:
    for revision in (1, 3, CHANGES + 1):
        past = admin.get(f"/revisions/{pid}", params={"revision": revision}).json()
        assert (past["revision"], past["metadata"]["n"], past["owner"]) == (revision, revision - 1, "admin")


def test_h17_an_export_of_large_changes_has_them_all(admin: httpx.Client, pid: str) -> None:
    lines = admin.get("/events/export", params={"subject": pid}).text.splitlines()
    assert len(lines) == CHANGES + 1


async def test_h17_no_statement_reads_more_changes_than_fit(database_url: str) -> None:
    database = Database(database_url)
    try:
        async with database.connection() as connection:
            await connection.execute(
                """
                INSERT INTO history (kind, subject, media, revision, actor, action, changes)
                SELECT 'media', 'x', 1, n, 'alice', 'changed', jsonb_build_object('metadata', repeat('x', 3 * 1024 * 1024))
                FROM generate_series(1, 7) AS n
                """
            )
            told: list[int | None] = []
            place, more = (0, 0), True
            while more:
                found = await history_queries.up_to(connection, 1, revision=6, after=place, limit=1000)
                assert sum(len(bytes(event.changes)) for event in found.items) <= history_queries.MOST_BYTES
                told += [event.revision for event in found.items]
                place, more = (found.items[-1].revision or 0, found.items[-1].id), found.more
        assert told == [1, 2, 3, 4, 5, 6]
    finally:
        await database.close()
