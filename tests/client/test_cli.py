"""The command line as its users run it: processes, against a real server."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mediastore.client.servers import Profiles
from tests.client.commands import begin, command
from tests.faults.harness import eventually
from tests.server import PASSWORD, Server, add_user

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person of its own for each test, and a folder to work in."""
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def lines(done: "subprocess.CompletedProcess[str]") -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_is_put_is_what_is_got(server: Server, folders: Path) -> None:
    (folders / "data.csv").write_bytes(os.urandom(MIB))
    put = command(
        server, folders, "put", "data.csv", "--pid", "cli/1", "--tag", "a", "--tag", "b", "--metadata", '{"depth": 12.50}',
        "--store", "scratch", "--access", "public",
    )  # fmt: skip
    assert (put.returncode, put.stdout, put.stderr) == (0, "cli/1\n", "")
    (folders / "there").mkdir()
    got = command(server, folders, "get", "cli/1", "-o", "there", "--json")
    assert got.returncode == 0, got.stderr
    assert lines(got) == [{"outcome": "got", "pid": "cli/1", "file": "there/data.csv"}]
    assert (folders / "there/data.csv").read_bytes() == (folders / "data.csv").read_bytes()
    info = lines(command(server, folders, "info", "cli/1", "--json"))[0]
    assert (info["tags"], info["metadata"], info["store"], info["access"]) == (["a", "b"], {"depth": 12.5}, "scratch", "public")


def test_a_file_that_is_there_is_never_replaced_unasked(server: Server, folders: Path) -> None:
    (folders / "mine").write_text("sent")
    command(server, folders, "put", "mine", "--pid", "cli/mine")
    assert lines(command(server, folders, "get", "cli/mine", "--json"))[0]["outcome"] == "unchanged"
    (folders / "mine").write_text("precious")
    for arguments in (("get", "cli/mine"), ("get", "cli/mine", "-o", "mine")):
        refused = command(server, folders, *arguments)
        assert refused.returncode == 1
        assert "--force replaces it" in refused.stderr
        assert (folders / "mine").read_text() == "precious"
    assert command(server, folders, "get", "cli/mine", "--force").returncode == 0
    assert (folders / "mine").read_text() == "sent"


def test_contents_with_one_name_don_t_fall_upon_each_other(server: Server, folders: Path) -> None:
    for number in (1, 2):
        (folders / "same").write_text(str(number))
        command(server, folders, "put", "same", "--pid", f"cli/same/{number}")
    (folders / "same").unlink()
    refused = command(server, folders, "get", "cli/same/1", "cli/same/2")
    assert refused.returncode == 3
    assert "--by-pid" in refused.stderr
    got = command(server, folders, "get", "-", "--by-pid", "-o", "all", given=b"cli/same/1\ncli/same/2\n")
    assert got.returncode == 0, got.stderr
    assert sorted(got.stdout.split()) == ["all/cli/same/1", "all/cli/same/2"]
    assert [(folders / f"all/cli/same/{number}").read_text() for number in (1, 2)] == ["1", "2"]
    version = command(server, folders, "get", "cli/same/1", "--version", "7")
    assert (version.returncode, version.stderr) == (1, "mediastore: cli/same/1 has no version 7\n")


def test_one_of_several_fails_and_the_others_are_there(server: Server, folders: Path) -> None:
    for name in ("a.bin", "b.bin"):
        (folders / name).write_text(name)
    done = command(server, folders, "put", "a.bin", "none.bin", "b.bin", "--pid-pattern", "several/{stem}", "--json")
    assert done.returncode == 3
    found = {str(line["file"]): line for line in lines(done)}
    assert found["a.bin"]["pid"] == "several/a"
    assert found["none.bin"]["problem"] == {"code": "file_unfit", "detail": "none.bin: No such file or directory"}
    assert done.stderr == "mediastore: none.bin: No such file or directory\n"
    got = command(server, folders, "get", "several/a", "several/none", "several/b", "-o", "got")
    assert got.returncode == 3
    assert sorted(path.name for path in (folders / "got").iterdir()) == ["a.bin", "b.bin"]
    assert command(server, folders, "put", "none.bin", "nor.bin").returncode == 1
    assert command(server, folders, "put", "a.bin", "b.bin").stdout.count("\n") == 2, "each gets a PID"


def test_a_folder_is_put_as_its_files(server: Server, folders: Path) -> None:
    (folders / "tree/deep").mkdir(parents=True)
    (folders / "tree/deep/a.bin").write_text("a")
    (folders / "tree/b").write_text("b")
    (folders / "c").write_text("c")
    done = command(server, folders, "put", "tree", "c", "--pid-pattern", "folder/{path}", "--tag", "t")
    assert (done.returncode, sorted(done.stdout.split())) == (0, ["folder/b", "folder/c", "folder/deep/a.bin"]), done.stderr
    assert command(server, folders, "verify", "tree", "--pid-pattern", "folder/{path}").returncode == 0
    (folders / "tree/broken").symlink_to("nowhere")
    minted = command(server, folders, "put", "tree")
    assert (minted.returncode, minted.stdout.count("\n")) == (3, 2)
    assert minted.stderr == "mediastore: tree/broken: No such file or directory\n"
    (folders / "empty").mkdir()
    nothing = command(server, folders, "put", "empty", "--json")
    assert (nothing.returncode, nothing.stdout, nothing.stderr) == (0, "", "empty has no files\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("put", "a", "b", "--pid", "x"),
        ("put", ".", "--pid", "x"),
        ("put", "a", "--pid-pattern", "x"),
        ("put", "a", "--pid-pattern", "{nme}"),
        ("put", "a", "--pid-pattern", "{name}}"),
        ("put", "a", "--metadata", "[]"),
        ("put", "a", "--metadata", "{"),
        ("put", "a", "b/a", "--pid-pattern", "{name}"),
        ("edit", "x"),
        ("edit", "x", "--set", "novalue"),
        ("edit", "x", "--set", "a..b=1"),
        ("edit", "x", "--remove", "a[x]"),
        ("tag", "x"),
        ("rm", "x"),
        ("sync", "nowhere", "--pid-pattern", "{path}"),
        ("search", "--filter", '{"colour": 1}'),
        ("search", "--sort", "no such"),
        ("login", "--days", "0"),
        ("nonsense",),
    ],
)
def test_wrong_use_is_exit_code_2_and_a_sentence(server: Server, folders: Path, arguments: tuple[str, ...]) -> None:
    (folders / "a").write_text("a")
    done = command(server, folders, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_records_are_found_tagged_edited_and_deleted(server: Server, folders: Path) -> None:
    (folders / "x").write_text("x")
    for number in range(3):
        command(server, folders, "put", "x", "--pid", f"found/{number}", "--metadata", '{"casts": [{"depth": 1}]}')
    found = command(server, folders, "search", "--pid", "found/*", "--sort", "pid")
    assert (found.stdout, found.stderr) == ("found/0\nfound/1\nfound/2\n", "")
    assert command(server, folders, "search", "--pid", "found/*", "--count").stdout == "3\n"
    some = command(server, folders, "search", "--pid", "found/*", "--limit", "2", "--json")
    assert len(lines(some)) == 2
    assert "there are more" in some.stderr
    tagged = command(server, folders, "tag", "found/0", "found/none", "found/1", "--add", "new")
    assert (tagged.returncode, tagged.stdout) == (3, "found/0  new\nfound/1  new\n")
    assert (
        command(server, folders, "search", "--tag", "new", "--filter", '{"where": "$.casts.depth == 1"}').stdout.count("\n") == 2
    )
    assert command(server, folders, "search", "nowhere").stdout == ""
    edited = command(
        server,
        folders,
        "edit",
        "found/0",
        "--set",
        "casts[0].depth=2.50",
        "--set",
        '"a.b"=plain text',
        "--merge",
        '{"x": 1}',
        "--json",
    )
    assert lines(edited)[0]["metadata"] == {"casts": [{"depth": 2.5}], "a.b": "plain text", "x": 1}
    late = command(server, folders, "edit", "found/0", "--remove", "x", "--revision", "1")
    assert late.returncode == 1
    assert "mediastore info found/0" in late.stderr
    assert "tags: [] → [" in command(server, folders, "history", "found/0").stdout
    url = command(server, folders, "urls", "found/0")
    assert httpx.get(url.stdout.strip()).text == "x"
    several = command(server, folders, "urls", "found/0", "found/none")
    assert several.returncode == 3
    assert several.stdout.startswith("found/0\thttp")
    assert command(server, folders, "rm", "found/0").returncode == 2
    gone = command(server, folders, "rm", "found/0", "--yes")
    assert (gone.returncode, gone.stdout) == (0, "found/0  deleted\n")
    assert command(server, folders, "info", "found/0").returncode == 1


def test_what_has_expired_is_restored_and_what_is_gone_says_so(server: Server, admin: httpx.Client, folders: Path) -> None:
    for name in ("forever", "an-hour", "there", "gone"):
        assert admin.post("/media", json={"pid": f"back/{name}", "ttl_s": 3600}).status_code == 201
    for name in ("forever", "an-hour"):
        assert admin.patch(f"/media/back/{name}", json={"ttl_s": 1}).status_code == 200
    assert admin.delete("/media/back/gone").status_code == 204
    for name in ("forever", "an-hour"):
        eventually(lambda name=name: admin.get(f"/media/back/{name}").status_code == 410)
    expired = command(server, folders, "info", "back/forever")
    assert expired.returncode == 1
    assert "`mediastore restore back/forever`" in expired.stderr
    done = command(server, folders, "restore", "back/forever", "back/there", "back/gone", "back/none", "--json")
    assert done.returncode == 3
    assert {str(line["pid"]): line["outcome"] for line in lines(done)} == {
        "back/forever": "restored", "back/there": "unchanged", "back/gone": "failed", "back/none": "failed",
    }  # fmt: skip
    assert "back/gone" in done.stderr
    assert admin.get("/media/back/forever").json()["expires_at"] is None
    assert admin.get("/media/back/there").json()["expires_at"], "what had not expired is as it was"
    timed = command(server, folders, "restore", "back/an-hour", "--ttl", "3600")
    assert (timed.returncode, timed.stderr) == (0, "")
    assert timed.stdout.startswith("back/an-hour  there until 20")


def test_a_log_in_is_kept_and_forgotten(server: Server, admin: httpx.Client, folders: Path) -> None:
    add_user(admin, "carol")

    def run(*arguments: str, given: str | None = None) -> "subprocess.CompletedProcess[str]":
        process = begin(server, folders, *arguments, stdin=subprocess.PIPE)
        out, err = process.communicate((given or "").encode(), timeout=60)
        return subprocess.CompletedProcess(arguments, process.returncode, out.decode(), err.decode())

    nobody = run("whoami")
    assert nobody.returncode == 1
    assert "mediastore login" in nobody.stderr
    wrong = run("login", given="carol\nnot her password\n")
    assert (wrong.returncode, Profiles().all()) == (1, {})
    assert "nothing was kept" in wrong.stderr
    done = run("login", given=f"carol\n{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    profiles = Profiles()
    kept = profiles.all()["default"]
    assert profiles.path.stat().st_mode & 0o777 == 0o600
    assert kept.credential is not None
    assert PASSWORD not in profiles.path.read_text(), "the password is not kept"
    assert kept.credential not in done.stdout + done.stderr
    me = lines(run("whoami", "--json"))[0]
    assert (me["name"], me["scopes"], me["server"]) == ("carol", ["read", "write"], server.url)
    again = run("login", given=f"carol\n{PASSWORD}\n")
    assert again.returncode == 0, again.stderr
    with httpx.Client(base_url=f"{server.url}/api/v1", headers={"Authorization": f"Bearer {kept.credential}"}) as former:
        assert former.get("/auth/me").status_code == 401, "the key before was ended"
    key = Profiles().all()["default"].credential or ""
    assert run("login", "--profile", "other", "--api-key", given=f"{key}\n").returncode == 0
    assert "carol" in run("whoami", "--profile", "other").stdout
    assert run("login", "--api-key", "--profile", "third", given="nonsense\n").returncode == 1
    missing = run("whoami", "--profile", "third")
    assert "there are: default, other" in missing.stderr
    assert run("logout", "--profile", "other").returncode == 0
    out = run("logout", "--revoke", given=f"carol\n{PASSWORD}\n")
    assert (out.returncode, out.stderr) == (0, "")
    assert Profiles().all() == {}
    assert httpx.get(f"{server.url}/api/v1/auth/me", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_files_are_compared_with_their_records(server: Server, folders: Path) -> None:
    tree = folders / "tree"
    (tree / "deep").mkdir(parents=True)
    for name in ("one", "deep/two"):
        (tree / name).write_text(name)
    assert command(server, folders, "sync", "tree", "--pid-pattern", "cmp/{path}").returncode == 0
    assert command(server, folders, "verify", "tree/one", "cmp/one").stdout == "tree/one  ok: cmp/one\n"
    assert command(server, folders, "verify", "tree", "--pid-pattern", "cmp/{path}").returncode == 0
    assert command(server, folders, "verify", "tree").returncode == 0
    (tree / "one").write_text("0ne")
    differs = command(server, folders, "verify", "tree", "--pid-pattern", "cmp/{path}", "--json")
    assert differs.returncode == 3
    assert {str(line["pid"]): line["outcome"] for line in lines(differs)} == {"cmp/one": "failed", "cmp/deep/two": "ok"}
    single = command(server, folders, "verify", "tree/one", "cmp/one")
    assert single.returncode == 1
    assert hashlib.sha256(b"0ne").hexdigest() in single.stderr
    assert command(server, folders, "verify", "tree/one").returncode == 1


def test_a_folder_is_synchronized_and_nothing_is_sent_twice_or_deleted(server: Server, folders: Path) -> None:
    tree = folders / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "same").write_text("same")
    (tree / "deep/grows").write_text("short")
    (tree / "goes").write_text("goes")
    arguments = ("sync", "tree", "--pid-pattern", "sync/{path}", "--json")
    rehearsal = lines(command(server, folders, *arguments, "--dry-run"))
    assert {line["outcome"] for line in rehearsal} == {"would be sent"}
    assert command(server, folders, "search", "--pid", "sync/*").stdout == ""
    first = command(server, folders, *arguments)
    assert first.returncode == 0, first.stderr
    (tree / "deep/grows").write_text("longer")
    (tree / "goes").unlink()
    (tree / "broken").symlink_to("nowhere")
    (tree / "deep/circle").symlink_to("..")
    os.mkfifo(tree / "pipe")
    (tree / os.fsdecode(b"latin-\xe4")).write_text("x")
    second = command(server, folders, *arguments)
    assert second.returncode == 3
    found = {str(line["file"]): line["outcome"] for line in lines(second)}
    assert found.pop("tree/same") == "unchanged"
    assert found.pop("tree/deep/grows") == "stored"
    assert set(found.values()) == {"failed"}
    assert len(found) == 3
    assert "rename it" in second.stderr
    assert "pipe is no file" in second.stderr
    assert "pipe is no file" in command(server, folders, "verify", "tree").stderr
    assert command(server, folders, "info", "sync/goes").returncode == 0
    assert lines(command(server, folders, "info", "sync/deep/grows", "--json"))[0]["version"] == 2


@pytest.fixture
def large(folders: Path) -> Iterator[Path]:
    file = folders / "large.bin"
    with file.open("wb") as written:
        for _ in range(256):
            written.write(os.urandom(MIB))
    yield file
    file.unlink()


STOPS_HALF_WAY = """
import sys, time
from mediastore.client.progress import Progress
add = Progress.add
def slowly(self, size):
    add(self, size)
    if self.done > self.total / 2:
        print("half-way", file=sys.stderr, flush=True)
        time.sleep(0.3)
Progress.add = slowly
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_put_that_was_stopped_sends_only_what_is_missing(
    server: Server, folders: Path, large: Path, how: signal.Signals
) -> None:
    arguments = ("put", "large.bin", "--pid", f"stopped/{how.name}", "--store", "local")
    process = begin(server, folders, *arguments, first=STOPS_HALF_WAY, environment={"MEDIASTORE_TOKEN": server.token()})
    assert process.stderr is not None
    assert process.stderr.readline() == b"half-way\n"
    process.send_signal(how)
    _, told = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert b"stopped; the same command goes on where this one stopped" in told
        assert b"Traceback" not in told
    done = command(server, folders, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    resumed = lines(done)[0]["resumed"]
    assert isinstance(resumed, int)
    assert resumed > 64 * MIB, "what was there was not sent again"
    got = command(server, folders, "verify", "large.bin", f"stopped/{how.name}")
    assert got.returncode == 0, got.stderr


def test_a_server_that_is_away_is_one_sentence(server: Server, folders: Path) -> None:
    done = command(server, folders, "whoami", "--url", "http://127.0.0.1:1", "--patience", "0")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "http://127.0.0.1:1" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_names_that_others_chose_don_t_steer_the_terminal(server: Server, admin: httpx.Client, folders: Path) -> None:
    made = {"pid": "[red]esc/1", "tags": ["\x1b[31mred"], "metadata": {"x": "\x1b]0;title\x07"}}
    assert admin.post("/media", json=made).status_code == 201
    for arguments in (("info", "[red]esc/1"), ("history", "[red]esc/1"), ("tag", "[red]esc/1", "--add", "x")):
        done = command(server, folders, *arguments)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
    assert "[red]esc/1" in command(server, folders, "info", "[red]esc/1").stdout


def test_completion_can_be_had(server: Server, folders: Path) -> None:
    asked = {"COMP_WORDS": "mediastore wh", "COMP_CWORD": "1", "_MEDIASTORE_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [shutil.which("mediastore", path=str(Path(sys.executable).parent)) or "mediastore"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["whoami"], done.stderr
