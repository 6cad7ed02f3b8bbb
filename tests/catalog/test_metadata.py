"""Metadata of any shape, kept exactly; and tags."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def exact(text: str) -> Any:
    """A record's metadata with every number as it was written: 1, 1.0 and 1.00 differ, and so do 1 and true."""

    def number(written: str) -> object:
        value = Decimal(written)
        return ("number", f"{value:f}")

    return json.loads(text, parse_float=number, parse_int=number)["metadata"]


def create(admin: httpx.Client, pid: str, metadata: str) -> httpx.Response:
    return admin.post("/media", content=f'{{"pid": "{pid}", "metadata": {metadata}}}'.encode())


EXACT = [
    "{}",
    '{"a": null}',
    '{"a": 1.10}',
    '{"a": 1.0, "b": 1}',
    '{"a": 12345678901234567890123456789012345678901234567890}',
    '{"a": -18446744073709551617}',
    '{"a": 0.1000000000000000055511151231257827021181583404541015625}',
    '{"a": 1e400}',
    '{"a": 1e-400}',
    '{"a": 1E5}',
    '{"a": -0.5}',
    '{"": ""}',
    '{"a b": {"c/d": [[], {}, [[[]]], null, true, false, "x"]}}',
    '{"日本": "語", "e\\u0301": "\\ud83d\\ude00", "q\\"uote": "back\\\\slash\\n"}',
    '{"a": "\\u0001\\u001f\\u007f"}',
    '{"$": 1, "a.b": 2, "*": 3}',
    '{"a": "\\\\u0000 is no NUL"}',
    '{"a": 1e400, "b": "\\\\u0000"}',
    '{"a": {"b": 1e400}}',
]


@pytest.mark.parametrize("metadata", EXACT)
def test_metadata_is_kept_exactly(admin: httpx.Client, metadata: str) -> None:
    pid = f"exact/{EXACT.index(metadata)}"
    made = create(admin, pid, metadata)
    assert made.status_code == 201, made.text
    wanted = exact(f'{{"metadata": {metadata}}}')
    assert exact(made.text) == wanted
    assert exact(admin.get(f"/media/{pid}").text) == wanted
    touched = admin.patch(f"/media/{pid}", json={"tags": ["touched"]})
    assert exact(touched.text) == wanted, "also when something else is changed"
    patched = admin.patch(f"/media/{pid}", json={"metadata": {"new": "x"}})
    assert patched.status_code == 200, patched.text
    assert exact(patched.text) == {**wanted, "new": "x"}
    by_batch = admin.post("/media/batch", content=f'{{"items": [{{"op": "create", "pid": "{pid}/b", "metadata": {metadata}}}]}}')
    assert by_batch.json()["items"][0]["status"] == 201, by_batch.text
    assert exact(admin.get(f"/media/{pid}/b").text) == wanted


@pytest.mark.parametrize("number", ["1e5000", "9" * 5000, "1" + "0" * 4300 + ".5"])
def test_a_number_of_thousands_of_digits_is_kept_or_refused_but_breaks_nothing(admin: httpx.Client, number: str) -> None:
    for shape, name in (("%s", "flat"), ('{"deep": %s}', "nested")):
        pid = f"digits/{len(number)}/{name}"
        made = create(admin, pid, '{"a": %s}' % (shape % number))
        assert made.status_code in {201, 422}, made.text
        if made.status_code == 201:
            assert exact(admin.get(f"/media/{pid}").text) == exact(f'{{"metadata": {{"a": {shape % number}}}}}')
            patched = admin.patch(f"/media/{pid}", json={"metadata": {"b": 1}})
            assert patched.status_code == 200, "who can make a record can change it"
            assert admin.patch(f"/media/{pid}", json={"metadata": {"a": None}}).json()["metadata"] == {"b": 1}


@pytest.mark.parametrize(
    "metadata",
    [
        '{"a": 1e200000}',
        '{"a": 1e99999999999999999999}',
        '{"a": {"b": 1e99999999999999999999}}',
        '{"a": "\\u0000"}',
        '{"\\u0000": 1}',
        '{"a": ["x\\u0000y"]}',
        '{"a": "\\ud800"}',
        '{"a": {"b": "\\ud800"}}',
        '{"a": "\\udc00\\ud800"}',
        "[]",
        '"text"',
        "1",
        "null",
        "true",
        '{"a": 01}',
        '{"a": 1..2}',
        '{"a": "\\x"}',
        '{"a": nope}',
        "{a: 1}",
        '{"a": 1,}',
        '{"a": NaN}',
    ],
)
def test_metadata_that_can_not_be_is_refused(admin: httpx.Client, metadata: str) -> None:
    assert create(admin, "bad-metadata", metadata).status_code == 422
    assert admin.get("/media/bad-metadata").status_code == 404
    if admin.get("/media/patched-badly").status_code == 404:
        admin.post("/media", json={"pid": "patched-badly", "metadata": {"kept": 1}})
    patched = admin.patch("/media/patched-badly", content=f'{{"metadata": {metadata}}}'.encode())
    assert patched.status_code == 422, patched.text
    assert admin.get("/media/patched-badly").json()["metadata"] == {"kept": 1}


@pytest.mark.parametrize("body", [b'{"metadata": {"a": "\xff"}}', b'{"metadata": {"\xc3": 1}}', b'{"tags": ["\xff"]}'])
def test_a_body_that_is_not_utf_8_is_refused(admin: httpx.Client, body: bytes) -> None:
    answer = admin.post("/media", content=body)
    assert answer.status_code == 422, answer.text


def test_the_character_nul_is_refused_with_a_sentence_about_it(admin: httpx.Client) -> None:
    for answer in (create(admin, "nul", '{"a": "x\\u0000y"}'), admin.post("/media", json={"pid": "nul", "tags": ["x\x00"]})):
        assert (answer.status_code, answer.json()["code"]) == (422, "record_invalid"), answer.text
        assert "U+0000" in answer.json()["detail"]


def nested(levels: int, kind: str = "{}") -> str:
    if kind == "{}":
        return '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)
    return '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


@pytest.mark.parametrize("kind", ["{}", "[]"])
def test_metadata_is_nested_up_to_64_levels(admin: httpx.Client, kind: str) -> None:
    assert create(admin, f"nested/{kind[0]}", nested(64, kind)).status_code == 201
    for levels in (65, 200, 900, 5000, 100_000):
        answer = create(admin, "nested/too-deep", nested(levels, kind))
        assert answer.status_code == 422, (levels, answer.text)
        assert "nested" in answer.json()["detail"]
        patched = admin.patch(f"/media/nested/{kind[0]}", content=f'{{"metadata": {nested(levels, kind)}}}'.encode())
        assert patched.status_code == 422, (levels, patched.text)
    items = '{"items": [{"op": "create"}, {"op": "create", "metadata": %s}]}'
    for levels in (65, 900, 5000):
        batch = admin.post("/media/batch", content=(items % nested(levels, kind)).encode())
        assert batch.status_code in {200, 422}
        if levels == 65:
            assert [item["status"] for item in batch.json()["items"]] == [201, 422]


def test_a_megabyte_of_metadata_is_kept(admin: httpx.Client) -> None:
    value = "aé" * 400_000
    assert admin.post("/media", json={"pid": "megabyte", "metadata": {"v": value}}).status_code == 201
    assert admin.get("/media/megabyte").json()["metadata"] == {"v": value}
    many = {f"key-{n}": n for n in range(50_000)}
    assert admin.post("/media", json={"pid": "many-keys", "metadata": many}).status_code == 201
    assert admin.get("/media/many-keys").json()["metadata"] == many


def test_a_body_above_the_limit_is_refused(admin: httpx.Client) -> None:
    answer = admin.post("/media", json={"pid": "giant", "metadata": {"v": "x" * (17 * 1024 * 1024)}})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
# Without -0.0: jsonb knows one zero.
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | texts
    | st.floats(allow_nan=False, allow_infinity=False)
    .map(lambda value: value + 0.0)
    .map(lambda number: number + 0.0),  # PostgreSQL has no -0.0
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(metadata=st.dictionaries(texts, values, max_size=4))
def test_any_metadata_comes_back_equal(admin: httpx.Client, metadata: dict[str, Any]) -> None:
    made = admin.post("/media", json={"metadata": metadata})
    assert made.status_code == 201, made.text
    wanted = exact(json.dumps({"metadata": metadata}))
    assert exact(made.text) == wanted
    assert exact(admin.get(f"/media/{made.json()['pid']}").text) == wanted


def test_a_merge_patch_changes_what_it_names(admin: httpx.Client) -> None:
    admin.post("/media", json={"pid": "merged", "metadata": {"a": {"b": 1, "c": 2}, "list": [1, 2], "gone": 1}})
    patch = {"a": {"b": None, "d": {"e": None, "f": 1}}, "list": [3], "gone": None, "never": None}
    assert admin.patch("/media/merged", json={"metadata": patch}).json()["metadata"] == {
        "a": {"c": 2, "d": {"f": 1}},
        "list": [3],
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [("1", "true"), ("0", "false"), ("true", "1"), ("[0, 1]", "[false, true]"), ('"1"', "1"), ("null", "false"), ("1", "2")],
)
def test_a_value_of_another_type_is_a_change(admin: httpx.Client, before: str, after: str) -> None:
    made = admin.post("/media", content=f'{{"metadata": {{"v": {before}}}}}'.encode()).json()
    changed = admin.patch(f"/media/{made['pid']}", content=f'{{"metadata": {{"v": {after}}}}}'.encode()).json()
    assert repr(changed["metadata"]["v"]) == repr(json.loads(after))
    assert changed["revision"] == 2


def test_tags_keep_their_order_and_each_once(admin: httpx.Client) -> None:
    made = admin.post("/media", json={"pid": "tagged", "tags": ["z", "a", "z", "ä", "a", "A", " a"]})
    assert made.json()["tags"] == ["z", "a", "ä", "A", " a"]
    assert admin.get("/media/tagged").json()["tags"] == ["z", "a", "ä", "A", " a"]
    assert admin.patch("/media/tagged", json={"tags": ["b", "a", "b"]}).json()["tags"] == ["b", "a"]
    assert admin.patch("/media/tagged", json={"tags": ["a", "b"]}).json()["tags"] == ["a", "b"], "order is a change"
    assert admin.patch("/media/tagged", json={"tags": None}).json()["tags"] == []
    for tags in ([""], ["x" * 201], [1], "a", [["a"]], ["a"] * 1001):
        assert admin.post("/media", json={"pid": "bad-tags", "tags": tags}).status_code == 422, tags
