import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.conformance import INVALID_KEYS, ODD_KEYS
from stores.errors import KeyInvalid, StoreMisconfigured
from stores.keys import check_key, check_prefix, is_key


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", [*INVALID_KEYS, "\x7f", "\x85", "\uffff", ".tmp-abc", "a/.tmp-/b", "é" * 128, "x/" * 512 + "y"])
def test_h14_what_could_mean_another_place_is_no_key(key: str) -> None:
    with pytest.raises(KeyInvalid):
        check_key(key)
    assert not is_key(key)


def test_the_limit_counts_bytes_and_the_prefix() -> None:
    key = "/".join(["k" * 255] * 4)
    assert len(key) == 1023
    assert check_key(key + "x"[:0], prefix="p") == key
    with pytest.raises(KeyInvalid, match="1022"):
        check_key(key, prefix="p/")


@given(st.text(max_size=300))
def test_every_key_is_a_path_that_stays_below_its_root(text: str) -> None:
    if is_key(text):
        parts = text.encode().split(b"/")
        assert all(part not in {b"", b".", b".."} and b"\0" not in part and len(part) <= 255 for part in parts)


@pytest.mark.parametrize("prefix", ["", "a/", "a/b-c/"])
def test_prefixes_are_empty_or_end_in_a_slash(prefix: str) -> None:
    assert check_prefix(prefix) == prefix


@pytest.mark.parametrize("prefix", ["a", "/", "/a/", "../", "a//", "a/../", "\x00/"])
def test_other_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(StoreMisconfigured):
        check_prefix(prefix)
