"""Which upload a file was being sent by, so that the same `put` goes on where another one was killed."""

import hashlib
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import msgspec
from msgspec import Struct
from platformdirs import user_state_path


class Begun(Struct, frozen=True, kw_only=True):
    upload: UUID
    sha256: str | None = None
    """None where it is reckoned while the bytes are sent."""


class UploadState:
    """One small file for each upload under way. It holds no secret: whoever goes on logs in."""

    def __init__(self, what: str, *, folder: Path | None = None) -> None:
        """`what`: all that makes this upload the one it is: server, PID, store, file, and the file's state."""
        name = hashlib.sha256(what.encode(errors="surrogateescape")).hexdigest()
        self._path = (folder or user_state_path("mediastore") / "uploads") / f"{name}.json"

    def load(self) -> Begun | None:
        """None where nothing was begun; what can't be read was not begun either: the file is sent anew."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Begun)
        except (OSError, msgspec.DecodeError):
            return None

    def save(self, begun: Begun) -> None:
        """Where nothing can be written the file is sent all the same; it can't be gone on with then."""
        draft = self._path.with_suffix(".draft")
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(begun))
            draft.replace(self._path)

    def forget(self) -> None:
        with suppress(OSError):
            self._path.unlink()
