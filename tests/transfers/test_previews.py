"""The first rows of Parquet files, and files that are made to hurt whoever reads them."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mediastore.transfers import previews
from mediastore.transfers.preview_child import MOST_OUTPUT
from tests.server import Server, add_user


@pytest.fixture(scope="module")
def ann(server: Server) -> Iterator[httpx.Client]:
    with server.client() as admin:
        add_user(admin, "ann")
        add_user(admin, "ben")
    with server.client("ann") as client:
        yield client


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def test_values_are_told_without_losing_a_digit(ann: httpx.Client) -> None:
    table = pa.table(
        {
            "id": pa.array([2**62 + 1, None], pa.int64()),
            "depth.m": pa.array([12.5, 0.1], pa.float64()),
            "price": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
            "at": pa.array([datetime(2026, 1, 31, 12, tzinfo=UTC), None], pa.timestamp("ns", "UTC")),
            "name": pa.array(["a\u202eb", "x" * 500]),
            "kind": pa.array(["ctd", "ctd"]).dictionary_encode(),
            "raw": pa.array([b"\x00\xff", None], pa.binary()),
            "list": pa.array([[1, 2], []], pa.list_(pa.int64())),
            "struct": pa.array([{"a": 1}, None], pa.struct([("a", pa.int64())])),
        }
    )
    ann.put("/content/preview/values", content=parquet(table))
    answer = ann.get("/preview/preview/values")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert [column["name"] for column in shown["columns"]] == table.column_names
    assert shown["columns"][0] == {"name": "id", "type": "int64"}
    first, second = shown["rows"]
    assert first == [
        "4611686018427387905", "12.5", "1.10", "2026-01-31 12:00:00.000000000Z", "a\u202eb", "ctd", "00ff", "[1, 2]", "{'a': 1}",
    ]  # fmt: skip
    assert second[:4] == [None, "0.1", None, None]
    assert second[4] == "x" * 200 + "…"
    assert (shown["row_count"], shown["columns_left_out"]) == (2, 0)


def test_as_many_rows_as_are_asked_for_and_a_hundred_columns(ann: httpx.Client) -> None:
    table = pa.table({f"c{number}": range(1000) for number in range(120)})
    ann.put("/content/preview/wide", content=parquet(table))
    shown = ann.get("/preview/preview/wide", params={"rows": 7}).json()
    assert (len(shown["rows"]), len(shown["rows"][0])) == (7, 100)
    assert (shown["row_count"], shown["columns_left_out"]) == (1000, 20)
    ann.put("/content/preview/none", content=parquet(table.slice(0, 0)))
    assert ann.get("/preview/preview/none").json()["rows"] == []


def test_of_a_large_file_the_columns_that_are_near_are_read(ann: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {f"c{number}": pa.array([os.urandom(1024 * 1024) for _ in range(12)]) for number in range(6)}
    whole = parquet(pa.table({"id": range(12), **columns}), compression="none", use_dictionary=False)
    assert len(whole) > previews.WHOLE
    ann.put("/content/preview/large", content=whole)
    shown = ann.get("/preview/preview/large").json()
    assert [column["name"] for column in shown["columns"]] == ["id", "c0", "c1"]
    assert [row[0] for row in shown["rows"]] == [str(number) for number in range(12)]
    assert shown["columns_left_out"] == 4


def bomb() -> bytes:
    """A small file whose first row alone is larger than a preview's memory."""
    return parquet(
        pa.table({"zeros": pa.array([bytes(600_000_000)], pa.large_binary())}), compression="zstd", use_dictionary=False
    )


def damaged(table: pa.Table) -> bytes:
    whole = bytearray(parquet(table))
    for place in range(4, len(whole) - 8, 7):
        whole[place] ^= 0x5A
    return bytes(whole)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(lambda: b"", id="empty"),
        pytest.param(lambda: b"PAR1", id="four bytes"),
        pytest.param(lambda: b"a,b\n1,2\n", id="csv"),
        pytest.param(lambda: b"PAR1" + b"\xff" * 4 + b"PAR1", id="footer longer than the file"),
        pytest.param(lambda: b"PAR1" + b"\0" * 96 + (90).to_bytes(4, "little") + b"PAR1", id="footer of zeros"),
        pytest.param(lambda: damaged(pa.table({"a": range(1000)})), id="damaged"),
        pytest.param(bomb, id="bomb"),
    ],
)
def test_h17_what_can_not_be_shown_is_refused_and_hurts_nobody(
    ann: httpx.Client, content: Any, request: pytest.FixtureRequest
) -> None:
    pid = f"preview/bad/{request.node.callspec.id.replace(' ', '-')}"
    ann.put(f"/content/{pid}", content=content()).raise_for_status()
    answer = ann.get(f"/preview/{pid}", timeout=90)
    assert (answer.status_code, answer.json()["code"]) == (422, "preview_failed"), answer.text
    assert pid in answer.json()["detail"]


def test_h14_access_is_decided_when_the_rows_are_asked_for(ann: httpx.Client, server: Server) -> None:
    ann.put("/content/preview/secret", content=parquet(pa.table({"a": [1]})))
    with server.client("ben") as ben, server.client("") as nobody:
        for client in (ben, nobody):
            assert client.get("/preview/preview/secret").json()["code"] == "record_not_found"
        ann.patch("/media/preview/secret", json={"readers": ["ben"]})
        assert ben.get("/preview/preview/secret").json()["rows"] == [["1"]]
        ann.patch("/media/preview/secret", json={"readers": []})
        assert ben.get("/preview/preview/secret").status_code == 404
        ann.patch("/media/preview/secret", json={"access": "public"})
        assert nobody.get("/preview/preview/secret").status_code == 200


def test_the_child_is_given_no_secret_and_a_bound_to_what_it_writes(tmp_path: Path) -> None:
    assert not any("MEDIASTORE" in name for name in previews.ENVIRONMENT)
    program = f"""
from mediastore.transfers.preview_child import MOST_OUTPUT, limit
limit()
open({str(tmp_path / "large")!r}, "wb").write(bytes(MOST_OUTPUT + 1))
"""
    subprocess.run([sys.executable, "-I", "-c", program], env=previews.ENVIRONMENT, capture_output=True, check=False)
    assert (tmp_path / "large").stat().st_size == MOST_OUTPUT
