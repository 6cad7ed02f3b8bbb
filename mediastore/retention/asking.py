"""Asking a store for objects by name, past every listing and cache."""

import asyncio
from collections.abc import Sequence

from stores.errors import ObjectNotFound
from stores.protocol import ObjectInfo, Store

AT_ONCE = 16


async def ask(store: Store, keys: Sequence[str]) -> dict[str, ObjectInfo | None]:
    """What is at each key; None where the store says that nothing is. Raises whatever else it says."""
    found: dict[str, ObjectInfo | None] = {}
    for begin in range(0, len(keys), AT_ONCE):
        some = keys[begin : begin + AT_ONCE]
        found |= dict(zip(some, await asyncio.gather(*(_one(store, key) for key in some)), strict=True))
    return found


async def _one(store: Store, key: str) -> ObjectInfo | None:
    try:
        return await store.head(key)
    except ObjectNotFound:
        return None
