"""The words of AMPLIfy Mediastore's API."""

from msgspec import Struct


class Hello(Struct, frozen=True, kw_only=True):
    """What anyone is greeted with."""

    msg: str


class Failed(Struct, frozen=True, kw_only=True):
    """A refusal that is not about a field."""

    error: str
