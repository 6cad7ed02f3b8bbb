"""`mediastore import`: every line is taken or told of, and a run that was stopped goes on."""

import gzip
import json
import re
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

import mediastore.client.import_state
import mediastore.client.importing
from mediastore.client.importing import parts_of
from tests.client.commands import command
from tests.server import Server

BAD = b'{"pid": "/bad"}\nnonsense\n'


def write(path: Path, prefix: str, count: int, *, more: bytes = b"") -> Path:
    lines = b"".join(json.dumps({"pid": f"{prefix}/{n}", "metadata": {"n": n}}).encode() + b"\n" for n in range(count))
    text = lines + more
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def test_a_file_becomes_records_and_says_so_in_a_line(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    write(tmp_path / "in.ndjson", "file", 12_000)
    done = command(server, tmp_path, "import", "in.ndjson")
    assert (done.returncode, done.stdout, done.stderr) == (0, "12,000 created\n", "")
    assert admin.get("/media/file/11999").json()["metadata"] == {"n": 11999}
    assert [path.name for path in tmp_path.iterdir()] == ["in.ndjson"], "nothing stays behind"
    again = command(server, tmp_path, "import", "in.ndjson", "--existing", "skip")
    assert (again.returncode, again.stdout) == (0, "12,000 skipped\n")


def test_lines_that_fail_are_told_of_and_kept_in_a_file(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "in.ndjson.gz", "packed", 10, more=BAD)
    done = command(server, tmp_path, "import", "in.ndjson.gz")
    assert (done.returncode, done.stdout) == (3, "10 created, 2 failed\n")
    assert re.search(r"^line 11: a PID may hold slashes, but none at its ends", done.stderr, re.MULTILINE)
    assert "line 12: " in done.stderr
    assert "--errors FILE" in done.stderr
    kept = command(server, tmp_path, "import", "in.ndjson.gz", "--errors", "bad.ndjson")
    assert (kept.returncode, kept.stdout, kept.stderr) == (3, "10 unchanged, 2 failed\n", "")
    told = [json.loads(line) for line in (tmp_path / "bad.ndjson").read_text().splitlines()]
    assert [(each["line"], each["pid"], each["status"]) for each in told] == [(11, "/bad", 422), (12, None, 422)]
    assert told[0]["problem"]["code"] == "pid_invalid"


def test_standard_input_and_lines_without_a_pid(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    text = b'{"tags": ["piped"]}\n' * 3
    refused = command(server, tmp_path, "import", "-", given=text)
    assert (refused.returncode, refused.stdout) == (3, "3 failed\n")
    for expected in ("3 created\n", "3 unchanged\n"):
        done = command(server, tmp_path, "import", "-", "--import-id", "a cruise", given=text)
        assert (done.returncode, done.stdout) == (0, expected)
    listed = admin.get("/media?limit=1000").json()["items"]
    assert len([item for item in listed if item["tags"] == ["piped"]]) == 3


def test_what_can_not_work_is_a_sentence(server: Server, tmp_path: Path) -> None:
    write(tmp_path / "in.ndjson", "never", 1)
    nobody = command(server, tmp_path, "import", "in.ndjson", token="")
    assert nobody.returncode == 1
    assert "MEDIASTORE_API_KEY" in nobody.stderr
    missing = command(server, tmp_path, "import", "no.ndjson")
    assert (missing.returncode, missing.stderr) == (1, "mediastore: no.ndjson: No such file or directory\n")
    nowhere = command(server, tmp_path, "import", "in.ndjson", "--url", "http://127.0.0.1:9", "--patience", "0")
    assert nowhere.returncode == 1
    assert "the same command goes on" in nowhere.stderr
    assert command(server, tmp_path, "import", "in.ndjson", "--url", "ftp://x").returncode == 1
    elsewhere = command(server, tmp_path, "import", "in.ndjson", "--url", f"{server.url}/docs")
    assert elsewhere.returncode == 1
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b'{"pid": "x"}\n' * 1000)[:-20])
    cut = command(server, tmp_path, "import", "cut.gz")
    assert cut.returncode == 1
    assert "not a whole gzip file" in cut.stderr
    for each in (nobody, missing, nowhere, elsewhere, cut):
        assert "Traceback" not in each.stderr


def test_a_run_goes_on_only_with_the_same_file_and_options(server: Server, admin: httpx.Client, tmp_path: Path) -> None:
    file = write(tmp_path / "in.ndjson", "same", 10)
    nowhere = ("import", "in.ndjson", "--patience", "0", "--url", "http://127.0.0.1:9")
    assert command(server, tmp_path, *nowhere).returncode == 1
    assert not (tmp_path / "in.ndjson.import").exists(), "nothing was done yet"
    # As a run left it that was killed behind line 4.
    text = file.read_bytes()
    offset = len(b"".join(text.splitlines(keepends=True)[:4]))
    state: dict[str, Any] = {
        "url": server.url,
        "options": {"existing": "error"},
        "size": len(text),
        "head": mediastore.client.import_state.head_of(file),
        "offset": offset,
        "line": 4,
        "errors_size": 0,
        "counts": {"created": 4},
    }
    (tmp_path / "in.ndjson.import").write_text(json.dumps(state))
    other = command(server, tmp_path, "import", "in.ndjson", "--existing", "skip")
    assert other.returncode == 1
    assert "other options" in other.stderr
    file.write_bytes(text + text)
    assert "the file has changed" in command(server, tmp_path, "import", "in.ndjson").stderr
    file.write_bytes(text)
    done = command(server, tmp_path, "import", "in.ndjson")
    assert (done.returncode, done.stdout, done.stderr) == (0, "10 created\n", "going on behind line 4\n")
    assert admin.get("/media/same/3").status_code == 404, "it was not sent again"
    assert admin.get("/media/same/4").status_code == 200
    (tmp_path / "in.ndjson.import").write_text("{")
    assert command(server, tmp_path, "import", "in.ndjson").returncode == 1
    assert command(server, tmp_path, "import", "in.ndjson", "--restart").stdout == "4 created, 6 unchanged\n"


def test_a_folder_that_can_not_be_written_to_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("os.access", lambda *_: False)
    place = mediastore.client.import_state.place_for(tmp_path / "in.ndjson")
    assert place.parent == tmp_path / "state" / "mediastore"
    assert place.parent.is_dir()


def test_parts_are_whole_lines_and_know_where_they_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mediastore.client.importing, "PART_LINES", 3)
    monkeypatch.setattr(mediastore.client.importing, "PART_BYTES", 30)
    monkeypatch.setattr(mediastore.client.importing, "LONGEST_LINE", 20)
    text = b"1\n2\n3\n" + b"4" * 50 + b"\n5\n6\n" + b"7" * 17 + b"\n" + b"8" * 17 + b"\n9"
    found = list(parts_of(BytesIO(text), offset=100, line=10, position=lambda: 0))
    assert found[0].first_line == 11
    lines = [line for part in found for line in part.text.splitlines()]
    assert len(lines) == 9
    assert lines[3] == b'"a line of more than 64 MiB"'
    assert lines[6:] == [b"7" * 17, b"8" * 17, b"9"]
    for part, after in pairwise(found):
        assert after.first_line == part.first_line + part.lines
        rest = parts_of(BytesIO(text[part.end - 100 :]), offset=part.end, line=after.first_line - 1, position=lambda: 0)
        assert [line for each in rest for line in each.text.splitlines()] == lines[after.first_line - 11 :]
    assert found[-1].end == 100 + len(text)
