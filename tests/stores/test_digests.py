import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.conformance_steps import cancel_when
from stores.digests import ALGORITHMS, Digester, digest_stream, parse_digest
from stores.errors import DigestInvalid

algorithms = st.sampled_from(ALGORITHMS)


def reference(algorithm: str, content: bytes) -> bytes:
    if algorithm == "crc32c":
        return google_crc32c.value(content).to_bytes(4, "big")
    return hashlib.new(algorithm, content).digest()


@given(algorithms, st.binary(max_size=50), st.sampled_from(["", " ", "\n", "\t "]))
def test_h05_hex_in_any_case_and_base64_are_read_alike(algorithm: str, content: bytes, space: str) -> None:
    raw = reference(algorithm, content)
    for text in (raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode()):
        assert parse_digest(algorithm, space + text + space) == raw.hex()


@given(algorithms, st.text(max_size=140))
def test_h05_whatever_is_read_is_lower_case_hex_of_the_right_length(algorithm: str, text: str) -> None:
    try:
        parsed = parse_digest(algorithm, text)
    except DigestInvalid:
        return
    assert len(parsed) == 2 * len(reference(algorithm, b""))
    assert bytes.fromhex(parsed).hex() == parsed


@pytest.mark.parametrize(
    ("algorithm", "text"),
    [
        ("md5", "d41d8cd98f00b204e9800998ecf8427e-3"),
        ("md5", '"d41d8cd98f00b204e9800998ecf8427e"'),
        ("md5", "1B2M2Y8AsgTpgAmY7PhCfg"),  # no padding
        ("md5", "1B2M2Y8AsgTpgAmY7PhCfh=="),  # stray bits
        ("md5", "d41d8cd98f00b204 e9800998ecf8427e"),
        ("sha256", "d41d8cd98f00b204e9800998ecf8427e"),
        ("crc32c", "0x12345678"),
        ("crc32c", "١٢٣٤٥٦٧٨"),
        ("sha1", ""),
    ],
)
def test_h05_what_is_no_digest_is_refused_with_what_would_be_right(algorithm: str, text: str) -> None:
    with pytest.raises(DigestInvalid, match=r"hexadecimal digits or \d+ characters of base64 with padding"):
        parse_digest(algorithm, text)


@pytest.mark.parametrize("algorithm", ["SHA256", "sha-256", "", "crc32", "blake2b"])
def test_h05_an_unknown_algorithm_is_refused_with_those_known(algorithm: str) -> None:
    with pytest.raises(DigestInvalid, match="md5, sha1, sha256, sha512, crc32c"):
        parse_digest(algorithm, "00")
    with pytest.raises(DigestInvalid):
        Digester([algorithm])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.binary(max_size=5000), max_size=4), max_size=8), st.sets(algorithms))
def test_a_digest_depends_on_the_bytes_alone(groups: list[list[bytes]], names: set[str]) -> None:
    async def digest() -> tuple[int, dict[str, str]]:
        digester = Digester(names)
        for group in groups:
            await digester.update(group)
        return digester.size, await digester.digests()

    content = b"".join(chunk for group in groups for chunk in group)
    assert asyncio.run(digest()) == (len(content), {name: reference(name, content).hex() for name in names})


async def test_groups_are_hashed_in_order_however_many_algorithms_run() -> None:
    groups = [[bytes([number]) * 200_000, b"x" * number] for number in range(40)]
    digester = Digester(ALGORITHMS)
    for group in groups:
        await digester.update(group)
    content = b"".join(chunk for group in groups for chunk in group)
    assert await digester.digests() == {name: reference(name, content).hex() for name in ALGORITHMS}


async def test_update_returns_while_its_group_is_being_hashed() -> None:
    group = [bytes(64 * 1024 * 1024)]
    digester = Digester(["sha512"])
    async with asyncio.timeout(0.05):  # hashing this takes far longer
        await digester.update(group)
    assert await digester.digests() == {"sha512": reference("sha512", group[0]).hex()}


async def test_a_cancelled_update_is_counted_whole() -> None:
    group = [bytes(8 * 1024 * 1024)]
    digester = Digester(["md5"])

    begun = asyncio.Event()

    async def fill() -> None:
        for _ in range(50):
            begun.set()
            await digester.update(group)

    await cancel_when(begun.wait, fill)
    assert 0 < digester.size < 50 * len(group[0])
    assert await digester.digests() == {"md5": reference("md5", bytes(digester.size)).hex()}


async def test_a_stream_is_read_to_its_end_and_its_errors_pass_through() -> None:
    async def stream(*, failing: bool) -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 70_000
        if failing:
            raise ZeroDivisionError

    read = await digest_stream(stream(failing=False), ["sha1"])
    assert (read.size, read.digests) == (2_800_000, {"sha1": reference("sha1", b"x" * 2_800_000).hex()})
    with pytest.raises(ZeroDivisionError):
        await digest_stream(stream(failing=True), ["sha1"])
