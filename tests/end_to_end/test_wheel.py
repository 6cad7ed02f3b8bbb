"""The wheel alone, without the extra `server`: users get the command line, and nothing that a server is made of."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.documents import ROOT
from tests.end_to_end.test_fresh_clone import packages_can_be_had
from tests.server import ADMIN, Server

OF_A_SERVER = ("granian", "litestar", "piccolo", "asyncpg", "aiobotocore", "pgqueuer", "structlog")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An environment of its own that has only what the wheel asks for."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None or not packages_can_be_had():
        pytest.skip("NOT TESTED: the wheel without extras, for want of uv or of a package index")
    folder = tmp_path_factory.mktemp("wheel")
    venv = folder / "venv"
    for arguments in (
        ("build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT)),
        ("venv", "--quiet", "--python", sys.executable, str(venv)),
    ):
        subprocess.run([uv, *arguments], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), str(wheel_of(venv))], check=True)
    yield venv
    shutil.rmtree(folder)


def wheel_of(environment: Path) -> Path:
    return next(environment.parent.glob("*.whl"))


@pytest.mark.timeout(600)
def test_the_first_notebook_leads_from_nothing_to_a_table(environment: Path, server: Server, tmp_path: Path) -> None:
    script = (ROOT / "docs/first-notebook.sh").read_text()
    assert "pip install --quiet mediastore pandas" in script
    (tmp_path / "cruise/day1").mkdir(parents=True)
    for name, depths in (("cast-1", (1.5, 20)), ("day1/cast-2", (3, 7.25, 5))):
        (tmp_path / f"cruise/{name}.csv").write_text("\n".join(("depth", *map(str, depths))))
    done = subprocess.run(
        ["bash", "-c", script.replace("--quiet mediastore", f"--quiet {wheel_of(environment)}")],
        cwd=tmp_path,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("MEDIASTORE_", "VIRTUAL_ENV"))},
            **{name: str(tmp_path / name) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME")},
            "MEDIASTORE_URL": server.url,
            "NAME": ADMIN[0],
            "PASSWORD": ADMIN[1],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.splitlines()[-2:] == ["ar77/cast-1.csv 2 20.0", "ar77/day1/cast-2.csv 3 7.25"]
    packages = {path.name for path in tmp_path.glob("science/lib/*/site-packages/*")}
    assert "pandas" in packages
    assert not packages & set(OF_A_SERVER)


@pytest.mark.timeout(600)
def test_the_command_line_needs_nothing_of_a_server(environment: Path, server: Server, tmp_path: Path) -> None:
    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        settings = {"MEDIASTORE_URL": server.url, "MEDIASTORE_TOKEN": server.token(), "XDG_STATE_HOME": str(tmp_path / "state")}
        return subprocess.run(
            [environment / "bin" / "mediastore", *arguments],
            cwd=tmp_path,
            env={**os.environ, **settings, "COLUMNS": "80"},
            capture_output=True,
            text=True,
            check=False,
        )

    packages = {path.name for path in environment.glob("lib/*/site-packages/*")}
    assert not packages & set(OF_A_SERVER)
    (tmp_path / "file").write_text("from the wheel")
    assert run("put", "file", "--pid", "wheel/1").stdout == "wheel/1\n"
    got = run("get", "wheel/1", "-o", "copy")
    assert got.returncode == 0, got.stderr
    assert (tmp_path / "copy").read_text() == "from the wheel"
    assert run("search", "--pid", "wheel/*").stdout == "wheel/1\n"
    shown = run("--help").stdout
    assert "│ sync" in shown
    assert "│ serve" not in shown
    for command in ("serve", "user"):
        refused = run(command)
        assert refused.returncode == 1
        assert refused.stderr == f"mediastore: `mediastore {command}` comes with the server: pip install 'mediastore[server]'\n"
