"""The body of an upload, read as it comes: base64 in pieces, and the JSON around it."""

import asyncio
import base64
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediastore.dialects.amplify.base64_text import Decoder, encoded, encoded_length
from mediastore.dialects.amplify.upload_body import UploadBody
from mediastore.http.errors import BodyInvalid

RECORD = {
    "pid": "p",
    "pid_type": "T",
    "store_config": {"type": "DictStore", "bucket": 'a"b\\c{}[]:,'},
    "metadata": {"base64": "no"},
}


async def pieces_of(body: bytes, cuts: Sequence[int]) -> AsyncIterator[bytes]:
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in itertools.pairwise(places):
        yield body[start:end]


async def read(body: bytes, cuts: Sequence[int] = (), *, longest: int = 10_000) -> tuple[Any, bytes | None]:
    """What the body says, and its bytes; None where it has none."""
    whole = UploadBody(pieces_of(body, cuts), longest=longest)
    if not await whole.begin():
        return whole.asked(), None
    first = whole.asked(so_far=True) if whole.asked_first else None
    content = b"".join([piece async for piece in whole.content()])
    asked = whole.asked()
    assert first is None or first.mediadata == asked.mediadata
    return asked, content


contents = st.binary(max_size=400)
cuts = st.lists(st.integers(0, 5000), max_size=12)


@given(content=contents, cuts=cuts, first=st.booleans(), indent=st.sampled_from([None, 2]), ascii=st.booleans())
def test_bytes_and_record_come_out_however_the_body_is_cut(
    content: bytes, cuts: list[int], first: bool, indent: int | None, ascii: bool
) -> None:
    text = {"base64": base64.b64encode(content).decode()}
    record = {"mediadata": RECORD | {"tags": ['ü\n"base64": ']}}
    body = json.dumps(record | text if first else text | record, indent=indent, ensure_ascii=ascii).encode()
    asked, got = asyncio.run(read(body, cuts))
    assert (asked.mediadata.pid, asked.mediadata.store_config.bucket) == ("p", RECORD["store_config"]["bucket"])  # type: ignore[index]
    assert asked.mediadata.tags == ['ü\n"base64": ']
    assert got == (content or None)


@pytest.mark.parametrize(
    "written",
    [
        "aGVsbG8gd29ybGQ/Pj4+",
        "aGVsbG8gd29ybGQ\\/Pj4+",
        "aGVsbG8gd29ybGQ/Pj4\\u002b",
        "aGVs\\r\\nbG8gd29y\\nbGQ/Pj4+\\n",
        "\\u0061GVsbG8gd29ybGQ/Pj4+",
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_escapes_and_line_breaks_are_what_they_stand_for(written: str, size: int) -> None:
    body = b'{"mediadata": ' + json.dumps(RECORD).encode() + b', "b\\u0061se64" :\t "' + written.encode() + b'" }'
    assert (await read(body, range(0, len(body), size)))[1] == b"hello world?>>>"


@pytest.mark.parametrize("nothing", ["", ', "base64": null', ', "base64": ""'])
async def test_no_base64_is_no_bytes(nothing: str) -> None:
    assert (await read(f'{{"mediadata": {json.dumps(RECORD)}{nothing}}}'.encode()))[1] is None


@pytest.mark.parametrize(
    "written", ["a", "aGVsbG8", "aGVs=", "aGVsbG8=aGVs", "aGV$", "aGVsbG8_", "aGVs\\q", 'aGVs\\"', "aGVs\\u00e9", "====", "aG=s"]
)
@pytest.mark.parametrize("size", [1, 5, 1000])
async def test_what_is_no_base64_is_refused(written: str, size: int) -> None:
    body = b'{"mediadata": ' + json.dumps(RECORD).encode() + b', "base64": "' + written.encode() + b'"}'
    with pytest.raises(BodyInvalid, match="base64"):
        await read(body, range(0, len(body), size))


@pytest.mark.parametrize(
    "body",
    [
        '{"mediadata": R, "base64": "aGVs"',
        '{"mediadata": R, "base64": "aGVs',
        '{"mediadata": R, "base64": "aGVs"} x',
        '{"mediadata": R, "base64": "aGVs", "mediadata": R}',
        '{"mediadata": R, "base64": "aGVs", "base64": "aGVs"}',
        '{"base64": "aGVs"}',
        '[{"mediadata": R, "base64": "aGVs"}]',
        '{"mediadata": {"pid": 1}, "base64": "aGVs"}',
        '{"mediadata": R, "base64": 7}',
        '{"mediadata": R, "base64": ["aGVs"]}',
        '{"mediadata": R, "base64" "aGVs"}',
        "",
        "null",
        "{}",
        '{"base64": {"base64": "aGVs"}, "mediadata": R}',
    ],
)
async def test_what_is_no_upload_is_refused_however_late_that_shows(body: str) -> None:
    with pytest.raises(BodyInvalid):
        await read(body.replace("R", json.dumps(RECORD)).encode())


async def test_h17_beside_its_base64_a_body_is_bounded() -> None:
    body = json.dumps({"mediadata": RECORD | {"metadata": {"x": "y" * 5000}}, "base64": "aGVs"}).encode()
    assert (await read(body))[1] == b"hel"
    with pytest.raises(BodyInvalid, match="MEDIASTORE_MAX_JSON_BYTES"):
        await read(body, longest=4000)
    with pytest.raises(BodyInvalid):
        await read(b'{"a": ' + b"[" * 9000)


@given(content=contents, cuts=cuts)
def test_base64_goes_out_as_it_comes_in(content: bytes, cuts: list[int]) -> None:
    async def letters() -> bytes:
        return b"".join([piece async for piece in encoded(pieces_of(content, cuts))])

    text = asyncio.run(letters())
    assert text == base64.b64encode(content)
    assert len(text) == encoded_length(len(content))
    decoder = Decoder()
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    assert b"".join(decoder.feed(text[start:end]) for start, end in itertools.pairwise(places)) == content
    decoder.end()
