"""JSON bodies: read into structs, or refused with the place that is wrong."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.http.bodies import BODY, accepts
from mediastore.http.errors import BodyInvalid


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(ge=1)] = 1


class Body(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parts: list[Inner] = []
    free: msgspec.Raw = msgspec.Raw(b"{}")


async def read(body: bytes) -> Body:
    async def answer() -> bytes:
        return body

    request: Any = SimpleNamespace(body=answer)
    reader: Any = accepts(Body)["dependencies"]["asked"].dependency
    found: Body = await reader(request)
    return found


async def test_a_body_is_read_and_numbers_stay_as_written() -> None:
    found = await read(b'{"name": "n", "parts": [{"size": 2}], "free": {"x": 1.10}}')
    assert (found.name, found.parts[0].size, bytes(found.free)) == ("n", 2, b'{"x": 1.10}')


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", ""),
        (b'{"name": 1}', "name"),
        (b'{"name": "n", "parts": [{}, {"size": 0}]}', "parts[1].size"),
        (b'{"name": "n", "parts": [{"sise": 1}]}', "parts[0]"),
        (b'{"name": "n", "other": 1}', ""),
        (b"[]", ""),
        (b"null", ""),
    ],
)
async def test_a_body_that_does_not_fit_says_where(body: bytes, field: str) -> None:
    with pytest.raises(BodyInvalid) as caught:
        await read(body)
    assert caught.value.fields["field"] == field
    assert field in caught.value.message


async def test_an_unknown_field_is_named() -> None:
    with pytest.raises(BodyInvalid, match="other"):
        await read(b'{"name": "n", "other": 1}')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name": "n"} x',
        b"\xff",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"\x00",
        b'{"name": nul}',
    ],
)
async def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(BodyInvalid, match="JSON"):
        await read(body)


@pytest.mark.parametrize("bracket", ["[]", "{}"])
async def test_a_body_nested_without_end_is_refused(bracket: str) -> None:
    opening = '{"a":' if bracket == "{}" else "["
    with pytest.raises(BodyInvalid):
        await read(f'{{"name": "n", "free": {opening * 200_000}'.encode())


@given(st.binary(max_size=60))
async def test_any_bytes_are_a_body_or_are_refused(body: bytes) -> None:
    with suppress(BodyInvalid):
        assert isinstance(await read(body), Body)


def test_a_handler_says_what_it_reads() -> None:
    assert accepts(Body)["opt"] == {BODY: Body}
