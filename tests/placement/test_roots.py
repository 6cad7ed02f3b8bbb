"""Where filesystem stores may lie: below the allowed roots, and not in each other's way."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.database import DatabaseServer
from tests.server import Server, running_server


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mediastore-roots-") as name:
        yield Path(name).resolve()


@pytest.fixture(scope="module")
def server(database_server: DatabaseServer, template_database: str, folder: Path) -> Iterator[Server]:
    """Two roots, one with a link to what is outside, one reached through a link itself."""
    for name in ("one", "two", "outside", "one/inner"):
        (folder / name).mkdir()
    (folder / "one" / "escape").symlink_to(folder / "outside")
    (folder / "one" / "across").symlink_to(folder / "two")
    (folder / "one" / "alias").symlink_to(folder / "one" / "inner")
    (folder / "one" / "loop").symlink_to(folder / "one" / "loop")
    (folder / "one" / "file").write_text("")
    (folder / "linked").symlink_to(folder / "two")
    environment = {"MEDIASTORE_FILESYSTEM_ROOTS": f"{folder}/one,{folder}/linked"}
    with database_server.database(template=template_database) as url, running_server(url, environment) as running:
        yield running


def made(admin: httpx.Client, name: str, path: str, **fields: object) -> httpx.Response:
    return admin.post("/stores", json={"name": name, "kind": "filesystem", "path": path, **fields})


@pytest.mark.parametrize(
    "path",
    [
        "..",
        ".",
        "./",
        "a/..",
        "../outside",
        "a/../../outside",
        "inner/../..",
        "/",
        "/etc",
        "/etc/../tmp",
        "{folder}",
        "{folder}/outside",
        "{folder}/one",
        "{folder}/one/",
        "{folder}/two",
        "{folder}/linked",
        "{folder}/one/../outside",
        "{folder}/onerous",
        "escape",
        "escape/deeper",
        "across",
        "loop",
        "~",
        "\x00",
        "a\x00b",
        "x" * 300,
    ],
)
def test_a_path_outside_or_a_root_itself_is_refused(admin: httpx.Client, folder: Path, path: str) -> None:
    before = sorted(folder.rglob("*"))
    answer = made(admin, "outside", path.replace("{folder}", str(folder)))
    if path == "~":
        # An ordinary name: nobody's home.
        assert answer.status_code == 201
        assert Path(answer.json()["path"]) == folder / "one" / "~"
        assert admin.delete("/stores/outside").status_code == 204
        return
    assert (answer.status_code, answer.json()["code"]) == (422, "store_invalid"), answer.text
    assert sorted(folder.rglob("*")) == before, "nothing was made"


@pytest.mark.parametrize("path", ["{folder}/one/absolute", "{folder}/two/absolute", "{folder}/linked/by-link", "deep/down/here"])
def test_a_path_below_a_root_is_fine(admin: httpx.Client, folder: Path, path: str) -> None:
    answer = made(admin, "below", path.replace("{folder}", str(folder)))
    assert answer.status_code == 201, answer.text
    place = Path(answer.json()["path"])
    assert place == place.resolve()
    assert place.is_dir()
    assert place.stat().st_mode & 0o077 == 0, "nobody else of this machine looks into it"
    assert admin.post("/stores/below/probe").json()["ok"] is True
    assert admin.delete("/stores/below").status_code == 204


def test_a_file_in_the_way_is_told(admin: httpx.Client) -> None:
    for path in ("file", "file/below"):
        answer = made(admin, "in-the-way", path)
        assert answer.status_code == 422, answer.text
        assert "file" in answer.json()["detail"]
    assert admin.get("/stores/in-the-way").status_code == 404


@pytest.mark.parametrize("path", ["a/b", "a/b/", "a/b/c", "a", "a/../a/b", "{folder}/one/a/b", "alias-of-a"])
def test_two_stores_do_not_overlap(admin: httpx.Client, folder: Path, path: str) -> None:
    assert made(admin, "first", "a/b").status_code == 201
    if path == "alias-of-a" and not (folder / "one" / path).exists():
        (folder / "one" / path).symlink_to(folder / "one" / "a")
    try:
        answer = made(admin, "second", path.replace("{folder}", str(folder)))
        assert (answer.status_code, answer.json()["code"]) == (409, "store_overlaps"), answer.text
        assert "first" in answer.json()["detail"]
        assert made(admin, "third", "elsewhere").status_code == 201
        moved = admin.patch("/stores/third", json={"path": path.replace("{folder}", str(folder))})
        assert (moved.status_code, moved.json()["code"]) == (409, "store_overlaps"), moved.text
    finally:
        admin.delete("/stores/third")
        assert admin.delete("/stores/first").status_code == 204


def test_neighbours_with_like_names_do_not_overlap(admin: httpx.Client) -> None:
    assert made(admin, "like", "like").status_code == 201
    assert made(admin, "likely", "likely").status_code == 201
    for name in ("like", "likely"):
        assert admin.delete(f"/stores/{name}").status_code == 204


def test_a_folder_that_was_swapped_for_a_link_is_not_followed(admin: httpx.Client, folder: Path) -> None:
    assert made(admin, "swapped", "swapped").status_code == 201
    place = folder / "one" / "swapped"
    place.rmdir()
    place.symlink_to(folder / "outside")
    try:
        upload = admin.put("/content/through-the-link?store=swapped", content=b"x")
        assert upload.status_code == 503, "the store is below no allowed root any more"
        assert list((folder / "outside").iterdir()) == []
    finally:
        place.unlink()


def test_many_stores_of_one_place_made_at_once_leave_one(server: Server, admin: httpx.Client) -> None:
    with ThreadPoolExecutor(6) as pool:
        statuses = sorted(
            answer.status_code for answer in pool.map(lambda n: made(admin, f"race-{n}", f"race/{'x/' * (n % 2)}"), range(6))
        )
    assert statuses.count(201) == 1, statuses
    assert set(statuses) == {201, 409}
