"""The kinds of stores there are: classes that packages declare as entry points of `mediastore.stores`."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Protocol

from stores.config import StoreConfig
from stores.errors import StoreMisconfigured
from stores.keys import check_prefix
from stores.protocol import Store

ENTRY_POINTS = "mediastore.stores"


class StoreKind(Protocol):
    """How a kind of store is built; the class of the store itself, as a rule."""

    def from_config(self, config: StoreConfig) -> Store:
        """A store, not yet open. Does no I/O.

        Raises `StoreMisconfigured`, saying which field or option is wrong or unknown and what would be right.
        """


def load_kinds() -> Mapping[str, StoreKind]:
    """Every kind that is installed, by name. Raises `StoreMisconfigured` where one can't be loaded or two share a name."""
    kinds: dict[str, StoreKind] = {}
    for point in entry_points(group=ENTRY_POINTS):
        if point.name in kinds:
            raise StoreMisconfigured(f"Two installed packages declare the store kind {point.name!r}")
        try:
            kinds[point.name] = point.load()
        except (ImportError, AttributeError) as exc:
            raise StoreMisconfigured(f"The store kind {point.name!r} can't be loaded from {point.value!r}: {exc}") from exc
    return kinds


def build(config: StoreConfig, kinds: Mapping[str, StoreKind]) -> Store:
    """The store that the configuration describes, not yet open. Raises `StoreMisconfigured`, saying what would be right."""
    if config.kind not in kinds:
        raise StoreMisconfigured(f"Unknown store kind {config.kind!r}; installed are {', '.join(sorted(kinds)) or 'none'}")
    check_prefix(config.prefix)
    return kinds[config.kind].from_config(config)
