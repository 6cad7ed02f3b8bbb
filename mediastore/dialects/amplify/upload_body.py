"""`{"mediadata": {…}, "base64": "…"}`, in any order, read as it comes: base64 may have gigabytes, the rest is little.

Parsers that give out JSON piece by piece (ijson was tried) hold each string as a whole. So the one string is cut out here, and
what is left of the object is decoded like any body.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import msgspec

from mediastore.dialects.amplify.base64_text import Decoder
from mediastore.dialects.amplify.schemas import AmplifyUpload
from mediastore.http.bodies import decoded
from mediastore.http.errors import BodyInvalid

BASE64, MEDIADATA = b'"base64"', b'"mediadata"'
SLICE = 64 * 1024
"""Bytes that are looked through before others get their turn."""
_STRUCTURE = re.compile(rb'["{}\[\]:]')
_STRING_END = re.compile(rb'["\\]')
_NOT_SPACE = re.compile(rb"[^ \t\r\n]")
_ESCAPES = {b"/": b"/", b"n": b"", b"r": b"", b"t": b""}
_LONGEST_NAME = 200


class Cutter:
    """Takes the object in pieces of any length, and cuts the value of `base64` out of it. `rest` is the object without it."""

    def __init__(self, *, longest: int) -> None:
        self.rest = bytearray()
        self.names: list[bytes] = []
        """Of the members that have begun, as they are written."""
        self.opened_at: int | None = None
        """How long `rest` was at the opening quote of `base64`."""
        self.ended = False
        """Whether the closing quote of `base64` has passed."""
        self._longest = longest
        self._step: Callable[[bytes, int, list[bytes]], int] = self._outside
        self._depth = 0
        self._string = bytearray()
        self._escape: bytearray | None = None

    def feed(self, piece: bytes) -> list[bytes]:
        """What of this piece is text of `base64`, its escapes resolved."""
        found: list[bytes] = []
        at = 0
        while at < len(piece):
            at = self._step(piece, at, found)
        return found

    def _outside(self, piece: bytes, at: int, _: list[bytes]) -> int:
        match = _STRUCTURE.search(piece, at)
        end = len(piece) if match is None else match.end()
        self._keep(piece[at:end])
        if match is None:
            return end
        letter = match[0]
        if letter == b'"':
            self._string = bytearray(letter)
            self._step = self._inside
        elif letter in b"{[":
            self._depth += 1
        elif letter in b"}]":
            self._depth -= 1
        elif self._depth == 1:
            self._name()
        return end

    def _inside(self, piece: bytes, at: int, _: list[bytes]) -> int:
        """Inside any other string."""
        if self._escape is not None:  # whatever stands behind a backslash ends nothing
            self._escape, end = None, at + 1
        else:
            match = _STRING_END.search(piece, at)
            end = len(piece) if match is None else match.end()
            if match is not None and match[0] == b"\\":
                self._escape = bytearray()
            elif match is not None:
                self._step = self._outside
        self._keep(piece[at:end])
        if self._depth == 1 and len(self._string) < _LONGEST_NAME:
            self._string += piece[at : min(end, at + _LONGEST_NAME)]
        return end

    def _name(self) -> None:
        name = bytes(self._string)
        if b"\\" in name:
            name = _plain(name)
        if name in self.names:
            raise BodyInvalid(f"the member {name[:40].decode(errors='replace')} comes twice")
        if len(self.names) < _LONGEST_NAME:
            self.names.append(name)
        if name == BASE64:
            self._step = self._before

    def _before(self, piece: bytes, at: int, _: list[bytes]) -> int:
        """Between the colon and the value."""
        match = _NOT_SPACE.search(piece, at)
        if match is None:
            return len(piece)
        if match[0] != b'"':
            self._step = self._outside
            return match.start()
        self._keep(b'"')
        self.opened_at = len(self.rest)
        self._step = self._text
        return match.end()

    def _text(self, piece: bytes, at: int, found: list[bytes]) -> int:
        """Inside the text of `base64`."""
        if self._escape is not None:
            return self._escaped(piece, at, found)
        quote = piece.find(b'"', at)
        end = len(piece) if quote < 0 else quote
        slash = piece.find(b"\\", at, end)
        if slash >= 0:
            found.append(piece[at:slash])
            self._escape = bytearray()
            return slash + 1
        if end > at:
            found.append(piece[at:end])
        if quote < 0:
            return end
        self._keep(b'"')
        self.ended = True
        self._step = self._outside
        return quote + 1

    def _escaped(self, piece: bytes, at: int, found: list[bytes]) -> int:
        assert self._escape is not None  # noqa: S101 - asked by the caller
        self._escape += piece[at : at + 1]
        whole = 5 if self._escape.startswith(b"u") else 1
        if len(self._escape) == whole:
            letters = _ESCAPES.get(bytes(self._escape)) if whole == 1 else _plain(b'"\\' + bytes(self._escape) + b'"')[1:-1]
            if letters is None:
                raise BodyInvalid("base64: an escape that stands for no letter of it", field="base64")
            found.append(letters)
            self._escape = None
        return at + 1

    def _keep(self, piece: bytes) -> None:
        self.rest += piece
        if len(self.rest) > self._longest:
            raise BodyInvalid(
                f"without base64 the body is longer than the {self._longest} bytes that JSON may have (MEDIASTORE_MAX_JSON_BYTES)"
            )


class UploadBody:
    """Usage: `await body.begin()`; where that is true, `body.content()` is to be read to its end; `body.asked()` is the rest."""

    def __init__(self, pieces: AsyncIterator[bytes], *, longest: int) -> None:
        self._slices = self._sliced(pieces)
        self._cutter = Cutter(longest=longest)
        self._first: list[bytes] = []
        self._json = msgspec.json.Decoder(AmplifyUpload)

    async def begin(self) -> bool:
        """Whether bytes come; read no further than to the first of them."""
        async for piece in self._slices:
            self._first = self._cutter.feed(piece)
            if any(self._first):
                return True
        return False

    @property
    def asked_first(self) -> bool:
        """Whether `mediadata` came before `base64`, and so is known by now."""
        names = self._cutter.names
        return BASE64 in names and MEDIADATA in names[: names.index(BASE64)]

    def asked(self, *, so_far: bool = False) -> AmplifyUpload:
        """All but the bytes; `so_far`: what came before them. Raises `BodyInvalid`."""
        rest = bytes(self._cutter.rest[: self._cutter.opened_at]) + b'"}' if so_far else bytes(self._cutter.rest)
        return decoded(rest, self._json)

    async def content(self) -> AsyncIterator[bytes]:
        """The bytes, and then the end of the body: raises `BodyInvalid` when the whole is no JSON, or no base64."""
        decoder = Decoder()
        for text in self._first:
            yield decoder.feed(text)
        async for piece in self._slices:
            for text in self._cutter.feed(piece):
                if content := decoder.feed(text):
                    yield content
        decoder.end()
        self.asked()

    async def _sliced(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            for start in range(0, len(piece), SLICE):
                yield piece[start : start + SLICE]
                if self._cutter.opened_at is None or self._cutter.ended:
                    await asyncio.sleep(0)  # of bytes those who store them let go; of the rest nobody would


def _plain(text: bytes) -> bytes:
    """A string of JSON without escapes; in quotes still."""
    try:
        return b'"' + msgspec.json.decode(text, type=str).encode() + b'"'
    except (msgspec.DecodeError, UnicodeError):
        return text
