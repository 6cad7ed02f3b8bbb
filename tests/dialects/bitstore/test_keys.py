"""Patterns of keys: what they are made of, and that nothing leads out of an owner's folder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.dialects.bitstore.keys import File, KeyPattern, checked_file
from mediastore.errors import SettingInvalid
from stores.errors import KeyInvalid

FILE = File(owner="alice", dataset="d", path="data/deep/a.tar.gz", md5_hex="0" * 32)


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("{owner}/{dataset}/{path}", "alice/d/data/deep/a.tar.gz"),
        ("{owner}/{md5_hex}", f"alice/{'0' * 32}"),
        ("{owner}/{md5_hex}{extension}", f"alice/{'0' * 32}.gz"),
        ("base/of/{owner}/{dirname}/x-{basename}", "base/of/alice/data/deep/x-a.tar.gz"),
        ("{owner}/{{}}/{basename}", "alice/{}/a.tar.gz"),
    ],
)
def test_a_pattern_is_filled(pattern: str, key: str) -> None:
    assert KeyPattern(pattern).key(FILE) == key


def test_what_a_file_does_not_have_leaves_no_gap() -> None:
    flat = File(owner="alice", dataset="d", path="README", md5_hex="0" * 32)
    assert KeyPattern("{owner}/{dirname}/{basename}{extension}").key(flat) == "alice/README"
    with pytest.raises(KeyInvalid):
        KeyPattern("{owner}/{dirname}").key(flat)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "{path}",
        "{md5_hex}",
        "{dataset}/{owner}/{path}",
        "x{owner}/{path}",
        "{owner}",
        "{owner}/",
        "/{owner}/{path}",
        "../{owner}/{path}",
        "{owner}/../{path}",
        "{owner}/{path.__class__}",
        "{owner}/{path[0]}",
        "{owner}/{path!r}",
        "{owner}/{path:>9}",
        "{owner}/{0}",
        "{owner}/{}",
        "{owner}/{path",
        "{owner}/{secret}",
    ],
)
def test_a_pattern_that_can_not_work_is_refused_at_the_start(pattern: str) -> None:
    with pytest.raises(SettingInvalid, match="MEDIASTORE_BITSTORE_KEY_PATTERN"):
        KeyPattern(pattern)


@given(dataset=st.text(max_size=20), path=st.text(max_size=40))
def test_h14_whatever_the_names_the_key_is_in_the_owner_s_folder(dataset: str, path: str) -> None:
    try:
        file = checked_file(owner="alice", dataset=dataset, path=path, md5_hex="0" * 32)
        key = KeyPattern("raw/{owner}/{dataset}/{dirname}/{basename}").key(file)
    except KeyInvalid:
        return
    assert key.startswith("raw/alice/")
    assert not {"", ".", ".."} & set(key.split("/"))
