"""Names at the end of a path."""

from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.http.errors import PathInvalid
from mediastore.http.paths import quoted, tail


def asked(raw: bytes, template: str = "/api/v1/media/{pid:path}") -> Any:
    return SimpleNamespace(scope={"raw_path": raw, "path_template": template})


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(texts)
def test_a_quoted_name_is_read_as_itself(name: str) -> None:
    written = quoted(name)
    assert written.isascii()
    assert not set(written) & set(' ?#"<>\\^`{|}')
    assert unquote(written) == name
    assert tail(asked(f"/api/v1/media/{written}".encode())) == name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"a/b", "a/b"),
        (b"a%2Fb", "a/b"),
        (b"a%2fb", "a/b"),
        (b"a//b", "a//b"),
        (b"a/", "a/"),
        (b"a+b", "a+b"),
        (b"a%2Bb%25%3F%23", "a+b%?#"),
        (b"a?x=1", "a"),
        (b"a%3Fx?y=1", "a?x"),
        (b"%C3%A9", "é"),
        (b"100%", "100%"),
    ],
)
def test_what_the_client_wrote_is_what_is_looked_up(raw: bytes, name: str) -> None:
    assert tail(asked(b"/api/v1/media/" + raw)) == name


@pytest.mark.parametrize("raw", [b"%FF", b"a%C3", b"%ED%A0%80"])
def test_what_is_no_utf_8_is_refused(raw: bytes) -> None:
    with pytest.raises(PathInvalid):
        tail(asked(b"/api/v1/media/" + raw))


def test_a_word_of_the_api_is_a_name_where_it_is_one() -> None:
    assert tail(asked(b"/api/v1/media/batch", "/api/v1/media/batch")) == "batch"
    assert tail(asked(b"/api/v1/media/b%61tch", "/api/v1/media/batch")) == "batch"


def test_slashes_and_colons_stay_as_they_are() -> None:
    assert quoted("ark:/12345/x@y") == "ark:/12345/x@y"
    assert quoted("a b?#%") == "a%20b%3F%23%25"
