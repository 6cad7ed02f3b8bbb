"""`mediastore export`: a file is there when it is whole, and what was cut short goes on."""

import gzip
import json
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from mediastore.client.exporting import last_line
from tests.catalog.test_imports import ndjson, sent
from tests.client.commands import begin, command
from tests.server import Server


@pytest.fixture(scope="module")
def pids(server: Server) -> list[str]:
    found = [f"out/{n:05}" for n in range(5000)]
    with server.client() as admin:
        sent(admin, ndjson(*({"pid": pid, "metadata": {"x": "ü" * 50}} for pid in found)))
    return found


def pids_in(text: bytes | str) -> list[str]:
    return [json.loads(line)["pid"] for line in text.splitlines()]


def test_an_export_is_whole_under_its_name(server: Server, admin: httpx.Client, tmp_path: Path, pids: list[str]) -> None:
    done = command(server, tmp_path, "export", "all.ndjson")
    assert (done.returncode, done.stdout, done.stderr) == (0, "5,000 records written to all.ndjson\n", "")
    assert pids_in((tmp_path / "all.ndjson").read_bytes()) == pids
    packed = command(server, tmp_path, "export", "all.ndjson.gz")
    assert packed.returncode == 0, packed.stderr
    assert pids_in(gzip.decompress((tmp_path / "all.ndjson.gz").read_bytes())) == pids
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.ndjson", "all.ndjson.gz"]
    again = command(server, tmp_path, "import", "all.ndjson.gz")
    assert (again.returncode, again.stdout) == (0, "5,000 unchanged\n")


def test_a_filter_has_a_part_of_its_own(server: Server, tmp_path: Path, pids: list[str]) -> None:
    asked = '{"pid": "out/0000*"}'
    (tmp_path / "few.ndjson.part").write_text('{"pid": "of/another"}\n')
    done = command(server, tmp_path, "export", "few.ndjson", "--filter", asked)
    assert (done.returncode, done.stdout) == (0, "10 records written to few.ndjson\n"), done.stderr
    assert pids_in((tmp_path / "few.ndjson").read_bytes()) == pids[:10]
    assert pids_in(command(server, tmp_path, "export", "--filter", asked).stdout) == pids[:10]
    for wrong in ("{", "[]", '{"never": 1}'):
        refused = command(server, tmp_path, "export", "--filter", wrong)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr


def test_standard_output_has_the_lines_and_nothing_else(server: Server, tmp_path: Path, pids: list[str]) -> None:
    done = command(server, tmp_path, "export")
    assert (done.returncode, done.stderr) == (0, "")
    assert pids_in(done.stdout) == pids
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 1, 999, 1000, 70_000, 200_000])
def test_an_export_goes_on_where_it_was_cut(server: Server, tmp_path: Path, pids: list[str], cut: int) -> None:
    whole = command(server, tmp_path, "export").stdout.encode()
    (tmp_path / "all.ndjson.part").write_bytes(whole[:cut])
    done = command(server, tmp_path, "export", "all.ndjson")
    assert done.returncode == 0, done.stderr
    assert ("going on" in done.stderr) == (b"\n" in whole[:cut])
    assert (tmp_path / "all.ndjson").read_bytes() == whole


def test_a_part_of_another_server_is_refused_until_it_is_begun_anew(server: Server, tmp_path: Path, pids: list[str]) -> None:
    (tmp_path / "all.ndjson.part").write_text('{"pid": "of/another"}\n')
    refused = command(server, tmp_path, "export", "all.ndjson")
    assert refused.returncode == 1
    assert "--restart" in refused.stderr
    (tmp_path / "all.ndjson.part").write_text("[]\n")
    assert "--restart" in command(server, tmp_path, "export", "all.ndjson").stderr
    assert command(server, tmp_path, "export", "all.ndjson", "--restart").returncode == 0
    assert pids_in((tmp_path / "all.ndjson").read_bytes()) == pids


def test_a_reader_that_has_had_enough_gets_no_complaint(server: Server, tmp_path: Path, pids: list[str]) -> None:
    process = begin(server, tmp_path, "export", environment={"MEDIASTORE_TOKEN": server.token()})
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1


@pytest.mark.parametrize(
    ("text", "kept", "line"),
    [
        (b"", b"", b""),
        (b"cut", b"", b""),
        (b"one\n", b"one\n", b"one"),
        (b"one\ntwo\ncut", b"one\ntwo\n", b"two"),
        (b"x" * 200_000 + b"\n" + b"y" * 100_000, b"x" * 200_000 + b"\n", b"x" * 200_000),
        (b"\n\n", b"\n\n", b""),
    ],
)
def test_what_follows_the_last_whole_line_goes(text: bytes, kept: bytes, line: bytes) -> None:
    file = BytesIO(text)
    assert last_line(file) == line
    assert file.getvalue() == kept
