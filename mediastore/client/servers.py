"""Which server, and as whom: from arguments, the environment, or a profile in the user's configuration folder."""

import os
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from dotenv import dotenv_values
from msgspec import Struct
from platformdirs import user_config_path

from mediastore.client.errors import ClientError, ProfileUnfit

DEFAULT_URL = "http://localhost:8000"
BASE = "/api/v1"
DEFAULT_PROFILE = "default"


class Server(Struct, frozen=True, kw_only=True):
    """A server and what is shown to it: an API key or a token; None for what everyone may see."""

    url: str
    credential: str | None = None
    key: UUID | None = None
    """The id of the API key that a log-in made for itself: a log-out can end it."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ClientError(f"{self.url!r} is no URL of a server; it looks like https://media.example.org")

    def __repr__(self) -> str:
        return f"Server(url={self.url!r}, ...)"


def find_server(url: str | None = None, credential: str | None = None, *, profile: str | None = None) -> Server:
    """Arguments go first, then MEDIASTORE_URL and MEDIASTORE_API_KEY or MEDIASTORE_TOKEN (the environment, or `.env` here), then
    the profile. A credential is only shown to the server that it came with; an empty one is nobody's. Raises `ClientError` and
    `ProfileUnfit`.
    """
    given = {**dotenv_values(".env"), **os.environ}
    asked_url = url or given.get("MEDIASTORE_URL")
    asked_credential = credential
    if credential is None:
        asked_credential = given.get("MEDIASTORE_API_KEY") or given.get("MEDIASTORE_TOKEN")
    kept = Profiles().load(profile or given.get("MEDIASTORE_PROFILE"))
    if asked_url is None:
        # A key that the environment has without a URL is one of the server that is usual here.
        chosen = kept.url if kept is not None else DEFAULT_URL
        if asked_credential is None and kept is not None:
            asked_credential = kept.credential
        return Server(url=chosen, credential=asked_credential)
    asked_url = bare(asked_url)
    if asked_credential is None and kept is not None and kept.url == asked_url:
        asked_credential = kept.credential
    return Server(url=asked_url, credential=asked_credential)


def login_place(url: str | None = None, *, profile: str | None = None) -> tuple[str, Server, Server | None]:
    """Where a log-in goes: the profile's name, its server without a credential, and what the profile has; the rules are those of
    `find_server`. Raises `ClientError` and `ProfileUnfit`.
    """
    given = {**dotenv_values(".env"), **os.environ}
    name = profile or given.get("MEDIASTORE_PROFILE") or DEFAULT_PROFILE
    kept = Profiles().all().get(name)
    place = url or given.get("MEDIASTORE_URL") or (kept.url if kept is not None else DEFAULT_URL)
    return name, Server(url=bare(place)), kept


def bare(url: str) -> str:
    """The URL without what every call adds to it."""
    return url.rstrip("/").removesuffix(BASE).rstrip("/")


class Profiles:
    """`profiles.json`, which nobody else may read, in the user's configuration folder or the one that is given."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or user_config_path("mediastore")) / "profiles.json"

    def load(self, name: str | None = None) -> Server | None:
        """The profile; without a name the default one, or None where there is none. Raises `ProfileUnfit`."""
        found = self.all()
        if name is not None and name not in found:
            there = f"; there are: {', '.join(sorted(found))}" if found else ""
            raise ProfileUnfit(f"there is no profile {name!r}{there}; `mediastore login --profile {name}` makes it")
        return found.get(name or DEFAULT_PROFILE)

    def save(self, server: Server, *, name: str | None = None) -> None:
        self._write(self.all() | {name or DEFAULT_PROFILE: server})

    def remove(self, name: str | None = None) -> bool:
        """Whether there was one."""
        found = self.all()
        gone = found.pop(name or DEFAULT_PROFILE, None)
        if gone is not None:
            self._write(found)
        return gone is not None

    def all(self) -> dict[str, Server]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=dict[str, Server])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            raise ProfileUnfit(f"{self.path} can't be read: {error}; put it right, or remove it and log in again") from error

    def _write(self, profiles: dict[str, Server]) -> None:
        # A secret is never in a file that others can read, not for a moment; and a crash leaves the old file or the new one.
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(profiles)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
