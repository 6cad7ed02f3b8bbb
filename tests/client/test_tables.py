"""Tables of a PID, as people read them: by pandas and PyArrow."""

import random
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from mediastore.client.client import Client
from mediastore.client.read_ahead import GrowingReadAhead
from stores.config import S3Access
from tests.buckets import add_s3_store
from tests.server import Server

ROWS, COLUMNS = 100_000, 30


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    monkeypatch.setenv("MEDIASTORE_URL", server.url)
    monkeypatch.setenv("MEDIASTORE_API_KEY", server.token())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with Client() as client:
        yield client


def test_a_table_is_written_and_read_by_its_pid(client: Client) -> None:
    table = pandas.DataFrame({"depth": [1.5, 2.5], "species": ["Calanus", "Oithona"]})
    table.to_csv("mediastore://tables/a.csv", index=False)
    table.to_parquet("mediastore://tables/a.parquet")
    assert pandas.read_csv("mediastore://tables/a.csv").equals(table)
    assert pandas.read_parquet("mediastore://tables/a.parquet").equals(table)


@pytest.mark.parametrize("store", ["local", "columns"])
def test_some_columns_of_a_table_are_a_small_part_of_its_bytes(
    client: Client, server: Server, ministack: S3Access, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    if store == "columns":
        with server.client() as admin:
            add_s3_store(admin, ministack, store)
    chance = random.Random(7)
    table = pandas.DataFrame({f"c{number}": [chance.random() for _ in range(ROWS)] for number in range(COLUMNS)})
    content = table.to_parquet()
    client.put(content, f"columns/{store}", store=store)
    moved: list[int] = []
    read = Client.read

    def counted(*arguments: object, **named: object) -> bytes:
        piece = read(*arguments, **named)  # type: ignore[arg-type]  # handed on as they came
        moved.append(len(piece))
        return piece

    monkeypatch.setattr(Client, "read", counted)
    wanted = ["c3", "c14", "c27"]
    assert pandas.read_parquet(f"mediastore://columns/{store}", columns=wanted).equals(table[wanted])
    assert 0 < sum(moved) < len(content) / 4, f"{sum(moved)} of {len(content)} in {len(moved)} reads"


def test_who_goes_on_is_read_ahead_of_and_who_jumps_is_not() -> None:
    content = bytes(range(256)) * 40_000
    asked: list[tuple[int, int]] = []

    def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return content[start:end]

    cache = GrowingReadAhead(1024 * 1024, fetch, len(content))
    for at in range(0, len(content), 10_000):
        assert cache._fetch(at, at + 10_000) == content[at : at + 10_000]
    assert len(asked) < 20
    assert asked[0][1] < 100_000
    asked.clear()
    for at in (9_000_000, 40, 5_000_000):
        assert cache._fetch(at, at + 100) == content[at : at + 100]
    assert asked == [(9_000_000, 9_000_100), (40, 140), (5_000_000, 5_000_100)]
    assert cache._fetch(len(content) - 5, len(content) + 5) == content[-5:]
    assert cache._fetch(len(content), None) == b""
