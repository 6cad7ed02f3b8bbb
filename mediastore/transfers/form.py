"""multipart/form-data (RFC 7578), streamed: the fields first, then the file, which is never held in memory."""

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any

import msgspec
from msgspec import Raw
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from mediastore.catalog.schemas import MediaCreate
from mediastore.transfers.errors import FormInvalid

LARGEST_FIELD = 1024 * 1024
"""Bytes that one field other than the file may have."""
LARGEST_FIELDS = 2 * LARGEST_FIELD
"""Bytes that all of them may have: they are held before anybody knows who sends them."""
MOST_FIELDS = 64

TEXTS = frozenset({"pid", "pid_type", "store", "access", "public_at", "expires_at", "filename", "media_type"})
"""Fields that are plain text. The others are JSON; lists may also be given by commas."""
KNOWN = frozenset(MediaCreate.__struct_fields__) | {"filename", "media_type"}
LISTS = frozenset({"tags", "readers", "writers"})


class Form:
    """A form whose last part is the file, but for fields of the names `late`, which may also follow it.

    Usage: `fields = await form.fields()`, then iterate `form.content()` to the end; what followed is in `after` then.
    """

    def __init__(self, body: AsyncIterator[bytes], *, content_type: str, late: Collection[str] = ()) -> None:
        kind, options = parse_options_header(content_type)
        if kind != "multipart/form-data" or not options.get("boundary"):
            raise FormInvalid("send multipart/form-data with a boundary, as `curl -F` and browsers do")
        self._body = body
        self._late = late
        self.after: dict[str, str] = {}
        try:
            self._parser = PushMultipartParser(options["boundary"], max_header_count=16, max_segment_count=MOST_FIELDS)
        except MultipartError as error:
            raise FormInvalid(f"the form can't be read: {error}") from error
        self._pending: list[Any] = []
        self._held = 0
        self.filename: str | None = None
        self.media_type: str = "application/octet-stream"

    async def fields(self) -> dict[str, str]:
        """The fields before the file, as text. Raises `FormInvalid` where there is no file."""
        found: dict[str, str] = {}
        name, value = "", bytearray()
        async for event in self._events():
            if isinstance(event, MultipartSegment):
                if event.name == "file":
                    self.filename = (event.filename or "").replace("\\", "/").rpartition("/")[2] or None
                    self.media_type = event.header("Content-Type") or self.media_type
                    return found
                if event.filename is not None or event.name in found:
                    raise FormInvalid(
                        f"the part {event.name!r} is out of place: one part named `file`, every other a field given once"
                    )
                name, value = event.name, bytearray()
            elif event:
                self._grow(value, event, name=name)
            else:
                found[name] = _text(value, name=name)
        raise FormInvalid("there is no part named `file` in the form; with curl: -F file=@PATH")

    async def content(self) -> AsyncIterator[bytes]:
        """The file's bytes. Raises `FormInvalid` when the form breaks off, or goes on with what may not follow."""
        name, value, whole = "", bytearray(), False
        async for event in self._events():
            if isinstance(event, MultipartSegment):
                if event.filename is not None or event.name not in self._late or event.name in self.after:
                    raise FormInvalid(f"the part {event.name!r} comes after the file; put the file last")
                name, value, whole = event.name, bytearray(), False
            elif event and name:
                self._grow(value, event, name=name)
            elif event:
                yield bytes(event)
            else:
                whole = True
                if name:
                    self.after[name] = _text(value, name=name)
        if not whole:
            raise FormInvalid("the form ended inside the file" if not name else f"the form ended inside the field {name}")

    def _grow(self, value: bytearray, piece: bytes, *, name: str) -> None:
        value += piece
        self._held += len(piece)
        if len(value) > LARGEST_FIELD:
            raise FormInvalid(f"the field {name} is longer than {LARGEST_FIELD} bytes")
        if self._held > LARGEST_FIELDS:
            raise FormInvalid(f"the fields of the form have more than {LARGEST_FIELDS} bytes together")

    async def _events(self) -> AsyncIterator[Any]:
        """Segments, pieces of their bodies, and None behind each: what is left of the last piece of the body first."""
        try:
            while True:
                while self._pending:
                    yield self._pending.pop(0)
                if self._parser.closed:
                    return
                piece = await anext(self._body, None)
                if piece is None:
                    self._parser.close()
                    return
                if piece:
                    self._pending.extend(self._parser.parse(piece))
        except MultipartError as error:
            raise FormInvalid(f"the form can't be read: {error}") from error


def _text(value: bytearray, *, name: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise FormInvalid(f"the field {name} is not valid UTF-8") from error


def as_json(fields: Mapping[str, str]) -> bytes:
    """The fields as the JSON object that a record would be made from."""
    for name in fields:
        if name not in KNOWN:
            raise FormInvalid(f"the field {name!r} is unknown; known are {', '.join(sorted(KNOWN))}, checksums and file")
    return msgspec.json.encode({name: _value(name, text) for name, text in fields.items()})


def _value(name: str, text: str) -> object:
    if name in TEXTS:
        return text
    if name in LISTS and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        msgspec.json.decode(text, type=Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise FormInvalid(f"the field {name} has to be JSON: {error}") from error
    return Raw(text.encode())
