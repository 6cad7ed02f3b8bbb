"""Metadata changed at a path, tags added and removed: by PATCH and in a batch alike."""

from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from mediastore.catalog.edits import edited
from mediastore.catalog.errors import RecordInvalid
from mediastore.catalog.schemas import MetadataEdit

START = {"a": {"b": [1, {"c": 2}]}, "n": 1.50, "e": None}


def after(metadata: Any, put: list[tuple[list[Any], Any]], removed: list[list[Any]]) -> Any:
    edits = [MetadataEdit(path=path, value=Raw(msgspec.json.encode(value))) for path, value in put]
    return msgspec.json.decode(edited(Raw(msgspec.json.encode(metadata)), put=edits, removed=removed))


@pytest.mark.parametrize(
    ("put", "removed", "changed"),
    [
        ([(["x"], 1)], [], START | {"x": 1}),
        ([(["a", "b", 0], "one")], [], START | {"a": {"b": ["one", {"c": 2}]}}),
        ([(["a", "b", 1, "c"], None)], [], START | {"a": {"b": [1, {"c": None}]}}),
        ([(["a", "b", 2], 3), (["a", "b", 3], 4)], [], START | {"a": {"b": [1, {"c": 2}, 3, 4]}}),
        ([(["x", "y", "z"], [])], [], START | {"x": {"y": {"z": []}}}),
        ([(["a"], {"b": []}), (["a", "b", 0], 7)], [], START | {"a": {"b": [7]}}),
        ([([], {"all": "new"})], [], {"all": "new"}),
        ([], [["a", "b", 0]], START | {"a": {"b": [{"c": 2}]}}),
        ([], [["a", "b", 1, "c"], ["n"]], {"a": {"b": [1, {}]}, "e": None}),
        ([], [["x"], ["a", "x", "y"], ["a", "b", 9], ["a", 0], ["n", "m"], ["a", "b", "c"]], START),
        ([(["n"], 2)], [["n"]], {"a": START["a"], "e": None}),
    ],
)
def test_values_are_put_at_paths_and_taken_away(put: list[Any], removed: list[Any], changed: Any) -> None:
    assert after(START, put, removed) == changed


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (["n", "m"], "single value"),
        (["e", "m"], "single value"),
        (["a", 0], "an object"),
        (["a", "b", "c"], "an array"),
        (["a", "b", 3], "place 2"),
        (["a", "b", 5, "c"], "place 2"),
        (["x", 0], "not there"),
        ([0], "an object"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused_with_the_reason(path: list[Any], said: str) -> None:
    with pytest.raises(RecordInvalid, match=said):
        after(START, [(path, 1)], [])


json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1, max_size=1), inner, max_size=2),
    max_leaves=8,
)
objects = st.dictionaries(st.text("ab", min_size=1, max_size=1), json, max_size=2)
paths = st.lists(st.sampled_from(["a", "b", 0, 1]), min_size=1, max_size=4)


@given(objects, paths, json)
def test_what_was_put_is_there_and_nothing_beside_it_changed(metadata: Any, path: list[Any], value: Any) -> None:
    try:
        put = after(metadata, [(path, value)], [])
    except RecordInvalid:
        return
    found = put
    for step in path:
        found = found[step]
    assert found == value
    assert after(put, [(path, value)], []) == put
    for name in metadata.keys() - {path[0]}:
        assert put[name] == metadata[name]


@given(objects, paths)
def test_what_was_taken_away_is_not_there_and_twice_is_once_in_objects(metadata: Any, path: list[Any]) -> None:
    gone = after(metadata, [], [path])
    if isinstance(path[-1], str):
        assert after(gone, [], [path]) == gone


def test_numbers_stay_as_they_were_written(admin: httpx.Client) -> None:
    admin.post("/media", content=b'{"pid": "edits/exact", "metadata": {"a": 1.50, "b": 12345678901234567890}}').raise_for_status()
    change = b'{"set_metadata": [{"path": ["c"], "value": 0.1000}]}'
    assert b'"c":0.1000' in admin.patch("/media/edits/exact", content=change).content.replace(b" ", b"")
    text = admin.get("/media/edits/exact").text.replace(" ", "")
    assert '"a":1.50' in text
    assert '"b":12345678901234567890' in text


def test_a_patch_can_merge_put_and_take_away_at_once(admin: httpx.Client) -> None:
    record = {"pid": "edits/one", "metadata": {"ctd": {"casts": [1, 2]}, "old": True, "depth": 3}, "tags": ["a", "b"]}
    admin.post("/media", json=record).raise_for_status()
    change = {
        "metadata": {"depth": None, "ship": "Alis"},
        "set_metadata": [{"path": ["ctd", "casts", 2], "value": 3}, {"path": ["site", "lat"], "value": -22.3}],
        "remove_metadata": [["old"], ["never", "there"]],
        "add_tags": ["c", "a", "d"],
        "remove_tags": ["b", "d", "e"],
    }
    media = admin.patch("/media/edits/one", json=change).json()
    assert media["metadata"] == {"ctd": {"casts": [1, 2, 3]}, "ship": "Alis", "site": {"lat": -22.3}}
    assert media["tags"] == ["a", "c"]
    assert media["revision"] == 2
    event = admin.get("/history/edits/one").json()["items"][1]
    assert event["changes"]["tags"] == {"before": ["a", "b"], "after": ["a", "c"]}
    assert event["changes"]["metadata"] == {"before": record["metadata"], "after": media["metadata"]}
    same = {"add_tags": ["a"], "remove_tags": ["z"], "remove_metadata": [["old"]], "set_metadata": []}
    assert admin.patch("/media/edits/one", json=same).json()["revision"] == 2, "a change of nothing makes no revision"
    both = admin.patch("/media/edits/one", json={"tags": ["x"], "add_tags": ["y"]}).json()
    assert both["tags"] == ["x", "y"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"set_metadata": [{"path": ["a", 0], "value": 1}]}, 422),
        ({"set_metadata": [{"path": [], "value": 1}]}, 422),
        ({"set_metadata": [{"path": ["x"], "value": "\x00"}]}, 422),
        ({"set_metadata": [{"path": ["\x00"], "value": 1}]}, 422),
        ({"set_metadata": [{"path": [-1], "value": 1}]}, 422),
        ({"set_metadata": [{"path": ["x"] * 65, "value": 1}]}, 422),
        ({"set_metadata": [{"path": ["x"] * 64, "value": 1}]}, 200),
        ({"set_metadata": [{"path": ["x"]}]}, 422),
        ({"set_metadata": [{"path": ["x"], "value": 1, "depth": 1}]}, 422),
        ({"remove_metadata": [[]]}, 422),
        ({"remove_metadata": ["x"]}, 422),
        ({"add_tags": ["\x00"]}, 422),
        ({"add_tags": [""]}, 422),
        ({"add_tags": [f"t{n}" for n in range(1000)]}, 422),
        ({"add_tags": [f"t{n}" for n in range(999)]}, 200),
    ],
    ids=lambda value: str(value)[:50],
)
def test_what_a_record_can_not_be_is_refused_and_changes_nothing(admin: httpx.Client, change: Any, status: int) -> None:
    pid = f"edits/refused/{abs(hash(str(change)))}"
    admin.post("/media", json={"pid": pid, "metadata": {"a": {}}, "tags": ["one"]}).raise_for_status()
    answer = admin.patch(f"/media/{pid}", json=change)
    assert answer.status_code == status, answer.text
    if status != 200:
        assert admin.get(f"/media/{pid}").json()["revision"] == 1


@pytest.mark.parametrize("value", ["1e200000", '{"a": ' * 500 + "1" + "}" * 500, "1" * 5000])
def test_odd_values_are_refused_not_choked_on(admin: httpx.Client, value: str) -> None:
    admin.post("/media", json={"pid": "edits/odd"})
    change = f'{{"set_metadata": [{{"path": ["x"], "value": {value}}}]}}'
    assert admin.patch("/media/edits/odd", content=change.encode()).status_code == 422
