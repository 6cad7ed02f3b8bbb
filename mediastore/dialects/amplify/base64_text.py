"""Bytes from base64 that comes in pieces, and base64 from bytes."""

from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import AsyncIterator
from contextlib import aclosing

from mediastore.http.errors import BodyInvalid

SPACES = b" \t\r\n"
GROUP = 3
"""Bytes that become four letters."""


class Decoder:
    """RFC 4648, section 4, in pieces of any length. Line breaks are passed over; any other letter that is none is refused."""

    def __init__(self) -> None:
        self._left = b""
        self._padded = False

    def feed(self, text: bytes) -> bytes:
        """The bytes of this piece. Raises `BodyInvalid`."""
        text = self._left + text.translate(None, SPACES)
        whole = len(text) - len(text) % 4
        self._left = text[whole:]
        if not whole:
            return b""
        if self._padded:
            raise _invalid("something follows its end")
        self._padded = text[whole - 1] == ord("=")
        try:
            return a2b_base64(text[:whole], strict_mode=True)
        except Error as error:
            raise _invalid(str(error)) from error

    def end(self) -> None:
        """Raises `BodyInvalid` when the text broke off."""
        if self._left:
            raise _invalid("it breaks off: its length is no multiple of four")


def encoded_length(size: int) -> int:
    """Letters that so many bytes become."""
    return (size + GROUP - 1) // GROUP * 4


async def encoded(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The bytes as base64, piece by piece."""
    left = b""
    async with aclosing(pieces) as source:  # type: ignore[type-var]  # all our streams are generators
        async for more in source:
            piece = left + more if left else more
            whole = len(piece) - len(piece) % GROUP
            left = piece[whole:]
            if whole:
                yield b64encode(memoryview(piece)[:whole])
    if left:
        yield b64encode(left)


def _invalid(why: str) -> BodyInvalid:
    return BodyInvalid(f"base64: {why}", field="base64")
