"""Reading a store's configuration strictly: what is missing or unknown is refused by name."""

from collections.abc import Collection
from typing import TypeVar

import msgspec

from stores.config import StoreConfig
from stores.errors import StoreMisconfigured

Options = TypeVar("Options", bound=msgspec.Struct)

_PLACES = ("path", "bucket", "s3")


def check_fields(config: StoreConfig, *, required: Collection[str]) -> None:
    """Of `path`, `bucket` and `s3`, the required ones are given and no others; else raises `StoreMisconfigured`."""
    for field in _PLACES:
        value = getattr(config, field)
        if field in required and value in (None, ""):
            raise StoreMisconfigured(f"The {config.kind} store {config.name!r} needs the field `{field}`")
        if field not in required and value is not None:
            raise StoreMisconfigured(f"A {config.kind} store has no `{field}`: take it out of {config.name!r}")


def read_options(config: StoreConfig, options: type[Options]) -> Options:
    """The options as this struct, which has to forbid unknown fields. Raises `StoreMisconfigured`, naming the option."""
    known = ", ".join(f"`{field}`" for field in options.__struct_fields__) or "none"
    try:
        return msgspec.convert(config.options, options)
    except msgspec.ValidationError as exc:
        raise StoreMisconfigured(f"Options of the {config.kind} store {config.name!r}: {exc}. Known options: {known}") from exc
